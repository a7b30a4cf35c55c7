/* Mutation: rules that the simulator's own build of the libraries can break on purpose, to prove
 * that the simulator would notice. In every other build MUTATION is false at compile time.
 */
#ifndef IXN_BASE_MUTATION_H
#define IXN_BASE_MUTATION_H

/* X(NAME, "what is broken") */
#define MUTATIONS(X)                                                                               \
    X(NONE, "nothing")                                                                             \
    X(FENCE_SKIPPED, "the journal's statement does not look at the epoch")                         \
    X(RELEASED_EARLY, "messages leave before their commit")                                        \
    X(TOKEN_IGNORED, "a result is taken under any token")                                          \
    X(HEAD_IGNORED, "a take-over serves what it has, whatever the head is")                        \
    X(KEYS_FORGOTTEN, "keys of submits are not looked for")                                        \
    X(DEADLINES_LOST, "a deadline is never due")                                                   \
    X(FOLLOWS_UNCOMMITTED, "a backup applies what is not committed")                               \
    X(CHECKPOINT_SHORT, "a take-over's first checkpoint lacks what changed before it")             \
    X(STATIC_SKIPPED, "an access point may reach any database")                                    \
    X(LINEAGE_SKIPPED, "an access point may reach a copy that stayed behind")                      \
    X(LIVE_PROOF_SKIPPED, "an access point may reach a fresh clone")                               \
    X(CHECKED_OUTSIDE, "what an access point reaches is not checked inside the transaction")

typedef enum {
#define X(name, text) MUTATION_##name,
    MUTATIONS(X)
#undef X
        MUTATIONS_LEN
} mutation_t;

#ifdef IXN_MUTATIONS
extern mutation_t mutation_active; /* defined by the simulator */
#define MUTATION(name) (mutation_active == MUTATION_##name)
#else
#define MUTATION(name) 0
#endif

#endif
