/* State driver: drives a state with random entries that fit it, in batches, from one seed, and
 * keeps what an independent observer knows: the batches, and the rows of what was finished.
 */
#ifndef IXN_TESTS_STATE_DRIVER_H
#define IXN_TESTS_STATE_DRIVER_H

#include <stdio.h>
#include <time.h>

#include "core/state_internal.h"
#include "tests/unit/kept_catalog.h"
#include "tests/unit/kept_service.h"
#include "tests/unit/random.h"
#include "tests/unit/row_table.h"

typedef struct {
    random_t random;
    state_t *state;
    usec_t wall;
    usec_t log;
    uint64_t serial; /* ids and keys never come twice */
    id128_t *live;
    size_t live_len;
    size_t live_capacity;
    size_t aim; /* about so many are live */
    uint32_t window_ms;
    /* the batch */
    buffer_t entries;
    uint64_t first;
    batch_t **batches;
    size_t batches_len;
    /* what was seen */
    kept_row_t *finished;   /* all, as they should be in the history */
    uint64_t configured_at; /* index of the last configuration */
    size_t kinds[64];       /* entries by body_case */
    char names[8][32];
    char attributes[32 * 1024];
    char scratch[256];
    bool plain; /* nothing is asked of application servers */
} driver_t;

static inline driver_t *driver_new(uint64_t seed)
{
    driver_t *self = memory_zero(1, sizeof *self);
    self->random.state = seed;
    self->state = state_new();
    self->wall = 1769860800000000;
    self->log = 1000000;
    self->aim = 300;
    self->window_ms = 60000;
    return self;
}

static inline void driver_free(driver_t *self)
{
    state_destroy(&self->state);
    for (size_t i = 0; i < self->batches_len; i++)
        batch_destroy(&self->batches[i]);
    free(self->batches);
    free(self->live);
    buffer_free(&self->entries);
    table_clear(&self->finished);
    free(self);
}

static inline bool driver_chance(driver_t *self, size_t percent)
{
    return random_below(&self->random, 100) < percent;
}

/* "q3": one of a few names; `slot` tells apart those that one entry uses. */
static inline char *driver_name(driver_t *self, size_t slot, char letter, size_t of)
{
    snprintf(self->names[slot], sizeof self->names[slot], "%c%zu", letter,
             random_below(&self->random, of));
    return self->names[slot];
}

static inline ProtobufCBinaryData driver_attributes(driver_t *self)
{
    if (driver_chance(self, 10))
        return (ProtobufCBinaryData){0, NULL};
    size_t len = driver_chance(self, 2) ? random_below(&self->random, 30000)
                                        : random_below(&self->random, 200);
    int head = snprintf(self->attributes, 64, "{\"n\":%d,\"text\":\"",
                        (int)random_below(&self->random, 1000000));
    memset(self->attributes + head, 'x', len);
    memcpy(self->attributes + head + len, "\"}", 2);
    return (ProtobufCBinaryData){(size_t)head + len + 2, (uint8_t *)self->attributes};
}

/* Applies the entry, which must fit, and adds it to the batch. */
static inline void driver_apply(driver_t *self, Ixn__V1__Entry *entry)
{
    error_t error = {0};
    wire_append_entry(&self->entries, entry);
    cr_assert(state_apply(self->state, entry, &error), "%s", error.text);
    self->kinds[entry->body_case]++;
}

static inline void driver_submit(driver_t *self)
{
    Ixn__V1__Submitted body = IXN__V1__SUBMITTED__INIT;
    id128_t id = random_id(&self->random);
    id128_t parent = random_id(&self->random);
    char key[32];
    int key_len = snprintf(key, sizeof key, "key-%llu", (unsigned long long)++self->serial);
    body.interaction_id = wire_bytes(&id);
    body.key = (ProtobufCBinaryData){(size_t)key_len, (uint8_t *)key};
    body.fingerprint = random_u64(&self->random);
    body.tenant = driver_name(self, 0, 't', 3);
    body.queue = driver_name(self, 1, 'q', 8);
    body.media_type = driver_name(self, 2, 'm', 3);
    body.type = driver_chance(self, 50) ? driver_name(self, 3, 'y', 3) : "";
    body.subtype = driver_chance(self, 50) ? driver_name(self, 4, 'z', 3) : "";
    memset(self->scratch, 'e', sizeof self->scratch - 1);
    self->scratch[random_below(&self->random, 256)] = 0;
    body.external_id = self->scratch;
    if (driver_chance(self, 30))
        body.parent_id = wire_bytes(&parent);
    body.priority = (int32_t)random_below(&self->random, 5) - 2;
    body.attributes = driver_attributes(self);
    body.received_at_us = self->wall - (usec_t)random_below(&self->random, 1000000);
    body.submitted_by = driver_name(self, 5, 'c', 10);
    body.held = driver_chance(self, 10);
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    entry.body_case = IXN__V1__ENTRY__BODY_SUBMITTED;
    entry.submitted = &body;
    driver_apply(self, &entry);
    if (self->live_len == self->live_capacity) {
        self->live_capacity = self->live_capacity * 2 + 64;
        self->live = memory_resize(self->live, self->live_capacity * sizeof *self->live);
    }
    self->live[self->live_len++] = id;
}

