/* Seen skips: entries that an operator has skipped, and what is left out of the record for that:
 * the interactions that they made, and what the log has of these since. Whoever served until then
 * had them, so he may have told of them, and clients may hear of that later.
 */
#ifndef IXN_TESTS_SIM_SEEN_SKIPS_H
#define IXN_TESTS_SIM_SEEN_SKIPS_H

#include "core/wire/wire.h"
#include "tests/sim/world.h"

typedef struct {
    uint64_t index;
    uint64_t epoch; /* that the skip began */
} skipped_t;

typedef struct {
    id128_t id;
    uint64_t epoch;
} given_up_t;

/* A piece of work that the log hands out no more. */
typedef struct {
    uint64_t epoch;
    uint64_t index;
} left_out_t;

typedef struct {
    skipped_t *entries;
    size_t entries_len;
    uint64_t fence;   /* nobody commits under this epoch or an older one */
    usec_t newest_at; /* an entry was skipped that was not before; 0: none yet */
    given_up_t *given_up;
    size_t given_up_len;
    left_out_t *left_out;
    size_t left_out_len;
} seen_skips_t;

void seen_skips_free(seen_skips_t *self);
void seen_skips_add(seen_skips_t *self, const skipped_t *skipped, uint64_t fence, usec_t now);
/* The log is recorded anew. */
void seen_skips_forget(seen_skips_t *self);
/* While it is: true when this entry is left out. */
bool seen_skips_entry(seen_skips_t *self, uint64_t index, uint64_t epoch,
                      const Ixn__V1__Entry *entry);
bool seen_skips_names(const seen_skips_t *self, const Ixn__V1__Entry *entry);
/* … by a skip that began a later epoch than this one. */
bool seen_skips_gave_up(const seen_skips_t *self, const void *id, size_t len, uint64_t epoch);
bool seen_skips_left_out(const seen_skips_t *self, uint64_t epoch, uint64_t index);

#endif
