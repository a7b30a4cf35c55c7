#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "tests/sim/checker.h"
#include "tests/sim/database.h"
#include "tests/sim/machine.h"
#include "tests/sim/network.h"
#include "tests/sim/planted.h"
#include "tests/sim/schedule.h"
#include "tests/sim/talker.h"
#include "tests/sim/told.h"
#include "tests/sim/wires.h"

/* So much happening in one seed is a loop that no time passes in. */
enum { EVENTS_MAX = 3000000 };

static world_t *s_current;

world_t *world_current(void)
{
    return s_current;
}

world_t *world_new(uint64_t seed, const plan_t *plan, bool print)
{
    world_t *self = memory_zero(1, sizeof *self);
    self->seed = seed;
    self->print = print;
    if (plan)
        self->plan = *plan;
    self->random = (random_t){seed};
    self->trace_hash = seed;
    s_current = self;
    options_draw(&self->options, seed);
    self->checker = checker_new(self);
    self->told = told_new(self);
    self->planted = planted_new(self);
    self->database = database_sim_new(self);
    self->network = network_new(self);
    self->wires = wires_new(self);
    for (int i = 0; i < WORLD_NODES; i++)
        self->machines[i] = machine_new(self, i);
    talkers_new(self);
    self->schedule = schedule_new(self);
    return self;
}

void world_destroy(world_t **self_p)
{
    world_t *self = *self_p;
    if (!self)
        return;
    self->over = true;
    for (int i = 0; i < WORLD_NODES; i++)
        machine_destroy(&self->machines[i]);
    for (size_t i = 0; i < self->events_len; i++) {
        event_t *event = &self->events[i];
        if (event->drop)
            event->drop(self, event->data);
        else
            free(event->data);
    }
    free(self->events);
    schedule_destroy(&self->schedule);
    planted_destroy(&self->planted);
    talkers_destroy(self);
    wires_destroy(&self->wires);
    network_destroy(&self->network);
    for (size_t i = 0; i < self->servers_len; i++)
        database_sim_destroy(&self->servers[i]);
    told_destroy(&self->told);
    checker_destroy(&self->checker);
    free(self);
    *self_p = NULL;
    s_current = NULL;
}

/* ---- Events: a binary heap by time, then by the order in which they were asked for ---- */

static bool s_before(const event_t *a, const event_t *b)
{
    return a->at != b->at ? a->at < b->at : a->serial < b->serial;
}

void world_at(world_t *self, usec_t at, event_fn *run, event_fn *drop, void *data)
{
    if (self->events_len == self->events_capacity) {
        self->events_capacity = self->events_capacity * 2 + 256;
        self->events = memory_resize(self->events, self->events_capacity * sizeof *self->events);
    }
    event_t event = {at > self->now ? at : self->now, ++self->serial, run, drop, data};
    size_t hole = self->events_len++;
    while (hole > 0 && s_before(&event, &self->events[(hole - 1) / 2])) {
        self->events[hole] = self->events[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    self->events[hole] = event;
}

static event_t s_next(world_t *self)
{
    event_t first = self->events[0];
    event_t last = self->events[--self->events_len];
    size_t hole = 0;
    for (;;) {
        size_t child = hole * 2 + 1;
        if (child >= self->events_len)
            break;
        if (child + 1 < self->events_len &&
            s_before(&self->events[child + 1], &self->events[child]))
            child++;
        if (!s_before(&self->events[child], &last))
            break;
        self->events[hole] = self->events[child];
        hole = child;
    }
    if (self->events_len > 0)
        self->events[hole] = last;
    return first;
}

bool world_step(world_t *self, usec_t until)
{
    if (self->events_len == 0 || self->events[0].at > until)
        return false;
    event_t event = s_next(self);
    self->now = event.at;
    event.run(self, event.data);
    if (++self->happened > EVENTS_MAX)
        world_violation(self, "progress",
                        "%d events happened and time stands at %lld us: "
                        "something asks to be woken without end",
                        EVENTS_MAX, (long long)self->now);
    return true;
}

void world_run(world_t *self)
{
    while (!self->over && world_step(self, USEC_NEVER))
        continue;
}

/* ---- Chance ---- */

usec_t world_between(world_t *self, usec_t low, usec_t high)
{
    return high > low ? low + (usec_t)random_below(&self->random, (size_t)(high - low + 1)) : low;
}

bool world_chance(world_t *self, unsigned per_mille)
{
    return per_mille > 0 && random_below(&self->random, 1000) < per_mille;
}

/* ---- Trace ---- */

static void s_mix(world_t *self, uint64_t value)
{
    self->trace_hash = (self->trace_hash ^ value) * UINT64_C(0x9E3779B97F4A7C15);
    self->trace_hash ^= self->trace_hash >> 29;
}

static void s_mix_text(world_t *self, const char *text)
{
    uint64_t value = 0;
    for (; *text; text++)
        value = value * 31 + (uint8_t)*text;
    s_mix(self, value);
}

static void s_head(const world_t *self, const char *who, const char *what)
{
    printf("%3lld.%06lld %-10s %-16s", (long long)(self->now / USEC_PER_SECOND),
           (long long)(self->now % USEC_PER_SECOND), who, what);
}

void world_trace(world_t *self, const char *who, const char *what, uint64_t a, uint64_t b)
{
    s_mix(self, (uint64_t)self->now);
    s_mix_text(self, who);
    s_mix_text(self, what);
    s_mix(self, a);
    s_mix(self, b);
    if (!self->print)
        return;
    s_head(self, who, what);
    printf(" %llu %llu\n", (unsigned long long)a, (unsigned long long)b);
}

void world_trace_text(world_t *self, const char *who, const char *what, const char *format, ...)
{
    s_mix(self, (uint64_t)self->now);
    s_mix_text(self, who);
    s_mix_text(self, what);
    if (!self->print)
        return;
    s_head(self, who, what);
    putchar(' ');
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

bool world_violation(world_t *self, const char *promise, const char *format, ...)
{
    if (self->failed)
        return false;
    self->failed = true;
    self->over = true;
    int len = snprintf(self->violation, sizeof self->violation, "%s at %lld.%06lld: ", promise,
                       (long long)(self->now / USEC_PER_SECOND),
                       (long long)(self->now % USEC_PER_SECOND));
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(self->violation + len, sizeof self->violation - (size_t)len, format, arguments);
    va_end(arguments);
    if (self->print)
        printf("VIOLATION %s\n", self->violation);
    return false;
}
