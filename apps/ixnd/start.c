#include "apps/ixnd/start.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/log.h"
#include "dap/connection.h"

enum {
    POLL_MS = 200,
    /* A serving node that is idle moves the head at least every second (server.c); so long an
     * unmoved head means that nobody serves. */
    OBSERVE_MS = 2500,
};

bool start_lock(const config_t *config, error_t *ret_error)
{
    if (mkdir(config->state_dir, 0750) != 0 && errno != EEXIST)
        return error_set(ret_error, ERROR_SYSTEM, "cannot make state_dir %s: %s", config->state_dir,
                         strerror(errno));
    char path[CONFIG_PATH_SIZE + 16];
    snprintf(path, sizeof path, "%s/lock", config->state_dir);
    int file = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0640);
    if (file < 0)
        return error_set(ret_error, ERROR_SYSTEM, "cannot open %s: %s", path, strerror(errno));
    if (flock(file, LOCK_EX | LOCK_NB) != 0) {
        close(file);
        return error_set(ret_error, ERROR_SYSTEM,
                         "%s is locked: another ixnd runs with this state_dir; give each node its "
                         "own",
                         path);
    }
    return true; /* the lock lives as long as the process */
}

static void s_pause(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

/* ---- Loading ---- */

typedef struct {
    state_t *state;
    wire_arena_t *arena;
    usec_t begun;
    uint64_t interactions;
} loading_t;

static bool s_on_checkpoint(void *context, uint64_t index, id128_t hash, usec_t log_time,
                            error_t *ret_error)
{
    loading_t *self = context;
    return state_load_checkpoint(self->state, index, hash, log_time) ||
           error_set(ret_error, ERROR_DATABASE_DIVERGED, "a second checkpoint in one load");
}

static bool s_on_configuration(void *context, text_t encoded, error_t *ret_error)
{
    loading_t *self = context;
    return state_load_configuration(self->state, encoded, ret_error);
}

static bool s_on_interaction(void *context, const interaction_row_t *row, error_t *ret_error)
{
    loading_t *self = context;
    self->interactions++;
    return state_load_interaction(self->state, row, ret_error);
}

static bool s_on_completed(void *context, const interaction_row_t *row, error_t *ret_error)
{
    loading_t *self = context;
    return state_load_completed(self->state, row, ret_error);
}

static bool s_on_batch(void *context, const batch_t *batch, error_t *ret_error)
{
    loading_t *self = context;
    return state_apply_batch(self->state, batch, self->arena, ret_error);
}

static void s_on_progress(void *context, uint64_t interactions, uint64_t batches)
{
    (void)context;
    log_info("node.loading", "interactions=%" PRIu64 " batches=%" PRIu64, interactions, batches);
}

static bool s_load(database_t *database, const config_t *config, started_t *started,
                   error_t *ret_error)
{
    loading_t loading = {
        .state = state_new(), .arena = wire_arena_new(), .begun = connection_now()};
    const database_load_t callbacks = {.configuration = s_on_configuration,
                                       .checkpoint = s_on_checkpoint,
                                       .interaction = s_on_interaction,
                                       .completed = s_on_completed,
                                       .batch = s_on_batch,
                                       .progress = s_on_progress,
                                       .context = &loading};
    usec_t window = (usec_t)config->dedupe_window_ms * USEC_PER_MS;
    bool ok = database_load(database, window, &callbacks, ret_error);
    wire_arena_destroy(&loading.arena);
    if (!ok) {
        state_destroy(&loading.state);
        return false;
    }
    log_info("node.loaded",
             "interactions=%" PRIu32 " index=%" PRIu64 " checkpoint=%" PRIu64
             " remembered_keys=%zu ms=%" PRId64,
             loading.state->count, loading.state->index, started->database.checkpoint_index,
             loading.state->remembered.len, (connection_now() - loading.begun) / USEC_PER_MS);
    started->state = loading.state;
    return true;
}

/* ---- Who serves ---- */

/* True when this node itself made the row's epoch (and so, with the lock in its state_dir, nobody
 * else can be serving under it). */
static bool s_is_own(const database_status_t *status, const identity_memory_t *memory,
                     bool has_memory)
{
    return has_memory && id_equal(status->generation, memory->generation);
}

static bool s_nobody_serves(database_t *database, const database_status_t *status,
                            const volatile sig_atomic_t *stop, error_t *ret_error)
{
    log_info("node.observing", "owner=\"%s\" epoch=%" PRIu64 " head=%" PRIu64 " ms=%d",
             status->owner, status->epoch, status->head_index, OBSERVE_MS);
    usec_t until = connection_now() + OBSERVE_MS * USEC_PER_MS;
    while (connection_now() < until && !*stop) {
        s_pause(POLL_MS);
        database_status_t now;
        if (!database_status(database, &now, ret_error))
            return false;
        if (now.head_index != status->head_index || now.epoch != status->epoch)
            return error_set(ret_error, ERROR_DATABASE_FENCED,
                             "node \"%s\" serves this database: its head moved from %" PRIu64
                             " to %" PRIu64 " under epoch %" PRIu64
                             " while this node looked; stop that node first, or give this one "
                             "another database",
                             now.owner, status->head_index, now.head_index, now.epoch);
    }
    return true;
}

static bool s_claim(database_t *database, const config_t *config, const identity_memory_t *memory,
                    bool has_memory, started_t *started, error_t *ret_error)
{
    started->generation = id_random();
    started->reason = has_memory ? "restart" : "first start";
    const database_claim_t claim = {.highest_seen = has_memory ? memory->epoch : 0,
                                    .generation = started->generation,
                                    .owner = config->node_name,
                                    .reason = started->reason};
    database_status_t judged = started->database;
    if (!database_claim(database, &judged, &claim, &started->database, ret_error))
        return false;
    const identity_memory_t now = {.identity = started->database.identity,
                                   .epoch = started->database.epoch,
                                   .generation = started->generation};
    return identity_remember(config->state_dir, &now, ret_error);
}

/* One try. */
static bool s_try(const config_t *config, const volatile sig_atomic_t *stop, started_t *started,
                  error_t *ret_error)
{
    identity_memory_t memory = {0};
    memory_result_t recalled = identity_recall(config->state_dir, &memory, ret_error);
    if (recalled == MEMORY_BROKEN)
        return false;
    bool has_memory = recalled == MEMORY_READ;
    database_t *database = database_open(config, ret_error);
    if (!database)
        return false;
    bool ok = database_status(database, &started->database, ret_error) &&
              database_check_identity(&started->database, &memory, has_memory, config, ret_error);
    if (ok && !id_is_zero(started->database.generation) &&
        !s_is_own(&started->database, &memory, has_memory))
        ok = s_nobody_serves(database, &started->database, stop, ret_error);
    ok = ok && !*stop && s_claim(database, config, &memory, has_memory, started, ret_error) &&
         s_load(database, config, started, ret_error);
    database_destroy(&database);
    return ok;
}

/* Waiting can mend an unreachable or refusing database, and a claim that somebody else won: judge
 * again. It cannot mend what these name. */
static bool s_is_final(error_code_t code)
{
    return code == ERROR_DATABASE_WRONG || code == ERROR_DATABASE_SCHEMA ||
           code == ERROR_DATABASE_EMPTY || code == ERROR_DATABASE_DIVERGED ||
           code == ERROR_DATABASE_FENCED || code == ERROR_SYSTEM || code == ERROR_CONFIGURATION;
}

bool start(const config_t *config, const volatile sig_atomic_t *stop, started_t *ret_started,
           error_t *ret_error)
{
    char last[sizeof ret_error->text] = "";
    while (!*stop) {
        *ret_started = (started_t){0};
        *ret_error = (error_t){0};
        if (s_try(config, stop, ret_started, ret_error))
            return true;
        if (*stop || s_is_final(ret_error->code))
            break;
        if (strcmp(last, ret_error->text) != 0)
            log_warning("node.waiting", "error=\"%s\"", ret_error->text);
        memcpy(last, ret_error->text, sizeof last);
        s_pause(POLL_MS);
    }
    if (*stop)
        *ret_error = (error_t){0};
    return false;
}
