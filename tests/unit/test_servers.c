/* The rules of balancer/servers.h, one test each. */
#include "balancer/servers.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { OTHER = 3, SECOND = 1000000 };

static servers_t *s_servers;

static void s_begin(void)
{
    s_servers = servers_new();
}

static void s_end(void)
{
    servers_destroy(&s_servers);
}

static server_t s_connect(const char *name, int type, uint32_t window, const char *service)
{
    char *services[] = {(char *)service};
    const servers_options_t options = {
        .type = type, .services = services, .services_len = service ? 1 : 0, .window = window};
    server_t server = servers_number(s_servers, text_of(name));
    servers_connect(s_servers, server, &options);
    return server;
}

static servers_pool_t *s_pool(servers_target_t target, int type, const char *name,
                              const char *service)
{
    return servers_hold(s_servers, &(servers_wanted_t){.target = target,
                                                       .type = type,
                                                       .name = text_of(name),
                                                       .service = text_of(service)});
}

static const char *s_choose(servers_pool_t *pool, usec_t now)
{
    static const char *const without[] = {[SERVERS_NONE] = "none",
                                          [SERVERS_NOT_OFFERED] = "not offered",
                                          [SERVERS_FULL] = "full",
                                          [SERVERS_UNDECLARED] = "undeclared",
                                          [SERVERS_BROKEN] = "broken"};
    server_t server;
    servers_result_t result = servers_choose(s_servers, pool, now, &server);
    if (result != SERVERS_CHOSEN)
        return without[result];
    servers_view_t view;
    servers_view(s_servers, server, &view);
    return view.name.data;
}

static server_t s_number(const char *name)
{
    return servers_number(s_servers, text_of(name));
}

TestSuite(servers, .init = s_begin, .fini = s_end);

Test(servers, round_robin_by_name_is_exact)
{
    s_connect("c", OTHER, 1000, NULL);
    s_connect("a", OTHER, 1000, NULL);
    s_connect("b", OTHER, 1000, NULL);
    servers_pool_t *pool = s_pool(SERVERS_BY_TYPE, OTHER, "", "do");
    int counts[3] = {0};
    for (int i = 0; i < 1000; i++) {
        const char *name = s_choose(pool, 0);
        cr_assert_eq(name[0], 'a' + i % 3, "choice %d is %s", i, name);
        counts[name[0] - 'a']++;
    }
    cr_assert_eq(counts[0], 334);
    cr_assert_eq(counts[1], 333);
}

Test(servers, goes_on_behind_the_last_one_after_a_change)
{
    s_connect("a", OTHER, 9, NULL);
    s_connect("b", OTHER, 9, NULL);
    servers_pool_t *pool = s_pool(SERVERS_BY_TYPE, OTHER, "", "do");
    cr_assert_str_eq(s_choose(pool, 0), "a");
    s_connect("aa", OTHER, 9, NULL);
    cr_assert_str_eq(s_choose(pool, 0), "aa");
    servers_disconnect(s_servers, s_number("b"), false, 0);
    cr_assert_str_eq(s_choose(pool, 0), "a");
    servers_set_last(s_servers, pool, TEXT("a"));
    cr_assert_str_eq(s_choose(pool, 0), "aa");
}

Test(servers, a_full_one_is_passed_over_and_all_full_waits)
{
    server_t slow = s_connect("a", OTHER, 1, NULL);
    s_connect("b", OTHER, 2, NULL);
    servers_pool_t *pool = s_pool(SERVERS_BY_TYPE, OTHER, "", "do");
    cr_assert_str_eq(s_choose(pool, 0), "a");
    cr_assert_str_eq(s_choose(pool, 0), "b");
    cr_assert_str_eq(s_choose(pool, 0), "b");
    cr_assert_str_eq(s_choose(pool, 0), "full");
    servers_may_choose(s_servers, 0);
    cr_assert_not(servers_may_choose(s_servers, 0));
    servers_done(s_servers, slow, SERVERS_GOOD, 0);
    cr_assert(servers_may_choose(s_servers, 0));
    cr_assert_str_eq(s_choose(pool, 0), "a");
}

