#include "apps/ixn-bench/source.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "apps/ixn-bench/parts/pending.h"
#include "apps/ixn-bench/parts/poller.h"
#include "apps/ixn-bench/record.h"
#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/client/client.h"
#include "core/wire/wire.h"

#define S_WAIT_MS 20            /* how soon a change of the run's phase is seen */
#define S_IDS ((size_t)4000000) /* so many ids are compared at the end: 32 MB a thread */

typedef struct {
    ixn_client_t *client;
    pending_table_t *pending;
    bool ready;
} submitter_t;

struct source {
    run_t *run;
    pthread_t thread;
    bool started;
    submitter_t *submitters;
    poller_t *poller; /* of the same numbers */
    uint32_t len;
    record_t *record;
    char *attributes;
    size_t attributes_len;
    uint64_t unanswered;
    usec_t last_answer; /* or since when an answer is due */
    figures_t figures;
};

/* The key of submit number n of this run; the record and the checker know it by its text form. */
static id128_t s_key(const run_t *run, uint64_t sequence)
{
    id128_t key;
    for (int i = 0; i < 8; i++) {
        key.bytes[i] = (uint8_t)(run->id >> (56 - 8 * i));
        key.bytes[8 + i] = (uint8_t)(sequence >> (56 - 8 * i));
    }
    return key;
}

/* A JSON object of exactly the size asked for (at least `{}`), of letters that do not compress to
 * nothing. */
static void s_make_attributes(source_t *self)
{
    static const char head[] = "{\"text\":\"";
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789.";
    size_t size = self->run->options->payload;
    size_t frame = sizeof head - 1 + 2;
    self->attributes_len = size < frame ? 2 : size;
    self->attributes = memory_text("{}");
    if (size < frame)
        return;
    free(self->attributes);
    buffer_t text = {0};
    buffer_append_text(&text, head);
    uint64_t state = self->run->id | 1;
    while (text.len < size - 2) {
        state = state * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
        buffer_append(&text, &letters[(state >> 33) % (sizeof letters - 1)], 1);
    }
    buffer_append_text(&text, "\"}");
    self->attributes = (char *)text.bytes; /* owned from here on */
}

/* Takes the next submit of the run, if there is one and it is due; tells when it was due. */
static bool s_claim(source_t *self, usec_t now, uint64_t *ret_sequence, usec_t *ret_due)
{
    run_t *run = self->run;
    const options_t *options = run->options;
    uint64_t next = atomic_load(&run->sequence);
    do {
        if (options->count && next >= options->count)
            return false;
        *ret_due = now;
        if (options->rate) {
            *ret_due = run->load_start + (usec_t)((double)next * 1e6 / (double)options->rate);
            if (*ret_due > now)
                return false;
        }
    } while (!atomic_compare_exchange_weak(&run->sequence, &next, next + 1));
    if (next == atomic_load(&run->answered))
        gaps_begin(&run->gaps, now);
    *ret_sequence = next;
    return true;
}

static bool s_submit(source_t *self, submitter_t *submitter, uint64_t sequence, usec_t due)
{
    const options_t *options = self->run->options;
    id128_t key = s_key(self->run, sequence);
    char external_id[96];
    snprintf(external_id, sizeof external_id, "bench:%016" PRIx64 ":%" PRId64 ":%" PRIu64,
             self->run->id, due, sequence);
    Ixn__V1__Submit submit = IXN__V1__SUBMIT__INIT;
    submit.key = wire_bytes(&key);
    submit.queue = (char *)options->queue;
    submit.media_type = (char *)options->media_type;
    submit.external_id = external_id;
    submit.attributes.data = (uint8_t *)self->attributes;
    submit.attributes.len = self->attributes_len;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_SUBMIT;
    request.submit = &submit;
    uint64_t id = ixn_client_send(submitter->client, &request);
    if (id == 0)
        return false;
    pending_table_put(submitter->pending, id, &(pending_t){.start = due, .sequence = sequence});
    self->figures.sent++;
    self->unanswered++;
    return true;
}

