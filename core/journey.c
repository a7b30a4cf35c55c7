#include "core/journey.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/dull.h"

enum {
    STEP_TEXT = 256, /* longer than what is printed of a step beside its names */
    WORD = 16,       /* short texts are copied in one move of so many bytes */
    ESCAPED = 6,     /* \u0000: what a byte of a name may get */
};

typedef struct {
    char text[WORD];
    size_t len;
} word_t;

#define STEP(literal)                                                                              \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

static const word_t s_names[STEP_KINDS] = {
    [STEP_CHANGED] = STEP("changed"),
    [STEP_PLACED] = STEP("placed"),
    [STEP_HELD] = STEP("held"),
    [STEP_RESUMED] = STEP("resumed"),
    [STEP_STOPPED] = STEP("stopped"),
    [STEP_DISPATCHED] = STEP("dispatched"),
    [STEP_ROUTER_LOST] = STEP("router_lost"),
    [STEP_ROUTER_LEFT] = STEP("router_left"),
    [STEP_ROUTE_FAILED] = STEP("route_failed"),
    [STEP_ROUTING_TIMEOUT] = STEP("routing_timeout"),
    [STEP_NOT_HELD] = STEP("not_held"),
    [STEP_RELEASED] = STEP("released"),
};

static void s_grow(journey_t **self_p)
{
    size_t capacity = *self_p ? (size_t)(*self_p)->capacity * 2 : 2;
    if (capacity > LIMIT_JOURNEY)
        capacity = LIMIT_JOURNEY;
    bool fresh = !*self_p;
    *self_p = memory_resize(*self_p, sizeof(journey_t) + capacity * sizeof(step_t));
    if (fresh)
        **self_p = (journey_t){0};
    (*self_p)->capacity = (uint16_t)capacity;
}

void journey_append(journey_t **self_p, symbol_table_t *symbols, const step_t *step)
{
    if (!*self_p || ((*self_p)->len == (*self_p)->capacity && (*self_p)->len < LIMIT_JOURNEY))
        s_grow(self_p);
    journey_t *self = *self_p;
    if (self->len == LIMIT_JOURNEY) {
        symbol_drop(symbols, self->steps[1].by);
        symbol_drop(symbols, self->steps[1].queue);
        memmove(self->steps + 1, self->steps + 2, (LIMIT_JOURNEY - 2) * sizeof(step_t));
        self->len--;
        if (self->dropped < UINT16_MAX)
            self->dropped++;
    }
    self->steps[self->len++] = *step;
}

void journey_destroy(journey_t **self_p, symbol_table_t *symbols)
{
    journey_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->len; i++) {
        symbol_drop(symbols, self->steps[i].by);
        symbol_drop(symbols, self->steps[i].queue);
    }
    free(self);
    *self_p = NULL;
}

const step_t *journey_find(const journey_t *self, uint64_t change)
{
    if (!self || change == 0)
        return NULL;
    for (size_t i = self->len; i-- > 0;)
        if (self->steps[i].change == change)
            return &self->steps[i];
    return NULL;
}

/* ---- JSON ---- */

/* Steps are printed by the thousand, with every checkpoint; printf would be most of the work, and
 * so would asking for room at each piece: it is reserved once a step. */

static inline char *s_put(char *at, text_t text)
{
    memcpy(at, text.data, text.len);
    return at + text.len;
}

static inline char *s_put_word(char *at, const word_t *word)
{
    memcpy(at, word->text, WORD);
    return at + word->len;
}

/* At least `width` decimal digits. */
static char *s_put_digits(char *at, uint64_t value, unsigned width)
{
    char digits[20];
    unsigned len = 0;
    for (; value > 0 || len < width; value /= 10)
        digits[len++] = (char)('0' + value % 10);
    while (len > 0)
        *at++ = digits[--len];
    return at;
}

static inline char *s_put_two(char *at, uint32_t value)
{
    at[0] = (char)('0' + value / 10);
    at[1] = (char)('0' + value % 10);
    return at + 2;
}

/* Two digits and what comes behind them. */
static inline char *s_put_pair(char *at, uint32_t value, char behind)
{
    at = s_put_two(at, value);
    *at++ = behind;
    return at;
}

static char *s_put_change(char *at, uint64_t change)
{
    at = s_put(at, TEXT(",\"change\":\""));
    for (int shift = 60; shift >= 0; shift -= 4)
        *at++ = "0123456789abcdef"[change >> shift & 15];
    *at++ = '"';
    return at;
}

