#include "ha/role.h"

#include <stddef.h>

#include "core/base/check.h"

/* The moves; everything else is ignored or impossible, and the table says why. A test keeps this
 * picture and the table in step: one line a move.
 *
 *   starting       -- primary seen     --> backup-syncing
 *   starting       -- nobody serves    --> taking-over
 *   starting       -- failover         --> taking-over
 *   starting       -- stop             --> stopped
 *   backup-syncing -- nobody serves    --> starting
 *   backup-syncing -- level            --> backup-ready
 *   backup-syncing -- failover         --> taking-over
 *   backup-syncing -- handed           --> taking-over
 *   backup-syncing -- stop             --> stopped
 *   backup-ready   -- behind           --> backup-syncing
 *   backup-ready   -- primary gone     --> taking-over
 *   backup-ready   -- failover         --> taking-over
 *   backup-ready   -- handed           --> taking-over
 *   backup-ready   -- stop             --> stopped
 *   taking-over    -- claimed          --> primary-alone
 *   taking-over    -- claim lost       --> starting
 *   taking-over    -- higher epoch     --> starting
 *   taking-over    -- stop             --> stopped
 *   primary-alone  -- peer follows     --> primary-paired
 *   primary-alone  -- higher epoch     --> fenced
 *   primary-alone  -- fenced           --> fenced
 *   primary-alone  -- went back        --> fenced
 *   primary-alone  -- stop             --> stopped
 *   primary-paired -- peer lost        --> primary-alone
 *   primary-paired -- hand over        --> handing-over
 *   primary-paired -- higher epoch     --> fenced
 *   primary-paired -- fenced           --> fenced
 *   primary-paired -- went back        --> fenced
 *   primary-paired -- stop             --> stopped
 *   handing-over   -- not taken        --> primary-paired
 *   handing-over   -- higher epoch     --> starting
 *   handing-over   -- fenced           --> starting
 *   handing-over   -- went back        --> starting
 *   handing-over   -- stop             --> stopped
 *   fenced         -- primary seen     --> backup-syncing
 *   fenced         -- nobody serves    --> taking-over
 *   fenced         -- failover         --> taking-over
 *   fenced         -- stop             --> stopped
 */

#define MOVE(to, text) ((role_cell_t){ROLE_MOVE, ROLE_##to, text})
#define IGNORE(text) ((role_cell_t){ROLE_IGNORE, ROLE_STARTING, text})
#define IMPOSSIBLE(text) ((role_cell_t){ROLE_IMPOSSIBLE, ROLE_STARTING, text})

#define EVENT(name) [ROLE_EVENT_##name]