static inline void driver_change(driver_t *self, const id128_t *id)
{
    Ixn__V1__Changed body = IXN__V1__CHANGED__INIT;
    body.interaction_id = wire_bytes(id);
    body.change = random_u64(&self->random) | 1;
    if (driver_chance(self, 50)) {
        body.attributes_given_case = IXN__V1__CHANGED__ATTRIBUTES_GIVEN_ATTRIBUTES;
        body.attributes = driver_attributes(self);
    }
    if (driver_chance(self, 50)) {
        body.priority_given_case = IXN__V1__CHANGED__PRIORITY_GIVEN_PRIORITY;
        body.priority = (int32_t)random_below(&self->random, 5) - 2;
    }
    if (driver_chance(self, 20)) {
        body.external_id_given_case = IXN__V1__CHANGED__EXTERNAL_ID_GIVEN_EXTERNAL_ID;
        body.external_id = driver_name(self, 0, 'x', 1000);
    }
    if (driver_chance(self, 20)) {
        body.type_given_case = IXN__V1__CHANGED__TYPE_GIVEN_TYPE;
        body.type = driver_name(self, 1, 'y', 10);
    }
    if (driver_chance(self, 20)) {
        body.subtype_given_case = IXN__V1__CHANGED__SUBTYPE_GIVEN_SUBTYPE;
        body.subtype = driver_name(self, 2, 'z', 10);
    }
    body.by = driver_name(self, 3, 'c', 10);
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    entry.body_case = IXN__V1__ENTRY__BODY_CHANGED;
    entry.changed = &body;
    driver_apply(self, &entry);
}

static inline void driver_place(driver_t *self, const id128_t *id)
{
    Ixn__V1__Placed body = IXN__V1__PLACED__INIT;
    body.interaction_id = wire_bytes(id);
    body.change = random_u64(&self->random) | 1;
    body.queue = driver_name(self, 0, 'q', 8);
    if (driver_chance(self, 30)) {
        body.attributes_given_case = IXN__V1__PLACED__ATTRIBUTES_GIVEN_ATTRIBUTES;
        body.attributes = driver_attributes(self);
    }
    if (driver_chance(self, 30)) {
        body.priority_given_case = IXN__V1__PLACED__PRIORITY_GIVEN_PRIORITY;
        body.priority = (int32_t)random_below(&self->random, 5) - 2;
    }
    body.by = driver_name(self, 1, 'c', 10);
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    entry.body_case = IXN__V1__ENTRY__BODY_PLACED;
    entry.placed = &body;
    driver_apply(self, &entry);
}

static inline void driver_hold(driver_t *self, const id128_t *id, bool held)
{
    Ixn__V1__HeldChanged body = IXN__V1__HELD_CHANGED__INIT;
    body.interaction_id = wire_bytes(id);
    body.change = driver_chance(self, 80) ? random_u64(&self->random) | 1 : 0;
    body.held = held;
    body.by = driver_name(self, 0, 'c', 10);
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    entry.body_case = IXN__V1__ENTRY__BODY_HELD_CHANGED;
    entry.held_changed = &body;
    driver_apply(self, &entry);
}

static inline void driver_dispatch(driver_t *self, const id128_t *id)
{
    Ixn__V1__Dispatched body = IXN__V1__DISPATCHED__INIT;
    body.interaction_id = wire_bytes(id);
    body.router = driver_name(self, 0, 'r', 5);
    body.strategy = driver_name(self, 1, 's', 4);
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    entry.body_case = IXN__V1__ENTRY__BODY_DISPATCHED;
    entry.dispatched = &body;
    driver_apply(self, &entry);
}

