#include "core/attributes.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/limits.h"
#include "core/plain.h"

/* jansson judges (strictly: RFC 8259, UTF-8, no U+0000, 64-bit integers, finite reals). Its own
 * printing is not used: it would turn 1.1 into 1.1000000000000001. */

/* Deeper than this stops the parser before it stops us; counted outside strings. */
static bool s_check_depth(text_t json, error_t *ret_error)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < json.len; i++) {
        char c = json.data[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > LIMIT_ATTRIBUTES_DEPTH)
                return error_set(ret_error, ERROR_INVALID_ATTRIBUTES,
                                 "attributes are nested deeper than %d at byte %zu; flatten them",
                                 LIMIT_ATTRIBUTES_DEPTH, i);
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return true;
}

/* Behind the string that begins at `at`; the text is valid. */
static size_t s_skip_string(text_t json, size_t at)
{
    for (at++; json.data[at] != '"'; at++)
        if (json.data[at] == '\\')
            at++;
    return at + 1;
}

/* The digits at `at`, which moves behind them. */
static size_t s_digits(text_t json, size_t *at)
{
    size_t from = *at;
    while (*at < json.len && json.data[*at] >= '0' && json.data[*at] <= '9')
        (*at)++;
    return *at - from;
}

/* How long the valid number at `at`, which moves behind it, may get without its exponent;
 * LIMIT_NUMBER + 1 when that is over the limit. */
static size_t s_plain_number(text_t json, size_t *at)
{
    size_t start = *at, exponent = 0;
    *at += json.data[*at] == '-';
    s_digits(json, at);
    if (*at < json.len && json.data[*at] == '.') {
        (*at)++;
        s_digits(json, at);
    }
    size_t digits = *at - start;
    if (*at < json.len && (json.data[*at] | 0x20) == 'e') {
        (*at)++;
        *at += json.data[*at] == '-' || json.data[*at] == '+';
        for (size_t from = *at, len = s_digits(json, at); len > 0; from++, len--)
            if (exponent <= LIMIT_NUMBER)
                exponent = exponent * 10 + (size_t)(json.data[from] - '0');
    }
    size_t plain = digits + (exponent ? exponent + 2 : 0); /* "0." */
    return plain > LIMIT_NUMBER ? LIMIT_NUMBER + 1 : plain;
}

/* The database gives attributes back with numbers without exponents and with a space behind each
 * comma and colon. What it cannot keep would block every checkpoint, and what it gives back longer
 * than we read could never be loaded again. */
static bool s_check_stored(text_t json, error_t *ret_error)
{
    size_t stored = 0;
    for (size_t at = 0; at < json.len;) {
        char c = json.data[at];
        size_t from = at;
        if (c == '"') {
            at = s_skip_string(json, at);
            stored += at - from;
        } else if (c == '-' || (c >= '0' && c <= '9')) {
            size_t plain = s_plain_number(json, &at);
            stored += plain;
            if (plain > LIMIT_NUMBER)
                return error_set(ret_error, ERROR_INVALID_ATTRIBUTES,
                                 "the number at byte %zu of the attributes has more than %d digits "
                                 "without its exponent; send it as a string",
                                 from, LIMIT_NUMBER);
        } else {
            at++;
            stored += c == ',' || c == ':' ? 2 : 1;
        }
    }
    if (stored <= LIMIT_ATTRIBUTES_STORED)
        return true;
    return error_set(
        ret_error, ERROR_TOO_LARGE,
        "attributes would have %zu bytes in the database, which writes numbers without "
        "exponents; the limit is %d: send such numbers as strings",
        stored, LIMIT_ATTRIBUTES_STORED);
}

static bool s_check_zero(text_t json, error_t *ret_error)
{
    size_t zero = text_zero(json);
    return zero == json.len || error_set(ret_error, ERROR_INVALID_ATTRIBUTES,
                                         "attributes are not valid JSON: byte %zu is zero; send no "
                                         "byte behind the object",
                                         zero);
}

/* The checked object, or NULL. */
static json_t *s_load(text_t json, size_t max_size, error_t *ret_error)
{
    if (json.len > max_size) {
        error_set(ret_error, ERROR_TOO_LARGE,
                  "attributes have %zu bytes, the limit is %zu; send less, or raise "
                  "limits.max_attributes_size",
                  json.len, max_size);
        return NULL;
    }
    if (!s_check_zero(json, ret_error) || !s_check_depth(json, ret_error))
        return NULL;
    json_error_t problem;
    json_t *object = json_loadb(json.data, json.len, JSON_REJECT_DUPLICATES, &problem);
    if (!object) {
        error_set(ret_error, ERROR_INVALID_ATTRIBUTES,
                  "attributes are not valid JSON at line %d, column %d, byte %d: %s", problem.line,
                  problem.column, problem.position,
                  json_error_code(&problem) == json_error_null_character
                      ? "\\u0000 is not allowed (the database cannot keep it)"
                      : problem.text);
        return NULL;
    }
    if (!json_is_object(object)) {
        error_set(ret_error, ERROR_INVALID_ATTRIBUTES,
                  "attributes must be one JSON object {…}, this is an array");
        json_decref(object);
        return NULL;
    }
    if (!s_check_stored(json, ret_error)) {
        json_decref(object);
        return NULL;
    }
    return object;
}

