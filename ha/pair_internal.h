/* What the files of the pair share among themselves (pair*.c). */
#ifndef IXN_HA_PAIR_INTERNAL_H
#define IXN_HA_PAIR_INTERNAL_H

#include "core/base/buffer.h"
#include "core/base/limits.h"
#include "core/wire/client.pb-c.h"
#include "core/wire/peer.pb-c.h"
#include "ha/daps.h"
#include "ha/pair.h"
#include "ha/recent.h"
#include "ha/replica.h"

/* What the other node said last. */
typedef struct {
    bool heard; /* since this process began */
    usec_t heard_at;
    bool exact;         /* it has forgotten nothing of what it knew to be committed */
    instance_t server;  /* that it takes for the pair's own; not known: none */
    instance_t wanted;  /* that it asks this node to give its own up for; not known: it does not */
    usec_t alive_since; /* heard without a pause */
    usec_t reached_at;  /* one of its DAPs reached the proven server last */
    usec_t served_at;   /* heard as one that serves, or is about to */
    id128_t incarnation;
    uint64_t said;  /* the number of its last hello */
    usec_t word_at; /* that was said after it had heard what this node said at this time */
    bool up;        /* the link: connected and proven */
    bool refused;
    usec_t closed_at; /* when the connection was closed or refused first; 0: it is not */
    uint64_t epoch;   /* of the last frame */
    Ixn__V1__PeerRole role;
    char name[CONFIG_NAME_SIZE];
    char client_endpoint[CONFIG_PATH_SIZE];
    char admin_url[CONFIG_PATH_SIZE];
    char readiness[PAIR_REASON];
    uint64_t index;
    uint64_t checkpoint;
    bool has_lag_bytes; /* it serves, and knows how much of the log this node did not have … */
    uint64_t lag_bytes;
    uint64_t lag_from; /* … when it was here */
    bool ready;
    bool automatic;
    bool database;
    identity_t identity; /* of the database that it works on, as far as it says */
    size_t daps_len;
    dap_t daps[DAPS_MAX];      /* name, reachable, proven, latency, trouble */
    char trouble[PAIR_REASON]; /* why its frames are not listened to; empty: they are */
    uint32_t other_version;    /* of its protocol, where that is another than this node's; 0: no */
} peer_view_t;

/* Where the two versions are said, too. */
#define PAIR_OTHER_VERSION                                                                         \
    "the nodes do not hear each other; run versions of ixnd with the same protocol on both"

/* The head of the journal, as it becomes known. */
typedef struct {
    bool known;
    uint64_t index;
    usec_t since;     /* first known at this time … */
    usec_t confirmed; /* … and still there when somebody asked at this time */
    usec_t pace;      /* how long it stood still between two moves: the longest, slowly forgotten */
} head_t;

/* What failed is tried again after a rest that grows with each failure. `{0}`: nothing failed. */
typedef struct {
    usec_t length;
    usec_t until;
} rest_t;

/* A take-over under way. */
typedef struct {
    usec_t begun;
    usec_t give_up;
    rest_t rest;    /* after a claim that failed */
    bool asked;     /* CLAIM is under way */
    bool claimed;   /* the epoch is ours; the state is brought to its head */
    bool with_head; /* the head must be the judged one */
    bool hot;       /* from a backup */
    bool handed;    /* the judged head is where the primary says that it stopped */
    uint64_t handed_index;
    id128_t handed_hash;
    size_t dap;
    database_status_t judged;
    database_status_t status; /* after the claim */
    id128_t generation;
    char reason[PAIR_REASON];
} takeover_t;

/* A hand-over under way. */
typedef struct {
    usec_t begun;
    usec_t said_at; /* HandOver was sent last; 0: not yet */
    bool abandoned; /* the database is lost: nothing is waited for */
    char reason[PAIR_REASON];
} hand_over_t;

/* Committed batches are written back to a database that lost them, as an operator demands. */
typedef enum { HEAL_NONE, HEAL_WANTED, HEAL_ASKED, HEAL_DONE, HEAL_FAILED } heal_state_t;
typedef struct {
    heal_state_t state;
    bool without_other;
    usec_t by;      /* WANTED: the other node gives the server before up until then */
    size_t dap;     /* ASKED */
    uint64_t lost;  /* the exact number that the operator said */
    uint64_t first; /* ASKED, DONE */
    uint64_t last;
    char reason[LIMIT_TEXT + 1];
    error_t error; /* FAILED */
} heal_t;

