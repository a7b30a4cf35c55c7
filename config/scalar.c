/* Scalar: see scalar.h. Text is taken as it is written: `yes`, `0x10` and `1_000` mean nothing
 * here, whatever YAML makes of them.
 */
#include "config/scalar.h"

#include <errno.h>
#include <libpq-fe.h>
#include <string.h>
#include <sys/un.h>
#include <unictype.h>
#include <unistr.h>

#include "config/place.h"
#include "config/secret.h"
#include "core/base/check.h"

typedef struct {
    const char *name;
    uint64_t factor;
} unit_t;

/* From the smallest; the largest that divides a number is the one it is written in. */
static const unit_t s_durations[] = {
    {"ms", 1}, {"s", 1000}, {"min", 60000}, {"h", 3600000}, {"d", 86400000}, {NULL, 0},
};
static const unit_t s_sizes[] = {
    {"B", 1},
    {"KiB", 1024},
    {"MiB", 1024 * 1024},
    {"GiB", 1024 * 1024 * 1024},
    {"TiB", UINT64_C(1024) * 1024 * 1024 * 1024},
    {NULL, 0},
};
/* Of a rate: in milliseconds. */
static const unit_t s_intervals[] = {
    {"second", 1000}, {"minute", 60000}, {"hour", 3600000}, {NULL, 0}};
static const unit_t s_ones[] = {{"", 1}, {NULL, 0}};

static const unit_t *s_units(schema_type_t type)
{
    switch (type) {
    case SCHEMA_DURATION:
        return s_durations;
    case SCHEMA_SIZE:
        return s_sizes;
    default:
        return s_ones;
    }
}

void scalar_write_number(schema_type_t type, uint64_t number, buffer_t *out)
{
    const unit_t *unit = s_units(type);
    for (const unit_t *larger = unit; larger->name; larger++) {
        if (number != 0 && number % larger->factor == 0)
            unit = larger;
    }
    buffer_printf(out, "%llu%s", (unsigned long long)(number / unit->factor), unit->name);
}

static void s_write_range(const schema_key_t *key, buffer_t *out)
{
    buffer_append_text(out, " from ");
    scalar_write_number(key->type, key->minimum, out);
    buffer_append_text(out, " to ");
    scalar_write_number(key->type, key->maximum, out);
}

void scalar_write_allowed(const schema_key_t *key, buffer_t *out)
{
    switch (key->type) {
    case SCHEMA_NAME:
        buffer_printf(out, "a name of 1 to %d bytes", LIMIT_NAME);
        break;
    case SCHEMA_PATH:
        buffer_append_text(out, "an absolute path");
        break;
    case SCHEMA_ENDPOINT:
        buffer_append_text(out, "tcp://HOST:PORT or ipc://PATH");
        break;
    case SCHEMA_CONNINFO:
        buffer_append_text(out, "a libpq connection string or URI");
        break;
    case SCHEMA_BOOLEAN:
        buffer_append_text(out, "true or false");
        break;
    case SCHEMA_INTEGER:
        buffer_append_text(out, "a whole number");
        s_write_range(key, out);
        break;
    case SCHEMA_DURATION:
        buffer_append_text(out, "a duration");
        s_write_range(key, out);
        break;
    case SCHEMA_SIZE:
        buffer_append_text(out, "a size");
        s_write_range(key, out);
        break;
    case SCHEMA_RATE:
        buffer_printf(out, "N/second, N/minute or N/hour, with N from %llu to %llu",
                      (unsigned long long)key->minimum, (unsigned long long)key->maximum);
        break;
    case SCHEMA_UUID:
        buffer_append_text(out, "a UUID");
        break;
    case SCHEMA_NAMES:
        buffer_printf(out, "a list of up to %llu names of 1 to %d bytes",
                      (unsigned long long)key->maximum, LIMIT_NAME);
        break;
    case SCHEMA_CHOICE:
        buffer_append_text(out, "one of ");
        for (const char *const *choice = key->choices; *choice; choice++)
            buffer_printf(out, "%s%s", choice == key->choices ? "" : ", ", *choice);
        break;
    }
}

/* "VALUE is not PART; allowed is …". */
static bool s_refuse(const schema_key_t *key, text_t text, const char *reason, error_t *ret_error)
{
    char shown[PLACE_SHOWN_SIZE];
    buffer_t allowed = {0};
    scalar_write_allowed(key, &allowed);
    buffer_append(&allowed, "", 1);
    error_set(ret_error, ERROR_CONFIGURATION, "%s %s; allowed is %s", place_show(text, shown),
              reason, (const char *)allowed.bytes);
    buffer_free(&allowed);
    return false;
}