/* Fax and instant messaging behind one type: what users of such systems suffered. */
Test(servers, third_party_by_type_reaches_only_who_names_the_service)
{
    s_connect("fax-1", SERVERS_THIRD_PARTY, 1u << 20, "fax");
    s_connect("fax-2", SERVERS_THIRD_PARTY, 1u << 20, "fax");
    s_connect("im-1", SERVERS_THIRD_PARTY, 1u << 20, "im");
    s_connect("im-2", SERVERS_THIRD_PARTY, 1u << 20, "im");
    s_connect("old-1", SERVERS_THIRD_PARTY, 1u << 20, NULL);
    servers_pool_t *fax = s_pool(SERVERS_BY_TYPE, SERVERS_THIRD_PARTY, "", "fax");
    servers_pool_t *im = s_pool(SERVERS_BY_TYPE, SERVERS_THIRD_PARTY, "", "im");
    unsigned seed = 1, counts[5] = {0};
    for (int i = 0; i < 100000; i++) {
        bool is_fax = rand_r(&seed) % 3 == 0;
        const char *name = s_choose(is_fax ? fax : im, 0);
        cr_assert(strncmp(name, is_fax ? "fax-" : "im-", is_fax ? 4 : 3) == 0,
                  "request %d reached %s", i, name);
        counts[(is_fax ? 0 : 2) + (name[strlen(name) - 1] - '1')]++;
    }
    cr_assert_leq(abs((int)counts[0] - (int)counts[1]), 1);
    cr_assert_leq(abs((int)counts[2] - (int)counts[3]), 1);
    cr_assert_eq(counts[4], 0);
}

Test(servers, an_undeclared_third_party_is_reached_by_name_and_cluster_only)
{
    char *members[] = {"old-2", "old-1"};
    s_connect("old-1", SERVERS_THIRD_PARTY, 100, NULL);
    s_connect("old-2", SERVERS_THIRD_PARTY, 100, NULL);
    servers_add_cluster(s_servers, TEXT("fax"), members, 2, 0);
    cr_assert_str_eq(s_choose(s_pool(SERVERS_BY_TYPE, SERVERS_THIRD_PARTY, "", "fax"), 0),
                     "undeclared");
    cr_assert_str_eq(s_choose(s_pool(SERVERS_BY_NAME, 0, "old-2", "fax"), 0), "old-2");
    servers_pool_t *cluster = s_pool(SERVERS_BY_CLUSTER, 0, "fax", "fax");
    cr_assert_str_eq(s_choose(cluster, 0), "old-1");
    cr_assert_str_eq(s_choose(cluster, 0), "old-2");
    cr_assert_str_eq(s_choose(cluster, 0), "old-1");
}

Test(servers, says_why_there_is_none)
{
    s_connect("fax-1", SERVERS_THIRD_PARTY, 100, "fax");
    cr_assert_str_eq(s_choose(s_pool(SERVERS_BY_TYPE, SERVERS_THIRD_PARTY, "", "im"), 0),
                     "not offered");
    cr_assert_str_eq(s_choose(s_pool(SERVERS_BY_TYPE, OTHER, "", "im"), 0), "none");
    cr_assert_str_eq(s_choose(s_pool(SERVERS_BY_NAME, 0, "fax-1", "im"), 0), "not offered");
    cr_assert_str_eq(s_choose(s_pool(SERVERS_BY_NAME, 0, "nobody", "im"), 0), "none");
}