static inline void driver_return(driver_t *self, const id128_t *id)
{
    Ixn__V1__Returned body = IXN__V1__RETURNED__INIT;
    body.interaction_id = wire_bytes(id);
    body.cause = (Ixn__V1__ReturnCause)(1 + random_below(&self->random, 5));
    body.reason = driver_chance(self, 50) ? driver_name(self, 0, 'w', 9) : "";
    body.alone = driver_chance(self, 30);
    body.quarantined = driver_chance(self, 20);
    body.change = driver_chance(self, 50) ? random_u64(&self->random) | 1 : 0;
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    entry.body_case = IXN__V1__ENTRY__BODY_RETURNED;
    entry.returned = &body;
    driver_apply(self, &entry);
}

/* The journey with one more step at its end, as text; the C library makes the time. */
static inline void driver_add_stop(driver_t *self, const interaction_row_t *before,
                                   const Ixn__V1__Stopped *body, buffer_t *out)
{
    time_t seconds = (time_t)(self->state->wall_time / USEC_PER_SECOND);
    struct tm tm;
    char at[32];
    strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &tm));
    buffer_append(out, before->journey.data, before->journey.len - 1);
    buffer_printf(out,
                  "%s{\"at\":\"%s.%06dZ\",\"step\":\"stopped\",\"by\":\"%s\",\"version\":%u,"
                  "\"change\":\"%016llx\"}]",
                  before->journey.len > 2 ? "," : "", at,
                  (int)(self->state->wall_time % USEC_PER_SECOND), body->by, before->version + 1,
                  (unsigned long long)body->change);
}

static inline void driver_stop(driver_t *self, size_t at)
{
    id128_t id = self->live[at];
    Ixn__V1__Stopped body = IXN__V1__STOPPED__INIT;
    body.interaction_id = wire_bytes(&id);
    body.change = random_u64(&self->random) | 1;
    if (driver_chance(self, 30)) {
        body.attributes_given_case = IXN__V1__STOPPED__ATTRIBUTES_GIVEN_ATTRIBUTES;
        body.attributes = driver_attributes(self);
    }
    body.reason = driver_name(self, 0, 'd', 9);
    body.by = driver_name(self, 1, 'c', 10);
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    entry.body_case = IXN__V1__ENTRY__BODY_STOPPED;
    entry.stopped = &body;
    const interaction_t *interaction = state_find(self->state, &id);
    buffer_t before_journey = {0}, journey = {0};
    interaction_row_t row = row_of(self->state, interaction, &before_journey);
    driver_add_stop(self, &row, &body, &journey);
    row.state = INTERACTION_COMPLETED;
    row.version++;
    row.journey = (text_t){(char *)journey.bytes, journey.len};
    row.reason = text_of(body.reason);
    if (body.attributes_given_case)
        row.attributes = body.attributes.len
                             ? (text_t){(char *)body.attributes.data, body.attributes.len}
                             : TEXT("{}");
    row.router = row.strategy = TEXT("");
    row.token_epoch = row.token_index = 0;
    row.deadline = USEC_NEVER;
    row.completed_at = self->state->wall_time;
    row.completed_log = self->state->log_time;
    cr_assert_null(table_find(self->finished, &id));
    kept_row_t *kept = table_put(&self->finished, &row);
    kept->index = self->state->index + 1;
    kept->journey_is_cut = interaction->more && interaction->more->journey &&
                           interaction->more->journey->len == LIMIT_JOURNEY;
    driver_apply(self, &entry);
    self->live[at] = self->live[--self->live_len];
    buffer_free(&before_journey);
    buffer_free(&journey);
}