static void s_store_number(const schema_key_t *key, uint64_t number, void *item)
{
    char *field = (char *)item + key->offset;
    if (key->size == sizeof(uint32_t)) {
        CHECK(number <= UINT32_MAX);
        uint32_t narrow = (uint32_t)number;
        memcpy(field, &narrow, sizeof narrow);
    } else if (key->size == sizeof(bool)) { /* a choice of two */
        CHECK(number <= 1);
        bool second = number == 1;
        memcpy(field, &second, sizeof second);
    } else {
        CHECK(key->size == sizeof(uint64_t));
        memcpy(field, &number, sizeof number);
    }
}

uint64_t scalar_number(const schema_key_t *key, const void *item)
{
    const char *field = (const char *)item + key->offset;
    if (key->size == sizeof(uint32_t)) {
        uint32_t narrow;
        memcpy(&narrow, field, sizeof narrow);
        return narrow;
    }
    if (key->size == sizeof(bool)) {
        bool second;
        memcpy(&second, field, sizeof second);
        return second;
    }
    uint64_t number;
    CHECK(key->size == sizeof number);
    memcpy(&number, field, sizeof number);
    return number;
}

/* Takes the digits off the front of `text`; false when there are none or too many. */
static bool s_take_digits(text_t *text, uint64_t *ret_number)
{
    uint64_t number = 0;
    size_t len = 0;
    for (; len < text->len && text->data[len] >= '0' && text->data[len] <= '9'; len++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(text->data[len] - '0'), &number))
            return false;
    }
    *text = (text_t){text->data + len, text->len - len};
    *ret_number = number;
    return len > 0;
}

static bool s_refuse_number(const schema_key_t *key, text_t text, text_t unit, error_t *ret_error)
{
    static const char *const units[] = {
        [SCHEMA_DURATION] = "a whole number and one of ms, s, min, h, d",
        [SCHEMA_SIZE] = "a whole number and one of B, KiB, MiB, GiB, TiB (powers of 1024)",
        [SCHEMA_INTEGER] = "digits only",
    };
    char shown[PLACE_SHOWN_SIZE];
    buffer_t example = {0};
    scalar_write_number(key->type, key->standard ? key->maximum : key->minimum, &example);
    buffer_append(&example, "", 1);
    bool bare = unit.len == 0 && key->type != SCHEMA_INTEGER;
    error_set(ret_error, ERROR_CONFIGURATION, "%s %s; write %s, such as %s",
              place_show(text, shown), bare ? "has no unit" : "is not understood", units[key->type],
              key->standard ? key->standard : (const char *)example.bytes);
    buffer_free(&example);
    return false;
}

static bool s_read_number(const schema_key_t *key, text_t text, void *item, error_t *ret_error)
{
    text_t unit_text = text;
    uint64_t number;
    if (!s_take_digits(&unit_text, &number)) {
        bool digits = text.len > 0 && text.data[0] >= '0' && text.data[0] <= '9';
        return digits ? s_refuse(key, text, "is too large", ret_error)
                      : s_refuse_number(key, text, text, ret_error);
    }
    const unit_t *unit = s_units(key->type);
    while (unit->name && !text_equal(text_of(unit->name), unit_text))
        unit++;
    if (!unit->name)
        return s_refuse_number(key, text, unit_text, ret_error);
    if (__builtin_mul_overflow(number, unit->factor, &number) || number > key->maximum)
        return s_refuse(key, text, "is too large", ret_error);
    if (number < key->minimum)
        return s_refuse(key, text, "is too small", ret_error);
    s_store_number(key, number, item);
    return true;
}

static bool s_read_rate(const schema_key_t *key, text_t text, void *item, error_t *ret_error)
{
    text_t rest = text;
    uint64_t count = 0;
    const unit_t *unit = s_intervals;
    bool ok = s_take_digits(&rest, &count) && rest.len > 1 && rest.data[0] == '/';
    rest = ok ? (text_t){rest.data + 1, rest.len - 1} : rest;
    while (unit->name && !text_equal(text_of(unit->name), rest))
        unit++;
    if (!ok || !unit->name)
        return s_refuse(key, text, "is not a rate", ret_error);
    if (count > key->maximum)
        return s_refuse(key, text, "is too large", ret_error);
    if (count < key->minimum)
        return s_refuse(key, text, "is too small", ret_error);
    config_rate_t rate = {(uint32_t)count, (uint32_t)unit->factor};
    CHECK(key->size == sizeof rate);
    memcpy((char *)item + key->offset, &rate, sizeof rate);
    return true;
}

static void s_write_rate(const char *field, buffer_t *out)
{
    config_rate_t rate;
    memcpy(&rate, field, sizeof rate);
    const unit_t *unit = s_intervals;
    while (unit->name && unit->factor != rate.interval_ms)
        unit++;
    buffer_printf(out, "%u/%s", rate.count, unit->name ? unit->name : "second");
}

