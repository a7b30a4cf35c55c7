#include "tests/interleavings/interleaving.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buffer.h"
#include "tests/unit/random.h"

/* Draws steps that make sense where the sessions stand, gives them to both sides and compares. */

enum { STEPS = 30, CLAIMS_MAX = 32, BATCHES_MAX = 64 };

typedef struct {
    uint64_t epoch;
    id128_t generation;
} claim_t;

typedef struct {
    random_t random;
    identity_t identity;
    claim_t claims[CLAIMS_MAX]; /* that may be in the row, by number of the session's attempt */
    size_t claims_len;
    batch_t *batches[BATCHES_MAX]; /* that were ever sent; the first is none: the genesis */
    size_t batches_len;
    id128_t genesis;
    shown_t shown[SESSIONS];
    shown_t named[SESSIONS];       /* with the sessions that the real server named */
    act_kind_t kinds[SESSIONS];    /* of the transaction that a session is in */
    id128_t generations[SESSIONS]; /* CHANGE: what it claims */
    uint64_t head;                 /* as the sessions have heard of it, and its hash */
    id128_t hash;
    uint64_t checkpoint;
    const batch_t *sent[SESSIONS];
    uint64_t image_to[SESSIONS];
    buffer_t histories[2];
    char *what;
    size_t size;
} run_t;

void answer_status(char answer[ANSWER_SIZE], uint64_t epoch, id128_t generation, uint64_t head,
                   id128_t hash, uint64_t checkpoint)
{
    snprintf(answer, ANSWER_SIZE,
             "epoch %" PRIu64 " (%02x%02x) head %" PRIu64 " (%02x%02x) checkpoint %" PRIu64, epoch,
             generation.bytes[0], generation.bytes[1], head, hash.bytes[0], hash.bytes[1],
             checkpoint);
}

/* ---- What is drawn ---- */

static bool s_chance(run_t *self, size_t percent)
{
    return random_below(&self->random, 100) < percent;
}

/* Mostly the newest claim; sometimes an old one, or nonsense. */
static void s_draw_claim(run_t *self, act_t *step)
{
    size_t last = self->claims_len - 1;
    const claim_t *claim =
        &self->claims[s_chance(self, 70) ? last : random_below(&self->random, last + 1)];
    step->epoch = claim->epoch;
    step->generation = claim->generation;
    if (s_chance(self, 5))
        step->epoch++;
    if (s_chance(self, 5))
        step->identity.database_oid++;
}

static batch_t *s_make_batch(run_t *self, const act_t *step, uint64_t index, id128_t hash)
{
    static const char entries[] = "entries";
    if (self->batches_len == BATCHES_MAX)
        return NULL;
    uint64_t last = index + 1 + random_below(&self->random, 3);
    batch_t *batch = batch_new(step->epoch, index + 1, last, hash, 0, 1767225600000000,
                               (text_t){entries, sizeof entries});
    self->batches[self->batches_len++] = batch;
    return batch;
}

/* Continues the head, or something older; or is one that was sent before. */
static bool s_draw_batch(run_t *self, act_t *step)
{
    const batch_t *old =
        self->batches_len ? self->batches[random_below(&self->random, self->batches_len)] : NULL;
    if (old && s_chance(self, 15))
        step->batch = old;
    else if (old && s_chance(self, 15))
        step->batch = s_make_batch(self, step, old->last, old->hash);
    else if (old && s_chance(self, 10))
        step->batch = s_make_batch(self, step, old->first - 1, old->previous);
    else
        step->batch = s_make_batch(self, step, self->head, self->hash);
    if (step->batch)
        step->epoch = step->batch->epoch; /* a batch is of one epoch for ever */
    return step->batch != NULL;
}

static void s_draw_place(run_t *self, act_t *step)
{
    const batch_t *old =
        self->batches_len ? self->batches[random_below(&self->random, self->batches_len)] : NULL;
    step->index = old ? old->last : 0;
    step->hash = old ? old->hash : self->genesis;
    if (s_chance(self, 30)) {
        step->index = 0;
        step->hash = self->genesis;
    }
}

static void s_draw_idle(run_t *self, act_t *step)
{
    static const act_kind_t kinds[] = {ACT_STATUS, ACT_FOLLOW, ACT_INSERT, ACT_INSERT, ACT_INSERT,
                                       ACT_INSERT, ACT_IMAGE,  ACT_IMAGE,  ACT_LOCK,   ACT_LOCK};
    step->kind = kinds[random_below(&self->random, sizeof kinds / sizeof *kinds)];
    s_draw_claim(self, step);
    if (step->kind == ACT_FOLLOW)
        s_draw_place(self, step);
    if (step->kind == ACT_INSERT && !s_draw_batch(self, step))
        step->kind = ACT_STATUS;
    if (step->kind == ACT_IMAGE) {
        step->identity = self->identity;
        step->from = s_chance(self, 85) ? self->checkpoint : self->checkpoint + 1;
        step->index = self->checkpoint + 1 + random_below(&self->random, 4);
        step->hash = random_id(&self->random);
    }
}