static inline void driver_configure(driver_t *self)
{
    Ixn__V1__TenantConfiguration tenants[3];
    Ixn__V1__QueueConfiguration queues[24];
    Ixn__V1__TenantConfiguration *tenant_list[3];
    Ixn__V1__QueueConfiguration *queue_list[24];
    char names[24][3][8];
    Ixn__V1__EngineConfiguration configuration = IXN__V1__ENGINE_CONFIGURATION__INIT;
    for (size_t i = 0; i < 3; i++) {
        tenants[i] = (Ixn__V1__TenantConfiguration)IXN__V1__TENANT_CONFIGURATION__INIT;
        static const char *const tenant_names[] = {"t0", "t1", "t2"};
        tenants[i].name = (char *)tenant_names[i];
        tenant_list[i] = &tenants[i];
    }
    size_t len = 0;
    for (size_t i = 0; i < 24; i++) {
        if (driver_chance(self, 30))
            continue;
        queues[len] = (Ixn__V1__QueueConfiguration)IXN__V1__QUEUE_CONFIGURATION__INIT;
        snprintf(names[len][0], 8, "q%zu", i % 8);
        snprintf(names[len][1], 8, "t%zu", i / 8);
        snprintf(names[len][2], 8, "s%zu", random_below(&self->random, 4));
        queues[len].name = names[len][0];
        queues[len].tenant = names[len][1];
        queues[len].strategy = driver_chance(self, 80) ? names[len][2] : "";
        queues[len].max_length = (uint32_t)random_below(&self->random, 1000);
        queue_list[len] = &queues[len];
        len++;
    }
    configuration.tenants = tenant_list;
    configuration.n_tenants = 1 + random_below(&self->random, 3);
    configuration.queues = queue_list;
    configuration.n_queues = len;
    configuration.routing_timeout_ms = 1 + random_below(&self->random, 100000);
    configuration.hold_timeout_ms = 1 + random_below(&self->random, 100000);
    configuration.dedupe_window_ms = self->window_ms;
    configuration.dedupe_guaranteed_ms = 1;
    configuration.dedupe_max_keys = 100000;
    Ixn__V1__ConfigurationChanged body = IXN__V1__CONFIGURATION_CHANGED__INIT;
    body.configuration = &configuration;
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    entry.body_case = IXN__V1__ENTRY__BODY_CONFIGURATION_CHANGED;
    entry.configuration_changed = &body;
    driver_apply(self, &entry);
    self->configured_at = self->state->index;
}

static inline void driver_beat(driver_t *self)
{
    Ixn__V1__Beat body = IXN__V1__BEAT__INIT;
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    entry.body_case = IXN__V1__ENTRY__BODY_BEAT;
    entry.beat = &body;
    driver_apply(self, &entry);
}

/* A step of what a router asks of application servers for the interaction that it has. */
static inline void driver_service(driver_t *self, const interaction_t *interaction)
{
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    Ixn__V1__ServiceRequested requested = IXN__V1__SERVICE_REQUESTED__INIT;
    Ixn__V1__ServiceSent sent = IXN__V1__SERVICE_SENT__INIT;
    Ixn__V1__ServiceWaits waits = IXN__V1__SERVICE_WAITS__INIT;
    Ixn__V1__ServiceAnswered answered = IXN__V1__SERVICE_ANSWERED__INIT;
    id128_t incarnation = random_id(&self->random);
    char key[32];
    service_t *service = LIST_FIRST(&interaction->more->services);
    if (service && driver_chance(self, 30) && LIST_NEXT(service, of_interaction))
        service = LIST_NEXT(service, of_interaction);
    if (!service || service->state == SERVICE_ANSWERED || driver_chance(self, 20)) {
        int key_len = snprintf(key, sizeof key, "call-%llu", (unsigned long long)++self->serial);
        requested.interaction_id = wire_bytes(&interaction->id);
        requested.key = (ProtobufCBinaryData){(size_t)key_len, (uint8_t *)key};
        requested.fingerprint = random_u64(&self->random);
        requested.target = (Ixn__V1__ServiceTarget)(1 + random_below(&self->random, 3));
        requested.name = driver_name(self, 0, 'n', 5);
        requested.service = driver_name(self, 1, 's', 5);
        requested.method = driver_chance(self, 50) ? driver_name(self, 2, 'm', 3) : "";
        requested.parameters = driver_attributes(self);
        if (requested.parameters.len == 0)
            requested.parameters = (ProtobufCBinaryData){2, (uint8_t *)"{}"};
        requested.deadline_us = self->log + (usec_t)random_below(&self->random, 30000000);
        requested.safe = driver_chance(self, 50);
        entry.body_case = IXN__V1__ENTRY__BODY_SERVICE_REQUESTED;
        entry.service_requested = &requested;
    } else if (service->state == SERVICE_WAITING) {
        sent.epoch = service->token.epoch;
        sent.index = service->token.index;
        sent.server = driver_name(self, 0, 'a', 5);
        sent.incarnation = wire_bytes(&incarnation);
        entry.body_case = IXN__V1__ENTRY__BODY_SERVICE_SENT;
        entry.service_sent = &sent;
    } else if (driver_chance(self, 30)) {
        waits.epoch = service->token.epoch;
        waits.index = service->token.index;
        waits.counts = driver_chance(self, 50);
        entry.body_case = IXN__V1__ENTRY__BODY_SERVICE_WAITS;
        entry.service_waits = &waits;
    } else {
        answered.epoch = service->token.epoch;
        answered.index = service->token.index;
        answered.outcome_case = IXN__V1__SERVICE_ANSWERED__OUTCOME_RESULT;
        answered.result = driver_attributes(self);
        if (answered.result.len == 0 || driver_chance(self, 30)) {
            answered.outcome_case = IXN__V1__SERVICE_ANSWERED__OUTCOME_FAULT;
            answered.fault = driver_name(self, 0, 'F', 5);
            answered.text = driver_chance(self, 50) ? driver_name(self, 1, 'f', 5) : "";
        }
        entry.body_case = IXN__V1__ENTRY__BODY_SERVICE_ANSWERED;
        entry.service_answered = &answered;
    }
    driver_apply(self, &entry);
}

