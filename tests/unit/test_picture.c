/* The picture of `ixnctl status` and `top`: what is wrong and what to do, rates, order, and what
 * fits on a screen. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/ixnctl/parts/screen.h"

static Ixn__V1__PairDap s_dap = IXN__V1__PAIR_DAP__INIT;
static Ixn__V1__PairDap *s_daps[] = {&s_dap};
static Ixn__V1__PairNode s_a = IXN__V1__PAIR_NODE__INIT, s_b = IXN__V1__PAIR_NODE__INIT;
static Ixn__V1__PairStatus s_of_a = IXN__V1__PAIR_STATUS__INIT, s_of_b = IXN__V1__PAIR_STATUS__INIT;
static Ixn__V1__Figures s_figures[2] = {IXN__V1__FIGURES__INIT, IXN__V1__FIGURES__INIT};
static picture_t s_picture;
static picture_problems_t s_problems;

/* A pair that is well: a serves, b follows. */
static void s_begin(void)
{
    s_dap.name = "main";
    s_dap.verdict = IXN__V1__DAP_VERDICT__DAP_PROVEN;
    s_a.name = "node-a", s_b.name = "node-b";
    s_a.role = "primary-paired", s_b.role = "backup-ready";
    s_a.automatic = s_b.automatic = s_b.ready = true;
    s_a.index = 1200, s_b.index = 1190;
    s_a.n_daps = s_b.n_daps = 1;
    s_a.daps = s_b.daps = s_daps;
    s_of_a.own = s_of_b.peer = &s_a;
    s_of_b.own = s_of_a.peer = &s_b;
    s_of_a.has_peer = s_of_a.link = s_of_b.has_peer = s_of_b.link = true;
    s_of_a.epoch = s_of_b.epoch = 7;
    s_figures[0].version = s_figures[1].version = "1.2.3";
    s_figures[0].uptime_ms = 10000;
    picture_init(&s_picture);
    s_picture.wall_us = 1000000000;
    s_picture.has_work = true;
    s_picture.view = (pair_view_t){.len = 2, .whole = true};
    s_picture.view.nodes[0] = (pair_view_node_t){.endpoint = "tcp://a:1", .status = &s_of_a};
    s_picture.view.nodes[1] = (pair_view_node_t){.endpoint = "tcp://b:1", .status = &s_of_b};
    s_picture.figures[0] = &s_figures[0];
    s_picture.figures[1] = &s_figures[1];
}

static void s_add(const char *name, uint32_t waiting, const char *reason)
{
    Ixn__V1__Queue queue = IXN__V1__QUEUE__INIT;
    queue.tenant = "default";
    queue.name = (char *)name;
    queue.strategy = "classify";
    queue.configured = true;
    queue.waiting = waiting;
    queue.reason = (char *)reason;
    queue.entered = waiting;
    picture_add_queue(&s_picture, &queue);
}

/* The first problem of which `what` is a part; NULL: there is none. */
static const picture_problem_t *s_find(const char *what)
{
    picture_find_problems(&s_picture, &s_problems);
    for (size_t i = 0; i < s_problems.len; i++)
        if (strstr(s_problems.list[i].what, what))
            return &s_problems.list[i];
    return NULL;
}

static picture_verdict_t s_verdict(void)
{
    picture_find_problems(&s_picture, &s_problems);
    return picture_verdict(&s_picture, &s_problems);
}

Test(picture, a_pair_that_is_well_has_no_problems, .init = s_begin)
{
    s_add("inbound", 3, "");
    cr_assert_eq(s_verdict(), PICTURE_WELL);
    cr_assert_eq(s_problems.len, 0);
    picture_free(&s_picture);
}

