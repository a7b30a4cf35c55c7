/* Pair world: one or two nodes of a pair around small models of databases, all by hand and in one
 * thread. A test starts nodes, lets time pass, kills, freezes and cuts, and compares as text what
 * the nodes did: their roles and their actions.
 *
 * Promises: a step is PAIR_WORLD_STEP_MS; what is asked of a database, committed or sent to the
 * other node in one step happens at the beginning of the next. The database accepts a batch only
 * from the owner of its epoch and only when it continues the head. No Criterion in here, as the
 * fuzzer uses it too.
 */
#ifndef IXN_TESTS_PAIR_WORLD_H
#define IXN_TESTS_PAIR_WORLD_H

#include "core/wire/peer.pb-c.h"
#include "core/wire/wire.h"
#include "ha/pair.h"

#define PAIR_WORLD_STEP_MS 5
#define PAIR_WORLD_TIMEOUT_MS 1000 /* failover_timeout of all nodes */
#define PAIR_WORLD_DAPS 2          /* of each node */

enum { A, B };                             /* nodes */
enum { NOTHING = -1, OURS, OTHER, CLONE }; /* what an access point reaches */

typedef struct pair_world pair_world_t;

/* Both nodes are configured as a pair, A is preferred; nothing runs yet. */
pair_world_t *pair_world_new(void);
void pair_world_free(pair_world_t **self_p);

/* What a node's process is begun with. What it remembers of an earlier life stays. */
typedef struct {
    const char *name; /* (A or B) */
    bool alone;       /* no peer in the configuration */
    bool manual;
    bool demands_other; /* database.id is that of the other database */
} pair_world_start_t;
void pair_world_start(pair_world_t *self, int node, const pair_world_start_t *start);
void pair_world_kill(pair_world_t *self, int node);
void pair_world_freeze(pair_world_t *self, int node, bool frozen);
pair_t *pair_world_pair(pair_world_t *self, int node); /* NULL: it does not run */

void pair_world_pass(pair_world_t *self, uint32_t ms);
/* Passes until the node has the role; the milliseconds, or -1: not within `ms`. */
int pair_world_until(pair_world_t *self, int node, role_t role, uint32_t ms);
/* Both run, A serves, B is ready; what was told is forgotten. False: it did not come to that. */
bool pair_world_settle(pair_world_t *self);

/* ---- Faults ---- */

void pair_world_cut(pair_world_t *self, bool cut);      /* the connections between the nodes */
void pair_world_silence(pair_world_t *self, bool mute); /* frames vanish, connections stay */
void pair_world_reach(pair_world_t *self, int node, int dap, int database);
/* Numbers of the DAPs that the lanes were told to use last, and that are remembered: "0 1". A DAP
 * that the pair opens reaches what the first byte of its route says, plus one: 0 nothing, 1 OURS, 2
 * OTHER. */
const char *pair_world_uses(pair_world_t *self, int node);
const char *pair_world_remembers(pair_world_t *self, int node);
void pair_world_reach_all(pair_world_t *self, int node, int database);
/* A lane of the node does not see its batches committed (and they are not), while set. */
void pair_world_hold_commits(pair_world_t *self, int node, bool hold);
/* Claims do not get to the database, while set. */
void pair_world_hold_claims(pair_world_t *self, int node, bool hold);
/* The node's state_dir cannot be written, while set. */
void pair_world_fill(pair_world_t *self, int node, bool full);
/* The node's role may look at the database, and no more, while set. */
void pair_world_refuse(pair_world_t *self, int node, bool refuse);
/* Nothing that is asked through the node's DAPs is answered, while set. */
void pair_world_hold_answers(pair_world_t *self, int node, bool hold);
/* A batch of the epoch's owner lands that no node of this world decided. */
void pair_world_append(pair_world_t *self);
/* Somebody else takes the next epoch of our database. */
void pair_world_usurp(pair_world_t *self);
/* Our database is one that was adopted in place of what it was; or a copy that was made of that:
 * into another cluster, or of all its files. */