/* True when no commit that is on its way, which a claim would not end, is before it. */
static bool s_may_end(const run_t *self, int session)
{
    if (self->kinds[session] != ACT_LOCK || !self->shown[session].behind)
        return false;
    for (int i = 0; i < SESSIONS; i++)
        if (self->shown[session].behind & 1u << i &&
            (self->kinds[i] == ACT_IMAGE ||
             (self->kinds[i] == ACT_INSERT && self->shown[i].place == STAND_COMMIT)))
            return false;
    return true;
}

/* False: this session can do nothing now. */
static bool s_draw_step(run_t *self, int session, act_t *step)
{
    *step = (act_t){.session = session, .identity = self->identity};
    switch (self->shown[session].place) {
    case STAND_IDLE:
        s_draw_idle(self, step);
        return true;
    case STAND_LOCKED:
        step->kind = s_chance(self, 70) ? ACT_CHANGE : ACT_LEAVE;
        if (step->kind == ACT_CHANGE && self->claims_len == CLAIMS_MAX)
            step->kind = ACT_LEAVE;
        step->generation = random_id(&self->random);
        return true;
    case STAND_COMMIT:
        step->kind = ACT_COMMIT;
        return true;
    default:
        step->kind = ACT_END;
        step->blockers = self->named[session].behind;
        return s_may_end(self, session) && s_chance(self, 30);
    }
}

/* ---- What became of it ---- */

/* What a session is about. */
static void s_note(run_t *self, const act_t *step)
{
    if (step->kind <= ACT_FOLLOW || step->kind >= ACT_COMMIT)
        return;
    self->kinds[step->session] = step->kind;
    self->sent[step->session] = step->batch;
    self->image_to[step->session] = step->index;
    self->generations[step->session] = step->generation;
}

/* Notes what a client would know: the head, the checkpoint, the epochs. */
static void s_learn(run_t *self, const act_t *step)
{
    const shown_t *shown = &self->shown[step->session];
    if (step->kind != ACT_COMMIT || strcmp(shown->answer, "ended") == 0)
        return;
    if (self->kinds[step->session] == ACT_INSERT && strcmp(shown->answer, "inserted") == 0) {
        self->head = self->sent[step->session]->last;
        self->hash = self->sent[step->session]->hash;
    }
    if (self->kinds[step->session] == ACT_IMAGE && strcmp(shown->answer, "written") == 0)
        self->checkpoint = self->image_to[step->session];
    claim_t claim = {.generation = self->generations[step->session]};
    if (self->kinds[step->session] == ACT_CHANGE &&
        sscanf(shown->answer, "epoch %" SCNu64, &claim.epoch) == 1)
        self->claims[self->claims_len++] = claim;
}

/* Whom somebody waits for in the end: those that do not wait themselves. In which order the server
 * queues the others is its own affair. */
static void s_holders(shown_t shown[SESSIONS])
{
    for (int round = 0; round < SESSIONS; round++)
        for (int i = 0; i < SESSIONS; i++)
            for (int j = 0; j < SESSIONS; j++)
                if (shown[i].behind & 1u << j)
                    shown[i].behind |= shown[j].behind;
    for (int i = 0; i < SESSIONS; i++)
        for (int j = 0; j < SESSIONS; j++)
            if (shown[j].place == STAND_WAITS)
                shown[i].behind &= ~(1u << j);
}

static void s_write_step(buffer_t *history, const act_t *step)
{
    static const char *const names[] = {"status", "follow", "insert", "image", "lock",
                                        "change", "commit", "leave",  "end"};
    buffer_printf(history, "  %c %-6s", 'a' + step->session, names[step->kind]);
    if (step->kind == ACT_INSERT)
        buffer_printf(history, " %" PRIu64 "-%" PRIu64 " epoch %" PRIu64, step->batch->first,
                      step->batch->last, step->epoch);
    if (step->kind == ACT_IMAGE)
        buffer_printf(history, " %" PRIu64 "-%" PRIu64, step->from, step->index);
    if (step->kind == ACT_FOLLOW)
        buffer_printf(history, " %" PRIu64, step->index);
    if (step->kind == ACT_INSERT || step->kind == ACT_IMAGE || step->kind == ACT_CHANGE)
        buffer_printf(history, " (%02x%02x)", step->generation.bytes[0], step->generation.bytes[1]);
}

/* One line: where each session stands, and what the one that did the step was answered. */
static void s_write_shown(buffer_t *history, const shown_t before[SESSIONS],
                          const shown_t shown[SESSIONS])
{
    static const char *const places[] = {"", "waits", "locked", "at commit"};
    buffer_printf(history, " →");
    for (int i = 0; i < SESSIONS; i++) {
        if (shown[i].place != STAND_IDLE)
            buffer_printf(history, " %c %s", 'a' + i, places[shown[i].place]);
        for (int j = 0; j < SESSIONS; j++)
            if (shown[i].behind & 1u << j)
                buffer_printf(history, "%c", 'a' + j);
        if (strcmp(before[i].answer, shown[i].answer) != 0 || before[i].place != shown[i].place)
            buffer_printf(history, " %c: %s;", 'a' + i, shown[i].answer);
    }
    buffer_printf(history, "\n");
}

