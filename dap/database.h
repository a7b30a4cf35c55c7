/* Database: what is done to the pair's database once, at start and by `ixnctl database …`: create
 * the schema, check what is there, claim the next epoch, load the state. Calls block, each within
 * its own deadline.
 */
#ifndef IXN_DAP_DATABASE_H
#define IXN_DAP_DATABASE_H

#include "config/config.h"
#include "core/batch.h"
#include "core/catalog.h"
#include "core/row.h"
#include "core/service_row.h"
#include "dap/connection.h"
#include "dap/identity.h"
#include "dap/moves.h"
#include "dap/params.h"

/* The highest numbered migration that this program knows (dap/schema/NNNN_*.sql). */
#define DATABASE_SCHEMA_VERSION 12

/* How a database stands to a place that the pair knows to be committed. Everything in one snapshot.
 */
typedef enum {
    LINEAGE_UNKNOWN,  /* nothing was asked */
    LINEAGE_AGREES,   /* it holds that place, or had it before its journal was pruned */
    LINEAGE_DIVERGED, /* it holds something else there */
    LINEAGE_SHORT,    /* its head is before it: it lost what is between, or stayed behind */
} lineage_t;

/* What the pair's row and the journal's head say. */
typedef struct {
    identity_t identity;
    char server[200]; /* for people: "database ixn on 127.0.0.1:5432, PostgreSQL 15.8" */
    uint32_t schema_version;
    uint64_t epoch;
    id128_t generation;           /* zero: never claimed */
    char owner[CONFIG_NAME_SIZE]; /* name of the node that claimed it */
    uint64_t head_index;
    id128_t head_hash;
    usec_t head_log_time;
    usec_t head_wall_time;
    uint64_t checkpoint_index;
    moves_t moves;       /* which database it was before */
    instance_t instance; /* which run of which server answers */
    uint64_t skips;      /* entries of the log that an operator has skipped (ixn.skip) */
    bool standby;        /* it is in recovery: read only, and behind its primary */
    lineage_t lineage;
    place_t known; /* what `lineage` was asked for */
    id128_t there; /* DIVERGED: the hash of the batch that it has there instead; zero: none ends
                      there */
} database_status_t;
/* SHORT: so many entries are missing. */
uint64_t database_lost(const database_status_t *status);

/* A connection that blocks within deadlines; tries the DAPs in their order and takes the first that
 * answers. NULL and DATABASE_UNREACHABLE with each DAP's reason otherwise. A later call that finds
 * its connection lost does the same again. `config` is read during the call only. */
typedef struct database database_t;
database_t *database_open(const config_t *config, error_t *ret_error);
/* The same with config->daps[dap] alone, opened by the first call that needs it. `stop`: as of
 * connection_set_stop. */
database_t *database_of_dap(const config_t *config, size_t dap, int stop);
void database_destroy(database_t **self_p);
void database_set_timeouts(database_t *self, uint32_t connect_timeout_ms,
                           uint32_t statement_timeout_ms);

/* The connection in use (opened again if it was lost), for statements that are not among those
 * below. NULL and an error where no DAP answers. It belongs to the database. */
connection_t *database_connection(database_t *self, error_t *ret_error);

/* DATABASE_EMPTY where there is no ixn schema, DATABASE_SCHEMA where its version is another one
 * (both versions in the text). Reads in one snapshot. `known`: asks for the lineage; may be NULL.
 */
bool database_status(database_t *self, const place_t *known, database_status_t *ret_status,
                     error_t *ret_error);
/* For long work: nothing but our own deadlines ends a statement of the transaction that the caller
 * has begun, whatever is set for the role or the database. */
bool database_set_no_limits(connection_t *connection, error_t *ret_error);
/* Part of a statement: the transaction that runs it is on disk when its commit is answered, also
 * where `synchronous_commit` is off for the role, the database or the server. True as a condition.
 */
#define DURABLE_SQL                                                                                \
    "CASE current_setting('synchronous_commit')"                                                   \
    " WHEN 'off' THEN set_config('synchronous_commit', 'on', true) = 'on' ELSE true END"
/* Parts of it, on any connection, inside the transaction that the caller has begun: the version of
 * the schema, whichever it is; all of it. */
bool database_read_version(connection_t *connection, uint32_t *ret_version, error_t *ret_error);
bool database_read_status(connection_t *connection, const place_t *known,
                          database_status_t *ret_status, error_t *ret_error);
/* All but the version is one statement, which is one snapshot by itself; its parameters, and what
 * it returned. */
extern const char database_status_sql[];
void database_status_params(params_t *params, const place_t *known);
bool database_parse_status(const PGresult *result, const place_t *known,
                           database_status_t *ret_status, error_t *ret_error);

