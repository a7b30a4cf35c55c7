/* Load: walks the YAML document along the schema and fills a config_t.
 *
 * Promises: every key of the document is known and given once; every field is read from the file or
 * from its default, by the same reader. What relates two keys is checked afterwards (check.h).
 */
#include "config/load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "config/check.h"
#include "config/nearest.h"
#include "config/scalar.h"
#include "config/tree.h"
#include "core/base/alloc.h"
#include "core/base/buffer.h"
#include "core/base/check.h"

typedef struct {
    yaml_document_t document;
    config_t *config;
    places_t *places;
    error_t *error;
} loader_t;

/* One mapping that is being read: a section, or an item of a list. */
typedef struct {
    schema_section_id_t id;
    size_t item;
    void *base; /* where its fields are */
} target_t;

/* Recursion goes along the schema, not along the file: three deep. */
static bool s_load_section(loader_t *self, schema_section_id_t id, yaml_node_t *node);

static yaml_node_t *s_node(loader_t *self, int index)
{
    yaml_node_t *node = yaml_document_get_node(&self->document, index);
    CHECK(node);
    return node;
}

static text_t s_text(const yaml_node_t *node)
{
    return (text_t){(const char *)node->data.scalar.value, node->data.scalar.length};
}

/* `~`, `null` or nothing at all: as if the key were not there. */
static bool s_is_nothing(const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    text_t text = s_text(node);
    return text.len == 0 || text_equal(text, TEXT("~")) || text_equal(text, TEXT("null"));
}

static const char *s_kind(const yaml_node_t *node)
{
    switch (node->type) {
    case YAML_SEQUENCE_NODE:
        return "a list";
    case YAML_MAPPING_NODE:
        return "a mapping";
    default:
        return "a single value";
    }
}

static void s_known_keys(schema_section_id_t id, buffer_t *out)
{
    const schema_section_t *section = &schema_sections[id];
    for (size_t i = 0; i < section->keys_len; i++)
        buffer_printf(out, "%s%s", out->len ? ", " : "", section->keys[i].name);
    for (schema_section_id_t child = SCHEMA_TOP + 1; child < SCHEMA_SECTIONS; child++) {
        if (schema_sections[child].parent == id)
            buffer_printf(out, "%s%s", out->len ? ", " : "", schema_sections[child].name);
    }
    buffer_append(out, "", 1);
}

/* The word known in this section that is nearest to `name`, if it is near. */
static const char *s_nearest(schema_section_id_t id, text_t name)
{
    const schema_section_t *section = &schema_sections[id];
    const char *nearest = NULL;
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < section->keys_len; i++) {
        size_t distance = nearest_distance(name, text_of(section->keys[i].name));
        if (distance < least) {
            least = distance;
            nearest = section->keys[i].name;
        }
    }
    for (schema_section_id_t child = SCHEMA_TOP + 1; child < SCHEMA_SECTIONS; child++) {
        if (schema_sections[child].parent != id)
            continue;
        size_t distance = nearest_distance(name, text_of(schema_sections[child].name));
        if (distance < least) {
            least = distance;
            nearest = schema_sections[child].name;
        }
    }
    return nearest && nearest_is_near(text_of(nearest), least) ? nearest : NULL;
}

/* Other sections that know exactly this key, "a or b": wrong indentation is a common slip. */
static void s_other_sections(text_t name, buffer_t *out)
{
    for (schema_section_id_t id = SCHEMA_TOP + 1; id < SCHEMA_SECTIONS; id++) {
        if (schema_find_key(&schema_sections[id], name) || schema_find_section(id, name))
            buffer_printf(out, "%s%s", out->len ? " or " : "", schema_sections[id].path);
    }
    if (out->len == 0 && schema_find_section(SCHEMA_TOP, name))
        buffer_append_text(out, schema_sections[SCHEMA_TOP].path);
}