Test(picture, each_trouble_is_told_with_what_to_do, .init = s_begin)
{
    s_dap.verdict = IXN__V1__DAP_VERDICT__DAP_WRONG;
    s_dap.trouble = "reaches database X, the pair's is Y";
    s_b.ready = false;
    s_b.readiness = "DAP main is wrong";
    s_figures[0].retrying = true;
    s_figures[0].lag_bytes = 100 << 20;
    s_figures[1].version = "1.2.4";
    s_add("stuck", 5, "no router runs strategy classify");
    s_add("full", 0, "");
    s_picture.queues[1].max_length = 10;
    s_picture.queues[1].held = 9;
    s_add("old", 2, "");
    s_picture.queues[2].configured = false;
    s_picture.queues[2].quarantined = 4;
    static const char *const troubles[] = {
        "node-b is not ready to take over: DAP main is wrong",
        "DAP main of node-b is wrong: reaches database X, the pair's is Y",
        "commits of node-a take so long",
        "the tables are 100.0 MiB behind the log of node-a",
        "different versions, 1.2.3 and 1.2.4",
        "queue stuck stands still with 5 waiting: no router",
        "queue full holds 9 of the 10",
        "queue old is gone from the configuration, and 6 interactions",
        "4 interactions are in quarantine",
    };
    for (size_t i = 0; i < sizeof troubles / sizeof *troubles; i++) {
        const picture_problem_t *found = s_find(troubles[i]);
        cr_assert_not_null(found, "not told: %s", troubles[i]);
        cr_assert(found->then[0], "not said what to do: %s", troubles[i]);
    }
    cr_assert_eq(s_verdict(), PICTURE_NOT_WELL);
    for (size_t i = 1; i < s_problems.len; i++)
        cr_assert(s_problems.list[i - 1].grave >= s_problems.list[i].grave, "the worst first");
    picture_free(&s_picture);
}

Test(picture, nobody_serves_and_a_node_is_silent, .init = s_begin)
{
    s_a.role = "fenced";
    cr_assert_eq(s_verdict(), PICTURE_DOWN);
    cr_assert(s_find("nobody serves")->grave);
    s_picture.view.nodes[0].status = NULL;
    error_set(&s_picture.view.nodes[0].error, ERROR_TIMED_OUT, "tcp://a:1: no answer");
    cr_assert_not_null(s_find("a node does not answer: tcp://a:1"));
    picture_free(&s_picture);
}

Test(picture, more_problems_than_have_room_are_counted, .init = s_begin)
{
    for (int i = 0; i < 100; i++) {
        char name[20];
        snprintf(name, sizeof name, "queue-%d", i);
        s_add(name, 1, "no router");
    }
    picture_find_problems(&s_picture, &s_problems);
    cr_assert_eq(s_problems.len, PICTURE_PROBLEMS);
    cr_assert_eq(s_problems.more, 100 - PICTURE_PROBLEMS);
    picture_free(&s_picture);
}

Test(picture, rates_begin_anew_with_another_primary, .init = s_begin)
{
    picture_before_t before = {0};
    s_add("inbound", 100, "");
    picture_rate(&s_picture, &before);
    cr_assert(s_picture.queues[0].in_rate < 0, "the first has nothing before it");
    s_figures[0].uptime_ms += 2000;
    s_figures[0].submitted += 50;
    picture_free(&s_picture);
    s_picture.view.len = 2;
    s_begin();
    s_figures[0].uptime_ms = 12000;
    s_figures[0].submitted = 50;
    s_add("new", 0, "");
    s_add("inbound", 130, "");
    picture_rate(&s_picture, &before);
    cr_assert_float_eq(s_picture.submit_rate, 25, 1e-9);
    cr_assert_float_eq(s_picture.queues[1].in_rate, 15, 1e-9);
    cr_assert(s_picture.queues[0].in_rate < 0, "a new one has nothing before it");
    s_a.role = "backup-ready", s_b.role = "primary-paired";
    s_figures[1].uptime_ms = 99000;
    picture_rate(&s_picture, &before);
    s_picture.submit_rate = -1;
    s_figures[1].uptime_ms = 99500;
    s_figures[1].submitted = 3;
    picture_rate(&s_picture, &before);
    cr_assert_float_eq(s_picture.submit_rate, 6, 1e-9);
    picture_before_free(&before);
    picture_free(&s_picture);
}

Test(picture, what_comes_from_outside_cannot_steer, .init = s_begin)
{
    s_add("a\x1b[2J\xff", 1, "\x1b]0;x\x07");
    s_a.name = "n\x1b[31m";
    picture_find_problems(&s_picture, &s_problems);
    buffer_t out = {0};
    picture_print(&s_picture, &s_problems, &(picture_look_t){.queues_max = 9, .rates = true}, &out);
    cr_assert_null(memchr(out.bytes, '\x1b', out.len));
    cr_assert_null(memchr(out.bytes, '\x07', out.len));
    json_t *json = picture_json(&s_picture, &s_problems);
    cr_assert_str_eq(json_string_value(json_object_get(json, "state")), "not well");
    json_decref(json);
    buffer_free(&out);
    picture_free(&s_picture);
}

