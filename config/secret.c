/* Secret: both forms of a connection string, read as libpq reads them (PostgreSQL manual, 34.1.1,
 * "Connection Strings"): `keyword = 'value'` with backslash escapes, and URIs with
 * percent-encoding.
 */
#include "config/secret.h"

#include <ctype.h>
#include <strings.h>

#define MASK "********"

/* Keywords of libpq, also of newer ones, whose value is a secret. */
static const char *const s_secrets[] = {
    "password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key",
};

static bool s_is_secret(const char *keyword, size_t len)
{
    for (size_t i = 0; i < sizeof s_secrets / sizeof s_secrets[0]; i++) {
        if (strlen(s_secrets[i]) == len && strncasecmp(s_secrets[i], keyword, len) == 0)
            return true;
    }
    return false;
}

static bool s_is_space(char c)
{
    return isspace((unsigned char)c) != 0;
}

static bool s_is_keyword(const char *from, const char *to)
{
    for (const char *c = from; c < to; c++) {
        if (!isalnum((unsigned char)*c) && *c != '_')
            return false;
    }
    return from < to;
}

/* The end of a value that begins at `in`; its quotes belong to it. */
static const char *s_value_end(const char *in, const char *end)
{
    bool quoted = in < end && *in == '\'';
    if (quoted)
        in++;
    while (in < end) {
        if (*in == '\\' && in + 1 < end) {
            in += 2;
        } else if (quoted && *in == '\'') {
            return in + 1;
        } else if (!quoted && s_is_space(*in)) {
            return in;
        } else {
            in++;
        }
    }
    return in;
}

static void s_hide_pairs(const char *in, const char *end, buffer_t *out)
{
    while (in < end) {
        const char *start = in;
        while (in < end && s_is_space(*in))
            in++;
        const char *keyword = in;
        while (in < end && *in != '=' && !s_is_space(*in))
            in++;
        const char *keyword_end = in;
        while (in < end && s_is_space(*in))
            in++;
        if (keyword == end) {
            buffer_append(out, start, (size_t)(end - start));
            return;
        }
        if (in == end || *in != '=' || !s_is_keyword(keyword, keyword_end)) {
            /* Not of this form: nobody knows what is secret in the rest. */
            buffer_append(out, start, (size_t)(keyword - start));
            buffer_append_text(out, MASK);
            return;
        }
        in++;
        while (in < end && s_is_space(*in))
            in++;
        const char *value = in;
        in = s_value_end(value, end);
        bool secret = value < in && s_is_secret(keyword, (size_t)(keyword_end - keyword));
        buffer_append(out, start, (size_t)((secret ? value : in) - start));
        if (secret)
            buffer_append_text(out, *value == '\'' ? "'" MASK "'" : MASK);
    }
}

static int s_hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Whether a parameter's name, percent-decoded, is that of a secret; also when it cannot be decoded.
 */
static bool s_is_secret_parameter(const char *from, const char *to)
{
    char name[32];
    size_t len = 0;
    while (from < to && len < sizeof name) {
        if (*from != '%') {
            name[len++] = *from++;
            continue;
        }
        int high = to - from > 2 ? s_hex(from[1]) : -1;
        int low = to - from > 2 ? s_hex(from[2]) : -1;
        if (high < 0 || low < 0)
            return true;
        name[len++] = (char)(high << 4 | low);
        from += 3;
    }
    return from == to && s_is_secret(name, len);
}

/* `name=value&name=value`, after the question mark of a URI. */
static void s_hide_parameters(const char *in, const char *end, buffer_t *out)
{
    while (in < end) {
        const char *next = memchr(in, '&', (size_t)(end - in));
        const char *stop = next ? next : end;
        const char *equals = memchr(in, '=', (size_t)(stop - in));
        if (in < stop && !equals) {
            buffer_append_text(out, MASK); /* perhaps the rest of a password with a raw "&" */
        } else if (in < stop && equals + 1 < stop && s_is_secret_parameter(in, equals)) {
            buffer_append(out, in, (size_t)(equals + 1 - in));
            buffer_append_text(out, MASK);
        } else {
            buffer_append(out, in, (size_t)(stop - in));
        }
        if (next)
            buffer_append_text(out, "&");
        in = next ? next + 1 : end;
    }
}

/* The colon of the first host whose port is not a number, or NULL. Hosts end at "/" or "?". */
static const char *s_wrong_port(const char *in, const char *end)
{
    const char *stop = in;
    while (stop < end && *stop != '/' && *stop != '?')
        stop++;
    while (in < stop) {
        const char *bracket = *in == '[' ? memchr(in, ']', (size_t)(stop - in)) : NULL;
        if (bracket)
            in = bracket;
        if (*in++ != ':')
            continue;
        const char *colon = in - 1;
        while (in < stop && isdigit((unsigned char)*in))
            in++;
        if (in < stop && *in != ',')
            return colon;
    }
    return NULL;
}

/* `user:password@host...`, after the scheme. A password with a raw "@", "/" or "?" in it is not
 * what libpq would take, but is hidden all the same: up to the last "@" that may end it, and what
 * is neither that nor a port is hidden with all that follows. */
static void s_hide_uri(const char *in, const char *end, buffer_t *out)
{
    const char *at = NULL;
    for (const char *c = in; c < end && *c != '/'; c++) {
        if (*c == '@') {
            at = c;
            break;
        }
    }
    for (const char *c = at ? at : in; c < end && *c != '?'; c++) {
        if (*c == '@')
            at = c;
    }
    const char *colon = at ? memchr(in, ':', (size_t)(at - in)) : NULL;
    if (at) {
        bool secret = colon && colon + 1 < at;
        buffer_append(out, in, (size_t)((secret ? colon + 1 : at) - in));
        if (secret)
            buffer_append_text(out, MASK);
        in = at;
    }
    const char *hosts = in;
    const char *wrong = s_wrong_port(in, end);
    if (wrong) {
        buffer_append(out, in, (size_t)(wrong + 1 - in));
        buffer_append_text(out, MASK);
        return;
    }
    const char *question = memchr(in, '?', (size_t)(end - in));
    if (!question) {
        buffer_append(out, in, (size_t)(end - in));
        return;
    }
    buffer_append(out, in, (size_t)(question - in));
    in = question + 1;
    buffer_t parameters = {0};
    s_hide_parameters(in, end, &parameters);
    bool hidden = !text_equal((text_t){(const char *)parameters.bytes, parameters.len},
                              (text_t){in, (size_t)(end - in)});
    /* libpq takes what is before an "@" without a "/" in front of it for a user: if the only "/"
     * may have gone with a password, an empty database name (which means the same) keeps the rest
     * what it was. */
    bool slash = memchr(hosts, '/', (size_t)(question - hosts)) != NULL;
    if (hidden && !at && !slash && memchr(in, '@', (size_t)(end - in)))
        buffer_append_text(out, "/");
    buffer_append_text(out, "?");
    buffer_append(out, parameters.bytes, parameters.len);
    buffer_free(&parameters);
}

void secret_hide(text_t conninfo, buffer_t *out)
{
    static const char *const schemes[] = {"postgresql://", "postgres://"};
    const char *end = conninfo.data + conninfo.len;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t len = strlen(schemes[i]);
        if (conninfo.len >= len && memcmp(conninfo.data, schemes[i], len) == 0) {
            buffer_append(out, conninfo.data, len);
            s_hide_uri(conninfo.data + len, end, out);
            return;
        }
    }
    s_hide_pairs(conninfo.data, end, out);
}