/* Days since 1970 to a date of the proleptic Gregorian calendar; H. Hinnant, "chrono-Compatible
 * Low-Level Date Algorithms", civil_from_days. */
static char *s_put_date(char *at, int64_t days)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    int64_t day = doy - (153 * mp + 2) / 5 + 1;
    int64_t month = mp < 10 ? mp + 3 : mp - 9;
    int64_t year = yoe + era * 400 + (month <= 2);
    if (year < 0)
        *at++ = '-';
    at = s_put_digits(at, (uint64_t)(year < 0 ? -year : year), year < 0 ? 3 : 4);
    *at++ = '-';
    at = s_put_pair(at, (uint32_t)month, '-');
    return s_put_pair(at, (uint32_t)day, 'T');
}

/* The date of the step before: nearly always that of the next one, too. */
typedef struct {
    bool known;
    int64_t days;
    word_t word;
} date_t;

static char *s_put_time(char *at, usec_t time, date_t *date)
{
    int64_t days = time / (86400 * USEC_PER_SECOND);
    int64_t rest = time % (86400 * USEC_PER_SECOND);
    if (rest < 0) {
        rest += 86400 * USEC_PER_SECOND;
        days--;
    }
    if (!date->known || date->days != days) {
        date->word.len = (size_t)(s_put_date(date->word.text, days) - date->word.text);
        date->days = days;
        date->known = true;
    }
    at = s_put_word(at, &date->word);
    uint32_t seconds = (uint32_t)(rest / USEC_PER_SECOND);
    at = s_put_pair(at, seconds / 3600, ':');
    at = s_put_pair(at, seconds / 60 % 60, ':');
    at = s_put_pair(at, seconds % 60, '.');
    uint32_t micros = (uint32_t)(rest % USEC_PER_SECOND);
    at = s_put_two(at, micros / 10000);
    at = s_put_two(at, micros / 100 % 100);
    return s_put_pair(at, micros % 100, 'Z');
}

static char *s_put_escaped(char *at, text_t name)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.data[i];
        if (c < ' ')
            at += snprintf(at, ESCAPED + 1, "\\u%04x", c);
        else if (c == '"' || c == '\\')
            at += snprintf(at, ESCAPED + 1, "\\%c", c);
        else
            *at++ = (char)c;
    }
    return at;
}

/* `member`: up to the opening quote. Names have been checked to be UTF-8. What must not be in JSON
 * as it is, is escaped, whatever else was checked: a row that the database refuses would block
 * every checkpoint. */
static char *s_put_name(char *at, text_t member, text_t name)
{
    if (name.len == 0)
        return at;
    at = s_put(at, member);
    bool dull = dull_bytes(name.data, name.len) == name.len;
    at = dull ? s_put(at, name) : s_put_escaped(at, name);
    *at++ = '"';
    return at;
}

static void s_print_step(const step_t *step, const symbol_table_t *symbols, date_t *date,
                         unsigned dropped, buffer_t *out)
{
    text_t by = symbol_name(symbols, step->by);
    text_t queue = symbol_name(symbols, step->queue);
    char *start = (char *)buffer_reserve(out, STEP_TEXT + ESCAPED * (by.len + queue.len));
    char *at = s_put(start, TEXT("{\"at\":\""));
    at = s_put_time(at, step->at, date);
    at = s_put(at, TEXT("\",\"step\":\""));
    at = s_put_word(at, &s_names[step->kind]);
    *at++ = '"';
    at = s_put_name(at, TEXT(",\"by\":\""), by);
    if (step->kind == STEP_DISPATCHED)
        at = s_put_name(at, TEXT(",\"strategy\":\""), queue);
    else
        at = s_put_name(at, TEXT(",\"queue\":\""), queue);
    at = s_put_digits(s_put(at, TEXT(",\"version\":")), step->version, 1);
    if (step->change)
        at = s_put_change(at, step->change);
    if (dropped)
        at = s_put_digits(s_put(at, TEXT(",\"dropped\":")), dropped, 1);
    *at++ = '}';
    out->len += (size_t)(at - start);
}