/* Something that fits the state of a live interaction. */
static inline void driver_work(driver_t *self)
{
    size_t at = random_below(&self->random, self->live_len);
    id128_t id = self->live[at];
    const interaction_t *interaction = state_find(self->state, &id);
    cr_assert(interaction);
    bool held = interaction->flags & INTERACTION_HELD;
    switch (random_below(&self->random, 8)) {
    case 0:
        driver_change(self, &id);
        return;
    case 1:
        driver_place(self, &id);
        return;
    case 2:
        if (self->live_len > random_below(&self->random, self->aim * 2))
            driver_stop(self, at);
        return;
    case 3:
        if (interaction->state == INTERACTION_QUEUED)
            driver_hold(self, &id, driver_chance(self, held ? 20 : 90));
        return;
    default:
        if (interaction->state == INTERACTION_QUEUED && !held)
            driver_dispatch(self, &id);
        else if (interaction->state == INTERACTION_ROUTING && !self->plain &&
                 driver_chance(self, 70))
            driver_service(self, interaction);
        else if (interaction->state == INTERACTION_ROUTING)
            driver_return(self, &id);
    }
}

static inline void driver_entry(driver_t *self)
{
    size_t dice = random_below(&self->random, 1000);
    if (dice < 3)
        driver_configure(self);
    else if (dice < 10)
        driver_beat(self);
    else if (self->live_len == 0 || (dice < 250 && self->live_len < self->aim * 2))
        driver_submit(self);
    else
        driver_work(self);
}

static inline void driver_begin(driver_t *self)
{
    self->log += (usec_t)random_below(&self->random, 200000);
    self->wall += (usec_t)random_below(&self->random, 400000) - 100000; /* it may go back */
    state_begin_batch(self->state, 7, self->log, self->wall);
    self->first = self->state->index + 1;
    buffer_clear(&self->entries);
}

static inline void driver_end(driver_t *self)
{
    if (self->state->index < self->first)
        driver_beat(self); /* a batch has an entry */
    batch_t *batch =
        batch_new(7, self->first, self->state->index, self->state->hash, self->log, self->wall,
                  (text_t){(char *)self->entries.bytes, self->entries.len});
    state_end_batch(self->state, batch->hash);
    self->batches = memory_resize(self->batches, (self->batches_len + 1) * sizeof *self->batches);
    self->batches[self->batches_len++] = batch;
}

static inline void driver_batch(driver_t *self, size_t entries)
{
    driver_begin(self);
    for (size_t i = 0; i < entries; i++)
        driver_entry(self);
    driver_end(self);
}

/* Applies the batches that continue the state and end before `until` to another one. */
static inline void driver_replay(const driver_t *self, state_t *state, uint64_t until)
{
    error_t error = {0};
    wire_arena_t *arena = wire_arena_new();
    for (size_t i = 0; i < self->batches_len; i++)
        if (self->batches[i]->last > state->index && self->batches[i]->last < until)
            cr_assert(state_apply_batch(state, self->batches[i], arena, NULL, &error), "%s",
                      error.text);
    wire_arena_destroy(&arena);
}

