/* Balancer: the rules of choosing a router, one test a rule; then that a choice costs the same with
 * few and with many. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "balancer/balancer.h"
#include "balancer/rate.h"
#include "core/base/types.h"

static balancer_router_t s_router(balancer_t *b, const char *name, uint32_t limit)
{
    return balancer_add_router(
        b, &(balancer_router_options_t){
               .name = text_of(name), .limit = limit, .announced = true, .configured = true});
}

/* Who gets the next pieces of work: names joined, '-' for nobody. */
static const char *s_next(balancer_t *b, balancer_strategy_t s, int count)
{
    static char names[200];
    size_t len = 0;
    balancer_wake(b);
    for (int i = 0; i < count; i++) {
        balancer_router_t router;
        bool chosen = balancer_choose(b, s, false, &router) == BALANCER_CHOSEN;
        len += (size_t)snprintf(names + len, sizeof names - len, "%s",
                                chosen ? balancer_name(b, router) : "-");
    }
    return names;
}

Test(balancer, routers_of_a_strategy_take_turns_by_name)
{
    balancer_t *b = balancer_new();
    balancer_strategy_t s = balancer_strategy(b, TEXT("s"));
    balancer_load(b, s_router(b, "c", 100), s);
    balancer_load(b, s_router(b, "a", 100), s);
    balancer_load(b, s_router(b, "b", 100), s);
    cr_assert_str_eq(s_next(b, s, 7), "abcabca");
    balancer_destroy(&b);
}

Test(balancer, the_turn_goes_on_behind_who_was_last)
{
    balancer_t *b = balancer_new();
    balancer_strategy_t s = balancer_strategy(b, TEXT("s"));
    balancer_load(b, s_router(b, "a", 100), s);
    balancer_load(b, s_router(b, "c", 100), s);
    balancer_set_last(b, s, TEXT("b")); /* who is gone */
    cr_assert_str_eq(s_next(b, s, 3), "cac");
    balancer_load(b, s_router(b, "d", 100), s);
    cr_assert_str_eq(s_next(b, s, 3), "dac");
    balancer_destroy(&b);
}

Test(balancer, a_slow_router_fills_its_limit_and_is_passed_over)
{
    balancer_t *b = balancer_new();
    balancer_strategy_t s = balancer_strategy(b, TEXT("s"));
    balancer_router_t slow = s_router(b, "a", 2);
    balancer_load(b, slow, s);
    balancer_load(b, s_router(b, "b", 4), s);
    cr_assert_str_eq(s_next(b, s, 7), "ababbb-");
    balancer_give_back(b, slow);
    cr_assert_str_eq(s_next(b, s, 2), "a-");
    balancer_destroy(&b);
}

Test(balancer, sharing_needs_agent_reservation_on_both_sides)
{
    static const struct {
        bool announced, configured;
        balancer_participation_t expected;
        const char *turns;
    } cases[] = {
        {true, true, BALANCER_TAKES_PART, "abab"},
        {true, false, BALANCER_LACKS_CONFIGURATION_SIDE, "aaaa"},
        {false, true, BALANCER_LACKS_ROUTER_SIDE, "aaaa"},
        {false, false, BALANCER_LACKS_BOTH_SIDES, "aaaa"},
    };
    for (size_t i = 0; i < 4; i++) {
        balancer_t *b = balancer_new();
        balancer_strategy_t s = balancer_strategy(b, TEXT("s"));
        balancer_load(b, s_router(b, "a", 100), s);
        balancer_router_t other =
            balancer_add_router(b, &(balancer_router_options_t){.name = TEXT("b"),
                                                                .limit = 100,
                                                                .announced = cases[i].announced,
                                                                .configured = cases[i].configured});
        balancer_load(b, other, s);
        cr_assert_eq(balancer_participation(b, other, s), cases[i].expected);
        cr_assert_str_eq(s_next(b, s, 4), cases[i].turns);
        balancer_destroy(&b);
    }
}

