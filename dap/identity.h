/* Identity: which database this is. Static part of architecture section 6; lineage is checked by
 * the journal lane, the live proof belongs to the pair.
 */
#ifndef IXN_DAP_IDENTITY_H
#define IXN_DAP_IDENTITY_H

#include "core/base/error.h"
#include "core/base/id.h"

typedef struct {
    id128_t database_id;        /* stamped by `ixnctl database init` */
    uint64_t system_identifier; /* of the PostgreSQL cluster (pg_control_system) */
    uint32_t database_oid;      /* of the database in it */
} identity_t;

/* For people and error texts, e.g.
 * "database_id 0198… system_identifier 7571… oid 16384". Returns `text`. */
#define IDENTITY_TEXT_SIZE 128
const char *identity_text(const identity_t *self, char text[IDENTITY_TEXT_SIZE]);
bool identity_equal(const identity_t *a, const identity_t *b);

/* What this node remembers of its database in `state_dir` (file "identity"): the identity and the
 * highest epoch it has seen. Written atomically (temporary file, fsync, rename, fsync of the
 * folder). */
typedef struct {
    identity_t identity;
    uint64_t epoch;
    id128_t generation;
} identity_memory_t;

typedef enum { MEMORY_READ, MEMORY_EMPTY, MEMORY_BROKEN } memory_result_t;

/* MEMORY_EMPTY: no such file yet. MEMORY_BROKEN: there is one, but it cannot be read or makes no
 * sense; the error says which line (never treated as empty: that would drop the guard). */
memory_result_t identity_recall(const char *state_dir, identity_memory_t *ret_memory,
                                error_t *ret_error);
bool identity_remember(const char *state_dir, const identity_memory_t *memory, error_t *ret_error);

#endif