static bool s_is_space(ucs4_t character)
{
    return uc_is_property_white_space(character);
}

/* NULL, or what is wrong with any text: NUL and other control characters would break log lines and
 * C strings. */
static const char *s_text_problem(text_t text)
{
    size_t in = 0;
    while (in < text.len) {
        ucs4_t character;
        int used = u8_mbtoucr(&character, (const uint8_t *)text.data + in, text.len - in);
        if (used <= 0)
            return "is not valid UTF-8";
        if (uc_is_cntrl(character))
            return "has a control character in it";
        bool outer = in == 0 || in + (size_t)used == text.len;
        if (outer && s_is_space(character))
            return "begins or ends with a space";
        in += (size_t)used;
    }
    return text.len == 0 ? "is empty" : NULL;
}

/* tcp://HOST:PORT with a port that clients can know, or ipc:// with a path that fits a socket's
 * address. */
static const char *s_endpoint_problem(text_t text)
{
    const text_t tcp = TEXT("tcp://");
    const text_t ipc = TEXT("ipc://");
    if (text.len > ipc.len && memcmp(text.data, ipc.data, ipc.len) == 0) {
        const size_t max = sizeof((struct sockaddr_un *)0)->sun_path - 1;
        return text.len - ipc.len > max ? "has a path longer than a socket's 107 bytes" : NULL;
    }
    if (text.len <= tcp.len || memcmp(text.data, tcp.data, tcp.len) != 0)
        return "is not an endpoint";
    text_t host = {text.data + tcp.len, text.len - tcp.len};
    const char *colon = memrchr(host.data, ':', host.len);
    if (!colon)
        return "has no port";
    text_t port = {colon + 1, (size_t)(host.data + host.len - colon - 1)};
    host.len = (size_t)(colon - host.data);
    bool brackets = host.len > 2 && host.data[0] == '[' && host.data[host.len - 1] == ']';
    if (host.len == 0)
        return "has no host (* for every address of this machine)";
    if (memchr(host.data, '/', host.len) || memchr(host.data, ' ', host.len))
        return "is not an endpoint";
    if (!brackets && memchr(host.data, ':', host.len))
        return "needs brackets around its IPv6 address";
    uint64_t number;
    if (!s_take_digits(&port, &number) || port.len > 0 || number < 1 || number > 65535)
        return "has no port from 1 to 65535";
    return NULL;
}

static bool s_read_text(const schema_key_t *key, text_t text, void *item, error_t *ret_error)
{
    const char *problem = s_text_problem(text);
    if (!problem && text.len >= key->size)
        problem = "is too long";
    if (!problem && key->type == SCHEMA_PATH && text.data[0] != '/')
        problem = "is not absolute (a server's working folder is not the operator's)";
    if (!problem && key->type == SCHEMA_ENDPOINT)
        problem = s_endpoint_problem(text);
    if (problem)
        return s_refuse(key, text, problem, ret_error);
    memcpy((char *)item + key->offset, text.data, text.len);
    return true;
}

/* Why libpq cannot read it, or NULL. */
static const char *s_conninfo_problem(const char *conninfo)
{
    errno = 0;
    PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
    const bool no_memory = !options && errno == ENOMEM;
    PQconninfoFree(options);
    if (no_memory)
        return "there is not memory enough to read the connection string";
    return options ? NULL
                   : "the connection string is neither a list of KEYWORD=VALUE, with keywords that "
                     "libpq has, nor a URI (it is not shown: it may hold a password); look for a "
                     "keyword that is misspelt and for quotes";
}

/* Never shows the text: there may be a password in it. Must also fit, and be read, with its
 * passwords hidden, so that what is printed can be loaded. */
static bool s_read_conninfo(const schema_key_t *key, text_t text, void *item, error_t *ret_error)
{
    const char *problem = s_text_problem(text);
    if (problem)
        return error_set(ret_error, ERROR_CONFIGURATION,
                         "the connection string %s; write it in one line, such as "
                         "host=127.0.0.1 port=5432 dbname=ixn user=ixn",
                         problem);
    buffer_t hidden = {0};
    secret_hide(text, &hidden);
    size_t len = hidden.len > text.len ? hidden.len : text.len;
    buffer_append(&hidden, "", 1);
    if (len >= key->size) {
        buffer_free(&hidden);
        return error_set(ret_error, ERROR_CONFIGURATION,
                         "the connection string is too long (%zu bytes); allowed are %zu bytes; "
                         "keep settings in a service file and write service=NAME",
                         len, key->size - 1);
    }
    char *conninfo = (char *)item + key->offset;
    memcpy(conninfo, text.data, text.len);
    problem = s_conninfo_problem(conninfo);
    if (!problem)
        problem = s_conninfo_problem((const char *)hidden.bytes);
    buffer_free(&hidden);
    return !problem || error_set(ret_error, ERROR_CONFIGURATION, "%s", problem);
}

