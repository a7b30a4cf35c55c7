#include "tests/bench/peers/load.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/base/types.h"
#include "tests/bench/peers/crowd.h"

#define S_WAIT_MS 20       /* how soon the end of a phase is seen */
#define S_DRAIN_SECONDS 20 /* for the last answers */

enum { WAITS_ACKNOWLEDGED = 1, WAITS_COMPLETED = 2 };

typedef struct {
    usec_t start;
    uint8_t waits; /* for what; 0: free */
} slot_t;

typedef struct {
    uint64_t tag;
    usec_t at;
} ending_t;

typedef struct {
    const load_options_t *options;
    load_figures_t *figures;
    crowd_t submitters;
    crowd_t workers;
    char *payload;
    slot_t *slots;      /* window after window; a tag is a place here */
    uint32_t *free;     /* the same places: stacks of free slots, one a client … */
    uint32_t *free_len; /* … and how high each is */
    uint64_t outstanding;
    bool measuring;
    /* From the workers' thread. */
    pthread_t thread;
    int wake;
    pthread_mutex_t lock;
    buffer_t endings; /* ending_t */
    buffer_t taken;   /* the same, on this side */
    _Atomic bool ending;
} load_t;

static usec_t s_now(void)
{
    return clock_usec(CLOCK_MONOTONIC);
}

static double s_cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* ---- workers -------------------------------------------------------------------------------- */

static void s_hand_over(load_t *self, const buffer_t *tags)
{
    if (tags->len == 0)
        return;
    usec_t now = s_now();
    pthread_mutex_lock(&self->lock);
    bool first = self->endings.len == 0;
    for (size_t i = 0; i < tags->len; i += sizeof(uint64_t)) {
        ending_t ending = {.at = now};
        memcpy(&ending.tag, tags->bytes + i, sizeof ending.tag);
        buffer_append(&self->endings, &ending, sizeof ending);
    }
    pthread_mutex_unlock(&self->lock);
    if (first)
        CHECK(eventfd_write(self->wake, 1) == 0);
}

static void *s_work(void *argument)
{
    load_t *self = argument;
    while (!atomic_load_explicit(&self->ending, memory_order_acquire)) {
        crowd_turn(&self->workers, S_WAIT_MS);
        s_hand_over(self, &self->workers.news.completed);
    }
    return NULL;
}

/* ---- submitters ----------------------------------------------------------------------------- */

static void s_answered(load_t *self, uint64_t tag, uint8_t what, usec_t at)
{
    const load_options_t *options = self->options;
    uint64_t slots = (uint64_t)options->clients * options->window;
    if (tag >= slots || !(self->slots[tag].waits & what))
        peer_fail("%s said twice, or of something unknown, that it is %s", options->peer->name,
                  what == WAITS_ACKNOWLEDGED ? "acknowledged" : "completed");
    slot_t *slot = &self->slots[tag];
    slot->waits &= (uint8_t)~what;
    if (self->measuring) {
        if (what == WAITS_ACKNOWLEDGED)
            histogram_add(&self->figures->acknowledged, at - slot->start);
        if (what == WAITS_COMPLETED || options->workers == 0) {
            histogram_add(&self->figures->latency, at - slot->start);
            self->figures->count++;
        }
    }
    if (slot->waits)
        return;
    uint32_t client = (uint32_t)(tag / options->window);
    self->free[client * options->window + self->free_len[client]++] = (uint32_t)tag;
    self->outstanding--;
}

static void s_submit_all(load_t *self)
{
    const load_options_t *options = self->options;
    for (uint32_t client = 0; client < options->clients; client++) {
        if (self->free_len[client] == 0)
            continue;
        usec_t now = s_now();
        while (self->free_len[client] > 0) {
            uint32_t tag = self->free[client * options->window + --self->free_len[client]];
            self->slots[tag] = (slot_t){.start = now,
                                        .waits = WAITS_ACKNOWLEDGED |
                                                 (options->workers > 0 ? WAITS_COMPLETED : 0)};
            self->outstanding++;
            options->peer->submit(self->submitters.links[client], tag, self->payload,
                                  options->payload);
        }
        crowd_flush(&self->submitters, client);
    }
}

