#include "tests/sim/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "tests/sim/checker.h"
#include "tests/sim/engine_file.h"
#include "tests/sim/network.h"
#include "tests/sim/planted.h"
#include "tests/sim/schedule.h"
#include "tests/sim/seen_agents.h"
#include "tests/sim/skipping.h"
#include "tests/sim/told.h"
#include "tests/sim/wires.h"

enum { FRAMES_A_TURN = 100 };

/* ---- Life ---- */

machine_t *machine_new(world_t *world, int number)
{
    machine_t *self = memory_zero(1, sizeof *self);
    self->world = world;
    self->number = number;
    self->name[0] = (char)('a' + number);
    self->last = &self->first;
    self->turn_at = USEC_NEVER;
    self->boot_offset = world_between(world, 1000, 3600 * USEC_PER_SECOND);
    self->wall_offset = INT64_C(1700000000000000) + world_between(world, 0, USEC_PER_SECOND);
    return self;
}

static void s_input_destroy(input_t *input)
{
    free(input->bytes);
    state_destroy(&input->state);
    for (size_t i = 0; i < input->batches_len; i++)
        batch_destroy(&input->batches[i]);
    free(input->batches);
    free(input);
}

static void s_clear(machine_t *self)
{
    while (self->first) {
        input_t *input = self->first;
        self->first = input->next;
        s_input_destroy(input);
    }
    self->last = &self->first;
    self->inputs = 0;
    for (size_t i = 0; i < self->postponed_len; i++) {
        postponed_t *postponed = &self->postponed[i];
        if (postponed->drop)
            postponed->drop(self->world, postponed->data);
        else
            free(postponed->data);
    }
    self->postponed_len = 0;
    lanes_close(self);
    access_clear(self);
    memset(self->sessions, 0, sizeof self->sessions);
    memset(self->connections, 0, sizeof self->connections);
}

void machine_destroy(machine_t **self_p)
{
    machine_t *self = *self_p;
    if (!self)
        return;
    self->life = 0;
    s_clear(self);
    pair_destroy(&self->pair);
    free(self->postponed);
    free(self);
    *self_p = NULL;
}

bool machine_runs(const machine_t *self)
{
    return self->pair != NULL;
}

usec_t machine_boot_time(const machine_t *self)
{
    usec_t since = self->world->now - self->drift_since;
    return self->world->now + self->boot_offset + since * self->drift_ppm / 1000000;
}

/* When its clock of the boot time shows this. */
static usec_t s_time_of_boot(const machine_t *self, usec_t boot_time)
{
    if (boot_time == USEC_NEVER)
        return USEC_NEVER;
    usec_t left = boot_time - machine_boot_time(self);
    if (self->drift_ppm)
        left = left * 1000000 / (1000000 + self->drift_ppm) + 1;
    return self->world->now + left;
}

void machine_drift(machine_t *self, int64_t ppm)
{
    self->boot_offset = machine_boot_time(self) - self->world->now;
    self->drift_since = self->world->now;
    self->drift_ppm = ppm;
}

static void s_plan(machine_t *self, usec_t at);

/* ---- DAPs ---- */

/* A route: the first byte is the way that it takes, plus one; the second tells two of the same way
 * apart. */
static pair_dap_t s_dap(size_t name, size_t way, size_t version)
{
    pair_dap_t dap = {.route = {{(uint8_t)(way + 1), (uint8_t)version}},
                      .weight = (uint32_t)(1 + version),
                      .line = (uint32_t)name + 1};
    snprintf(dap.name, sizeof dap.name, "dap-%zu", name + 1);
    return dap;
}

static void s_open_dap(machine_t *self, size_t number, const pair_dap_t *dap)
{
    self->daps[number] = *dap;
    self->ways[number] = dap->route.bytes[0] - 1u;
    self->access[number] = (access_lane_t){0};
}

/* What is remembered, where something is; otherwise the file. */
static void s_begin_daps(machine_t *self, pair_options_t *pair)
{
    bool remembered = self->has_memory && self->remembered_len > 0;
    if (self->file_len == 0)
        for (size_t i = 0; i < self->world->options.daps_len; i++)
            self->file[self->file_len++] = s_dap(i, i, 0);
    const pair_dap_t *daps = remembered ? self->remembered : self->file;
    for (size_t i = 0; i < PAIR_MAX_DAPS; i++)
        self->ways[i] = MACHINE_WAYS;
    pair->daps_len = remembered ? self->remembered_len : self->file_len;
    for (size_t i = 0; i < pair->daps_len; i++) {
        s_open_dap(self, i, &daps[i]);
        pair->daps[i] = daps[i];
        pair->daps[i].remembered = remembered;
    }
}