/* Fills the window; true when something was sent. */
static bool s_fill(source_t *self, submitter_t *submitter)
{
    run_phase_t phase = run_phase(self->run);
    if (phase != RUN_WARMING && phase != RUN_MEASURING)
        return false;
    bool sent = false;
    usec_t now = run_now();
    while (pending_table_len(submitter->pending) < self->run->options->window) {
        uint64_t sequence;
        usec_t due;
        if (!s_claim(self, now, &sequence, &due))
            break;
        /* The window is below the client's own bound, so it takes every one. */
        CHECK(s_submit(self, submitter, sequence, due));
        sent = true;
    }
    return sent;
}

static void s_acknowledged(source_t *self, const pending_t *pending, const Ixn__V1__Ack *ack)
{
    run_t *run = self->run;
    id128_t id = {{0}};
    if (!wire_read_id(ack->interaction_id, &id))
        figures_error(&self->figures, "Ack", "its interaction_id does not have 16 bytes");
    record_acknowledged(self->record, s_key(run, pending->sequence), id);
    if (self->figures.ids.len < S_IDS * sizeof(uint64_t))
        buffer_append(&self->figures.ids, id.bytes + sizeof(uint64_t), sizeof(uint64_t));
    self->figures.accepted++;
    atomic_fetch_add(&run->acknowledged, 1);
    marks_set(&run->acknowledged_marks, pending->sequence);
    usec_t now = run_now();
    gaps_end(&run->gaps, now);
    if (run_phase(run) == RUN_MEASURING) {
        self->figures.measured++;
        histogram_add(&self->figures.latency, now - pending->start);
    }
}

static void s_answer(source_t *self, submitter_t *submitter, const ixn_event_t *event)
{
    pending_t pending;
    if (!pending_table_take(submitter->pending, event->request_id, &pending))
        return;
    self->unanswered--;
    usec_t now = run_now();
    if (now - self->last_answer > self->figures.silence)
        self->figures.silence = now - self->last_answer;
    self->last_answer = now;
    id128_t key = s_key(self->run, pending.sequence);
    if (event->kind == IXN_EVENT_FAILED) {
        record_unknown(self->record, key);
        self->figures.unknown++;
        figures_error(&self->figures, "no answer", event->error.text);
    } else if (event->message->body_case == IXN__V1__MESSAGE__BODY_ACK) {
        s_acknowledged(self, &pending, event->message->ack);
    } else if (event->message->body_case == IXN__V1__MESSAGE__BODY_ERROR) {
        const Ixn__V1__Error *error = event->message->error;
        const char *name = error_name((error_code_t)error->code);
        record_refused(self->record, key, name);
        self->figures.refused++;
        figures_error(&self->figures, name, error->sentence);
    } else {
        record_refused(self->record, key, "UNEXPECTED_ANSWER");
        self->figures.refused++;
        figures_error(&self->figures, "unexpected answer to Submit", "neither Ack nor Error");
    }
    atomic_fetch_add(&self->run->answered, 1);
}

/* Handles everything that has arrived for one submitter. */
static void s_drain(source_t *self, submitter_t *submitter)
{
    for (;;) {
        ixn_event_t event;
        ixn_client_next(submitter->client, 0, &event);
        switch (event.kind) {
        case IXN_EVENT_NONE:
            return;
        case IXN_EVENT_ANSWER:
        case IXN_EVENT_FAILED:
            s_answer(self, submitter, &event);
            break;
        case IXN_EVENT_CONNECTED:
            if (!submitter->ready)
                atomic_fetch_add(&self->run->ready, 1);
            submitter->ready = true;
            break;
        case IXN_EVENT_REFUSED:
            figures_error(&self->figures, "registration refused", event.error.text);
            break;
        case IXN_EVENT_MESSAGE:
        case IXN_EVENT_DISCONNECTED:
            break;
        }
    }
}