bool attributes_check(text_t json, size_t max_size, error_t *ret_error)
{
    if (json.len == 0 || (json.len <= max_size && plain_object(json)))
        return true;
    json_t *object = s_load(json, max_size, ret_error);
    if (!object)
        return false;
    json_decref(object);
    return true;
}

/* ---- Members of a valid object, as pieces of its text ---- */

static size_t s_skip_space(text_t json, size_t at)
{
    while (at < json.len && strchr(" \t\r\n", json.data[at]) && json.data[at])
        at++;
    return at;
}

static size_t s_skip_value(text_t json, size_t at)
{
    size_t depth = 0;
    for (; at < json.len; at++) {
        char c = json.data[at];
        if (c == '"') {
            at = s_skip_string(json, at) - 1;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            if (depth == 0)
                return at;
            depth--;
        } else if (c == ',' && depth == 0) {
            return at;
        }
    }
    return at;
}

typedef struct {
    text_t whole; /* "name": value */
    text_t name;  /* with its quotes */
} member_t;

/* The member at `*at` (behind '{' or ','), and moves on; false at the end. */
static bool s_next_member(text_t json, size_t *at, member_t *ret_member)
{
    size_t start = s_skip_space(json, *at);
    if (start >= json.len || json.data[start] != '"')
        return false;
    size_t name_end = s_skip_string(json, start);
    size_t end = s_skip_value(json, s_skip_space(json, name_end) + 1);
    *at = end + 1; /* behind ',' or '}' */
    while (end > name_end && strchr(" \t\r\n", json.data[end - 1]))
        end--;
    *ret_member =
        (member_t){{json.data + start, end - start}, {json.data + start, name_end - start}};
    return true;
}

/* Names may be written with escapes; those few are decoded by the library. Caller frees. */
static char *s_decoded_name(text_t name)
{
    json_t *string = json_loadb(name.data, name.len, JSON_DECODE_ANY, NULL);
    char *decoded = string ? strdup(json_string_value(string)) : NULL;
    json_decref(string);
    return decoded;
}

static bool s_is_removed(const char *name, const json_t *set, char *const *remove,
                         size_t remove_len)
{
    if (set && json_object_get(set, name))
        return true;
    for (size_t i = 0; i < remove_len; i++)
        if (strcmp(remove[i], name) == 0)
            return true;
    return false;
}

static bool s_check_remove(const json_t *set, char *const *remove, size_t remove_len,
                           error_t *ret_error)
{
    for (size_t i = 0; i < remove_len; i++)
        if (set && json_object_get(set, remove[i]))
            return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                             "attribute \"%.100s\" is both set and removed in one change",
                             remove[i]);
    return true;
}

static void s_append_member(buffer_t *out, text_t whole)
{
    buffer_append(out, out->len > 1 ? "," : "", out->len > 1 ? 1 : 0);
    buffer_append(out, whole.data, whole.len);
}

static void s_splice(text_t json, text_t set_text, const json_t *set, char *const *remove,
                     size_t remove_len, buffer_t *out)
{
    buffer_clear(out);
    buffer_append(out, "{", 1);
    member_t member;
    size_t at = json.len ? s_skip_space(json, 0) + 1 : 0;
    while (s_next_member(json, &at, &member)) {
        char *name = s_decoded_name(member.name);
        if (name && !s_is_removed(name, set, remove, remove_len))
            s_append_member(out, member.whole);
        free(name);
    }
    at = set_text.len ? s_skip_space(set_text, 0) + 1 : 0;
    while (s_next_member(set_text, &at, &member))
        s_append_member(out, member.whole);
    buffer_append(out, "}", 1);
}

bool attributes_change(text_t json, text_t set, char *const *remove, size_t remove_len,
                       size_t max_size, buffer_t *out, error_t *ret_error)
{
    json_t *object = NULL;
    if (set.len) {
        object = s_load(set, max_size, ret_error);
        if (!object)
            return false;
    }
    bool ok = s_check_remove(object, remove, remove_len, ret_error);
    if (ok) {
        s_splice(json, set, object, remove, remove_len, out);
        if (out->len > max_size)
            ok = error_set(ret_error, ERROR_TOO_LARGE,
                           "attributes would have %zu bytes after the change, the limit is %zu",
                           out->len, max_size);
        ok = ok && s_check_stored((text_t){(char *)out->bytes, out->len}, ret_error);
    }
    json_decref(object);
    return ok;
}