static void s_set_daps(machine_t *self)
{
    error_t error = {0};
    if (!pair_set_daps(self->pair, self->file, self->file_len, &error))
        world_trace_text(self->world, self->name, "reload-refused", "%s", error.text);
}

static void s_dap_action(machine_t *self, const pair_action_t *action)
{
    if (action->kind == PAIR_REMEMBER_DAPS) {
        self->remembered_len = action->daps_len;
        for (size_t i = 0; i < action->daps_len; i++)
            self->remembered[i] = self->daps[action->daps[i]];
        return;
    }
    bool open = self->ways[action->dap] != MACHINE_WAYS;
    if (open == (action->kind == PAIR_DAP_OPEN) || (open && self->access[action->dap].busy))
        world_violation(self->world, "contract", "%s opens or closes DAP %zu at the wrong time",
                        self->name, action->dap);
    if (action->kind == PAIR_DAP_CLOSE) {
        self->ways[action->dap] = MACHINE_WAYS;
        return;
    }
    for (size_t i = 0; i < self->file_len; i++)
        if (id_equal(self->file[i].route, action->route)) {
            s_open_dap(self, action->dap, &self->file[i]);
            return;
        }
    world_violation(self->world, "contract", "%s opens a DAP that its file does not have",
                    self->name);
}

/* Some of the ways, in some order, under names of their own or each other's. */
void machine_reload(machine_t *self)
{
    world_t *world = self->world;
    size_t ways = world->options.daps_len;
    size_t turn = (size_t)world_between(world, 0, (usec_t)ways - 1);
    self->file_len = 0;
    for (size_t i = 0; i < ways; i++) {
        size_t way = (i + turn) % ways;
        if (self->file_len > 0 && world_chance(world, 300))
            continue;
        size_t name = world_chance(world, 700) ? way : ways + i;
        self->file[self->file_len++] = s_dap(name, way, (size_t)world_between(world, 0, 2));
    }
    if (self->pair)
        machine_give(self, machine_input(self, INPUT_RELOAD));
}

void machine_start(machine_t *self)
{
    static const char *const endpoints[] = {"tcp://a:1", "tcp://b:1"};
    world_t *world = self->world;
    const options_t *options = &world->options;
    CHECK(!self->pair);
    self->life = ++self->lives;
    self->incarnation = random_id(&world->random);
    self->frozen = false;
    self->stopping = false;
    pair_options_t pair = {
        .name = self->name,
        .client_endpoint = endpoints[self->number],
        .has_peer = true,
        .preferred = options->preferred == self->number,
        .manual = options->manual[self->number],
        .incarnation = self->incarnation,
        .has_memory = self->has_memory,
        .memory = self->memory,
        .poison = &self->poison,
        .desk = planted_desk(world->planted, self->number),
        .failover_timeout = options->failover_timeout,
        .heartbeat = options->heartbeat,
        .beat = options->beat,
        .node = {.engine = {.node = self->name,
                            .heartbeat_ms = (uint32_t)(options->client_heartbeat / USEC_PER_MS),
                            .max_clients = 100},
                 .configuration = engine_file_of(options),
                 .retry_after = options->retry_after,
                 .max_unfinished = 1024 * 1024,
                 .checkpoint_interval = options->checkpoint_interval,
                 .checkpoint_max_lag = 16 * 1024 * 1024},
        .configuration = engine_file_of(options),
        .boot_time = machine_boot_time(self),
        .wall_time = world->now + self->wall_offset,
    };
    s_begin_daps(self, &pair);
    planted_find(world->planted, self->number, pair.wall_time);
    world_trace(world, self->name, "started", self->life, self->has_memory);
    self->pair = pair_new(&pair);
    s_set_daps(self);
    self->role = pair_role(self->pair);
    network_process_started(world, self->number);
    s_plan(self, world->now);
}

void machine_kill(machine_t *self, bool heard)
{
    world_t *world = self->world;
    if (!self->pair)
        return;
    world_trace(world, self->name, heard ? "killed" : "power-lost", self->life, self->role);
    uint64_t life = self->life;
    self->life = 0;
    self->turn_at = USEC_NEVER;
    self->turn_serial++;
    pair_destroy(&self->pair);
    s_clear(self);
    self->frozen = false;
    if (!heard) {
        self->boot_offset = world_between(world, 1000, 60 * USEC_PER_SECOND) - world->now;
        self->drift_since = world->now;
    }
    checker_process_gone(world->checker, self->number);
    network_process_gone(world, self->number, heard);
    wires_process_gone(world, self->number, heard);
    database_sim_node_gone(world, self->number, life, heard);
}