Test(balancer, one_alone_needs_none_and_of_several_without_it_the_first_works_alone)
{
    balancer_t *b = balancer_new();
    balancer_strategy_t s = balancer_strategy(b, TEXT("s"));
    balancer_router_options_t neither = {.name = TEXT("b"), .limit = 100};
    balancer_load(b, balancer_add_router(b, &neither), s);
    cr_assert_str_eq(s_next(b, s, 2), "bb");
    neither.name = TEXT("a");
    balancer_router_t a = balancer_add_router(b, &neither);
    balancer_load(b, a, s);
    cr_assert_str_eq(s_next(b, s, 2), "aa");
    balancer_remove_router(b, a);
    cr_assert_str_eq(s_next(b, s, 1), "b");
    balancer_destroy(&b);
}

Test(balancer, a_rate_holds_in_any_interval)
{
    balancer_t *b = balancer_new();
    balancer_strategy_t s = balancer_strategy(b, TEXT("s"));
    balancer_router_t r = balancer_add_router(
        b, &(balancer_router_options_t){
               .name = TEXT("r"), .limit = 100, .rate = 3, .rate_interval = USEC_PER_SECOND});
    balancer_load(b, r, s);
    balancer_set_time(b, 1000);
    cr_assert_str_eq(s_next(b, s, 2), "rr");
    balancer_set_time(b, 500000);
    cr_assert_str_eq(s_next(b, s, 2), "r-");
    cr_assert_str_eq(balancer_obstacle(b, r), "it is at its max_submission_rate");
    balancer_set_time(b, 1000 + USEC_PER_SECOND);
    cr_assert_str_eq(s_next(b, s, 3), "rr-");
    balancer_set_time(b, 500000 + USEC_PER_SECOND);
    cr_assert_str_eq(s_next(b, s, 2), "r-");
    balancer_destroy(&b);
}

Test(balancer, when_a_router_has_room_those_that_waited_are_woken_in_order)
{
    balancer_t *b = balancer_new();
    char name[4];
    balancer_strategy_t strategies[5], woken;
    balancer_router_t r = s_router(b, "r", 1), unused;
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "s%d", i);
        strategies[i] = balancer_strategy(b, text_of(name));
        balancer_load(b, r, strategies[i]);
    }
    while (balancer_next_woken(b, &woken))
        ;
    cr_assert_eq(balancer_choose(b, strategies[0], false, &unused), BALANCER_CHOSEN);
    for (int i = 1; i < 5; i++)
        cr_assert_eq(balancer_choose(b, strategies[i], false, &unused), BALANCER_ALL_FULL);
    for (int i = 1; i < 5; i++) { /* one piece of room wakes one */
        balancer_give_back(b, r);
        balancer_wake(b);
        cr_assert(balancer_next_woken(b, &woken));
        cr_assert_eq(woken, strategies[i]);
        cr_assert_not(balancer_next_woken(b, &woken));
        cr_assert_eq(balancer_choose(b, woken, false, &unused), BALANCER_CHOSEN);
    }
    balancer_destroy(&b);
}

Test(balancer, room_that_nobody_takes_wakes_the_next)
{
    balancer_t *b = balancer_new();
    balancer_strategy_t s = balancer_strategy(b, TEXT("s")), t = balancer_strategy(b, TEXT("t"));
    balancer_strategy_t woken;
    balancer_router_t r = s_router(b, "r", 1), unused;
    balancer_load(b, r, s);
    balancer_load(b, r, t);
    while (balancer_next_woken(b, &woken))
        ;
    cr_assert_eq(balancer_choose(b, s, false, &unused), BALANCER_CHOSEN);
    cr_assert_eq(balancer_choose(b, s, false, &unused), BALANCER_ALL_FULL);
    cr_assert_eq(balancer_choose(b, t, false, &unused), BALANCER_ALL_FULL);
    balancer_give_back(b, r);
    balancer_wake(b);
    cr_assert(balancer_next_woken(b, &woken) && woken == s); /* has nothing any more */
    balancer_wake(b);
    cr_assert(balancer_next_woken(b, &woken) && woken == t);
    cr_assert_eq(balancer_choose(b, t, false, &unused), BALANCER_CHOSEN);
    balancer_destroy(&b);
}

