/* State: everything that the log decides. Primary and backup run the same state_apply on the same
 * entries and have the same state.
 *
 * Promises: no clock, socket, file, thread, randomness or log in here; time comes with the batch.
 * An entry that does not fit the state changes nothing and is an error (the log and the state then
 * do not belong together). The structure is open to the engine, which reads it to decide; only
 * apply and load change it.
 */
#ifndef IXN_CORE_STATE_H
#define IXN_CORE_STATE_H

#include "core/base/arena.h"
#include "core/base/error.h"
#include "core/base/table.h"
#include "core/batch.h"
#include "core/catalog.h"
#include "core/checkpoint.h"
#include "core/guard.h"
#include "core/index.h"
#include "core/interaction.h"
#include "core/service.h"
#include "core/wire/wire.h"

RB_HEAD(line, interaction);      /* of a queue: priority, then age */
RB_HEAD(deadlines, interaction); /* by deadline */

/* How many interactions a queue has, for people: nothing is decided by it (core/tally.c). */
typedef struct {
    uint32_t waiting; /* in line, may be routed */
    uint32_t held;
    uint32_t routing; /* taken from it, with a router */
    uint32_t quarantined;
    uint64_t entered; /* came into line since this state was made … */
    uint64_t left;    /* … and left it; who leaves and enters by one entry did neither */
} tally_t;

typedef struct queue {
    UT_hash_handle hh; /* by tenant and name */
    char key[sizeof(uint16_t) + LIMIT_NAME];
    char name[LIMIT_NAME + 1];
    uint64_t names; /* hash of both names, for the digest */
    uint16_t number;
    uint16_t tenant;
    bool configured;               /* false: no longer in the configuration; what is in it waits */
    char strategy[LIMIT_NAME + 1]; /* empty: nothing routes from here */
    uint32_t max_length;           /* 0: none of its own */
    struct line line;              /* those that wait and may be routed */
    uint32_t length;               /* those that wait, held ones too */
    tally_t tally;
    /* Among the queues of one strategy: by the first in line; kept by the engine. */
    RB_ENTRY(queue) turn;
    bool dirty;
    bool in_turn;
    uint32_t turn_strategy;
    int32_t turn_priority;
    uint64_t turn_age;
} queue_t;

typedef struct {
    UT_hash_handle hh; /* by name */
    char name[LIMIT_NAME + 1];
    uint64_t names; /* hash of its name, for the digest */
    uint16_t number;
    LIST_HEAD(, interaction) interactions; /* those it has under a token */
    uint32_t pending;                      /* how many */
    uint32_t services; /* requests to application servers without an answer, of all of these */
} state_router_t;

/* A completed interaction, as long as its keys are remembered. */
typedef struct {
    id128_t id;
    id128_t key_hash;
    uint64_t fingerprint;
    usec_t completed_log;
    usec_t completed_at;
    uint64_t changes[3]; /* its last ones, the newest first */
    uint32_t versions[3];
    uint16_t tenant;
} remembered_t;

typedef struct {
    remembered_t **chunks; /* a ring of chunks, by position */
    size_t chunks_capacity;
    uint64_t first; /* position of the oldest */
    size_t len;
    index_t *by_id;
    index_t *by_key;
} remembered_table_t;

typedef struct image image_t; /* core/image.c */

struct state {
    uint64_t epoch;
    uint64_t index;  /* of the last entry applied */
    id128_t hash;    /* of the last batch applied */
    usec_t log_time; /* of the batch that is being applied, or was last */
    usec_t wall_time;
    symbol_table_t *symbols;
    /* interactions */
    interaction_t **chunks; /* slabs: addresses never move */
    uint32_t chunks_len;
    uint32_t free_record; /* handle plus one of a free record, whose `version` is the next such
                             number; 0: none */
    uint32_t count;
    index_t *by_id;
    index_t *by_key;
    size_t text_bytes;      /* memory of all texts */
    uint64_t digest;        /* sum over all interactions, without `touched` */
    interaction_t *touched; /* by the entry that is being applied; NULL: none */
    tally_t *tally_left;    /* the line it waited in; NULL: none */
    struct deadlines deadlines;
    remembered_table_t remembered;
    services_t services;
    /* tables */
    char (*tenants)[LIMIT_NAME + 1];
    size_t tenants_len;
    size_t tenants_configured; /* the first so many are in the configuration */
    queue_t **queues;          /* by number */
    size_t queues_len;
    queue_t *queues_by_name;
    state_router_t **routers; /* by number */
    size_t routers_len;
    state_router_t *routers_by_name;
    catalog_t catalog; /* strategies and agents */
    bool catalog_loading;
    /* configuration: decoded, owned; never NULL */
    Ixn__V1__EngineConfiguration *configuration;
    bool configuration_changed; /* since the image in work was begun */
    guard_skip_t *skips;        /* entries that an operator has skipped, ascending */
    size_t skips_len;
    image_t *image;
};

state_t *state_new(void);
void state_destroy(state_t **self_p);

/* Begins a batch: its time is the time of all its entries. */
void state_begin_batch(state_t *self, uint64_t epoch, usec_t log_time, usec_t wall_time);
/* Applies the next entry (index self->index + 1). */
bool state_apply(state_t *self, const Ixn__V1__Entry *entry, error_t *ret_error);
/* Ends it: the chain goes on from its hash. */
void state_end_batch(state_t *self, id128_t hash);
/* All of it, from the journal or the peer: checks that it continues the state. `arena` is reset. */
/* An entry at which `guard` stops is not applied, nor is anything of its batch: POISON. NULL: there
 * is no guard. What an operator has skipped is passed over: it has an index and changes nothing. */
