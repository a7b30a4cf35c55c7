/* The DAPs while they change: stories of a pair, and of a node that is alone. The pair of this
 * world begins with DAPs 0 and 1, named dap-1 and dap-2, whose route is zero. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/pair_fixture.h"

enum { ROUTE_NOTHING = 0, ROUTE_OURS = 1, ROUTE_OTHER = 2 };

TestSuite(pair_daps, .init = world_settled, .fini = world_close, .timeout = 300);

typedef struct {
    const char *name;
    uint8_t reaches; /* ROUTE_…, and what tells two of them apart; 255: the route it began with */
    uint8_t other;
    uint32_t weight;
} given_t;

static bool s_set(int node, const given_t *given, size_t len)
{
    pair_dap_t daps[PAIR_MAX_DAPS];
    error_t error = {0};
    memset(daps, 0, sizeof daps);
    for (size_t i = 0; i < len; i++) {
        snprintf(daps[i].name, sizeof daps[i].name, "%s", given[i].name);
        if (given[i].reaches != 255)
            daps[i].route = (id128_t){{given[i].reaches, 1, given[i].other}};
        daps[i].weight = given[i].weight;
        daps[i].line = (uint32_t)i + 10;
    }
    return pair_set_daps(pair_world_pair(w, node), daps, len, &error);
}

#define SET(node, ...)                                                                             \
    do {                                                                                           \
        const given_t list[] = {__VA_ARGS__};                                                      \
        cr_assert(s_set(node, list, sizeof list / sizeof *list));                                  \
        pair_world_pass(w, 5000);                                                                  \
    } while (0)
#define KEPT(name)                                                                                 \
    {                                                                                              \
        name, 255, 0, 0                                                                            \
    }

Test(pair_daps, the_same_list_changes_nothing)
{
    SET(A, KEPT("dap-1"), KEPT("dap-2"));
    cr_assert_str_eq(pair_world_uses(w, A), "0 1");
    cr_assert_str_eq(pair_world_told(w), "");
}

Test(pair_daps, one_is_added_and_used_once_it_is_proven)
{
    for (int node = A; node <= B; node++) {
        SET(node, KEPT("dap-1"), {"dap-3", ROUTE_OURS, 0, 0}, KEPT("dap-2"));
        cr_assert_str_eq(pair_world_remembers(w, node), "0 2 1");
    }
    cr_assert_str_eq(pair_world_uses(w, A), "0 2 1", "in the order of the file");
}

Test(pair_daps, one_is_removed_when_another_of_the_file_is_proven)
{
    SET(A, KEPT("dap-2"));
    cr_assert_str_eq(pair_world_uses(w, A), "1");
    cr_assert_str_eq(pair_world_remembers(w, A), "1");
    cr_assert(strstr(pair_world_told(w), "A: closes a lane, 0\n"));
    SET(A, {"dap-1", ROUTE_OURS, 0, 0}, KEPT("dap-2"));
    cr_assert_str_eq(pair_world_uses(w, A), "0 1", "the place is taken again");
}

Test(pair_daps, all_are_replaced_but_not_before_the_new_one_is_proven)
{
    SET(A, {"new", ROUTE_NOTHING, 0, 0});
    cr_assert_str_eq(pair_world_uses(w, A), "0 1");
    cr_assert_str_eq(pair_world_remembers(w, A), "0 1");
    pair_world_reach(w, A, 2, OURS);
    pair_world_pass(w, 5000);
    cr_assert_str_eq(pair_world_uses(w, A), "2");
    cr_assert_str_eq(pair_world_remembers(w, A), "2");
}

Test(pair_daps, another_way_of_the_same_name_takes_its_place)
{
    SET(A, {"dap-1", ROUTE_OURS, 0, 0}, KEPT("dap-2"));
    cr_assert_str_eq(pair_world_uses(w, A), "2 1");
    SET(A, KEPT("dap-2"), {"dap-1", ROUTE_OURS, 0, 0});
    cr_assert_str_eq(pair_world_uses(w, A), "1 2", "put in another order");
}

Test(pair_daps, a_way_to_another_database_is_refused_also_over_a_switchover)
{
    for (int node = A; node <= B; node++)
        SET(node, {"dap-1", ROUTE_OTHER, 0, 0}, {"dap-2", ROUTE_OTHER, 1, 0});
    cr_assert_str_eq(pair_world_uses(w, A), "0 1", "the ways it had");
    pair_world_command(w, A, IXN__V1__PAIR_COMMAND__KIND__SWITCHOVER, false);
    pair_world_pass(w, 3000);
    cr_assert_eq(pair_role(pair_world_pair(w, B)), ROLE_PAIRED, "%s", pair_world_told(w));
    cr_assert_str_eq(pair_world_uses(w, B), "0 1");
    cr_assert_str_eq(pair_world_remembers(w, B), "0 1");
    SET(B, KEPT("dap-1"), KEPT("dap-2")); /* the file is corrected */
    cr_assert_str_eq(pair_world_uses(w, B), "0 1");
    cr_assert(strstr(pair_world_told(w), "B: closes a lane, 2\nB: closes a lane, 3\n"), "%s",
              pair_world_told(w));
}

Test(pair_daps, one_that_a_lane_found_to_be_wrong_is_left_until_it_is_proven_again)
{
    error_t error = {0};
    error_set(&error, ERROR_DATABASE_WRONG, "DAP dap-1 reaches another database");
    pair_world_reach(w, A, 0, OTHER);
    pair_dap_wrong(pair_world_pair(w, A), 0, &error);
    pair_world_pass(w, 3000);
    cr_assert_str_eq(pair_world_uses(w, A), "1");
    cr_assert_eq(pair_role(pair_world_pair(w, A)), ROLE_PAIRED, "it serves on");
    pair_world_reach(w, A, 0, OURS);
    pair_world_pass(w, 5000);
    cr_assert_str_eq(pair_world_uses(w, A), "0 1");
}

Test(pair_daps, one_that_does_not_answer_stays_in_the_list)
{
    pair_world_reach(w, A, 0, NOTHING);
    pair_world_pass(w, 3000);
    cr_assert_str_eq(pair_world_uses(w, A), "0 1", "the lane finds out by itself");
}

Test(pair_daps, a_changed_weight_is_told)
{
    SET(A, {"dap-1", 255, 0, 7}, KEPT("dap-2"));
    cr_assert_str_eq(pair_world_uses(w, A), "0 1");
}

/* Again and again, faster than lanes can be closed: bounded, and refused as a whole beyond. */
Test(pair_daps, many_changes_at_once)
{
    given_t given[16];
    char names[16][16];
    bool refused = false;
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 16; i++) {
            snprintf(names[i], sizeof names[i], "r%d-%d", round, i);
            given[i] = (given_t){names[i], ROUTE_NOTHING, (uint8_t)(round * 16 + i), 0};
        }
        refused |= !s_set(A, given, 16);
    }
    cr_assert(refused);
    pair_world_pass(w, 5000);
    cr_assert_str_eq(pair_world_uses(w, A), "0 1");
    cr_assert_eq(pair_role(pair_world_pair(w, A)), ROLE_PAIRED);
    SET(A, KEPT("dap-1"), KEPT("dap-2"));
    cr_assert_str_eq(pair_world_uses(w, A), "0 1");
}