static void s_take_endings(load_t *self)
{
    eventfd_t count;
    if (eventfd_read(self->wake, &count) != 0)
        return;
    pthread_mutex_lock(&self->lock);
    buffer_t endings = self->endings;
    self->endings = self->taken;
    self->taken = endings;
    pthread_mutex_unlock(&self->lock);
    for (size_t i = 0; i < self->taken.len; i += sizeof(ending_t)) {
        ending_t ending;
        memcpy(&ending, self->taken.bytes + i, sizeof ending);
        s_answered(self, ending.tag, WAITS_COMPLETED, ending.at);
    }
    buffer_clear(&self->taken);
}

static void s_turn(load_t *self)
{
    crowd_turn(&self->submitters, S_WAIT_MS);
    usec_t now = s_now();
    const buffer_t *tags = &self->submitters.news.acknowledged;
    for (size_t i = 0; i < tags->len; i += sizeof(uint64_t)) {
        uint64_t tag;
        memcpy(&tag, tags->bytes + i, sizeof tag);
        s_answered(self, tag, WAITS_ACKNOWLEDGED, now);
    }
    if (self->submitters.woken)
        s_take_endings(self);
}

static usec_t s_load_for(load_t *self, double seconds)
{
    usec_t start = s_now();
    usec_t end = start + (usec_t)(seconds * 1e6);
    while (s_now() < end) {
        s_submit_all(self);
        s_turn(self);
    }
    return s_now() - start;
}

static void s_drain(load_t *self)
{
    usec_t end = s_now() + S_DRAIN_SECONDS * USEC_PER_SECOND;
    while (self->outstanding > 0) {
        if (s_now() >= end)
            peer_fail("%s left %llu without an answer for %d s", self->options->peer->name,
                      (unsigned long long)self->outstanding, S_DRAIN_SECONDS);
        s_turn(self);
    }
}

/* ---- a run ---------------------------------------------------------------------------------- */

/* Letters that do not compress to nothing. */
static char *s_payload(size_t len)
{
    char *text = memory_new(len + 1);
    uint64_t state = 1;
    for (size_t i = 0; i < len; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
        text[i] = (char)('a' + (state >> 33) % 26);
    }
    text[len] = 0;
    return text;
}

static void s_init(load_t *self, const load_options_t *options, load_figures_t *figures)
{
    size_t slots = (size_t)options->clients * options->window;
    *self = (load_t){.options = options, .figures = figures};
    self->payload = s_payload(options->payload);
    self->slots = memory_zero(slots, sizeof *self->slots);
    self->free = memory_zero(slots, sizeof *self->free);
    self->free_len = memory_zero(options->clients, sizeof *self->free_len);
    for (uint32_t client = 0; client < options->clients; client++) {
        for (uint32_t i = 0; i < options->window; i++)
            self->free[client * options->window + i] = client * options->window + i;
        self->free_len[client] = options->window;
    }
    self->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    CHECK(self->wake >= 0);
    pthread_mutex_init(&self->lock, NULL);
}

static void s_free(load_t *self)
{
    pthread_mutex_destroy(&self->lock);
    close(self->wake);
    free(self->payload);
    free(self->slots);
    free(self->free);
    free(self->free_len);
    buffer_free(&self->endings);
    buffer_free(&self->taken);
}

void load_run(const load_options_t *options, load_figures_t *ret_figures)
{
    load_t self;
    s_init(&self, options, ret_figures);
    if (options->peer->prepare)
        options->peer->prepare(&options->target);
    crowd_open(&self.submitters, options->peer, &options->target, PEER_SUBMITTER, options->clients,
               self.wake);
    if (options->workers > 0) {
        crowd_open(&self.workers, options->peer, &options->target, PEER_WORKER, options->workers,
                   -1);
        CHECK(pthread_create(&self.thread, NULL, s_work, &self) == 0);
    }
    s_load_for(&self, options->warmup_seconds);
    self.measuring = true;
    double cpu = s_cpu_seconds();
    ret_figures->seconds = (double)s_load_for(&self, options->seconds) / 1e6;
    ret_figures->cpu_seconds = s_cpu_seconds() - cpu;
    self.measuring = false;
    s_drain(&self);
    if (options->workers > 0) {
        atomic_store_explicit(&self.ending, true, memory_order_release);
        CHECK(pthread_join(self.thread, NULL) == 0);
        crowd_close(&self.workers);
    }
    crowd_close(&self.submitters);
    s_free(&self);
}
