#include "core/plain.h"

#include <string.h>
#include <unistr.h>

#include "core/base/dull.h"
#include "core/base/limits.h"

enum { NAMES = 32, DIGITS = 15 }; /* so many digits fit in every kind of number */

typedef struct {
    const char *at;
    const char *end;
    unsigned depth;
    bool ascii;
    text_t names[NAMES]; /* of the objects that are open, to tell a name that comes twice */
    size_t names_len;
} scan_t;

static bool s_value(scan_t *self);

static void s_skip_space(scan_t *self)
{
    while (self->at < self->end &&
           (*self->at == ' ' || *self->at == '\n' || *self->at == '\r' || *self->at == '\t'))
        self->at++;
}

static bool s_next_is(scan_t *self, char c)
{
    if (self->at == self->end || *self->at != c)
        return false;
    self->at++;
    return true;
}

/* Behind the opening quote; moves behind the closing one. */
static bool s_string(scan_t *self, bool escapes)
{
    for (;;) {
        self->at += dull_bytes(self->at, (size_t)(self->end - self->at));
        if (self->at == self->end)
            return false;
        unsigned char c = (unsigned char)*self->at++;
        if (c == '"')
            return true;
        if (c < ' ')
            return false;
        if (c >= 0x80)
            self->ascii = false;
        if (c != '\\')
            continue;
        if (!escapes || self->at == self->end || !strchr("\"\\/bfnrt", *self->at) || !*self->at)
            return false;
        self->at++;
    }
}

/* An integer that is not long; what else belongs to a number is not what may follow a value. */
static bool s_number(scan_t *self)
{
    s_next_is(self, '-');
    const char *first = self->at;
    while (self->at < self->end && *self->at >= '0' && *self->at <= '9')
        self->at++;
    size_t digits = (size_t)(self->at - first);
    return digits >= 1 && digits <= DIGITS && (digits == 1 || *first != '0');
}

static bool s_word(scan_t *self, const char *word, size_t len)
{
    if ((size_t)(self->end - self->at) < len || memcmp(self->at, word, len) != 0)
        return false;
    self->at += len;
    return true;
}

/* At the quote of a name; remembers it among those of its object, which begin at `first`. */
static bool s_name(scan_t *self, size_t first)
{
    if (!s_next_is(self, '"'))
        return false;
    const char *start = self->at;
    if (self->names_len == NAMES || !s_string(self, false))
        return false;
    text_t name = {start, (size_t)(self->at - 1 - start)};
    for (size_t i = first; i < self->names_len; i++)
        if (self->names[i].len == name.len && memcmp(self->names[i].data, name.data, name.len) == 0)
            return false;
    self->names[self->names_len++] = name;
    s_skip_space(self);
    return s_next_is(self, ':');
}

/* What stands between `{` or `[`, where it is, and its other end. */
static bool s_members(scan_t *self, bool object)
{
    char close = object ? '}' : ']';
    size_t first = self->names_len;
    self->at++;
    if (++self->depth > LIMIT_ATTRIBUTES_DEPTH)
        return false;
    s_skip_space(self);
    if (!s_next_is(self, close)) {
        do {
            s_skip_space(self);
            if (object && !s_name(self, first))
                return false;
            if (!s_value(self))
                return false;
            s_skip_space(self);
        } while (s_next_is(self, ','));
        if (!s_next_is(self, close))
            return false;
    }
    self->depth--;
    self->names_len = first;
    return true;
}

static bool s_value(scan_t *self)
{
    s_skip_space(self);
    if (self->at == self->end)
        return false;
    switch (*self->at) {
    case '"':
        self->at++;
        return s_string(self, true);
    case '{':
        return s_members(self, true);
    case '[':
        return s_members(self, false);
    case 't':
        return s_word(self, "true", 4);
    case 'f':
        return s_word(self, "false", 5);
    case 'n':
        return s_word(self, "null", 4);
    default:
        return s_number(self);
    }
}

bool plain_object(text_t json)
{
    /* However it is printed, it gets no longer than twice its length: a space behind each comma and
     * colon. */
    if (json.len > LIMIT_ATTRIBUTES_STORED / 2)
        return false;
    scan_t scan; /* its names are not cleared: that takes as long as a short text */
    scan.at = json.data;
    scan.end = json.data + json.len;
    scan.depth = 0;
    scan.ascii = true;
    scan.names_len = 0;
    s_skip_space(&scan);
    if (scan.at == scan.end || *scan.at != '{' || !s_members(&scan, true))
        return false;
    s_skip_space(&scan);
    return scan.at == scan.end && (scan.ascii || !u8_check((const uint8_t *)json.data, json.len));
}