bool state_apply_batch(state_t *self, const batch_t *batch, wire_arena_t *arena,
                       const guard_t *guard, error_t *ret_error);

/* ---- Reading ---- */

interaction_t *state_find(const state_t *self, const id128_t *id);
interaction_t *state_find_by_key(const state_t *self, const id128_t *key_hash);
const remembered_t *state_remembered(const state_t *self, const id128_t *id);
const remembered_t *state_remembered_by_key(const state_t *self, const id128_t *key_hash);
/* One of these, or a completion, is about to come. NULL: not by that. */
void state_remembered_prefetch(const state_t *self, const id128_t *id, const id128_t *key_hash);
/* When the memory of keys is full: how far back it reaches, in log time. USEC_NEVER: it is not. */
usec_t state_dedupe_reach(const state_t *self);
queue_t *state_queue(const state_t *self, uint16_t tenant, text_t name); /* NULL: none */
bool state_tenant(const state_t *self, text_t name, uint16_t *ret_tenant);
state_router_t *state_router(state_t *self, text_t name); /* made when new; NULL: too many */
interaction_t *state_first_in_line(queue_t *queue);
interaction_t *state_next_deadline(state_t *self);
/* Who has this handle, NULL: nobody. Handles are below state_handles, and an interaction keeps its
 * own for life, so that a walk over all of them can be made in pieces. */
const interaction_t *state_of_handle(const state_t *self, uint32_t handle);
uint32_t state_handles(const state_t *self);
/* Since when the one waits that was placed first, among the first of each priority (of so many
 * priorities at most); 0: nobody waits. */
usec_t state_oldest_in_line(queue_t *queue, unsigned priorities);

/* Texts of an interaction, terminated; valid until it changes. */
typedef enum {
    FIELD_ATTRIBUTES,
    FIELD_EXTERNAL_ID,
    FIELD_MEDIA_TYPE,
    FIELD_TYPE,
    FIELD_SUBTYPE,
    FIELD_SUBMITTED_BY,
    FIELD_KEY,
    FIELD_PARENT,
    FIELDS
} interaction_field_t;
void interaction_texts(const interaction_t *self, text_t ret_texts[FIELDS]);
text_t interaction_text(const interaction_t *self, interaction_field_t field); /* one of them */
/* Sets all; the block is new. Adds the difference in bytes to `*bytes`. */
void interaction_set_texts(interaction_t *self, const text_t texts[FIELDS], size_t *bytes);

/* The hash by which a submit is remembered: of the tenant's name and the client's key. */
id128_t key_hash_of(text_t tenant, text_t key);
/* The hash by which a change is remembered: of a client's key, or of a token. Never 0. */
uint64_t change_of_key(text_t key);
uint64_t change_of_token(uint64_t epoch, uint64_t index);

/* ---- Loading (recovery): before the first batch ---- */

bool state_load_checkpoint(state_t *self, uint64_t index, id128_t hash, usec_t log_time);
/* An entry that is passed over when it comes. */
void state_load_skip(state_t *self, uint64_t index, id128_t batch_hash);
bool state_load_configuration(state_t *self, text_t encoded, error_t *ret_error);
/* After the configuration; activations after the strategies. */
bool state_load_catalog(state_t *self, const catalog_row_t *row, error_t *ret_error);
bool state_load_interaction(state_t *self, const interaction_row_t *row, error_t *ret_error);
bool state_load_completed(state_t *self, const interaction_row_t *row, error_t *ret_error);
bool state_load_service(state_t *self, const service_row_t *row, error_t *ret_error);

/* ---- Checkpoint ---- */

/* True when something changed since the last image. */
bool state_image_needed(const state_t *self);
/* Begins an image of the state as it is now (at the end of a batch). Only when none is in work. */
void state_image_begin(state_t *self);
/* Images at most `rows` more rows. When all are in, returns the image (the caller owns it) and the
 * next one may begin; NULL otherwise. */
checkpoint_image_t *state_image_step(state_t *self, size_t rows);
bool state_image_in_work(const state_t *self);

/* ---- Following: the state of a backup, while another node writes the checkpoints ---- */

/* Right after loading; until state_follow_end no image may begin. What changes is remembered, as
 * the first checkpoint after a take-over must have it. */
void state_follow_begin(state_t *self);
/* The other node's checkpoint is at `index` now: what is in it need not be remembered. Cheap when
 * called often. */
void state_follow_checkpoint(state_t *self, uint64_t index);
/* Changes up to here are remembered no longer: tables that are older cannot be continued. */
uint64_t state_follow_base(const state_t *self);
/* This node writes the checkpoints from now on; the tables are at `index`. The next image has all
 * that changed since (and may have more: rows that are as the tables have them already). */
void state_follow_end(state_t *self, uint64_t index);

/* A digest of all interactions, strategies and agents: two states that came from the same log have
 * the same, also when one was loaded from the tables. Of each it has what decides what becomes of
 * it: state, queue, place, version, deadline, attempts, router and token; not its texts, times and
 * journey. Kept up to date with every change; cheap to read. Only at the end of a batch. */
uint64_t state_digest(const state_t *self);

/* Bytes: of records, of texts, of indexes, for the figures people ask for. */
typedef struct {
    size_t records;
    size_t texts;
    size_t indexes;
    size_t remembered;
} state_memory_t;
state_memory_t state_memory(const state_t *self);

#endif