typedef enum { COPY_NONE, COPY_ELSEWHERE, COPY_CLONE } pair_world_copy_t;
void pair_world_move(pair_world_t *self, pair_world_copy_t copied);
/* Another server has our database from now on, with all that is in it: the same one after a
 * restart, or, `elsewhere`, one at another address. */
void pair_world_serve_from(pair_world_t *self, bool elsewhere);
/* Another server has our database, without its newest batches. The one that has them all is OTHER
 * from now on, for who reaches that. */
void pair_world_lose(pair_world_t *self, size_t batches);
/* A server of its own with what is in OURS now is that database: OTHER or CLONE. */
void pair_world_clone(pair_world_t *self, int database);
/* What the other node sends to it vanishes, while set; what it says is heard. */
void pair_world_deafen(pair_world_t *self, int node, bool deaf);
/* Frames that were sent to the node since the last forget come again. */
void pair_world_again(pair_world_t *self, int node);
/* One of those frames, from the newest back and again from there when there are no more; valid
 * until the world goes on; false: there is none. */
size_t pair_world_heard_len(const pair_world_t *self, int node);
bool pair_world_heard(const pair_world_t *self, int node, size_t number, const uint8_t **ret_bytes,
                      size_t *ret_len);
/* A frame comes; its version is set, and its epoch, generation and database_id where `ours`. */
void pair_world_frame(pair_world_t *self, int node, Ixn__V1__PeerFrame *frame, bool ours);

/* ---- Clients ---- */

/* Asks as a visitor, at once: "pong", "retry", "not primary: ENDPOINT", "status: ROLE", "error:
 * SENTENCE", or "serves" when it is for a session. */
const char *pair_world_ask(pair_world_t *self, int node, Ixn__V1__Request *request);
const char *pair_world_ping(pair_world_t *self, int node);
const char *pair_world_get(pair_world_t *self, int node);
/* How many bytes the node says that the backup is behind; -1: it does not know. */
int64_t pair_world_lag_bytes(pair_world_t *self, int node);
const char *pair_world_command(pair_world_t *self, int node, int kind, bool dry_run);
/* The command `heal`: "taken", or "error: SENTENCE". */
typedef struct {
    uint64_t lost;
    const char *reason; /* "a test" unless given */
    bool without_other;
    bool dry_run;
} pair_world_heal_t;
const char *pair_world_heal(pair_world_t *self, int node, const pair_world_heal_t *heal);
/* What the node says of it, valid until the next question. */
const Ixn__V1__PairHeal *pair_world_healed(pair_world_t *self, int node);
/* Why it says that it is not ready; "": it is. Valid until the next question. */
const char *pair_world_unready(pair_world_t *self, int node);

/* ---- What they did: a line each ---- */

const char *pair_world_told(const pair_world_t *self);
void pair_world_forget(pair_world_t *self);
/* What it logged last of its first DAP while that was being proven. */
const char *pair_world_proving(const pair_world_t *self, int node);
/* Index and epoch of our database; the last index that was saved as a tail (0: none). */
uint64_t pair_world_head(const pair_world_t *self);
uint64_t pair_world_epoch(const pair_world_t *self);
uint64_t pair_world_saved(const pair_world_t *self, int node);
/* Of the last PAIR_STOP; OK: none, or in order. */
const error_t *pair_world_error(const pair_world_t *self, int node);
size_t pair_world_claims(const pair_world_t *self, int node); /* asked, since it was started */
size_t pair_world_loads(const pair_world_t *self, int node);
const char *pair_world_reason(const pair_world_t *self, int node); /* of its last claim */
/* Every reason that went into a claim was valid UTF-8. */
bool pair_world_reasons_are_text(const pair_world_t *self);
/* The node's next turn is not due at once. */
bool pair_world_rests(const pair_world_t *self, int node);
const identity_memory_t *pair_world_memory(const pair_world_t *self, int node);

#endif