/* A database that images are written to. */
typedef struct {
    uint64_t index;
    id128_t hash;
    usec_t log_time;
    kept_row_t *rows;         /* ixn.interaction */
    kept_row_t *history;      /* ixn.interaction_history; uthash keeps the order of insertion */
    kept_service_t *services; /* ixn.service_request */
    buffer_t configuration;
    kept_catalog_t catalog;
} tables_t;

static inline void tables_free(tables_t *self)
{
    table_clear(&self->rows);
    table_clear(&self->history);
    kept_services_clear(&self->services);
    kept_catalog_free(&self->catalog);
    buffer_free(&self->configuration);
}

/* `exact`: what is to go must be there. What is finished must never be there yet. */
static inline void tables_write(tables_t *self, const checkpoint_image_t *image, bool exact)
{
    cr_assert_eq(image->from, self->index);
    cr_assert_gt(image->to, image->from);
    for (size_t i = 0; i < image->gone_len; i++) {
        kept_row_t *gone = table_find(self->rows, &image->gone[i]);
        cr_assert(gone || !exact, "a row is deleted that is not there");
        if (gone)
            table_delete(&self->rows, gone);
    }
    for (size_t i = 0; i < image->changed_len; i++) {
        cr_assert(i >= image->added_len || !table_find(self->rows, &image->changed[i]->id),
                  "a row is added that is there");
        table_put(&self->rows, image->changed[i]);
    }
    for (size_t i = 0; i < image->finished_len; i++) {
        cr_assert_null(table_find(self->history, &image->finished[i]->id), "it is finished twice");
        table_put(&self->history, image->finished[i]);
    }
    size_t missing = kept_services_write(&self->services, image);
    cr_assert(missing == 0 || !exact, "a request is deleted that is not there");
    if (image->configuration_changed) {
        buffer_clear(&self->configuration);
        buffer_append(&self->configuration, image->configuration.data, image->configuration.len);
    }
    for (size_t i = 0; i < image->catalog_len; i++)
        kept_catalog_write(&self->catalog, &image->catalog[i]);
    self->index = image->to;
    self->hash = image->hash;
    self->log_time = image->log_time;
}

/* By time of completion, then age. */
static inline int tables_by_completion(const void *a, const void *b)
{
    const kept_row_t *x = *(kept_row_t *const *)a, *y = *(kept_row_t *const *)b;
    if (x->row.completed_log != y->row.completed_log)
        return x->row.completed_log < y->row.completed_log ? -1 : 1;
    return x->row.age < y->row.age ? -1 : x->row.age > y->row.age;
}

/* As the database's loader does it: what is inside the window. */
static inline void tables_load_completed(const tables_t *self, uint32_t window_ms, state_t *state)
{
    size_t len = 0;
    kept_row_t **rows = memory_zero(HASH_COUNT(self->history) + 1, sizeof *rows);
    kept_row_t *kept, *next;
    HASH_ITER(hh, self->history, kept, next)
    {
        if (kept->row.completed_log >= self->log_time - (usec_t)window_ms * USEC_PER_MS)
            rows[len++] = kept;
    }
    qsort(rows, len, sizeof *rows, tables_by_completion);
    error_t error;
    for (size_t i = 0; i < len; i++)
        cr_assert(state_load_completed(state, &rows[i]->row, &error), "%s", error.text);
    free(rows);
}

/* A new state from the tables and all batches after them. */
static inline state_t *tables_load(const tables_t *self, const driver_t *driver)
{
    state_t *state = state_new();
    error_t error;
    text_t encoded = {(char *)self->configuration.bytes, self->configuration.len};
    cr_assert(state_load_checkpoint(state, self->index, self->hash, self->log_time));
    cr_assert(encoded.len == 0 || state_load_configuration(state, encoded, &error));
    cr_assert(kept_catalog_load(&self->catalog, state, state_load_catalog, &error), "%s",
              error.text);
    kept_row_t *kept, *next;
    HASH_ITER(hh, self->rows, kept, next)
    {
        cr_assert(state_load_interaction(state, &kept->row, &error), "%s", error.text);
    }
    kept_service_t *service, *next_service;
    HASH_ITER(hh, self->services, service, next_service)
    {
        cr_assert(state_load_service(state, &service->row, &error), "%s", error.text);
    }
    tables_load_completed(self, driver->window_ms, state);
    cr_assert(!state_image_needed(state), "what was loaded is in the tables already");
    driver_replay(driver, state, UINT64_MAX);
    return state;
}

#endif
