/* Jsonl: see jsonl.h. */
#include "apps/ixnctl/parts/jsonl.h"

#include <glib.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"

static bool s_wrong_type(error_t *ret_error, const char *member, const char *wanted)
{
    return error_set(ret_error, ERROR_INVALID_ARGUMENT, "member \"%s\" must be %s", member, wanted);
}

static bool s_read_text(const json_t *value, const char *member, char *target, size_t size,
                        error_t *ret_error)
{
    if (!json_is_string(value))
        return s_wrong_type(ret_error, member, "a text");
    size_t len = json_string_length(value);
    if (len >= size)
        return error_set(ret_error, ERROR_TOO_LARGE,
                         "member \"%s\" has %zu bytes, at most %zu are allowed", member, len,
                         size - 1);
    memcpy(target, json_string_value(value), len + 1);
    return true;
}

static bool s_read_priority(submission_t *self, const json_t *value, error_t *ret_error)
{
    json_int_t priority = json_integer_value(value);
    if (!json_is_integer(value) || priority < -LIMIT_PRIORITY || priority > LIMIT_PRIORITY)
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "member \"priority\" must be a whole number from %d to %d",
                         -LIMIT_PRIORITY, LIMIT_PRIORITY);
    self->priority = (int32_t)priority;
    return true;
}

static bool s_read_received_at(submission_t *self, const json_t *value, error_t *ret_error)
{
    const char *text = json_string_value(value);
    GDateTime *time = text ? g_date_time_new_from_iso8601(text, NULL) : NULL;
    if (!time)
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "member \"received_at\" is \"%.40s\"; it must be a time with its offset, "
                         "such as \"2026-01-31T12:00:00Z\"",
                         text ? text : "no text");
    self->received_at_us =
        g_date_time_to_unix(time) * USEC_PER_SECOND + g_date_time_get_microsecond(time);
    g_date_time_unref(time);
    return true;
}

static bool s_read_parent(submission_t *self, const json_t *value, error_t *ret_error)
{
    const char *text = json_string_value(value);
    if (!text || !id_parse(text, &self->parent_id))
        return s_wrong_type(ret_error, "parent_id", "an interaction's id (a UUID)");
    return true;
}

static bool s_read_member(submission_t *self, const char *name, const json_t *value,
                          error_t *ret_error)
{
    struct {
        const char *name;
        char *target;
        size_t size;
    } const texts[] = {
        {"queue", self->queue, sizeof self->queue},
        {"media_type", self->media_type, sizeof self->media_type},
        {"type", self->type, sizeof self->type},
        {"subtype", self->subtype, sizeof self->subtype},
        {"external_id", self->external_id, sizeof self->external_id},
        {"key", self->key, sizeof self->key},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (strcmp(name, texts[i].name) == 0)
            return s_read_text(value, name, texts[i].target, texts[i].size, ret_error);
    }
    if (strcmp(name, "priority") == 0)
        return s_read_priority(self, value, ret_error);
    if (strcmp(name, "received_at") == 0)
        return s_read_received_at(self, value, ret_error);
    if (strcmp(name, "parent_id") == 0)
        return s_read_parent(self, value, ret_error);
    if (strcmp(name, "hold") == 0) {
        self->hold = json_is_true(value);
        return json_is_boolean(value) || s_wrong_type(ret_error, name, "true or false");
    }
    if (strcmp(name, "attributes") == 0) {
        char *text = json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(17));
        CHECK(text);
        buffer_append_text(&self->attributes, text);
        free(text);
        return true;
    }
    return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                     "member \"%.64s\" is not known beside \"attributes\"; known are queue, "
                     "media_type, type, subtype, external_id, key, priority, hold, parent_id and "
                     "received_at; data of the interaction belongs into \"attributes\"",
                     name);
}

bool jsonl_read(submission_t *self, text_t line, error_t *ret_error)
{
    size_t zero = text_zero(line);
    if (zero < line.len)
        return error_set(ret_error, ERROR_INVALID_ATTRIBUTES,
                         "not JSON: byte %zu is zero; send no byte behind the object", zero);
    json_error_t error;
    json_t *root = json_loadb(line.data, line.len, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        return error_set(ret_error, ERROR_INVALID_ATTRIBUTES, "not JSON at column %d: %s",
                         error.column, error.text);
    bool done = true;
    if (!json_is_object(root)) {
        done = error_set(ret_error, ERROR_INVALID_ATTRIBUTES,
                         "a line must be one JSON object, {…}; this one is not");
    } else if (json_is_object(json_object_get(root, "attributes"))) {
        const char *name = NULL;
        json_t *value = NULL;
        json_object_foreach(root, name, value) done =
            done && s_read_member(self, name, value, ret_error);
    } else {
        buffer_append(&self->attributes, line.data, line.len); /* byte for byte */
    }
    json_decref(root);
    return done;
}
