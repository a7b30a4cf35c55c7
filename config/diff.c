#include "config/diff.h"

#include <stdlib.h>
#include <string.h>

#include "config/scalar.h"
#include "core/base/alloc.h"
#include "core/base/check.h"

typedef struct {
    const config_t *old;
    const config_t *new;
    diff_fn *on_diff;
    void *context;
    size_t found;
} differ_t;

static void s_tell(differ_t *self, diff_t *diff)
{
    self->found++;
    if (self->on_diff)
        self->on_diff(self->context, diff);
}

/* Whose it is, where names are unique in their tenant only; "" otherwise. */
static const char *s_scope(const schema_section_t *section, const void *item)
{
    const schema_key_t *tenant = schema_find_key(section, TEXT("tenant"));
    return tenant ? (const char *)item + tenant->offset : "";
}

/* "queues[support@other]": an item by its name, of another tenant with that. */
static void s_item_path(const schema_section_t *section, const void *item, buffer_t *out)
{
    buffer_append_text(out, section->path);
    if (!section->list)
        return;
    buffer_printf(out, "[%s", (const char *)item + section->keys[0].offset);
    const char *scope = s_scope(section, item);
    if (*scope && strcmp(scope, "default") != 0)
        buffer_printf(out, "@%s", scope);
    buffer_append_text(out, "]");
}

static void s_value(const schema_key_t *key, const void *item, buffer_t *out)
{
    buffer_clear(out);
    if (schema_is_given(key, item))
        scalar_write(key, item, out);
    buffer_append(out, "", 1);
}

/* Texts hold more than they say: what is behind their end does not count. */
static bool s_same_value(const schema_key_t *key, const void *a, const void *b)
{
    bool given = schema_is_given(key, a);
    if (given != schema_is_given(key, b))
        return false;
    if (!given)
        return true;
    const char *a_field = (const char *)a + key->offset;
    const char *b_field = (const char *)b + key->offset;
    bool text = key->type == SCHEMA_NAME || key->type == SCHEMA_PATH ||
                key->type == SCHEMA_ENDPOINT || key->type == SCHEMA_CONNINFO;
    return text ? strncmp(a_field, b_field, key->size) == 0
                : memcmp(a_field, b_field, key->size) == 0;
}

static void s_compare_item(differ_t *self, schema_section_id_t id, const void *a, const void *b)
{
    const schema_section_t *section = &schema_sections[id];
    buffer_t path = {0};
    buffer_t old = {0};
    buffer_t new = {0};
    for (size_t i = 0; i < section->keys_len; i++) {
        const schema_key_t *key = &section->keys[i];
        if (s_same_value(key, a, b))
            continue;
        s_value(key, a, &old);
        s_value(key, b, &new);
        buffer_clear(&path);
        s_item_path(section, b, &path);
        buffer_printf(&path, ".%s", key->name);
        buffer_append(&path, "", 1);
        diff_t diff = {.kind = DIFF_CHANGED,
                       .reload = key->reload,
                       .section = id,
                       .key = i,
                       .path = (const char *)path.bytes,
                       .old = (const char *)old.bytes,
                       .new = (const char *)new.bytes};
        diff.secret = strcmp(diff.old, diff.new) == 0;
        s_tell(self, &diff);
    }
    buffer_free(&path);
    buffer_free(&old);
    buffer_free(&new);
}

/* A whole section, or an item of a list, that is on one side only. */
static void s_one_sided(differ_t *self, schema_section_id_t id, const void *item, diff_kind_t kind)
{
    const schema_section_t *section = &schema_sections[id];
    buffer_t path = {0};
    s_item_path(section, item, &path);
    buffer_append(&path, "", 1);
    diff_t diff = {.kind = kind,
                   .reload = section->list ? section->keys[0].reload : SCHEMA_RESTART,
                   .section = id,
                   .path = (const char *)path.bytes,
                   .old = kind == DIFF_REMOVED ? "there" : "",
                   .new = kind == DIFF_ADDED ? "there" : ""};
    s_tell(self, &diff);
    buffer_free(&path);
}

/* The items of a list, sorted by name. */
typedef struct {
    const char *name;
    const char *scope;
    const void *item;
} named_t;

static int s_compare_names(const void *a_p, const void *b_p)
{
    const named_t *a = a_p;
    const named_t *b = b_p;
    int order = strcmp(a->scope, b->scope);
    return order ? order : strcmp(a->name, b->name);
}