void machine_freeze(machine_t *self)
{
    if (!self->pair || self->frozen)
        return;
    world_trace(self->world, self->name, "frozen", self->life, self->role);
    self->frozen = true;
}

void machine_stop(machine_t *self)
{
    if (!self->pair || self->stopping)
        return;
    world_trace(self->world, self->name, "asked-to-stop", self->life, self->role);
    self->stopping = true;
    machine_give(self, machine_input(self, INPUT_STOP));
}

/* ---- Events of this process ---- */

typedef struct {
    machine_t *machine;
    uint64_t life;
    postponed_t what;
} inside_t;

static void s_drop_inside(world_t *world, void *data)
{
    postponed_t what = ((inside_t *)data)->what;
    free(data);
    if (what.drop)
        what.drop(world, what.data);
    else
        free(what.data);
}

static void s_run_inside(world_t *world, void *data)
{
    inside_t *inside = data;
    machine_t *self = inside->machine;
    if (inside->life != self->life) {
        s_drop_inside(world, data);
        return;
    }
    postponed_t what = inside->what;
    free(inside);
    if (!self->frozen) {
        what.run(world, what.data);
        return;
    }
    if (self->postponed_len == self->postponed_capacity) {
        self->postponed_capacity = self->postponed_capacity * 2 + 16;
        self->postponed =
            memory_resize(self->postponed, self->postponed_capacity * sizeof *self->postponed);
    }
    self->postponed[self->postponed_len++] = what;
}

void machine_at(machine_t *self, uint64_t life, usec_t at, event_fn *run, event_fn *drop,
                void *data)
{
    inside_t *inside = memory_new(sizeof *inside);
    *inside = (inside_t){self, life, {run, drop, data}};
    world_at(self->world, at, s_run_inside, s_drop_inside, inside);
}

void machine_thaw(machine_t *self)
{
    if (!self->pair || !self->frozen)
        return;
    world_trace(self->world, self->name, "thawed", self->life, self->role);
    self->frozen = false;
    for (size_t i = 0; i < self->postponed_len; i++) {
        postponed_t *what = &self->postponed[i];
        machine_at(self, self->life, self->world->now + (usec_t)i, what->run, what->drop,
                   what->data);
    }
    self->postponed_len = 0;
    network_thawed(self->world, self->number);
    s_plan(self, self->world->now + world_between(self->world, 0, 300));
}

/* ---- Inputs ---- */

input_t *machine_input(machine_t *self, input_kind_t kind)
{
    input_t *input = memory_new(sizeof *input);
    memset(input, 0, offsetof(input_t, status));
    input->kind = kind;
    input->serial = self->serial;
    return input;
}

void machine_give(machine_t *self, input_t *input)
{
    if (!self->pair) {
        s_input_destroy(input);
        return;
    }
    *self->last = input;
    self->last = &input->next;
    self->inputs++;
    s_plan(self, self->world->now + world_between(self->world, 5, 60));
}

static void s_frame(machine_t *self, const input_t *input)
{
    engine_frame_t answer;
    size_t talker = input->talker;
    if (input->connection != self->connections[talker])
        return; /* of a connection that is closed by now */
    if (pair_visit(self->pair, input->bytes, input->len, &answer)) {
        wires_to_talker(self, talker, answer.bytes, answer.len);
        return;
    }
    if (!pair_serves(self->pair)) {
        world_violation(self->world, "contract",
                        "%s is %s and does not serve, but leaves a client's frame unanswered",
                        self->name, role_name(pair_role(self->pair)));
        return;
    }
    if (!self->sessions[talker])
        self->sessions[talker] = pair_session_open(self->pair);
    if (self->sessions[talker]) {
        told_received(self->world, self->number, talker, input->bytes, input->len);
        pair_receive(self->pair, self->sessions[talker], input->bytes, input->len);
        return;
    }
    pair_busy_frame(self->pair, &answer);
    wires_to_talker(self, talker, answer.bytes, answer.len);
}

static void s_closed(machine_t *self, const input_t *input)
{
    if (input->connection < self->connections[input->talker])
        return;
    if (self->sessions[input->talker])
        pair_session_lost(self->pair, self->sessions[input->talker]);
    seen_agents_gone(checker_agents(self->world->checker), input->talker);
    self->sessions[input->talker] = 0;
}