/* ---- The screen ---- */

static size_t s_lines(const buffer_t *painted)
{
    size_t lines = 1;
    for (size_t i = 0; i < painted->len; i++)
        lines += painted->bytes[i] == '\n';
    return lines;
}

Test(screen, it_never_paints_more_rows_than_there_are, .init = s_begin)
{
    for (int i = 0; i < 50; i++) {
        char name[20];
        snprintf(name, sizeof name, "queue-%02d", i);
        s_add(name, (uint32_t)i, i % 2 ? "no router" : "");
    }
    for (size_t rows = 1; rows < 120; rows++)
        for (size_t columns = 1; columns < 200; columns += 13) {
            screen_t screen = {.rows = rows, .columns = columns, .interval = 1};
            buffer_t out = {0};
            screen_paint(&screen, &s_picture, "", &out);
            cr_assert_leq(s_lines(&out), rows > 3 ? rows : 3, "%zu × %zu", rows, columns);
            buffer_free(&out);
        }
    picture_free(&s_picture);
}

Test(screen, queues_show_on_a_small_one, .init = s_begin)
{
    for (int i = 0; i < 9; i++)
        s_add("queue", (uint32_t)i, "");
    screen_t screen = {.rows = 24, .columns = 80, .interval = 1};
    buffer_t out = {0};
    screen_paint(&screen, &s_picture, "", &out);
    buffer_append(&out, "", 1);
    cr_assert_not_null(strstr((char *)out.bytes, "queue "), "%s", (char *)out.bytes);
    cr_assert_geq(screen.page, 3);
    buffer_free(&out);
    picture_free(&s_picture);
}

Test(screen, keys)
{
    screen_t screen = {.interval = 1, .page = 10};
    size_t used;
    cr_assert_eq(screen_key(&screen, "q", 1, 30, &used), SCREEN_QUIT);
    cr_assert_eq(screen_key(&screen, "\x03", 1, 30, &used), SCREEN_QUIT);
    cr_assert_eq(screen_key(&screen, "\x1a", 1, 30, &used), SCREEN_STOP);
    cr_assert_eq(screen_key(&screen, "\x1b[6~q", 5, 30, &used), SCREEN_REDRAW);
    cr_assert_eq(used, 4);
    cr_assert_eq(screen.first, 10);
    screen_key(&screen, "\x1b[F", 3, 30, &used);
    cr_assert_eq(screen.first, 20, "the last page, not beyond it");
    screen_key(&screen, "j", 1, 30, &used);
    cr_assert_eq(screen.first, 20);
    screen_key(&screen, "\x1bOA", 3, 30, &used);
    cr_assert_eq(screen.first, 19);
    cr_assert_eq(screen_key(&screen, "o", 1, 30, &used), SCREEN_REDRAW);
    cr_assert_eq(screen.order, PICTURE_BY_OLDEST);
    cr_assert_eq(screen.first, 0, "another order begins at its top");
    cr_assert_eq(screen_key(&screen, " ", 1, 30, &used), SCREEN_REDRAW);
    cr_assert(screen.paused);
    cr_assert_eq(screen_key(&screen, " ", 1, 30, &used), SCREEN_TAKE);
    cr_assert_eq(screen_key(&screen, "\r", 1, 30, &used), SCREEN_TAKE);
    for (int i = 0; i < 20; i++)
        screen_key(&screen, "+", 1, 30, &used);
    cr_assert_float_eq(screen.interval, 60, 1e-9);
    for (int i = 0; i < 20; i++)
        screen_key(&screen, "-", 1, 30, &used);
    cr_assert_float_eq(screen.interval, 0.2, 1e-9);
    /* Whatever bytes come, each call takes at least one and none beyond what there is. */
    for (int c = 0; c < 256 * 256; c++) {
        const char bytes[] = {'\x1b', (char)(c >> 8), (char)c};
        for (size_t len = 1; len <= 3; len++) {
            screen_key(&screen, bytes, len, 30, &used);
            cr_assert(used >= 1 && used <= len);
        }
    }
}
