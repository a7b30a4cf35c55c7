/* Checker: keeps its own record of the one committed log, made from the journal's rows at the
 * moment when they are committed, and judges by it. Shares nothing with the product but the decoder
 * of the contract.
 */
#ifndef IXN_TESTS_SIM_CHECKER_H
#define IXN_TESTS_SIM_CHECKER_H

#include "core/base/limits.h"
#include "core/base/table.h"
#include "dap/database.h"
#include "ha/role.h"
#include "tests/sim/database.h"
#include "tests/sim/world.h"

/* An interaction as the log has it. */
typedef struct seen {
    UT_hash_handle hh; /* by id */
    UT_hash_handle by_key;
    id128_t id;
    char key[LIMIT_KEY];
    size_t key_len;
    char queue[LIMIT_NAME + 1];
    int32_t priority;
    uint64_t age;
    uint32_t version;
    bool held;
    bool routing;
    bool completed;
    uint64_t token_epoch;
    uint64_t token_index;
    uint64_t submitted; /* index */
    unsigned losses;    /* how often it came back without a result */
    unsigned suspected; /* how many routers were lost with it, since it was placed */
    size_t live_at;     /* place among the live ones */
} seen_t;

/* A piece of work that was handed out. */
typedef struct {
    UT_hash_handle hh; /* by index */
    uint64_t index;
    uint64_t epoch;
    seen_t *interaction;
    char router[LIMIT_NAME + 1];
    usec_t after; /* it was decided after this */
    bool over;
    bool result; /* over by a result of its router */
} handed_t;

checker_t *checker_new(world_t *world);
void checker_destroy(checker_t **self_p);

/* What happens. */
/* A node remembers what it takes for the pair's own. */
void checker_accepts(checker_t *self, int node, const identity_memory_t *memory);
/* A node's statement changes its server now: LATE where it is one of the past and the change is
 * lost. */
typedef enum { WRITES_WRONG, WRITES_LATE, WRITES_OWN } writes_t;
writes_t checker_writes(checker_t *self, const ask_t *ask);
/* A client is told, under this epoch, what is in the log up to this index. */
void checker_told(checker_t *self, uint64_t epoch, uint64_t index);
void checker_committed(checker_t *self, int node, uint64_t life, const batch_t *batch);
void checker_claimed(checker_t *self, int node, uint64_t life, const database_status_t *status);
/* An operator has skipped an entry of the log, under this epoch of nobody's. */
void checker_skipped(checker_t *self, uint64_t index, uint64_t epoch, id128_t generation);
/* When one was last that was not skipped before; 0: none was. */
usec_t checker_skipped_at(const checker_t *self);
void checker_role(checker_t *self, int node, role_t role);
void checker_process_gone(checker_t *self, int node);
void checker_saved(checker_t *self, int node, const batch_t *batch);
void checker_turn(checker_t *self); /* after every turn of a node */

/* What there is. */
uint64_t checker_head(const checker_t *self);
uint64_t checker_epoch(const checker_t *self);
/* Which node, in which life, has claimed this epoch; false: nobody. */
bool checker_owner(const checker_t *self, uint64_t epoch, int *ret_node, uint64_t *ret_life);
const seen_t *checker_find(const checker_t *self, const id128_t *id);
const seen_t *checker_find_key(const checker_t *self, const void *key, size_t len);
const handed_t *checker_handed(const checker_t *self, uint64_t epoch, uint64_t index);
size_t checker_live(const checker_t *self);
const seen_t *checker_live_first(const checker_t *self);
/* When both nodes had the same state at the same index last; USEC_NEVER: never. */
usec_t checker_level_at(const checker_t *self);
/* An interaction is gone with a skipped entry; whoever speaks under an epoch before that (0: a
 * client, who hears of it late) may not know. */
bool checker_gave_up(const checker_t *self, const void *id, size_t len, uint64_t epoch);
/* … and a piece of work of such a one. */
bool checker_left_out(const checker_t *self, uint64_t epoch, uint64_t index);
/* The entry at the index changes such a one. */
bool checker_builds_on_skip(const checker_t *self, uint64_t index);
/* What it keeps of services, agents and strategies (seen_….h). */
struct seen_services *checker_services(const checker_t *self);
struct seen_agents *checker_agents(const checker_t *self);
struct seen_strategies *checker_strategies(const checker_t *self);
uint64_t checker_submitted(const checker_t *self);
/* Compares a node's state with this record, interaction by interaction, if it is at the head. */
bool checker_compare(const checker_t *self, int node);

#endif
