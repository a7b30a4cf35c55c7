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
    X(CONSENT_SKIPPED, "a node goes to another server whether or not the other one gave way")      \
    X(SERVER_UNCHECKED, "what an access point reaches is not checked inside the transaction")      \
    X(HEAL_UNPROVEN, "lost batches are written back behind whatever the database ends with")       \
    X(CURSOR_LOST, "whose turn it is does not come back from the tables")                          \
    X(RETURNED_TO_TAIL, "work that comes back goes to the end of the line")                        \
    X(TURNS_FORGOTTEN, "the first router with room gets the work")                                 \
    X(SERVER_TURNS_FORGOTTEN, "the first application server with room gets the request")           \
    X(LOWER_EPOCH_ACCEPTED, "a frame of the peer counts under an epoch that is over")              \
    X(TAIL_KEPT, "a backup keeps what it buffered of an epoch that is over")                       \
    X(GRANTED_TWICE, "an agent is granted although another has it")                                \
    X(GRANTS_FORGOTTEN, "a grant of an epoch that is over does not count")                         \
    X(FIRST_CLAIM_WINS, "of those who want an agent the first one gets it")                        \
    X(GRANT_UNCHECKED, "a result may name any agent")                                              \
    X(UNSAFE_RETRIED, "an unsafe request goes to another server when its own is lost")             \
    X(ANSWER_OF_ANY, "whoever answers a request to a server is believed")                          \
    X(DEACTIVATED_RUNS, "a strategy that is deactivated goes on getting work")                     \
    X(BODY_OF_NEWEST, "whichever version is asked for, the newest is sent")                        \
    X(CRASH_UNCOUNTED, "what a node was working on when it crashed is forgotten")                  \
    X(CRASHES_UNTOLD, "a node tells the other one nothing of its crashes")                         \
    X(ENTRY_RETRIED, "an entry of the log that crashed nodes twice is applied again")              \
    X(SKIP_IGNORED, "an entry that an operator has skipped is applied all the same")               \
    X(SKIP_UNSEEN, "a node keeps the state that it made before an operator's skip")                \
    X(SKIP_IN_EPOCH, "a skip begins no epoch")

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