static bool s_unknown_key(loader_t *self, schema_section_id_t id, const yaml_node_t *key)
{
    char shown[PLACE_SHOWN_SIZE];
    place_show(s_text(key), shown);
    place_t place = tree_place(key->start_mark);
    const char *path = schema_sections[id].path;
    const char *nearest = s_nearest(id, s_text(key));
    if (nearest)
        return places_error(self->places, place, self->error,
                            "%s has no key %s; did you mean `%s`?", path, shown, nearest);
    buffer_t words = {0};
    s_other_sections(s_text(key), &words);
    if (words.len > 0) {
        buffer_append(&words, "", 1);
        places_error(self->places, place, self->error,
                     "%s has no key %s; it belongs to %s: look at the indentation", path, shown,
                     (const char *)words.bytes);
    } else {
        s_known_keys(id, &words);
        places_error(self->places, place, self->error, "%s has no key %s; it knows %s", path, shown,
                     (const char *)words.bytes);
    }
    buffer_free(&words);
    return false;
}

static bool s_twice(loader_t *self, schema_section_id_t id, const yaml_node_t *key, place_t first)
{
    char shown[PLACE_SHOWN_SIZE];
    return places_error(self->places, tree_place(key->start_mark), self->error,
                        "%s in %s is given twice, first on line %u; keep one of them",
                        place_show(s_text(key), shown), schema_sections[id].path, first.line);
}

static bool s_read_key(loader_t *self, const target_t *target, const schema_key_t *key,
                       text_t value, place_t place)
{
    const schema_section_t *section = &schema_sections[target->id];
    error_t reason = {0};
    if (!scalar_read(key, value, target->base, &reason))
        return places_error(self->places, place, self->error, "%s.%s: %s", section->path, key->name,
                            reason.text);
    return true;
}

static bool s_load_names(loader_t *self, const target_t *target, const schema_key_t *key,
                         const yaml_node_t *value)
{
    const char *path = schema_sections[target->id].path;
    if (value->type != YAML_SEQUENCE_NODE)
        return places_error(self->places, tree_place(value->start_mark), self->error,
                            "%s.%s is %s, but must be a list of names, such as [a, b] (%s)", path,
                            key->name, s_kind(value), key->sentence);
    const yaml_node_item_t *item = value->data.sequence.items.start;
    for (; item < value->data.sequence.items.top; item++) {
        const yaml_node_t *name = s_node(self, *item);
        place_t place = tree_place(name->start_mark);
        if (name->type != YAML_SCALAR_NODE)
            return places_error(self->places, place, self->error,
                                "a name in %s.%s is %s, but must be a word", path, key->name,
                                s_kind(name));
        if (!s_read_key(self, target, key, s_text(name), place))
            return false;
    }
    return true;
}

static bool s_load_key(loader_t *self, const target_t *target, const schema_key_t *key,
                       const yaml_node_t *name, const yaml_node_t *value)
{
    const schema_section_t *section = &schema_sections[target->id];
    size_t index = target->item * section->keys_len + (size_t)(key - section->keys);
    place_t *place = &self->places->keys[target->id][index];
    if (place->line != 0)
        return s_twice(self, target->id, name, *place);
    *place = tree_place(value->start_mark);
    if (key->type == SCHEMA_NAMES)
        return s_load_names(self, target, key, value);
    if (value->type != YAML_SCALAR_NODE)
        return places_error(self->places, *place, self->error,
                            "%s.%s is %s, but must be a single value (%s)", section->path,
                            key->name, s_kind(value), key->sentence);
    if (s_is_nothing(value))
        return places_error(self->places, tree_place(name->start_mark), self->error,
                            "%s.%s has no value; write one or remove the line", section->path,
                            key->name);
    if (key->given_offset != SCHEMA_NOWHERE) {
        bool given = true;
        memcpy((char *)target->base + key->given_offset, &given, sizeof given);
    }
    return s_read_key(self, target, key, s_text(value), *place);
}