/* The time until the next submit is due, bounded by what the phases need. */
static int s_wait_ms(source_t *self)
{
    uint64_t rate = self->run->options->rate;
    run_phase_t phase = run_phase(self->run);
    if (!rate || (phase != RUN_WARMING && phase != RUN_MEASURING))
        return S_WAIT_MS;
    double next = (double)atomic_load(&self->run->sequence) * 1e6 / (double)rate;
    usec_t left = self->run->load_start + (usec_t)next - run_now();
    if (left <= 0)
        return 1; /* due, but the windows are full: an answer wakes us */
    int wait_ms = (int)((left + USEC_PER_MS - 1) / USEC_PER_MS);
    return wait_ms < S_WAIT_MS ? wait_ms : S_WAIT_MS;
}

/* One submitter's turn; true when something was sent. */
static bool s_serve(source_t *self, uint32_t number)
{
    submitter_t *submitter = &self->submitters[number];
    s_drain(self, submitter);
    bool sent = s_fill(self, submitter);
    if (sent) {
        ixn_client_flush(submitter->client);
        poller_look(self->poller, number); /* sending may have swallowed the edge */
    }
    poller_due(self->poller, number, ixn_client_wait_ms(submitter->client));
    return sent;
}

static void *s_thread(void *argument)
{
    source_t *self = argument;
    self->last_answer = run_now();
    while (run_phase(self->run) != RUN_ENDING) {
        uint32_t len;
        const uint32_t *numbers = poller_wait(self->poller, s_wait_ms(self), &len);
        bool sent = false;
        for (uint32_t i = 0; i < len; i++)
            sent |= s_serve(self, numbers[i]);
        if (self->unanswered == 0)
            self->last_answer = run_now();
        if (!sent)
            record_flush(self->record);
    }
    for (uint32_t i = 0; i < self->len; i++) {
        pending_t pending;
        while (pending_table_pop(self->submitters[i].pending, &pending)) {
            record_unknown(self->record, s_key(self->run, pending.sequence));
            self->figures.unknown++;
        }
    }
    return NULL;
}

static ixn_client_t *s_client(run_t *run, uint32_t number)
{
    const options_t *options = run->options;
    char name[64];
    snprintf(name, sizeof name, "bench-%08x-submitter-%u", (unsigned)(run->id >> 32), number);
    ixn_client_options_t client = {.endpoints = options->nodes,
                                   .endpoints_len = options->nodes_len,
                                   .role = IXN__V1__ROLE__MEDIA_SERVER,
                                   .name = name,
                                   .tenant = options->tenant,
                                   .max_unanswered = options->window + 8,
                                   .context = run->context};
    error_t error = {0};
    ixn_client_t *self = ixn_client_new(&client, &error);
    if (!self)
        fprintf(stderr, "ixn-bench: %s\n", error.text);
    return self;
}

source_t *source_new(run_t *run, uint32_t first, uint32_t len)
{
    source_t *self = memory_zero(1, sizeof *self);
    self->run = run;
    self->submitters = memory_zero(len, sizeof *self->submitters);
    self->poller = poller_new(len);
    s_make_attributes(self);
    bool ok = true;
    if (run->options->log_path) {
        self->record = record_new(run->options->log_path);
        ok = self->record != NULL;
    }
    for (; ok && self->len < len; self->len++) {
        submitter_t *submitter = &self->submitters[self->len];
        submitter->client = s_client(run, first + self->len);
        submitter->pending = pending_table_new();
        if (submitter->client)
            poller_watch(self->poller, self->len, ixn_client_fd(submitter->client), true);
        else
            ok = false;
    }
    if (ok) {
        CHECK(pthread_create(&self->thread, NULL, s_thread, self) == 0);
        self->started = true;
    } else {
        source_destroy(&self, NULL);
    }
    return self;
}

void source_destroy(source_t **self_p, figures_t *figures)
{
    source_t *self = *self_p;
    if (!self)
        return;
    if (self->started)
        CHECK(pthread_join(self->thread, NULL) == 0);
    if (figures)
        figures_merge(figures, &self->figures);
    poller_destroy(&self->poller);
    for (uint32_t i = 0; i < self->len; i++) {
        ixn_client_destroy(&self->submitters[i].client);
        pending_table_destroy(&self->submitters[i].pending);
    }
    record_destroy(&self->record);
    figures_free(&self->figures);
    free(self->attributes);
    free(self->submitters);
    free(self);
    *self_p = NULL;
}