static void s_lane_input(machine_t *self, const input_t *input)
{
    if (input->serial != self->serial)
        return; /* of lanes that were closed since */
    switch (input->kind) {
    case INPUT_COMMITTED:
        pair_journal_committed(self->pair, input->index, input->clean);
        return;
    case INPUT_WAITING:
        pair_journal_waiting(self->pair, &input->error);
        return;
    case INPUT_WRITTEN:
        pair_checkpoint_written(self->pair, input->index);
        return;
    case INPUT_DAP_WRONG:
        pair_dap_wrong(self->pair, input->dap, &input->error);
        return;
    case INPUT_TABLES_BEHIND:
        pair_tables_behind(self->pair, &input->error);
        return;
    default:
        pair_lane_stopped(self->pair, &input->error);
    }
}

static void s_hand_in(machine_t *self, input_t *input)
{
    const error_t *error = input->ok ? NULL : &input->error;
    const database_status_t *status = input->ok ? &input->status : NULL;
    state_t *state = input->state;
    switch (input->kind) {
    case INPUT_FRAME:
        s_frame(self, input);
        return;
    case INPUT_CLOSED:
        s_closed(self, input);
        return;
    case INPUT_LINK:
        pair_peer_link(self->pair, input->link);
        return;
    case INPUT_PEER:
        planted_frame(self->world->planted, input->bytes, input->len);
        pair_peer_receive(self->pair, input->bytes, input->len);
        return;
    case INPUT_OBSERVED:
        pair_observed(self->pair, input->dap, status, error);
        return;
    case INPUT_CLAIMED:
        pair_claimed(self->pair, input->dap, status, input->generation, error);
        return;
    case INPUT_LOADED:
        input->state = NULL;
        pair_loaded(self->pair, input->dap, state, status, error);
        return;
    case INPUT_FOLLOWED: {
        size_t len = input->batches_len;
        input->batches_len = 0; /* the batches are the pair's from here on */
        pair_followed(self->pair, input->dap, input->batches, len, input->gone, error);
        return;
    }
    case INPUT_RELOAD:
        s_set_daps(self);
        return;
    case INPUT_STOP:
        pair_stop(self->pair);
        return;
    default:
        s_lane_input(self, input);
    }
}

/* What has arrived, a bounded number of frames; those that the pair has no room for stay. */
static bool s_receive(machine_t *self)
{
    input_t *kept = NULL;
    input_t **kept_last = &kept;
    size_t frames = 0;
    while (self->first) {
        input_t *input = self->first;
        self->first = input->next;
        input->next = NULL;
        self->inputs--;
        if (input->kind == INPUT_FRAME && pair_serves(self->pair) &&
            (frames++ >= FRAMES_A_TURN || !pair_may_receive(self->pair))) {
            *kept_last = input;
            kept_last = &input->next;
            continue;
        }
        if (!planted_crashed(self->world->planted))
            s_hand_in(self, input);
        s_input_destroy(input);
    }
    self->last = &self->first;
    while (kept) {
        *self->last = kept;
        self->last = &kept->next;
        self->inputs++;
        kept = kept->next;
    }
    return self->inputs == 0;
}

/* ---- Actions ---- */

static void s_remember(machine_t *self, const identity_memory_t *memory)
{
    self->has_memory = true;
    self->memory = *memory;
    pair_remembered(self->pair, memory, NULL);
    checker_accepts(self->world->checker, self->number, memory);
}

static void s_broadcast(machine_t *self, uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < self->world->talkers_len; i++) {
        self->sessions[i] = 0;
        if (self->connections[i])
            wires_to_talker(self, i, memory_copy(bytes, len), len);
    }
    free(bytes);
}

static bool s_act(machine_t *self, pair_action_t *action)
{
    world_t *world = self->world;
    switch (action->kind) {
    case PAIR_OBSERVE:
    case PAIR_CLAIM:
    case PAIR_LOAD:
    case PAIR_FOLLOW:
        access_begin(self, action);
        return true;
    case PAIR_OPEN:
        lanes_open(self, action);
        return true;
    case PAIR_PROVE:
        lanes_prove(self, &action->instance);
        return true;
    case PAIR_CLOSE:
        lanes_close(self);
        return true;
    case PAIR_USE:
        lanes_use(self, action);
        return true;
    case PAIR_DAP_OPEN:
    case PAIR_DAP_CLOSE:
    case PAIR_REMEMBER_DAPS:
        s_dap_action(self, action);
        return true;
    case PAIR_REMEMBER:
        s_remember(self, &action->memory);
        return true;
    case PAIR_REMEMBER_POISON:
        self->poison = *pair_poison(self->pair);
        return true;
    case PAIR_SEND:
        network_send(world, self->number, action->bytes, action->len);
        return true;
    case PAIR_BROADCAST:
        s_broadcast(self, action->bytes, action->len);
        return true;
    case PAIR_SAVE:
        checker_saved(world->checker, self->number, action->batch);
        batch_destroy(&action->batch);
        return true;
    case PAIR_SAY:
        world_trace_text(world, self->name, action->event, "%s %s", action->text,
                         action->error.text);
        skipping_reads(world, self->number, action->event, action->text);
        return true;
    case PAIR_STOP:
        world_trace_text(world, self->name, "stops", "%s", action->error.text);
        schedule_stopped(world, self->number, &action->error);
        return false;
    }
    return true;
}