/* Keys that the file does not give: their default, or an error where they are required. */
static bool s_fill(loader_t *self, const target_t *target)
{
    const schema_section_t *section = &schema_sections[target->id];
    for (size_t i = 0; i < section->keys_len; i++) {
        const schema_key_t *key = &section->keys[i];
        if (places_given(self->places, target->id, target->item, i))
            continue;
        place_t place = places_of_item(self->places, target->id, target->item);
        if (key->required && schema_is_present(section, self->config))
            return places_error(self->places, place, self->error,
                                "%s.%s is missing; it is required (%s)", section->path, key->name,
                                key->sentence);
        if (key->standard && !s_read_key(self, target, key, text_of(key->standard), place))
            return false;
    }
    return true;
}

/* The pairs of a mapping; NULL: it is not there. Then the sections inside it that it did not give.
 */
static bool s_load_mapping(loader_t *self, const target_t *target, yaml_node_t *node)
{
    const yaml_node_pair_t *pair = node ? node->data.mapping.pairs.start : NULL;
    const yaml_node_pair_t *end = node ? node->data.mapping.pairs.top : NULL;
    bool seen[SCHEMA_SECTIONS] = {false};
    for (; pair < end; pair++) {
        yaml_node_t *name = s_node(self, pair->key);
        yaml_node_t *value = s_node(self, pair->value);
        if (name->type != YAML_SCALAR_NODE)
            return places_error(self->places, tree_place(name->start_mark), self->error,
                                "a key of %s is %s, but must be a word",
                                schema_sections[target->id].path, s_kind(name));
        const schema_key_t *key = schema_find_key(&schema_sections[target->id], s_text(name));
        schema_section_id_t child = schema_find_section(target->id, s_text(name));
        if (key) {
            if (!s_load_key(self, target, key, name, value))
                return false;
        } else if (child == SCHEMA_TOP) {
            return s_unknown_key(self, target->id, name);
        } else if (seen[child]) {
            return s_twice(self, target->id, name, self->places->sections[child]);
        } else {
            seen[child] = true;
            self->places->sections[child] = tree_place(name->start_mark);
            if (!s_load_section(self, child, s_is_nothing(value) ? NULL : value))
                return false;
        }
    }
    if (!s_fill(self, target))
        return false;
    for (schema_section_id_t child = SCHEMA_TOP + 1; child < SCHEMA_SECTIONS; child++) {
        bool missing = schema_sections[child].parent == target->id && !seen[child];
        if (missing && !s_load_section(self, child, NULL))
            return false;
    }
    return true;
}

static void *s_new_items(loader_t *self, schema_section_id_t id, size_t len)
{
    const schema_section_t *section = &schema_sections[id];
    char *items = memory_zero(len, section->item_size);
    memcpy((char *)self->config + section->items_offset, &items, sizeof items);
    memcpy((char *)self->config + section->len_offset, &len, sizeof len);
    self->places->keys[id] = memory_zero(len * section->keys_len, sizeof(place_t));
    return items;
}

static bool s_load_list(loader_t *self, schema_section_id_t id, yaml_node_t *node)
{
    const schema_section_t *section = &schema_sections[id];
    const yaml_node_item_t *first = node->data.sequence.items.start;
    size_t len = (size_t)(node->data.sequence.items.top - first);
    if (len < section->min_items || len > section->max_items)
        return places_error(self->places, tree_place(node->start_mark), self->error,
                            "%s has %zu items; allowed are %zu to %zu (%s)", section->path, len,
                            section->min_items, section->max_items, section->sentence);
    char *items = s_new_items(self, id, len);
    self->places->items[id] = memory_zero(len, sizeof(place_t));
    for (size_t i = 0; i < len; i++)
        self->places->items[id][i] = tree_place(s_node(self, first[i])->start_mark);
    for (size_t i = 0; i < len; i++) {
        yaml_node_t *item = s_node(self, first[i]);
        if (item->type != YAML_MAPPING_NODE)
            return places_error(self->places, tree_place(item->start_mark), self->error,
                                "an item of %s is %s, but must be a mapping, such as - {%s: …}",
                                section->path, s_kind(item), section->keys[0].name);
        target_t target = {id, i, items + i * section->item_size};
        if (!s_load_mapping(self, &target, item))
            return false;
    }
    for (size_t i = 0; id == SCHEMA_DAPS && i < len; i++)
        self->config->daps[i].line = self->places->items[id][i].line;
    return true;
}