static named_t *s_sorted(const schema_section_t *section, const config_t *config, size_t len)
{
    named_t *names = memory_zero(len, sizeof *names);
    for (size_t i = 0; i < len; i++) {
        const void *item = schema_item(section, config, i);
        names[i] =
            (named_t){(const char *)item + section->keys[0].offset, s_scope(section, item), item};
    }
    qsort(names, len, sizeof *names, s_compare_names);
    return names;
}

/* Names that are shown of a list. */
enum { SHOWN = 20 };

static void s_tell_order(differ_t *self, schema_section_id_t id)
{
    const schema_section_t *section = &schema_sections[id];
    size_t len = schema_items_len(section, self->old);
    buffer_t texts[2] = {{0}, {0}};
    bool differs = false;
    for (size_t i = 0; i < len; i++) {
        const char *a = (const char *)schema_item(section, self->old, i) + section->keys[0].offset;
        const char *b = (const char *)schema_item(section, self->new, i) + section->keys[0].offset;
        differs |= strcmp(a, b) != 0;
        if (i == SHOWN) {
            buffer_append_text(&texts[0], ", …");
            buffer_append_text(&texts[1], ", …");
        } else if (i < SHOWN) {
            buffer_printf(&texts[0], "%s%s", i ? ", " : "", a);
            buffer_printf(&texts[1], "%s%s", i ? ", " : "", b);
        }
    }
    buffer_append(&texts[0], "", 1);
    buffer_append(&texts[1], "", 1);
    diff_t diff = {.kind = DIFF_ORDER,
                   .reload = section->keys[0].reload,
                   .section = id,
                   .path = section->path,
                   .old = (const char *)texts[0].bytes,
                   .new = (const char *)texts[1].bytes};
    if (differs)
        s_tell(self, &diff);
    buffer_free(&texts[0]);
    buffer_free(&texts[1]);
}

static void s_compare_list(differ_t *self, schema_section_id_t id)
{
    const schema_section_t *section = &schema_sections[id];
    size_t old_len = schema_items_len(section, self->old);
    size_t new_len = schema_items_len(section, self->new);
    named_t *old = s_sorted(section, self->old, old_len);
    named_t *new = s_sorted(section, self->new, new_len);
    bool same_names = old_len == new_len;
    for (size_t i = 0, j = 0; i < old_len || j < new_len;) {
        int order = i == old_len ? 1 : j == new_len ? -1 : s_compare_names(&old[i], &new[j]);
        same_names &= order == 0;
        if (order == 0)
            s_compare_item(self, id, old[i++].item, new[j++].item);
        else if (order < 0)
            s_one_sided(self, id, old[i++].item, DIFF_REMOVED);
        else
            s_one_sided(self, id, new[j++].item, DIFF_ADDED);
    }
    free(old);
    free(new);
    if (same_names)
        s_tell_order(self, id);
}

size_t diff_configurations(const config_t *old, const config_t *new, diff_fn *on_diff,
                           void *context)
{
    differ_t self = {old, new, on_diff, context, 0};
    for (schema_section_id_t id = SCHEMA_TOP + 1; id < SCHEMA_SECTIONS; id++) {
        const schema_section_t *section = &schema_sections[id];
        bool before = schema_is_present(section, old);
        bool after = schema_is_present(section, new);
        if (section->list)
            s_compare_list(&self, id);
        else if (before && after)
            s_compare_item(&self, id, old, new);
        else if (before || after)
            s_one_sided(&self, id, before ? old : new, before ? DIFF_REMOVED : DIFF_ADDED);
    }
    return self.found;
}

static void s_keep_key(const schema_key_t *key, const config_t *old, config_t *new)
{
    memcpy((char *)new + key->offset, (const char *)old + key->offset, key->size);
    if (key->given_offset != SCHEMA_NOWHERE)
        memcpy((char *)new + key->given_offset, (const char *)old + key->given_offset,
               sizeof(bool));
}

void diff_keep_until_restart(const config_t *old, config_t *new)
{
    for (schema_section_id_t id = SCHEMA_TOP + 1; id < SCHEMA_SECTIONS; id++) {
        const schema_section_t *section = &schema_sections[id];
        /* A section that comes or goes does so as a whole. */
        bool whole =
            section->optional && schema_is_present(section, old) != schema_is_present(section, new);
        if (section->optional)
            memcpy((char *)new + section->present_offset,
                   (const char *)old + section->present_offset, sizeof(bool));
        for (size_t i = 0; i < section->keys_len && !section->list; i++)
            if (whole || section->keys[i].reload == SCHEMA_RESTART)
                s_keep_key(&section->keys[i], old, new);
        CHECK(!section->list || section->keys[0].reload != SCHEMA_RESTART);
    }
}