struct pair {
    pair_options_t options;
    char name[CONFIG_NAME_SIZE];
    char client_endpoint[CONFIG_PATH_SIZE];
    char admin_url[CONFIG_PATH_SIZE]; /* empty: none */
    usec_t began;                     /* the process */
    Ixn__V1__EngineConfiguration *configuration;
    id128_t configuration_digest;
    wire_arena_t *arena;
    usec_t now;
    usec_t wall;
    /* role */
    role_t role;
    usec_t role_since;
    char role_reason[PAIR_REASON];
    bool manual; /* failover: manual, or paused */
    bool stopping;
    usec_t stop_by;
    usec_t quiet_until;   /* no automatic take-over before */
    usec_t quiet;         /* how long the next one is */
    bool was_backed;      /* the last epoch of this node had a backup that was ready */
    usec_t last_takeover; /* how long it took */
    /* what the database is */
    daps_t daps;
    struct {
        size_t len; /* what the lanes were told to use */
        uint8_t daps[PAIR_MAX_DAPS];
        uint32_t weights[PAIR_MAX_DAPS];
    } used;
    bool rearranged;      /* the operator has changed the order since */
    bool daps_remembered; /* state_dir holds what is to be remembered of them */
    bool has_memory;
    identity_memory_t memory;
    bool worked;               /* an access point was proven since the process began */
    uint64_t epoch;            /* the highest heard of */
    id128_t generation;        /* of it */
    id128_t own_generation;    /* of the last epoch that this node claimed, in whichever life */
    uint64_t own_epoch;        /* the one this node serves under, or has claimed; 0: none */
    instance_t lanes_instance; /* where the lanes write, as they were told */
    usec_t lanes_since;        /* … at this time */
    instance_t said_instance;  /* what was logged of it */
    usec_t remembered_at;
    identity_memory_t kept; /* what state_dir has, by the shell's word */
    bool has_kept;
    char unwritten[PAIR_REASON]; /* why state_dir cannot be written; empty: it can */
    head_t head;
    bool has_seen;
    database_status_t seen; /* what an access point said last … */
    usec_t seen_asked;      /* … to a question of this time */
    bool judging;           /* STARTING, FENCED: somebody looked since the role began … */
    uint64_t judged_head;   /* … and the head was here */
    /* following */
    replica_t *replica;
    bool loading;
    rest_t load_rest;
    bool following;
    uint64_t following_from;           /* the index that was asked for */
    char replica_trouble[PAIR_REASON]; /* why the state is not to be trusted; empty: it is */
    /* serving */
    node_t *node;
    batch_t *in_flight; /* in case it must be saved */
    batch_t *next_batch;
    usec_t committed_by;   /* the peer is told how far the journal is committed; NEVER: it knows */
    uint64_t digest_index; /* to be told with its commit; 0: none */
    uint64_t digest;
    uint64_t digest_told; /* the index it was told at last */
    takeover_t takeover;
    hand_over_t hand_over;
    /* what crashed nodes */
    poison_t poison;
    bool poison_changed;     /* and state_dir does not know */
    uint64_t poison_refused; /* requests */
    guard_stop_t stops[POISON_MAX];
    guard_t guard;
    char stopped[PAIR_REASON]; /* before which entry of the log, and what to do; empty: it is not */
    usec_t stopped_at;         /* … it was tried last */
    recent_t *recent;          /* committed batches, in case the database loses them */
    heal_t heal;
    size_t unread; /* bytes, of all clients */
    /* the peer */
    peer_view_t peer;
    usec_t hello_at; /* the next one */
    /* actions: a ring */
    pair_action_t *actions;
    size_t actions_first;
    size_t actions_len;
    size_t actions_capacity;
};