Test(servers, a_cluster_follows_its_configuration)
{
    char *first[] = {"a"};
    char *second[] = {"b"};
    s_connect("a", OTHER, 100, NULL);
    s_connect("b", OTHER, 100, NULL);
    servers_add_cluster(s_servers, TEXT("x"), first, 1, 0);
    servers_pool_t *pool = s_pool(SERVERS_BY_CLUSTER, 0, "x", "do");
    cr_assert_str_eq(s_choose(pool, 0), "a");
    servers_clear_clusters(s_servers);
    cr_assert_str_eq(s_choose(pool, 0), "none");
    servers_add_cluster(s_servers, TEXT("x"), second, 1, 7);
    cr_assert_str_eq(s_choose(pool, 0), "b");
    cr_assert_eq(servers_queue(s_servers, pool), 7);
}

Test(servers, breaks_after_failures_in_a_row_and_probes)
{
    servers_set_breaker(s_servers, 3, 10 * SECOND);
    server_t a = s_connect("a", OTHER, 100, NULL);
    servers_pool_t *pool = s_pool(SERVERS_BY_TYPE, OTHER, "", "do");
    for (int i = 0; i < 3; i++) {
        cr_assert_str_eq(s_choose(pool, 0), "a");
        servers_done(s_servers, a, i == 1 ? SERVERS_GOOD : SERVERS_FAILED, 0);
    }
    for (int i = 0; i < 2; i++) { /* one failure since it was good */
        cr_assert_str_eq(s_choose(pool, 0), "a");
        servers_done(s_servers, a, SERVERS_FAILED, SECOND);
    }
    cr_assert_str_eq(s_choose(pool, SECOND), "broken");
    cr_assert(servers_may_choose(s_servers, SECOND));
    cr_assert_not(servers_may_choose(s_servers, 11 * SECOND - 1));
    cr_assert(servers_may_choose(s_servers, 11 * SECOND));
    cr_assert_str_eq(s_choose(pool, 11 * SECOND), "a");
    cr_assert_str_eq(s_choose(pool, 11 * SECOND), "broken", "one probe at a time");
    servers_done(s_servers, a, SERVERS_FAILED, 12 * SECOND);
    cr_assert_str_eq(s_choose(pool, 21 * SECOND), "broken");
    cr_assert_str_eq(s_choose(pool, 22 * SECOND), "a");
    servers_done(s_servers, a, SERVERS_NEUTRAL, 22 * SECOND);
    cr_assert_str_eq(s_choose(pool, 22 * SECOND), "a", "probed again");
    servers_done(s_servers, a, SERVERS_GOOD, 23 * SECOND);
    cr_assert_str_eq(s_choose(pool, 23 * SECOND), "a");
    cr_assert_str_eq(s_choose(pool, 23 * SECOND), "a");
}

Test(servers, a_broken_one_is_passed_over)
{
    servers_set_breaker(s_servers, 1, SECOND);
    server_t a = s_connect("a", OTHER, 100, NULL);
    s_connect("b", OTHER, 100, NULL);
    servers_pool_t *pool = s_pool(SERVERS_BY_TYPE, OTHER, "", "do");
    cr_assert_str_eq(s_choose(pool, 0), "a");
    servers_disconnect(s_servers, a, true, 0);
    s_connect("a", OTHER, 100, NULL); /* crashed, and back at once */
    for (int i = 0; i < 3; i++)
        cr_assert_str_eq(s_choose(pool, 1), "b");
    cr_assert_str_eq(s_choose(pool, SECOND), "a");
}

/* Pools nobody holds are forgotten; those that are held are not. */
Test(servers, idle_pools_are_bounded)
{
    s_connect("a", OTHER, 1u << 20, NULL);
    servers_pool_t *held = s_pool(SERVERS_BY_TYPE, OTHER, "", "held");
    for (int i = 0; i < 20000; i++) {
        char service[16];
        snprintf(service, sizeof service, "s%d", i);
        servers_release(s_servers, s_pool(SERVERS_BY_TYPE, OTHER, "", service));
    }
    cr_assert_str_eq(s_choose(held, 0), "a");
}