/* Three strategies have more work than their router takes, which gives two back at a time. */
Test(balancer, those_that_wait_for_one_router_take_turns)
{
    balancer_t *b = balancer_new();
    balancer_router_t r = s_router(b, "r", 2), unused;
    int given[3] = {0};
    for (int i = 0; i < 3; i++)
        balancer_load(b, r, balancer_strategy(b, (text_t){&"abc"[i], 1}));
    for (int round = 0; round < 30; round++) {
        balancer_strategy_t woken;
        balancer_wake(b);
        while (balancer_next_woken(b, &woken))
            while (balancer_choose(b, woken, false, &unused) == BALANCER_CHOSEN)
                given[woken]++;
        cr_assert_eq(balancer_pending(b, r), 2);
        balancer_give_back(b, r);
        balancer_give_back(b, r);
    }
    for (int i = 0; i < 3; i++)
        cr_assert(given[i] >= 18, "%c got %d of 60", "abc"[i], given[i]); /* one round less */
    balancer_destroy(&b);
}

Test(balancer, work_that_may_be_poison_is_alone)
{
    balancer_t *b = balancer_new();
    balancer_strategy_t s = balancer_strategy(b, TEXT("s"));
    balancer_router_t a = s_router(b, "a", 10), c = s_router(b, "c", 10), chosen;
    balancer_load(b, a, s);
    balancer_load(b, c, s);
    cr_assert_str_eq(s_next(b, s, 3), "aca");
    cr_assert_eq(balancer_choose(b, s, true, &chosen), BALANCER_DRAINING);
    cr_assert_str_eq(s_next(b, s, 2), "aa"); /* c, which has least, is drained */
    balancer_give_back(b, c);
    balancer_wake(b);
    cr_assert_eq(balancer_choose(b, s, true, &chosen), BALANCER_CHOSEN);
    cr_assert_eq(chosen, c);
    cr_assert_str_eq(s_next(b, s, 2), "aa");
    balancer_give_back(b, c);
    cr_assert_str_eq(s_next(b, s, 1), "c");
    balancer_destroy(&b);
}

/* a and c have one each, c is emptied; asking again puts the strategy into a's line. */
Test(balancer, lone_work_that_was_given_leaves_the_lines_of_others)
{
    balancer_t *b = balancer_new();
    balancer_strategy_t s = balancer_strategy(b, TEXT("s")), woken;
    balancer_router_t a = s_router(b, "a", 10), c = s_router(b, "c", 10), chosen;
    balancer_load(b, a, s);
    balancer_load(b, c, s);
    cr_assert_str_eq(s_next(b, s, 3), "aca");
    cr_assert_eq(balancer_choose(b, s, true, &chosen), BALANCER_DRAINING);
    balancer_give_back(b, a);
    cr_assert_eq(balancer_choose(b, s, true, &chosen), BALANCER_DRAINING);
    balancer_give_back(b, c);
    cr_assert_eq(balancer_choose(b, s, true, &chosen), BALANCER_CHOSEN);
    cr_assert_eq(chosen, c);
    balancer_wake(b);
    while (balancer_next_woken(b, &woken))
        continue;
    cr_assert_str_eq(s_next(b, s, 1), "a");
    balancer_destroy(&b);
}

/* Lone work waits until c is empty, and asks again; a has room for what comes before it. */
Test(balancer, a_router_with_room_is_not_kept_by_lone_work_that_waits_for_another)
{
    balancer_t *b = balancer_new();
    balancer_strategy_t s = balancer_strategy(b, TEXT("s"));
    balancer_router_t a = s_router(b, "a", 10), c = s_router(b, "c", 10), chosen;
    balancer_load(b, a, s);
    balancer_load(b, c, s);
    cr_assert_str_eq(s_next(b, s, 3), "aca");
    cr_assert_eq(balancer_choose(b, s, true, &chosen), BALANCER_DRAINING);
    balancer_give_back(b, a);
    cr_assert_eq(balancer_choose(b, s, true, &chosen), BALANCER_DRAINING);
    cr_assert_str_eq(s_next(b, s, 2), "aa");
    balancer_destroy(&b);
}

