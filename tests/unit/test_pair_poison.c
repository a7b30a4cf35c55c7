/* What crashed the other node: a backup stops before such an entry, says so, and goes on when an
 * operator forgives it.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "core/guard.h"
#include "ha/poison.h"
#include "tests/unit/pair_fixture.h"

TestSuite(pair_poison, .init = world_settled, .fini = world_close, .timeout = 60);

/* An entry that B has not applied yet: it hangs, and A goes on. */
static Ixn__V1__PairPoison s_next_entry(id128_t *ret_fingerprint)
{
    Ixn__V1__PairPoison poison = IXN__V1__PAIR_POISON__INIT;
    pair_world_freeze(w, B, true);
    pair_world_pass(w, 300);
    const state_t *state = pair_state(pair_world_pair(w, A));
    *ret_fingerprint = guard_entry(state->index, state->hash);
    poison.fingerprint = wire_bytes(ret_fingerprint);
    poison.index = state->index;
    poison.what = "an entry";
    poison.crashes_own = POISON_CRASHES;
    poison.last_us = INT64_MAX / 2;
    return poison;
}

/* A says so to B. */
static void s_hear(Ixn__V1__PairPoison *poison)
{
    Ixn__V1__PeerHello hello = IXN__V1__PEER_HELLO__INIT;
    Ixn__V1__PeerFrame frame = IXN__V1__PEER_FRAME__INIT;
    const identity_memory_t *memory = pair_world_memory(w, A);
    hello.name = "A";
    hello.role = IXN__V1__PEER_ROLE__PEER_PRIMARY;
    hello.system_identifier = memory->identity.system_identifier;
    hello.database_oid = memory->identity.database_oid;
    hello.poison = &poison;
    hello.n_poison = 1;
    frame.body_case = IXN__V1__PEER_FRAME__BODY_HELLO;
    frame.hello = &hello;
    pair_world_frame(w, B, &frame, true);
    pair_world_freeze(w, B, false);
}

static bool s_knows(int node, id128_t fingerprint)
{
    return poison_find(pair_poison(pair_world_pair(w, node)), fingerprint) != NULL;
}

static uint64_t s_index(int node)
{
    return pair_state(pair_world_pair(w, node))->index;
}

static const char *s_forgive(int node, id128_t fingerprint)
{
    Ixn__V1__PairCommand command = IXN__V1__PAIR_COMMAND__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    command.kind = IXN__V1__PAIR_COMMAND__KIND__FORGIVE;
    command.fingerprint = wire_bytes(&fingerprint);
    request.body_case = IXN__V1__REQUEST__BODY_PAIR_COMMAND;
    request.pair_command = &command;
    return pair_world_ask(w, node, &request);
}

Test(pair_poison, a_backup_stops_before_the_entry_until_it_is_forgiven)
{
    id128_t fingerprint;
    Ixn__V1__PairPoison poison = s_next_entry(&fingerprint);
    s_hear(&poison);
    pair_world_pass(w, 100);
    cr_assert(s_knows(B, fingerprint));
    cr_assert_eq(pair_role(pair_world_pair(w, B)), ROLE_SYNCING, "%s", pair_world_told(w));
    cr_assert_lt(s_index(B), poison.index);
    const char *answer = s_forgive(B, fingerprint);
    cr_assert_null(strstr(answer, "error"), "%s", answer);
    pair_world_pass(w, 20);
    cr_assert_eq(pair_role(pair_world_pair(w, B)), ROLE_READY, "%s", pair_world_told(w));
    cr_assert_geq(s_index(B), poison.index);
}

Test(pair_poison, what_the_tables_have_need_not_be_applied)
{
    id128_t fingerprint;
    Ixn__V1__PairPoison poison = s_next_entry(&fingerprint);
    s_hear(&poison);
    pair_world_pass(w, 100);
    cr_assert_eq(pair_role(pair_world_pair(w, B)), ROLE_SYNCING, "%s", pair_world_told(w));
    cr_assert_geq(pair_world_until(w, B, ROLE_READY, 5000), 0, "%s", pair_world_told(w));
    cr_assert(s_knows(B, fingerprint));
    cr_assert_geq(s_index(B), poison.index);
}

Test(pair_poison, the_other_node_hears_of_it_and_of_its_forgiving)
{
    id128_t fingerprint;
    Ixn__V1__PairPoison poison = s_next_entry(&fingerprint);
    s_hear(&poison);
    pair_world_pass(w, 500);
    cr_assert(s_knows(A, fingerprint));
    s_forgive(A, fingerprint);
    pair_world_pass(w, 500);
    cr_assert(!s_knows(A, fingerprint));
    cr_assert(!s_knows(B, fingerprint));
}

Test(pair_poison, one_crash_stops_nobody)
{
    id128_t fingerprint;
    Ixn__V1__PairPoison poison = s_next_entry(&fingerprint);
    poison.crashes_own = POISON_CRASHES - 1;
    s_hear(&poison);
    cr_assert_geq(pair_world_until(w, B, ROLE_READY, 5000), 0);
    pair_world_pass(w, 500);
    cr_assert_gt(s_index(B), poison.index, "%s", pair_world_told(w));
}

Test(pair_poison, what_was_seen_long_ago_is_forgotten)
{
    id128_t fingerprint;
    Ixn__V1__PairPoison poison = s_next_entry(&fingerprint);
    poison.last_us = 0;
    s_hear(&poison);
    pair_world_pass(w, 500);
    cr_assert(!s_knows(B, fingerprint));
}

Test(pair_poison, only_what_is_known_is_forgiven)
{
    const char *answer = s_forgive(A, id_hash("another", 7));
    cr_assert(strstr(answer, "knows of no input with the fingerprint"), "%s", answer);
}