/* A list that the file does not give. */
static bool s_load_standard_list(loader_t *self, schema_section_id_t id)
{
    const schema_section_t *section = &schema_sections[id];
    if (section->standard_item) {
        target_t target = {id, 0, s_new_items(self, id, 1)};
        place_t nowhere = {1, 1};
        return s_read_key(self, &target, &section->keys[0], text_of(section->standard_item),
                          nowhere);
    }
    if (section->min_items > 0)
        return places_error(self->places, places_of_item(self->places, id, 0), self->error,
                            "%s is missing; at least %zu of them is required (%s)", section->path,
                            section->min_items, section->sentence);
    return true;
}

static bool s_load_section(loader_t *self, schema_section_id_t id, yaml_node_t *node)
{
    const schema_section_t *section = &schema_sections[id];
    yaml_node_type_t wanted = section->list ? YAML_SEQUENCE_NODE : YAML_MAPPING_NODE;
    if (node && node->type != wanted)
        return places_error(self->places, tree_place(node->start_mark), self->error,
                            "%s is %s, but must be %s (%s)", section->path, s_kind(node),
                            section->list ? "a list" : "a mapping", section->sentence);
    if (section->list)
        return node ? s_load_list(self, id, node) : s_load_standard_list(self, id);
    self->places->keys[id] = memory_zero(section->keys_len, sizeof(place_t));
    if (section->optional) {
        bool present = node != NULL;
        memcpy((char *)self->config + section->present_offset, &present, sizeof present);
    }
    target_t target = {id, 0, self->config};
    return s_load_mapping(self, &target, node);
}

config_t *load_parse(const char *name, text_t text, places_t *ret_places, error_t *ret_error)
{
    places_t places = {.file = name};
    error_t error = {0};
    loader_t self = {.places = &places, .error = &error};
    bool ok = tree_read(&places, text, &self.document, &error);
    if (ok) {
        self.config = memory_zero(1, sizeof *self.config);
        yaml_node_t *root = yaml_document_get_root_node(&self.document);
        if (root && s_is_nothing(root))
            root = NULL;
        ok = s_load_section(&self, SCHEMA_TOP, root) && check_all(self.config, &places, &error);
        yaml_document_delete(&self.document);
    }
    if (!ok) {
        config_destroy(&self.config);
        places_free(&places);
        if (ret_error)
            *ret_error = error;
        return NULL;
    }
    *ret_places = places;
    return self.config;
}

config_t *config_parse(const char *name, const char *text, size_t len, error_t *ret_error)
{
    places_t places;
    config_t *config = load_parse(name, (text_t){text, len}, &places, ret_error);
    if (config)
        places_free(&places);
    return config;
}

config_t *config_load(const char *path, error_t *ret_error)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        error_set(ret_error, ERROR_SYSTEM, "%s: cannot be opened: %s", path, strerror(errno));
        return NULL;
    }
    buffer_t text = {0};
    /* One byte more than is allowed, so that too large a file is seen. */
    text.len = fread(buffer_reserve(&text, TREE_MAX_SIZE + 1), 1, TREE_MAX_SIZE + 1, file);
    int error = ferror(file) ? errno : 0;
    fclose(file);
    config_t *config = NULL;
    if (error)
        error_set(ret_error, ERROR_SYSTEM, "%s: cannot be read: %s", path, strerror(error));
    else
        config = config_parse(path, (const char *)text.bytes, text.len, ret_error);
    buffer_free(&text);
    return config;
}

void config_destroy(config_t **self_p)
{
    config_t *self = *self_p;
    if (!self)
        return;
    free(self->daps);
    free(self->tenants);
    free(self->queues);
    free(self->routers);
    free(self->applications);
    free(self->clusters);
    free(self->strategies);
    free(self->agents);
    free(self);
    *self_p = NULL;
}
