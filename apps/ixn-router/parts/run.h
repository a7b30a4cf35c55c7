/* Run: one strategy at work on one interaction, as a coroutine.
 *
 * Promises: whatever the script does, a step ends: with something to wait for, with a result, or as
 * failed. A step that used up its instructions or its memory cannot go on, also not behind a pcall.
 * Only errors of the script itself are its failure. No sockets, no clock that the script could see
 * other than os.time; the caller waits and tells.
 */
#ifndef IXN_ROUTER_RUN_H
#define IXN_ROUTER_RUN_H

#include <jansson.h>
#include <lua.h>

#include "apps/ixn-router/parts/vm.h"
#include "apps/ixn-router/parts/work.h"
#include "core/base/buffer.h"
#include "core/base/limits.h"

typedef enum {
    RUN_NONE,     /* in the middle of a step */
    RUN_SLEEPS,   /* resume after `sleep_us` */
    RUN_SAVES,    /* send the changes, resume with the answer */
    RUN_RESERVES, /* ask for `reservation`, resume with the answer */
    RUN_CALLS,    /* send the call, resume with what came of it */
    RUN_PLACED,   /* the end: into `queue` */
    RUN_STOPPED,  /* the end: with `reason` */
    RUN_FAILED,   /* the end: `reason` says where and what, `trace` more of it */
} run_outcome_t;

/* More names in one change are refused by the node. */
#define RUN_REMOVE_LIMIT 256
#define RUN_SLEEP_LEAST_US USEC_PER_MS
#define RUN_SLEEP_MOST_S 86400
/* CPU time of one step. The budget of instructions is what bounds honest scripts; this one bounds
 * instructions that are expensive (joining and comparing large strings). */
#define RUN_STEP_CPU_US (USEC_PER_SECOND / 2)
/* Lines that one step may log; the rest is dropped and counted. */
#define RUN_LOG_LINES 100

/* Agents that one script may have reserved at once. */
#define RUN_GRANTS 16

/* What agent.reserve and agent.release ask for. */
typedef struct {
    char agent[LIMIT_NAME + 1];
    int64_t duration_ms; /* -1: the node's; 0: release */
    bool has_priority;
    int32_t priority;
} run_reservation_t;

typedef struct {
    char agent[LIMIT_NAME + 1];
    work_token_t token;
} run_grant_t;

/* Attributes that were set and removed and not yet sent. */
typedef struct {
    json_t *set;    /* object or NULL */
    json_t *remove; /* object whose names are meant, or NULL */
    bool exact;     /* floats in it need 17 digits */
} run_changes_t;

/* What a script asks of an application server. */
typedef struct {
    uint64_t number; /* of the call in this run, from 1: its key */
    enum { CALL_BY_TYPE, CALL_BY_SERVER, CALL_BY_CLUSTER } target;
    int type;
    char name[LIMIT_NAME + 1];
    char service[LIMIT_NAME + 1];
    char method[LIMIT_NAME + 1];
    char *parameters; /* JSON; free() */
    uint32_t timeout_ms;
    bool safe;
    json_t *result; /* NULL: a fault */
    char fault[LIMIT_NAME + 1];
    char text[LIMIT_TEXT + 1];
    char server[LIMIT_NAME + 1];
} run_call_t;

typedef enum { RUN_CUT_NONE, RUN_CUT_INSTRUCTIONS, RUN_CUT_TIME, RUN_CUT_MEMORY } run_cut_t;

/* Read by the router, written by run.c and api.c only. */
typedef struct {
    vm_t *vm;
    work_t *work;
    lua_State *thread; /* NULL before the start and after the end */
    int anchor;        /* keeps the thread alive, in the registry */
    int attributes;    /* decoded attributes, in the registry; LUA_NOREF: not yet */
    json_t *decoding;  /* while they are; here so that a Lua error cannot lose it */
    run_outcome_t outcome;
    usec_t sleep_us;
    char *queue;  /* PLACED */
    char *reason; /* PLACED, STOPPED, FAILED; NULL: none */
    int line;     /* in the script, of place or stop */
    bool has_priority;
    int32_t priority;
    run_reservation_t reservation;
    run_grant_t *grants; /* room for RUN_GRANTS; NULL before the first */
    size_t grants_len;
    int agent; /* PLACED, STOPPED: number of the grant that is quoted; -1: none */
    run_changes_t changes;
    run_call_t *call; /* NULL before the first */
    buffer_t trace;
    /* of the step that runs */
    const error_t *answer; /* what was refused, or NULL */
    run_cut_t cut;
    int cut_line;   /* where, when it left by the hook */
    uint32_t spent; /* instructions */
    usec_t started_us;
    usec_t cpu_mark_us; /* 0: not looked at yet */
    uint32_t logged;
} run_t;

/* Takes `work`. Starts nothing yet. */
run_t *run_new(vm_t *vm, work_t *work);
void run_destroy(run_t **self_p);

/* The first step and the later ones, until the outcome. `answer` is NULL after a sleep and for
 * changes that were accepted. */
run_outcome_t run_start(run_t *self, int code);
run_outcome_t run_resume(run_t *self, const error_t *answer);
/* What came of a call goes into `call->result` or `call->fault` before. */
run_outcome_t run_resume_call(run_t *self);

/* The collected changes as fields of a request. `set` is JSON text that the caller frees, or NULL
 * for nothing; false when it is longer than attributes may be. */
bool run_changes_text(const run_t *self, char **ret_set, size_t *ret_len);
void run_changes_clear(run_t *self);
/* The reservation was granted, or (zero token) given back. */
void run_granted(run_t *self, work_token_t token);
/* The outcome becomes RUN_FAILED with this reason (cleaned and cut to what a request takes). */
void run_fail(run_t *self, const char *reason);

/* The run that a function called by a script belongs to. */
run_t *run_of(lua_State *lua);

#endif