/* pair.c */
pair_action_t *pair_do(pair_t *self, pair_action_kind_t kind);
void pair_say(pair_t *self, bool warning, const char *event, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The same for what an operator must mend. */
void pair_alarm(pair_t *self, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The only way to another role; `detail` may be NULL. True when the role changed. */
bool pair_event(pair_t *self, role_event_t event, const char *detail);
void pair_set_epoch(pair_t *self, uint64_t epoch, id128_t generation);
/* A higher epoch was seen in the database that is known to be the pair's own. */
void pair_learn_epoch(pair_t *self, uint64_t epoch, id128_t generation);
void pair_remember(pair_t *self);
void pair_memory_turn(pair_t *self);
/* A place in the log of the epoch that this node knows as the highest; it is committed. */
void pair_note_place(pair_t *self, uint64_t index, id128_t hash);
/* The head is at `index`, says the database to a question that was asked at `asked`; or the peer
 * does (`asked` is 0), which shows that it moves, but never that it stands still. */
void pair_learn_head(pair_t *self, uint64_t index, usec_t asked);

/* Packed and unpacked again; the caller owns it. */
Ixn__V1__EngineConfiguration *
pair_copy_configuration(const Ixn__V1__EngineConfiguration *configuration, id128_t *ret_digest);

/* pair_daps.c */
void pair_init_daps(pair_t *self);
/* Fills `action` with what the lanes may use, and keeps that it was told. */
void pair_fill_use(pair_t *self, pair_action_t *action);
void pair_daps_turn(pair_t *self);
/* The server of one that reaches, or reached last, the pair's own database, for people. NULL: wait,
 * one of those in use has not been asked yet. */
const char *pair_own_server(const pair_t *self);

/* pair_server.c */
void pair_server_turn(pair_t *self);

/* pair_serve.c */
void pair_serve(pair_t *self, state_t *state); /* begins, with the claimed epoch */
/* Ends at once: lanes closed, what is not committed saved, clients told where to go. */
void pair_cease(pair_t *self);
void pair_serve_turn(pair_t *self);
usec_t pair_beat(const pair_t *self); /* of a node that serves */
usec_t pair_gap(const pair_t *self);
/* NULL when the peer could take over now; otherwise why not. */
const char *pair_no_hand_over(const pair_t *self);
/* Begins to hand over; false when that is not possible now. */
bool pair_switchover(pair_t *self, const char *reason);

/* pair_follow.c */
void pair_follow_turn(pair_t *self);
/* True when this node could take over now; otherwise why not, for people. */
bool pair_is_ready(const pair_t *self, char *reason, size_t size);
/* The same as people are told: a backup whose own configuration differs from the one in force is
 * not ready either, and says where. It would serve the one in force, so it takes over all the same.
 */
bool pair_reports_ready(const pair_t *self, char *reason, size_t size);
/* Applies what is committed; false: it does not fit, distrust it. Stops before a poisoned entry. */
bool pair_step(pair_t *self, size_t entries, error_t *ret_error);
/* Of the protocol between the nodes. */
uint32_t pair_peer_version(void);
/* The state was made without a skip that the database knows of. */
bool pair_lacks_skip(const pair_t *self, const database_status_t *status);
/* This node does not apply the next entry: until that changes it cannot follow or take over. */
void pair_stop_before(pair_t *self, const error_t *error);
/* What follows is not the log: the state is dropped and loaded anew. */
void pair_distrust(pair_t *self, const char *why);
void pair_load(pair_t *self);
void pair_rest(rest_t *self, usec_t now); /* it failed */
void pair_follow_journal(pair_t *self);

/* pair_poison.c */
void pair_init_poison(pair_t *self);
void pair_poison_turn(pair_t *self);
size_t pair_fill_poison(const pair_t *self, Ixn__V1__PairPoison messages[POISON_MAX],
                        Ixn__V1__PairPoison *list[POISON_MAX]);
void pair_hear_poison(pair_t *self, const Ixn__V1__PeerHello *hello);
void pair_say_poison(pair_t *self, const poison_entry_t *entry);
bool pair_forgive(pair_t *self, ProtobufCBinaryData fingerprint, bool dry_run, error_t *ret_error);
/* The answer to what is refused. */
void pair_poison_error(const poison_entry_t *entry, error_t *ret_error);
void pair_note_refused(pair_t *self, const poison_entry_t *entry, const char *sender);
/* A packet for the node that serves, while something is refused. */
void pair_receive_sifted(pair_t *self, session_t session, text_t packet);

/* pair_move.c */
/* At a start: goes where an operator has declared that the pair's database is now, if that is what
 * the access point reaches. True: its head is all that is known to be committed from now on. */
bool pair_follow_move(pair_t *self, size_t dap, const database_status_t *status);

/* pair_takeover.c */
/* The role is TAKING_OVER now. `hot`: it was a backup's before. */
void pair_takeover_begin(pair_t *self, bool with_head, bool hot);
void pair_takeover_turn(pair_t *self);
/* The epoch was lost: no automatic take-over for some time. */
void pair_lost_epoch(pair_t *self);
/* Judges: in STARTING and FENCED whether anybody serves, in READY whether the primary is gone. */
void pair_judge_turn(pair_t *self);

/* The epoch that was claimed is this node's own, whatever it is used for. */
void pair_own_epoch(pair_t *self, const database_status_t *status, id128_t generation);
/* … and the role is TAKING_OVER: the state is brought to its head. */
void pair_takeover_claimed(pair_t *self, size_t dap, const database_status_t *status,
                           id128_t generation);

/* pair_heal.c */
/* An operator's demand: taken, or why not. */
bool pair_heal(pair_t *self, const Ixn__V1__PairCommand *command, error_t *ret_error);
void pair_heal_turn(pair_t *self);
/* CLAIM's answer was one to this. True: it was, and is dealt with. */
bool pair_healed(pair_t *self, size_t dap, const database_status_t *status, id128_t generation,
                 const error_t *error);
/* What is missing, and whether it can be written back: `objection` is room for the reason why not.
 */
void pair_fill_heal(const pair_t *self, Ixn__V1__PairHeal *message, error_t *objection);

/* pair_peer.c */
void pair_peer_turn(pair_t *self);
void pair_hello(pair_t *self);     /* as soon as this turn ends */
void pair_say_hello(pair_t *self); /* before whatever is sent next */
bool pair_peer_alive(const pair_t *self);
/* How many bytes of log the backup is behind, whichever node that is; false: not known. */
bool pair_lag_bytes(const pair_t *self, uint64_t *ret_bytes);
/* It is alive and serves, or is about to, under no lower epoch. */
bool pair_peer_serves(const pair_t *self);
void pair_send_batch(pair_t *self, const batch_t *batch);
void pair_send_committed(pair_t *self);
void pair_send_hand_over(pair_t *self);

/* pair_figures.c */
void pair_answer_figures(pair_t *self, uint64_t request, buffer_t *frame);

/* pair_client.c */
/* Broadcasts to clients that this node serves no more, or begins to. */
void pair_tell_not_primary(pair_t *self);
void pair_tell_serving(pair_t *self);

#endif