/* As many as the router takes stand in line before it. */
Test(balancer, a_router_that_was_emptied_for_lone_work_tells_that_first)
{
    balancer_t *b = balancer_new();
    balancer_strategy_t lone = balancer_strategy(b, TEXT("s")), woken;
    const balancer_strategy_t others[] = {balancer_strategy(b, TEXT("t")),
                                          balancer_strategy(b, TEXT("u"))};
    balancer_router_t r = s_router(b, "r", 2), chosen;
    balancer_load(b, r, lone);
    for (int i = 0; i < 2; i++) {
        balancer_load(b, r, others[i]);
        balancer_choose(b, others[0], false, &chosen);
    }
    while (balancer_next_woken(b, &woken))
        continue;
    cr_assert_eq(balancer_choose(b, others[0], false, &chosen), BALANCER_ALL_FULL);
    cr_assert_eq(balancer_choose(b, others[1], false, &chosen), BALANCER_ALL_FULL);
    cr_assert_eq(balancer_choose(b, lone, true, &chosen), BALANCER_DRAINING);
    balancer_give_back(b, r);
    balancer_give_back(b, r);
    balancer_wake(b);
    cr_assert(balancer_next_woken(b, &woken) && woken == lone);
    cr_assert_eq(balancer_choose(b, lone, true, &chosen), BALANCER_CHOSEN);
    cr_assert_eq(balancer_choose(b, others[0], false, &chosen), BALANCER_ALL_FULL);
    balancer_destroy(&b);
}

Test(balancer, a_router_takes_part_again_when_the_lone_work_is_gone)
{
    balancer_t *b = balancer_new();
    balancer_strategy_t s = balancer_strategy(b, TEXT("s")),
                        other = balancer_strategy(b, TEXT("t"));
    balancer_router_t a = s_router(b, "a", 10), c = s_router(b, "c", 10), chosen;
    balancer_load(b, a, s);
    balancer_load(b, c, s);
    balancer_load(b, c, other);
    cr_assert_str_eq(s_next(b, s, 3), "aca");
    cr_assert_eq(balancer_choose(b, s, true, &chosen), BALANCER_DRAINING);
    cr_assert_eq(balancer_choose(b, other, false, &chosen), BALANCER_ALL_FULL);
    balancer_end_drain(b, s);
    balancer_wake(b);
    balancer_strategy_t woken;
    bool other_is_woken = false;
    while (balancer_next_woken(b, &woken))
        other_is_woken = other_is_woken || woken == other;
    cr_assert(other_is_woken);
    cr_assert_eq(balancer_choose(b, other, false, &chosen), BALANCER_CHOSEN);
    cr_assert_str_eq(s_next(b, s, 2), "ca");
    balancer_end_drain(b, s); /* there is none */
    balancer_destroy(&b);
}

/* Nanoseconds of one choice and its return, with every router full but the one that has just given
 * back, and work waiting for every strategy. */
static double s_cost(size_t routers, size_t strategies)
{
    enum { CHOICES = 200000 };
    balancer_t *b = balancer_new();
    balancer_router_t *handles = malloc(routers * sizeof *handles), chosen;
    char name[20];
    for (size_t i = 0; i < routers; i++) {
        snprintf(name, sizeof name, "router-%04zu", i);
        handles[i] = s_router(b, name, 10);
    }
    for (size_t i = 0; i < strategies; i++) {
        snprintf(name, sizeof name, "strategy-%04zu", i);
        balancer_strategy_t s = balancer_strategy(b, text_of(name));
        for (size_t j = 0; j < routers; j++)
            balancer_load(b, handles[j], s);
    }
    balancer_strategy_t woken;
    for (size_t i = 0; i < 2; i++)
        for (balancer_strategy_t s = 0; s < strategies; s++)
            while (balancer_choose(b, s, false, &chosen) == BALANCER_CHOSEN)
                ;
    struct timespec begin, end;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
    for (size_t i = 0; i < CHOICES; i++) {
        balancer_give_back(b, handles[i * 7 % routers]);
        balancer_wake(b);
        while (balancer_next_woken(b, &woken))
            while (balancer_choose(b, woken, false, &chosen) == BALANCER_CHOSEN)
                ;
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    free(handles);
    balancer_destroy(&b);
    return ((double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec)) /
           CHOICES;
}

Test(balancer, one_choice_costs_the_same_with_few_and_with_many)
{
    double few = s_cost(2, 1), routers = s_cost(500, 1), both = s_cost(500, 1000);
    printf(
        "measured: balancer: one choice %.0f ns (2 routers, 1 strategy), %.0f ns (500, 1), "
        "%.0f ns (500, 1000)\n",
        few, routers, both);
    /* Memory is further away when there is more of it; nothing grows with the numbers. */
    cr_assert_lt(routers, 20 * few + 2000);
    cr_assert_lt(both, 20 * few + 4000);
}
