/* Print: the effective values as YAML, and the schema as a page of help.
 *
 * Promises: what is printed loads back; text is always quoted and everything else never, so that
 * other YAML readers see the same types. Passwords are hidden. Errors of the file are the caller's
 * to look at (ferror).
 */
#include <yaml.h>

#include "config/scalar.h"
#include "core/base/check.h"

/* An emitter on a FILE. What cannot be written is dropped; the FILE remembers. */
typedef struct {
    yaml_emitter_t emitter;
    bool failed;
} printer_t;

static int s_write(void *context, unsigned char *bytes, size_t len)
{
    return fwrite(bytes, 1, len, context) == len;
}

/* `made`: whether libyaml could make the event, which fails for lack of memory only. */
static void s_emit(printer_t *self, yaml_event_t *event, int made)
{
    CHECK(made);
    if (self->failed)
        yaml_event_delete(event);
    else
        self->failed = !yaml_emitter_emit(&self->emitter, event);
    CHECK(self->emitter.error != YAML_MEMORY_ERROR);
}

static void s_emit_text(printer_t *self, text_t text, bool quoted)
{
    yaml_event_t event;
    yaml_scalar_style_t style = quoted ? YAML_DOUBLE_QUOTED_SCALAR_STYLE : YAML_PLAIN_SCALAR_STYLE;
    s_emit(self, &event,
           yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text.data,
                                        (int)text.len, 1, 1, style));
}

static void s_begin_mapping(printer_t *self)
{
    yaml_event_t event;
    s_emit(self, &event,
           yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE));
}

static void s_end_mapping(printer_t *self)
{
    yaml_event_t event;
    s_emit(self, &event, yaml_mapping_end_event_initialize(&event));
}

static bool s_is_quoted(schema_type_t type)
{
    return type == SCHEMA_NAME || type == SCHEMA_PATH || type == SCHEMA_ENDPOINT ||
           type == SCHEMA_CONNINFO;
}

static void s_print_names(printer_t *self, const config_names_t *names)
{
    yaml_event_t event;
    s_emit(self, &event,
           yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, YAML_FLOW_SEQUENCE_STYLE));
    for (size_t i = 0; i < names->len; i++)
        s_emit_text(self, text_of(names->names[i]), true);
    s_emit(self, &event, yaml_sequence_end_event_initialize(&event));
}

static void s_print_keys(printer_t *self, const schema_section_t *section, const void *item)
{
    buffer_t value = {0};
    for (size_t i = 0; i < section->keys_len; i++) {
        const schema_key_t *key = &section->keys[i];
        if (!schema_is_given(key, item))
            continue;
        s_emit_text(self, text_of(key->name), false);
        if (key->type == SCHEMA_NAMES) {
            s_print_names(self, (const void *)((const char *)item + key->offset));
            continue;
        }
        buffer_clear(&value);
        scalar_write(key, item, &value);
        s_emit_text(self, (text_t){(const char *)value.bytes, value.len}, s_is_quoted(key->type));
    }
    buffer_free(&value);
}

static void s_print_list(printer_t *self, const schema_section_t *section, const config_t *config)
{
    yaml_event_t event;
    s_emit(self, &event,
           yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, YAML_BLOCK_SEQUENCE_STYLE));
    size_t len = schema_items_len(section, config);
    for (size_t i = 0; i < len; i++) {
        s_begin_mapping(self);
        s_print_keys(self, section, schema_item(section, config, i));
        s_end_mapping(self);
    }
    s_emit(self, &event, yaml_sequence_end_event_initialize(&event));
}

static void s_print_children(printer_t *self, schema_section_id_t parent, const config_t *config)
{
    for (schema_section_id_t id = SCHEMA_TOP + 1; id < SCHEMA_SECTIONS; id++) {
        const schema_section_t *section = &schema_sections[id];
        if (section->parent != parent || !schema_is_present(section, config))
            continue;
        s_emit_text(self, text_of(section->name), false);
        if (section->list) {
            s_print_list(self, section, config);
        } else {
            s_begin_mapping(self);
            s_print_keys(self, section, config);
            s_print_children(self, id, config);
            s_end_mapping(self);
        }
    }
}

void config_print(const config_t *self, FILE *file)
{
    printer_t printer = {.failed = false};
    CHECK(yaml_emitter_initialize(&printer.emitter));
    yaml_emitter_set_output(&printer.emitter, s_write, file);
    yaml_emitter_set_unicode(&printer.emitter, 1);
    yaml_emitter_set_width(&printer.emitter, -1);
    yaml_event_t event;
    s_emit(&printer, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));
    s_emit(&printer, &event, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1));
    s_begin_mapping(&printer);
    s_print_children(&printer, SCHEMA_TOP, self);
    s_end_mapping(&printer);
    s_emit(&printer, &event, yaml_document_end_event_initialize(&event, 1));
    s_emit(&printer, &event, yaml_stream_end_event_initialize(&event));
    yaml_emitter_delete(&printer.emitter);
}

static void s_describe_key(const schema_key_t *key, FILE *file)
{
    buffer_t allowed = {0};
    scalar_write_allowed(key, &allowed);
    fprintf(file, "  %-28s %.*s", key->name, (int)allowed.len, (const char *)allowed.bytes);
    if (key->required)
        fprintf(file, "; required");
    else if (key->standard)
        fprintf(file, "; default %s", key->standard);
    else
        fprintf(file, "; optional");
    static const char *const reloads[] = {
        [SCHEMA_UNSAID] = "",
        [SCHEMA_LIVE] = "; a reload changes it at once",
        [SCHEMA_LOGGED] = "; a reload of the primary changes it, through the log",
        [SCHEMA_RESTART] = "; changes at the next start",
    };
    fprintf(file, "%s\n      %s\n", reloads[key->reload], key->sentence);
    buffer_free(&allowed);
}

void config_describe(FILE *file)
{
    for (schema_section_id_t id = SCHEMA_TOP + 1; id < SCHEMA_SECTIONS; id++) {
        const schema_section_t *section = &schema_sections[id];
        fprintf(file, "%s%s: %s%s\n", id == SCHEMA_TOP + 1 ? "" : "\n", section->path,
                section->list ? "a list; " : "", section->sentence);
        if (section->optional)
            fprintf(file, "  may be absent as a whole; where it is there:\n");
        if (section->standard_item)
            fprintf(file, "  absent: one, named %s\n", section->standard_item);
        for (size_t i = 0; i < section->keys_len; i++)
            s_describe_key(&section->keys[i], file);
    }
}