static void s_frames(machine_t *self)
{
    engine_frame_t frame;
    while (pair_next_frame(self->pair, &frame)) {
        size_t talker = 0;
        while (talker < self->world->talkers_len && self->sessions[talker] != frame.session)
            talker++;
        if (talker == self->world->talkers_len) {
            free(frame.bytes); /* its connection is gone */
            continue;
        }
        told_released(self->world, self->number, talker, frame.bytes, frame.len);
        wires_to_talker(self, talker, frame.bytes, frame.len);
    }
    session_t session;
    while (pair_next_ended(self->pair, &session))
        for (size_t i = 0; i < self->world->talkers_len; i++)
            if (self->sessions[i] == session)
                self->sessions[i] = 0;
}

/* False when the process has ended. */
static bool s_actions(machine_t *self)
{
    pair_action_t action;
    bool goes_on = true;
    while (pair_next_action(self->pair, &action))
        goes_on = s_act(self, &action) && goes_on;
    batch_t *batch;
    while ((batch = pair_next_batch(self->pair)))
        lanes_append(self, batch);
    checkpoint_image_t *image = pair_next_image(self->pair);
    if (image)
        lanes_write(self, image);
    s_frames(self);
    return goes_on;
}

static void s_note_role(machine_t *self)
{
    role_t role = pair_role(self->pair);
    if (role == self->role)
        return;
    world_trace_text(self->world, self->name, "role", "%s -> %s", role_name(self->role),
                     role_name(role));
    self->role = role;
    checker_role(self->world->checker, self->number, role);
}

/* ---- Turns ---- */

/* In a quarter of the seeds processors are crowded, now and then. Not drawn: what else happens
 * under a seed stays the same. */
static bool s_is_crowded(const machine_t *self)
{
    uint64_t slice = (uint64_t)self->world->now / (100 * USEC_PER_MS);
    return self->world->seed % 4 == 2 && (slice + self->number) % 3 != 0;
}

typedef struct {
    machine_t *machine;
    uint64_t life;
    uint64_t serial;
} turn_t;

static void s_turn(world_t *world, void *data)
{
    turn_t turn = *(turn_t *)data;
    free(data);
    machine_t *self = turn.machine;
    if (turn.life != self->life || turn.serial != self->turn_serial)
        return;
    self->turn_at = USEC_NEVER;
    if (self->frozen)
        return;
    planted_turn_begin(world->planted, self->number);
    pair_turn_begin(self->pair, machine_boot_time(self), world->now + self->wall_offset);
    pair_set_crowded(self->pair, s_is_crowded(self));
    bool drained = s_receive(self);
    if (!planted_crashed(world->planted))
        pair_turn_end(self->pair, drained);
    if (planted_crashed(world->planted)) {
        machine_kill(self, true);
        schedule_stopped(world, self->number, NULL);
        return;
    }
    self->busy_until = world->now + world_between(world, 5, 40);
    if (!s_actions(self)) {
        machine_kill(self, true);
        return;
    }
    s_note_role(self);
    planted_turn_end(world->planted);
    checker_turn(world->checker);
    usec_t next = pair_next_wakeup(self->pair);
    s_plan(self, s_time_of_boot(self, next));
    if (!drained)
        s_plan(self, world->now + USEC_PER_MS);
}

/* The next turn: not before the one before is over. */
static void s_plan(machine_t *self, usec_t at)
{
    if (at < self->busy_until)
        at = self->busy_until;
    if (at <= self->world->now)
        at = self->world->now + 1;
    if (at >= self->turn_at || self->frozen || at == USEC_NEVER)
        return;
    self->turn_at = at;
    turn_t *turn = memory_new(sizeof *turn);
    *turn = (turn_t){self, self->life, ++self->turn_serial};
    world_at(self->world, at, s_turn, NULL, turn);
}