static const role_cell_t s_table[ROLES_LEN][ROLE_EVENTS_LEN] = {
    [ROLE_STARTING] =
        {
            EVENT(PRIMARY_SEEN) = MOVE(SYNCING, "another node serves; this one follows it"),
            EVENT(NOBODY_SERVES) = MOVE(TAKING_OVER, "no node serves; this one claims the epoch"),
            EVENT(LEVEL) = IGNORE("it does not follow anybody yet"),
            EVENT(BEHIND) = IGNORE("it does not follow anybody yet"),
            EVENT(PRIMARY_GONE) = IMPOSSIBLE("only a backup that is ready judges the primary"),
            EVENT(FAILOVER) = MOVE(TAKING_OVER, "an operator demands it"),
            EVENT(HANDED) = IGNORE("it has no state; the primary sees that nobody claims"),
            EVENT(CLAIMED) = IMPOSSIBLE("it has claimed nothing"),
            EVENT(CLAIM_LOST) = IMPOSSIBLE("it has claimed nothing"),
            EVENT(PEER_FOLLOWS) = IGNORE("it does not serve"),
            EVENT(PEER_LOST) = IGNORE("it asks the database too"),
            EVENT(HAND_OVER) = IGNORE("it does not serve"),
            EVENT(HAND_OVER_FAILED) = IMPOSSIBLE("it hands nothing over"),
            EVENT(HIGHER_EPOCH) = IGNORE("it has no epoch of its own"),
            EVENT(LANE_FENCED) = IGNORE("its lanes are closed"),
            EVENT(WENT_BACK) = IGNORE("its lanes are closed"),
            EVENT(STOP) = MOVE(STOPPED, "asked to end"),
        },
    [ROLE_SYNCING] =
        {
            EVENT(PRIMARY_SEEN) = IGNORE("it follows already"),
            EVENT(NOBODY_SERVES) = MOVE(STARTING, "there is nobody to follow; it asks again"),
            EVENT(LEVEL) = MOVE(READY, "level with the log"),
            EVENT(BEHIND) = IGNORE("it is not level anyway"),
            EVENT(PRIMARY_GONE) = IMPOSSIBLE("only a backup that is ready judges the primary"),
            EVENT(FAILOVER) = MOVE(TAKING_OVER, "an operator demands it"),
            EVENT(HANDED) = MOVE(TAKING_OVER, "the primary hands over"),
            EVENT(CLAIMED) = IMPOSSIBLE("it has claimed nothing"),
            EVENT(CLAIM_LOST) = IMPOSSIBLE("it has claimed nothing"),
            EVENT(PEER_FOLLOWS) = IGNORE("it does not serve"),
            EVENT(PEER_LOST) = IGNORE("it follows the journal"),
            EVENT(HAND_OVER) = IGNORE("it does not serve"),
            EVENT(HAND_OVER_FAILED) = IMPOSSIBLE("it hands nothing over"),
            EVENT(HIGHER_EPOCH) = IGNORE("it follows whoever has the epoch"),
            EVENT(LANE_FENCED) = IGNORE("its lanes are closed"),
            EVENT(WENT_BACK) = IGNORE("its lanes are closed"),
            EVENT(STOP) = MOVE(STOPPED, "asked to end"),
        },
    [ROLE_READY] =
        {
            EVENT(PRIMARY_SEEN) = IGNORE("it follows already"),
            EVENT(NOBODY_SERVES) = IGNORE("it judges the primary by link and head"),
            EVENT(LEVEL) = IGNORE("it is level already"),
            EVENT(BEHIND) = MOVE(SYNCING, "no longer level with the log"),
            EVENT(PRIMARY_GONE) = MOVE(TAKING_OVER, "the primary is gone"),
            EVENT(FAILOVER) = MOVE(TAKING_OVER, "an operator demands it"),
            EVENT(HANDED) = MOVE(TAKING_OVER, "the primary hands over"),
            EVENT(CLAIMED) = IMPOSSIBLE("it has claimed nothing"),
            EVENT(CLAIM_LOST) = IMPOSSIBLE("it has claimed nothing"),
            EVENT(PEER_FOLLOWS) = IGNORE("it does not serve"),
            EVENT(PEER_LOST) = IGNORE("it follows the journal and watches the head"),
            EVENT(HAND_OVER) = IGNORE("it does not serve"),
            EVENT(HAND_OVER_FAILED) = IMPOSSIBLE("it hands nothing over"),
            EVENT(HIGHER_EPOCH) = IGNORE("it follows whoever has the epoch"),
            EVENT(LANE_FENCED) = IGNORE("its lanes are closed"),
            EVENT(WENT_BACK) = IGNORE("its lanes are closed"),
            EVENT(STOP) = MOVE(STOPPED, "asked to end"),
        },
    [ROLE_TAKING_OVER] =
        {
            EVENT(PRIMARY_SEEN) = IGNORE("the claim tells who is right"),
            EVENT(NOBODY_SERVES) = IGNORE("it claims already"),
            EVENT(LEVEL) = IGNORE("the claim tells the head"),
            EVENT(BEHIND) = IGNORE("the claim tells the head"),
            EVENT(PRIMARY_GONE) = IMPOSSIBLE("only a backup that is ready judges the primary"),
            EVENT(FAILOVER) = IGNORE("it claims already"),
            EVENT(HANDED) = IGNORE("it claims already"),
            EVENT(CLAIMED) = MOVE(ALONE, "the epoch is this node's and its state is at the head"),
            EVENT(CLAIM_LOST) = MOVE(STARTING, "what was judged is no longer there; it asks again"),
            EVENT(PEER_FOLLOWS) = IGNORE("it does not serve yet"),
            EVENT(PEER_LOST) = IGNORE("it needs the database only"),
            EVENT(HAND_OVER) = IGNORE("it does not serve yet"),
            EVENT(HAND_OVER_FAILED) = IMPOSSIBLE("it hands nothing over"),
            EVENT(HIGHER_EPOCH) = MOVE(STARTING, "another node has claimed after this one"),
            EVENT(LANE_FENCED) = IGNORE("its lanes are closed"),
            EVENT(WENT_BACK) = IGNORE("the claim tells what is there"),
            EVENT(STOP) = MOVE(STOPPED, "asked to end"),
        },
    [ROLE_ALONE] =
        {
            EVENT(PRIMARY_SEEN) = IGNORE("whoever it is has a lower epoch"),
            EVENT(NOBODY_SERVES) = IGNORE("it serves"),
            EVENT(LEVEL) = IGNORE("it decides the log"),
            EVENT(BEHIND) = IGNORE("it decides the log"),
            EVENT(PRIMARY_GONE) = IMPOSSIBLE("only a backup that is ready judges the primary"),
            EVENT(FAILOVER) = IGNORE("it serves already"),
            EVENT(HANDED) = IGNORE("it serves already"),
            EVENT(CLAIMED) = IMPOSSIBLE("it has claimed already"),
            EVENT(CLAIM_LOST) = IMPOSSIBLE("it has claimed already"),
            EVENT(PEER_FOLLOWS) = MOVE(PAIRED, "the backup follows"),
            EVENT(PEER_LOST) = IGNORE("it is alone already"),
            EVENT(HAND_OVER) = IGNORE("nobody is there to take over"),
            EVENT(HAND_OVER_FAILED) = IMPOSSIBLE("it hands nothing over"),
            EVENT(HIGHER_EPOCH) = MOVE(FENCED, "another node has a higher epoch"),
            EVENT(LANE_FENCED) = MOVE(FENCED, "another node has taken over"),
            EVENT(WENT_BACK) = MOVE(FENCED, "the database went back behind what was committed"),
            EVENT(STOP) = MOVE(STOPPED, "asked to end"),
        },
    [ROLE_PAIRED] =
        {
            EVENT(PRIMARY_SEEN) = IGNORE("whoever it is has a lower epoch"),
            EVENT(NOBODY_SERVES) = IGNORE("it serves"),
            EVENT(LEVEL) = IGNORE("it decides the log"),
            EVENT(BEHIND) = IGNORE("it decides the log"),
            EVENT(PRIMARY_GONE) = IMPOSSIBLE("only a backup that is ready judges the primary"),
            EVENT(FAILOVER) = IGNORE("it serves already"),
            EVENT(HANDED) = IGNORE("it serves already"),
            EVENT(CLAIMED) = IMPOSSIBLE("it has claimed already"),
            EVENT(CLAIM_LOST) = IMPOSSIBLE("it has claimed already"),
            EVENT(PEER_FOLLOWS) = IGNORE("it is paired already"),
            EVENT(PEER_LOST) = MOVE(ALONE, "the backup is gone or not heard"),
            EVENT(HAND_OVER) = MOVE(HANDING_OVER, "hands over to the backup"),
            EVENT(HAND_OVER_FAILED) = IMPOSSIBLE("it hands nothing over"),
            EVENT(HIGHER_EPOCH) = MOVE(FENCED, "another node has a higher epoch"),
            EVENT(LANE_FENCED) = MOVE(FENCED, "another node has taken over"),
            EVENT(WENT_BACK) = MOVE(FENCED, "the database went back behind what was committed"),
            EVENT(STOP) = MOVE(STOPPED, "asked to end"),
        },
    [ROLE_HANDING_OVER] =
        {
            EVENT(PRIMARY_SEEN) = IGNORE("the epoch in the peer's frames tells"),
            EVENT(NOBODY_SERVES) = IGNORE("it waits for the peer's claim"),
            EVENT(LEVEL) = IGNORE("it decided the log"),
            EVENT(BEHIND) = IGNORE("it decided the log"),
            EVENT(PRIMARY_GONE) = IMPOSSIBLE("only a backup that is ready judges the primary"),
            EVENT(FAILOVER) = IGNORE("it waits for the peer's claim"),
            EVENT(HANDED) = IGNORE("it hands over itself"),
            EVENT(CLAIMED) = IMPOSSIBLE("it has claimed already"),
            EVENT(CLAIM_LOST) = IMPOSSIBLE("it has claimed already"),
            EVENT(PEER_FOLLOWS) = IGNORE("it waits for the peer's claim"),
            EVENT(PEER_LOST) = IGNORE("it waits as long as it has said"),
            EVENT(HAND_OVER) = IGNORE("it hands over already"),
            EVENT(HAND_OVER_FAILED) = MOVE(PAIRED, "the peer did not take over in time"),
            EVENT(HIGHER_EPOCH) = MOVE(STARTING, "the peer has taken over"),
            EVENT(LANE_FENCED) = MOVE(STARTING, "the peer has taken over"),
            EVENT(WENT_BACK) = MOVE(STARTING, "the database went back behind what was committed"),
            EVENT(STOP) = MOVE(STOPPED, "asked to end"),
        },
    [ROLE_FENCED] =
        {
            EVENT(PRIMARY_SEEN) = MOVE(SYNCING, "another node serves; this one follows it"),
            EVENT(NOBODY_SERVES) = MOVE(TAKING_OVER, "no node serves; this one claims the epoch"),
            EVENT(LEVEL) = IGNORE("it does not follow anybody yet"),
            EVENT(BEHIND) = IGNORE("it does not follow anybody yet"),
            EVENT(PRIMARY_GONE) = IMPOSSIBLE("only a backup that is ready judges the primary"),
            EVENT(FAILOVER) = MOVE(TAKING_OVER, "an operator demands it"),
            EVENT(HANDED) = IGNORE("it has no state; the primary sees that nobody claims"),
            EVENT(CLAIMED) = IMPOSSIBLE("it has claimed nothing"),
            EVENT(CLAIM_LOST) = IMPOSSIBLE("it has claimed nothing"),
            EVENT(PEER_FOLLOWS) = IGNORE("it does not serve"),
            EVENT(PEER_LOST) = IGNORE("it asks the database too"),
            EVENT(HAND_OVER) = IGNORE("it does not serve"),
            EVENT(HAND_OVER_FAILED) = IMPOSSIBLE("it hands nothing over"),
            EVENT(HIGHER_EPOCH) = IGNORE("it knows that its epoch is over"),
            EVENT(LANE_FENCED) = IGNORE("it knows that its epoch is over"),
            EVENT(WENT_BACK) = IGNORE("its lanes are closed"),
            EVENT(STOP) = MOVE(STOPPED, "asked to end"),
        },
    [ROLE_STOPPED] =
        {
            EVENT(PRIMARY_SEEN) = IGNORE("it ends"),
            EVENT(NOBODY_SERVES) = IGNORE("it ends"),
            EVENT(LEVEL) = IGNORE("it ends"),
            EVENT(BEHIND) = IGNORE("it ends"),
            EVENT(PRIMARY_GONE) = IMPOSSIBLE("only a backup that is ready judges the primary"),
            EVENT(FAILOVER) = IGNORE("it ends"),
            EVENT(HANDED) = IGNORE("it ends"),
            EVENT(CLAIMED) = IGNORE("it ends"),
            EVENT(CLAIM_LOST) = IGNORE("it ends"),
            EVENT(PEER_FOLLOWS) = IGNORE("it ends"),
            EVENT(PEER_LOST) = IGNORE("it ends"),
            EVENT(HAND_OVER) = IGNORE("it ends"),
            EVENT(HAND_OVER_FAILED) = IMPOSSIBLE("it hands nothing over"),
            EVENT(HIGHER_EPOCH) = IGNORE("it ends"),
            EVENT(LANE_FENCED) = IGNORE("it ends"),
            EVENT(WENT_BACK) = IGNORE("it ends"),
            EVENT(STOP) = IGNORE("it ends"),
        },
};

static const char *const s_roles[] = {
#define X(name, text) [ROLE_##name] = (text),
    ROLES(X)
#undef X
};

static const char *const s_events[] = {
#define X(name, text) [ROLE_EVENT_##name] = (text),
    ROLE_EVENTS(X)
#undef X
};

const role_cell_t *role_cell(role_t role, role_event_t event)
{
    CHECK(role < ROLES_LEN && event < ROLE_EVENTS_LEN);
    return &s_table[role][event];
}

const char *role_name(role_t role)
{
    CHECK(role < ROLES_LEN);
    return s_roles[role];
}

const char *role_event_name(role_event_t event)
{
    CHECK(event < ROLE_EVENTS_LEN);
    return s_events[event];
}

bool role_serves(role_t role)
{
    return role == ROLE_ALONE || role == ROLE_PAIRED;
}

bool role_follows(role_t role)
{
    return role == ROLE_SYNCING || role == ROLE_READY;
}