static bool s_read_boolean(const schema_key_t *key, text_t text, void *item, error_t *ret_error)
{
    bool value = text_equal(text, TEXT("true"));
    if (!value && !text_equal(text, TEXT("false")))
        return s_refuse(key, text, "is neither true nor false", ret_error);
    CHECK(key->size == sizeof value);
    memcpy((char *)item + key->offset, &value, sizeof value);
    return true;
}

static bool s_read_uuid(const schema_key_t *key, text_t text, void *item, error_t *ret_error)
{
    char terminated[ID_TEXT_SIZE] = "";
    id128_t id;
    if (text.len == sizeof terminated - 1)
        memcpy(terminated, text.data, text.len);
    if (!id_parse(terminated, &id))
        return s_refuse(key, text, "is not a UUID (8-4-4-4-12 hexadecimal digits)", ret_error);
    if (id_is_zero(id))
        return s_refuse(key, text, "is no database's id", ret_error);
    CHECK(key->size == sizeof id);
    memcpy((char *)item + key->offset, &id, sizeof id);
    return true;
}

static bool s_read_choice(const schema_key_t *key, text_t text, void *item, error_t *ret_error)
{
    uint32_t number = 0;
    while (key->choices[number] && !text_equal(text_of(key->choices[number]), text))
        number++;
    if (!key->choices[number])
        return s_refuse(key, text, "is not known", ret_error);
    s_store_number(key, number, item);
    return true;
}

/* One more name of a list. */
static bool s_add_name(const schema_key_t *key, text_t text, void *item, error_t *ret_error)
{
    config_names_t *names = (void *)((char *)item + key->offset);
    if (names->len >= key->maximum)
        return s_refuse(key, text, "is one too many", ret_error);
    const schema_key_t name = {.name = key->name,
                               .type = SCHEMA_NAME,
                               .offset = 0,
                               .size = CONFIG_NAME_SIZE,
                               .given_offset = SCHEMA_NOWHERE};
    if (!s_read_text(&name, text, names->names[names->len], ret_error))
        return false;
    names->len++;
    return true;
}

bool scalar_read(const schema_key_t *key, text_t text, void *item, error_t *ret_error)
{
    switch (key->type) {
    case SCHEMA_NAME:
    case SCHEMA_PATH:
    case SCHEMA_ENDPOINT:
        return s_read_text(key, text, item, ret_error);
    case SCHEMA_CONNINFO:
        return s_read_conninfo(key, text, item, ret_error);
    case SCHEMA_BOOLEAN:
        return s_read_boolean(key, text, item, ret_error);
    case SCHEMA_INTEGER:
    case SCHEMA_DURATION:
    case SCHEMA_SIZE:
        return s_read_number(key, text, item, ret_error);
    case SCHEMA_RATE:
        return s_read_rate(key, text, item, ret_error);
    case SCHEMA_UUID:
        return s_read_uuid(key, text, item, ret_error);
    case SCHEMA_CHOICE:
        return s_read_choice(key, text, item, ret_error);
    case SCHEMA_NAMES:
        return s_add_name(key, text, item, ret_error);
    }
    check_failed("a type of the schema", __FILE__, __LINE__, __func__);
}

void scalar_write(const schema_key_t *key, const void *item, buffer_t *out)
{
    const char *field = (const char *)item + key->offset;
    switch (key->type) {
    case SCHEMA_NAME:
    case SCHEMA_PATH:
    case SCHEMA_ENDPOINT:
        buffer_append_text(out, field);
        break;
    case SCHEMA_CONNINFO:
        secret_hide(text_of(field), out);
        break;
    case SCHEMA_BOOLEAN: {
        bool value;
        memcpy(&value, field, sizeof value);
        buffer_append_text(out, value ? "true" : "false");
        break;
    }
    case SCHEMA_INTEGER:
    case SCHEMA_DURATION:
    case SCHEMA_SIZE:
        scalar_write_number(key->type, scalar_number(key, item), out);
        break;
    case SCHEMA_RATE:
        s_write_rate(field, out);
        break;
    case SCHEMA_UUID: {
        id128_t id;
        char text[ID_TEXT_SIZE];
        memcpy(&id, field, sizeof id);
        buffer_append_text(out, id_text(id, text));
        break;
    }
    case SCHEMA_NAMES: {
        const config_names_t *names = (const void *)field;
        for (size_t i = 0; i < names->len; i++)
            buffer_printf(out, "%s%s", i ? ", " : "", names->names[i]);
        break;
    }
    case SCHEMA_CHOICE:
        buffer_append_text(out, key->choices[scalar_number(key, item)]);
        break;
    }
}
