/* Streams: how the pair and its queues do, once a second (/v1/live), and the log as it is committed
 * (/v1/events), which is read from the journal: so it costs the node nothing, either node can give
 * it, and nothing is told before it is durable. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/ixnd/admin/core.h"
#include "apps/views/event.h"
#include "apps/views/view.h"
#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/wire/wire.h"
#include "dap/connection.h"
#include "dap/feed.h"
#include "dap/field.h"

enum {
    LIVES_MAX = 64,
    FEEDS_MAX = 16,
    TICK_US = 1000 * 1000,
    LOOK_US = 200 * 1000, /* for new entries of the log */
    QUIET_US = 15 * 1000 * 1000,
    FEED_ROOM = 64 * 1024, /* a feed whose client has not taken more than that is let alone */
};

typedef struct feed feed_t;
struct feed {
    LIST_ENTRY(feed) link;
    live_t *live;
    http_stream_t *stream; /* NULL: the client is gone, the answer is still awaited */
    bool log;              /* of the log; otherwise of how the pair does */
    bool asking;
    bool placed;   /* the cursor is known */
    uint64_t next; /* the first index that was not told */
    usec_t look_at;
    usec_t said_at;
};

struct live {
    core_t *core;
    LIST_HEAD(, feed) feeds;
    size_t lives_len;
    size_t feeds_len;
    usec_t tick_at;
    wire_arena_t *arena;
};

live_t *live_new(core_t *core)
{
    live_t *self = memory_zero(1, sizeof *self);
    self->core = core;
    self->arena = wire_arena_new();
    return self;
}

static void s_free_feed(feed_t *feed)
{
    LIST_REMOVE(feed, link);
    *(feed->log ? &feed->live->feeds_len : &feed->live->lives_len) -= 1;
    free(feed);
}

void live_destroy(live_t **self_p)
{
    live_t *self = *self_p;
    if (!self)
        return;
    while (!LIST_EMPTY(&self->feeds))
        s_free_feed(LIST_FIRST(&self->feeds));
    wire_arena_destroy(&self->arena);
    free(self);
    *self_p = NULL;
}

static void s_on_ended(void *context)
{
    feed_t *feed = context;
    feed->stream = NULL;
    if (!feed->asking)
        s_free_feed(feed);
}

static feed_t *s_open(core_t *self, exchange_t *exchange, bool log)
{
    live_t *live = self->live;
    size_t *len = log ? &live->feeds_len : &live->lives_len;
    const size_t max = log ? FEEDS_MAX : LIVES_MAX;
    if (*len >= max) {
        http_answer_error(exchange->request, 503, "BUSY",
                          "%zu streams of this kind are open, which is the most", max);
        return NULL;
    }
    feed_t *feed = memory_zero(1, sizeof *feed);
    feed->live = live;
    feed->log = log;
    feed->said_at = self->now;
    feed->stream = http_answer_stream(exchange->request, s_on_ended, feed);
    LIST_INSERT_HEAD(&live->feeds, feed, link);
    (*len)++;
    return feed;
}

/* ---- How the pair does ---- */

static void s_append_live(core_t *self, buffer_t *out)
{
    const usec_t heard_at = queues_heard_at(self->queues);
    const bool known = heard_at && core_age(self, heard_at) < SILENT_US;
    json_t *json = status_json(self);
    json_object_set_new(json, "queues", known ? queues_json(self) : json_null());
    char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(12));
    CHECK(text);
    buffer_printf(out, "event: status\ndata: %s\n\n", text);
    free(text);
    json_decref(json);
}

void route_live(core_t *self, exchange_t *exchange)
{
    feed_t *feed = s_open(self, exchange, false);
    if (!feed)
        return;
    buffer_t out = {0};
    s_append_live(self, &out);
    http_stream_write(feed->stream, out.bytes, out.len);
    buffer_free(&out);
    if (self->live->tick_at < self->now)
        self->live->tick_at = self->now + TICK_US;
}

static void s_tick(live_t *self)
{
    core_t *core = self->core;
    if (self->lives_len == 0 || core->now < self->tick_at ||
        !routes_has_needs(core, NEED_OWN | NEED_PEER | NEED_QUEUES, self->tick_at + TICK_US / 2))
        return;
    self->tick_at = core->now + TICK_US;
    buffer_t out = {0};
    s_append_live(core, &out);
    feed_t *feed;
    LIST_FOREACH(feed, &self->feeds, link)
    if (!feed->log && feed->stream && http_stream_room(feed->stream) > out.len)
        http_stream_write(feed->stream, out.bytes, out.len);
    buffer_free(&out);
}

/* ---- The log ---- */

static void s_append_event(uint64_t index, usec_t at, uint64_t epoch, const Ixn__V1__Entry *entry,
                           buffer_t *out)
{
    const char *name = "";
    json_t *json = event_of(entry, &name);
    if (!json)
        return;
    json_object_set_new(json, "index", json_integer((json_int_t)index));
    json_object_set_new(json, "in_epoch", json_integer((json_int_t)epoch));
    json_object_set_new(json, "at", view_time(at));
    char *text = json_dumps(json, JSON_COMPACT);
    CHECK(text);
    buffer_printf(out, "id: %" PRIu64 "\nevent: %s\ndata: %s\n\n", index, name, text);
    free(text);
    json_decref(json);
}