void journey_print(const journey_t *self, const symbol_table_t *symbols, buffer_t *out)
{
    buffer_append(out, "[", 1);
    date_t date = {0};
    for (size_t i = 0; self && i < self->len; i++) {
        if (i > 0)
            buffer_append(out, ",", 1);
        s_print_step(&self->steps[i], symbols, &date, i == 0 ? self->dropped : 0, out);
    }
    buffer_append(out, "]", 1);
}

static bool s_is(int value, int least, int most)
{
    return value >= least && value <= most;
}

/* At most so many digits, and what comes behind them. */
static bool s_take_digits(const char **text, int most, char behind, int *ret_value)
{
    const char *at = *text;
    int value = 0;
    while (at - *text < most && *at >= '0' && *at <= '9')
        value = value * 10 + (*at++ - '0');
    if (at == *text || *at != behind)
        return false;
    *ret_value = value;
    *text = at + 1;
    return true;
}

/* What s_put_time puts; years as far as microseconds in 64 bits reach. By hand: a load parses it
 * for every step of every interaction. */
static bool s_parse_time(const char *text, usec_t *ret_at)
{
    int year, month, day, hour, minute, second, micros;
    if (!text)
        return false;
    bool before = *text == '-'; /* our era */
    text += before;
    if (!s_take_digits(&text, 6, '-', &year) || !s_take_digits(&text, 2, '-', &month) ||
        !s_take_digits(&text, 2, 'T', &day) || !s_take_digits(&text, 2, ':', &hour) ||
        !s_take_digits(&text, 2, ':', &minute) || !s_take_digits(&text, 2, '.', &second) ||
        !s_take_digits(&text, 6, 'Z', &micros) || *text)
        return false;
    year = before ? -year : year;
    if (!s_is(year, -290000, 290000) || !s_is(month, 1, 12) || !s_is(day, 1, 31) ||
        !s_is(hour, 0, 23) || !s_is(minute, 0, 59) || !s_is(second, 0, 59) ||
        !s_is(micros, 0, 999999))
        return false;
    /* days_from_civil, same source. */
    int64_t y = year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    int64_t days = era * 146097 + doe - 719468;
    *ret_at = ((days * 24 + hour) * 60 + minute) * 60 * USEC_PER_SECOND + second * USEC_PER_SECOND +
              micros;
    return true;
}

static uint8_t s_parse_kind(const char *name)
{
    for (uint8_t kind = 1; name && kind < STEP_KINDS; kind++)
        if (strcmp(s_names[kind].text, name) == 0)
            return kind;
    return 0;
}

static bool s_parse_step(json_t *object, symbol_table_t *symbols, step_t *ret_step)
{
    step_t step = {.kind = s_parse_kind(json_string_value(json_object_get(object, "step")))};
    if (!step.kind || !s_parse_time(json_string_value(json_object_get(object, "at")), &step.at))
        return false;
    const char *change = json_string_value(json_object_get(object, "change"));
    if (change)
        step.change = strtoull(change, NULL, 16);
    step.version = (uint32_t)json_integer_value(json_object_get(object, "version"));
    step.by = symbol_take(symbols, text_of(json_string_value(json_object_get(object, "by"))));
    const char *queue = step.kind == STEP_DISPATCHED ? "strategy" : "queue";
    step.queue = symbol_take(symbols, text_of(json_string_value(json_object_get(object, queue))));
    *ret_step = step;
    return true;
}

bool journey_parse(text_t json, symbol_table_t *symbols, journey_t **ret_self, error_t *ret_error)
{
    json_error_t problem;
    json_t *array = json_loadb(json.data, json.len, 0, &problem);
    if (!json_is_array(array)) {
        json_decref(array);
        return error_set(ret_error, ERROR_DATABASE_DIVERGED, "a journey is not a JSON array: %s",
                         array ? "something else" : problem.text);
    }
    journey_t *self = NULL;
    size_t i;
    json_t *object;
    json_array_foreach(array, i, object)
    {
        step_t step;
        if (!s_parse_step(object, symbols, &step)) {
            journey_destroy(&self, symbols);
            json_decref(array);
            return error_set(ret_error, ERROR_DATABASE_DIVERGED,
                             "step %zu of a journey has no known \"step\" or no \"at\"", i);
        }
        journey_append(&self, symbols, &step);
        if (i == 0)
            self->dropped = (uint16_t)json_integer_value(json_object_get(object, "dropped"));
    }
    json_decref(array);
    *ret_self = self;
    return true;
}