static bool s_same(const shown_t a[SESSIONS], const shown_t b[SESSIONS])
{
    for (int i = 0; i < SESSIONS; i++)
        if (a[i].place != b[i].place || a[i].behind != b[i].behind ||
            strcmp(a[i].answer, b[i].answer) != 0)
            return false;
    return true;
}

/* `simulated` may be NULL: then only the real side counts. */
static bool s_both(run_t *self, simulated_t *simulated, real_t *real, const act_t *step,
                   figures_t *figures)
{
    shown_t shown[2][SESSIONS];
    real_step(real, step, shown[1]);
    if (simulated)
        simulated_step(simulated, step, shown[1], shown[0]);
    else
        memcpy(shown[0], shown[1], sizeof shown[0]);
    memcpy(self->named, shown[1], sizeof self->named);
    s_note(self, step);
    for (int side = 0; side < 2; side++) {
        s_holders(shown[side]);
        s_write_step(&self->histories[side], step);
        s_write_shown(&self->histories[side], self->shown, shown[side]);
    }
    figures->steps++;
    figures->waited += shown[1][step->session].place == STAND_WAITS && step->kind != ACT_END;
    figures->ended += step->kind == ACT_END;
    memcpy(self->shown, shown[1], sizeof self->shown);
    s_learn(self, step);
    if (s_same(shown[0], shown[1]))
        return true;
    snprintf(self->what, self->size, "session %c: the two databases differ", 'a' + step->session);
    return false;
}

/* ---- One seed ---- */

static bool s_steps(run_t *self, simulated_t *simulated, real_t *real, figures_t *figures)
{
    act_t step;
    for (int i = 0; i < STEPS; i++)
        if (s_draw_step(self, (int)random_below(&self->random, SESSIONS), &step) &&
            !s_both(self, simulated, real, &step, figures))
            return false;
    /* All that is open is committed, or given up. */
    for (bool any = true; any;) {
        any = false;
        for (int i = 0; i < SESSIONS; i++) {
            if (self->shown[i].place != STAND_COMMIT && self->shown[i].place != STAND_LOCKED)
                continue;
            any = true;
            step = (act_t){.session = i,
                           .identity = self->identity,
                           .kind = self->shown[i].place == STAND_COMMIT ? ACT_COMMIT : ACT_LEAVE};
            if (!s_both(self, simulated, real, &step, figures))
                return false;
        }
    }
    return true;
}

static bool s_compare_tables(run_t *self, const simulated_t *simulated, real_t *real)
{
    char tables[2][TABLES_SIZE];
    simulated_tables(simulated, tables[0]);
    real_tables(real, tables[1]);
    for (int side = 0; side < 2; side++)
        buffer_printf(&self->histories[side], "  tables: %s\n", tables[side]);
    if (strcmp(tables[0], tables[1]) == 0)
        return true;
    snprintf(self->what, self->size, "at the end the tables differ");
    return false;
}

static void s_print(const run_t *self, uint64_t seed)
{
    static const char *const names[] = {"simulated", "PostgreSQL"};
    for (int side = 0; side < 2; side++)
        printf("seed %" PRIu64 ", %s:\n%.*s", seed, names[side], (int)self->histories[side].len,
               (const char *)self->histories[side].bytes);
}

static void s_init(run_t *self, real_t *real, uint64_t seed)
{
    *self = (run_t){.random = {seed}, .claims_len = 1};
    real_reset(real);
    real_identity(real, &self->identity, &self->genesis);
    self->hash = self->genesis;
}

static void s_free(run_t *self)
{
    for (size_t i = 0; i < self->batches_len; i++)
        batch_destroy(&self->batches[i]);
    for (int side = 0; side < 2; side++)
        buffer_free(&self->histories[side]);
}

bool interleaving_run(real_t *real, uint64_t seed, bool print, figures_t *figures, char *ret_what,
                      size_t size)
{
    run_t self;
    s_init(&self, real, seed);
    self.what = ret_what;
    self.size = size;
    simulated_t *simulated = simulated_new(&self.identity, self.genesis);
    bool same =
        s_steps(&self, simulated, real, figures) && s_compare_tables(&self, simulated, real);
    if (!same && print)
        s_print(&self, seed);
    simulated_destroy(&simulated);
    s_free(&self);
    return same;
}

bool interleaving_run_alone(real_t *real, uint64_t seed, char *ret_what, size_t size)
{
    run_t self;
    figures_t figures;
    s_init(&self, real, seed);
    s_steps(&self, NULL, real, &figures);
    s_free(&self);
    return !real_harm(real, ret_what, size);
}