/* The entries of one row that were not told, as far as there is room. True: all of them. */
static bool s_tell_row(feed_t *feed, const PGresult *result, int row)
{
    error_t error;
    const uint64_t first = field_int8(field_of(result, row, FEED_FIRST));
    const uint64_t epoch = field_int8(field_of(result, row, FEED_EPOCH));
    const usec_t at = field_wall(field_of(result, row, FEED_AT));
    const text_t entries = field_text(field_of(result, row, FEED_ENTRIES));
    buffer_t out = {0};
    wire_arena_reset(feed->live->arena);
    const Ixn__V1__Batch *batch =
        wire_decode_batch(feed->live->arena, (const uint8_t *)entries.data, entries.len, &error);
    bool all = true;
    for (size_t i = 0; batch && i < batch->n_entries && all; i++) {
        if (first + i < feed->next)
            continue;
        s_append_event(first + i, at, epoch, batch->entries[i], &out);
        feed->next = first + i + 1;
        all = out.len < http_stream_room(feed->stream);
    }
    if (out.len > 0) {
        http_stream_write(feed->stream, out.bytes, out.len);
        feed->said_at = feed->live->core->now;
    }
    buffer_free(&out);
    return all;
}

/* The journal does not reach back so far: what is missing is said. */
static void s_place(feed_t *feed, uint64_t oldest, uint64_t head)
{
    char text[120];
    if (!feed->placed)
        feed->next = head + 1;
    feed->placed = true;
    if (feed->next >= oldest || head == 0)
        return;
    int len = snprintf(text, sizeof text,
                       "event: gone\ndata: {\"from\":%" PRIu64 ",\"oldest\":%" PRIu64 "}\n\n",
                       feed->next, oldest);
    http_stream_write(feed->stream, text, (size_t)len);
    feed->next = oldest;
}

static void s_on_rows(void *context, const PGresult *result, const error_t *error)
{
    (void)error;
    feed_t *feed = context;
    feed->asking = false;
    if (!feed->stream) {
        s_free_feed(feed);
        return;
    }
    feed->look_at = feed->live->core->now + LOOK_US;
    if (!result)
        return; /* the database is away: asked again later */
    s_place(feed, field_int8(field_of(result, 0, FEED_OLDEST)),
            field_int8(field_of(result, 0, FEED_HEAD)));
    const int rows = PQntuples(result);
    bool all = true;
    bool any = !field_is_null(field_of(result, 0, FEED_FIRST));
    for (int row = 0; any && row < rows && all; row++)
        all = s_tell_row(feed, result, row);
    if (any && rows > 1)
        feed->look_at = feed->live->core->now; /* there may be more right away */
}

static void s_look(feed_t *feed)
{
    core_t *core = feed->live->core;
    char from[24];
    if (feed->asking || core->now < feed->look_at || http_stream_room(feed->stream) < FEED_ROOM)
        return;
    snprintf(from, sizeof from, "%" PRIu64, feed->placed ? feed->next : (uint64_t)INT64_MAX);
    const char *params[] = {from};
    feed->asking = records_of_pair(core, feed_sql, params, 1, s_on_rows, feed);
    if (!feed->asking)
        feed->look_at = core->now + LOOK_US;
}

/* True when `text` is a number that a log's index can be. */
static bool s_index(const char *text, uint64_t *ret_index)
{
    const size_t digits = text ? strspn(text, "0123456789") : 0;
    if (digits == 0 || digits > 18 || text[digits])
        return false;
    *ret_index = strtoull(text, NULL, 10);
    return true;
}

void route_events(core_t *self, exchange_t *exchange)
{
    const char *from = http_query(exchange->request, "from");
    const char *last = http_header(exchange->request, "Last-Event-ID");
    uint64_t next = 0;
    bool placed = false;
    if (last && s_index(last, &next)) {
        placed = true;
        next++;
    } else if (from) {
        placed = s_index(from, &next);
        if (!placed) {
            http_answer_error(exchange->request, 400, "INVALID_ARGUMENT",
                              "from is \"%s\"; it must be an index of the log", from);
            return;
        }
    }
    feed_t *feed = s_open(self, exchange, true);
    if (!feed)
        return;
    feed->placed = placed;
    feed->next = next;
    s_look(feed);
}

/* ---- Turns ---- */

long live_wait_ms(const live_t *self, usec_t now)
{
    usec_t until = USEC_NEVER;
    const feed_t *feed;
    if (self->lives_len > 0)
        until = self->tick_at;
    LIST_FOREACH(feed, &self->feeds, link)
    if (feed->log && feed->stream && !feed->asking && feed->look_at < until &&
        http_stream_room(feed->stream) >= FEED_ROOM)
        until = feed->look_at;
    if (until == USEC_NEVER)
        return -1;
    return until <= now ? 10 : (long)((until - now) / 1000 + 1);
}

void live_turn(live_t *self)
{
    static const char quiet[] = ": still here\n\n";
    s_tick(self);
    feed_t *feed;
    LIST_FOREACH(feed, &self->feeds, link)
    {
        if (!feed->log || !feed->stream)
            continue;
        s_look(feed);
        if (self->core->now - feed->said_at < QUIET_US)
            continue;
        feed->said_at = self->core->now;
        http_stream_write(feed->stream, quiet, sizeof quiet - 1);
    }
}