/* Applies all migrations to a database without an ixn schema and stamps a new identity; everything
 * in one transaction. DATABASE_REFUSED when there is one already (its identity is in the error), or
 * when its encoding is not UTF8. */
bool database_init(database_t *self, identity_t *ret_identity, error_t *ret_error);
/* Applies the migrations that are missing, in one transaction; sets how many that were.
 * DATABASE_EMPTY and DATABASE_SCHEMA (newer than this program) as above. */
bool database_migrate(database_t *self, uint32_t *ret_applied, error_t *ret_error);

/* Claims the next epoch: one transaction that locks the pair's row, then (in the next statement)
 * reads the head, and changes the row only while identity, instance, epoch and generation are still
 * those of `judged`, and while it holds the place that was judged (`judged->known`). The new epoch
 * is greatest(epoch, highest_seen) + 1. Also adds the row to ixn.epoch and carries the generation
 * into ixn.checkpoint. Blocking sessions of the same database role that hold the row's lock are
 * terminated. On success `ret_status` is the state after it (head = what must be continued).
 * DATABASE_FENCED: somebody else was quicker; judge again. An unknown outcome (connection lost at
 * commit) is resolved by looking whose generation is in the row. A batch that was on its way lands
 * before the claim or not at all; `with_head` tells whether that is a reason to judge again
 * (DATABASE_FENCED). */
typedef struct {
    uint64_t highest_seen;
    bool with_head;     /* the head, too, must still be the judged one */
    id128_t generation; /* fresh, random */
    const char *owner;  /* node name */
    const char *reason;
    /* Committed batches that the judged database lost: in the same transaction they are written
     * back behind its head (dap/heal.h), up to `judged->known`; `reason` is then the operator's.
     * With `with_head`. 0: none. */
    batch_t *const *batches;
    size_t batches_len;
} database_claim_t;
bool database_claim(database_t *self, const database_status_t *judged,
                    const database_claim_t *claim, database_status_t *ret_status,
                    error_t *ret_error);

/* Loads the state: the checkpoint's rows, the completed interactions that the dedupe window still
 * needs, then the journal after the checkpoint, in one REPEATABLE READ snapshot, calling back in
 * that order. Row text and batch entries are valid during the call only. A callback that returns
 * false with an error stops the load with that error. */
typedef struct {
    /* of the same snapshot, before all others; may be NULL */
    void (*status)(void *context, const database_status_t *status);
    bool (*checkpoint)(void *context, uint64_t index, id128_t hash, usec_t log_time,
                       error_t *ret_error);
    bool (*skip)(void *context, uint64_t index, id128_t batch_hash, error_t *ret_error);
    bool (*configuration)(void *context, text_t encoded,
                          error_t *ret_error); /* absent: not called */
    /* How far before the checkpoint's log time completed ones are remembered: asked once the
     * configuration in force is known, which decides it. */
    usec_t (*dedupe_window)(void *context);
    bool (*catalog)(void *context, const catalog_row_t *row, error_t *ret_error);
    bool (*interaction)(void *context, const interaction_row_t *row, error_t *ret_error);
    bool (*service)(void *context, const service_row_t *row, error_t *ret_error);
    bool (*completed)(void *context, const interaction_row_t *row, error_t *ret_error);
    bool (*batch)(void *context, const batch_t *batch, error_t *ret_error);
    void (*progress)(void *context, uint64_t interactions,
                     uint64_t batches); /* about once a second */
    void *context;
} database_load_t;
/* Completed rows are those of the dedupe window; of each only what is remembered: id, tenant, key,
 * fingerprint, journey, when it was completed; they come in the order of their log time. Batches: a
 * journal that does not continue the checkpoint, has a gap, or a row that is not what its hash says
 * is DATABASE_DIVERGED, with both values. */
bool database_load(database_t *self, const database_load_t *callbacks, error_t *ret_error);

/* Reads the batches that continue the one that ends there: the oldest first, at
 * most `max_bytes` of entries, but one batch if there is any; in one statement. */
typedef struct {
    uint64_t index;
    id128_t hash;
} database_place_t;
typedef struct {
    batch_t **batches; /* array and batches are the caller's; NULL: none */
    size_t len;
    /* The journal does not have that batch as its own, or no longer what follows it: there are no
     * batches. */
    bool gone;
} database_follow_t;
/* A row that is not what its hash says is DATABASE_DIVERGED, as above. Only from the server
 * `instance`: DATABASE_REFUSED from another one. */
bool database_follow(database_t *self, const database_place_t *after, const instance_t *instance,
                     size_t max_bytes, database_follow_t *ret_follow, error_t *ret_error);

#endif
