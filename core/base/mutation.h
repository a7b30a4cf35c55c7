/* Mutation: rules that a build of the tests' own can break on purpose, to prove that the simulator,
 * or the tests on a real database, would notice. In every other build MUTATION is false at compile
 * time.
 */
#ifndef IXN_BASE_MUTATION_H
#define IXN_BASE_MUTATION_H

/* X(NAME, "what is broken"); those that the simulator has to notice … */
#define MUTATIONS(X)                                                                               \
    X(NONE, "nothing")                                                                             \
    X(FENCE_SKIPPED, "the journal's statement does not look at the epoch")                         \
    X(FENCE_BY_SELECT, "the journal's statement reads the epoch and locks nothing")                \
    X(RELEASED_EARLY, "messages leave before their commit")                                        \
    X(TOKEN_IGNORED, "a result is taken under any token")                                          \
    X(HEAD_IGNORED, "a take-over serves what it has, whatever the head is")                        \
    X(KEYS_FORGOTTEN, "keys of completed interactions are not looked for")                         \
    X(DEADLINES_LOST, "a deadline is never due")                                                   \
    X(FOLLOWS_UNCOMMITTED, "a backup applies what is not committed")                               \
    X(DEADLINES_NOT_LOADED, "deadlines are lost where the tables are loaded")                      \
    X(HEAD_NOT_AWAITED, "a silent primary is judged dead though the head moves")                   \
    X(WALL_CLOCK, "log time follows the calendar")                                                 \
    X(RETENTION_AHEAD, "journal rows go before the checkpoint has passed them")                    \
    X(CHECKPOINT_SHORT, "a take-over's first checkpoint lacks what changed before it")             \
    X(STATIC_SKIPPED, "an access point may reach any database")                                    \
    X(LINEAGE_SKIPPED, "an access point may reach a copy that stayed behind")                      \
    X(LIVE_PROOF_SKIPPED, "an access point may reach a fresh clone")                               \
    X(SERVER_UNCHECKED, "what an access point reaches is not checked inside the transaction")      \
    X(HEAL_UNPROVEN, "lost batches are written back behind whatever the database ends with")       \
    X(CURSOR_LOST, "whose turn it is does not come back from the tables")                          \
    X(RETURNED_TO_TAIL, "work that comes back goes to the end of the line")

/* … and those of the SQL, which the interleavings on PostgreSQL have to notice. */
#define SQL_MUTATIONS(X)                                                                           \
    X(CHECKED_OUTSIDE, "the epoch is checked and locked, then the batch is inserted")              \
    X(SUCCESSORS_MANY, "the journal has no UNIQUE (first_index)")                                  \
    X(CLAIM_UNLOCKED, "a claim does not lock the pair's row before it looks")

typedef enum {
#define X(name, text) MUTATION_##name,
    MUTATIONS(X) MUTATIONS_LEN,
    MUTATION_BEFORE_SQL = MUTATIONS_LEN - 1,
    SQL_MUTATIONS(X)
#undef X
        MUTATIONS_END
} mutation_t;

#ifdef IXN_MUTATIONS
extern mutation_t mutation_active; /* defined by the simulator */
#define MUTATION(name) (mutation_active == MUTATION_##name)
#else
#define MUTATION(name) 0
#endif

#endif
