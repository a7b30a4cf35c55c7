#include "apps/ixn-app/parts/template.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"

enum { NAME_MOST = 200 };

typedef struct {
    text_t source;
    size_t at;
    const json_t *values; /* NULL: only checked */
    buffer_t *out;
} template_t;

static size_t s_line(const template_t *self)
{
    size_t line = 1;
    for (size_t i = 0; i < self->at; i++)
        line += self->source.data[i] == '\n';
    return line;
}

static bool s_starts(const template_t *self, const char *what)
{
    size_t len = strlen(what);
    return self->source.len - self->at >= len &&
           memcmp(self->source.data + self->at, what, len) == 0;
}

static text_t s_trim(text_t text)
{
    while (text.len && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = (text_t){text.data + 1, text.len - 1};
    while (text.len && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* The value of "a.b"; NULL: there is none. */
static const json_t *s_find(const json_t *values, text_t name)
{
    char part[NAME_MOST + 1];
    while (values && name.len) {
        const char *dot = memchr(name.data, '.', name.len);
        size_t len = dot ? (size_t)(dot - name.data) : name.len;
        memcpy(part, name.data, len);
        part[len] = 0;
        values = json_object_get(values, part);
        size_t skip = dot ? len + 1 : len;
        name = (text_t){name.data + skip, name.len - skip};
    }
    return json_is_null(values) ? NULL : values;
}

static void s_append(buffer_t *out, const json_t *value)
{
    if (json_is_string(value)) {
        buffer_append(out, json_string_value(value), json_string_length(value));
        return;
    }
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
    buffer_append_text(out, text ? text : "");
    free(text);
}

/* At "{{". */
static bool s_place(template_t *self, error_t *ret_error)
{
    const char *from = self->source.data + self->at + 2;
    size_t left = self->source.len - self->at - 2;
    const char *end = memmem(from, left, "}}", 2);
    if (!end)
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "line %zu of the template: \"{{\" without \"}}\"; write \"{{{{\" for two "
                         "braces",
                         s_line(self));
    text_t inside = {from, (size_t)(end - from)};
    const char *bar = memchr(inside.data, '|', inside.len);
    text_t name = s_trim(bar ? (text_t){inside.data, (size_t)(bar - inside.data)} : inside);
    if (name.len < 1 || name.len > NAME_MOST)
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "line %zu of the template: a place has a name of 1 … %d bytes, this one "
                         "has %zu",
                         s_line(self), NAME_MOST, name.len);
    const json_t *value = s_find(self->values, name);
    if (value)
        s_append(self->out, value);
    else if (bar)
        buffer_append(self->out, bar + 1, (size_t)(end - bar - 1));
    else if (self->values)
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "line %zu of the template: there is no value \"%.*s\"; give one, or write "
                         "{{%.*s|…}} with what stands there without it",
                         s_line(self), (int)name.len, name.data, (int)name.len, name.data);
    self->at = (size_t)(end + 2 - self->source.data);
    return true;
}

static bool s_run(template_t *self, size_t most, error_t *ret_error)
{
    while (self->at < self->source.len) {
        if (s_starts(self, "{{{{")) {
            buffer_append(self->out, "{{", 2);
            self->at += 4;
        } else if (s_starts(self, "{{")) {
            if (!s_place(self, ret_error))
                return false;
        } else {
            buffer_append(self->out, self->source.data + self->at++, 1);
        }
        if (self->out->len > most)
            return error_set(ret_error, ERROR_TOO_LARGE,
                             "the text has more than %zu bytes; shorten the values", most);
    }
    return true;
}

bool template_check(text_t source, error_t *ret_error)
{
    buffer_t out = {0};
    template_t self = {.source = source, .out = &out};
    bool ok = s_run(&self, SIZE_MAX, ret_error);
    buffer_free(&out);
    return ok;
}

bool template_render(text_t source, const json_t *values, size_t most, buffer_t *out,
                     error_t *ret_error)
{
    template_t self = {.source = source, .values = values, .out = out};
    return s_run(&self, most, ret_error);
}
