/* Submits, reads and the one rule: what clients are told, and that they are told nothing before it
 * is durable.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/engine_world.h"

/* ---- Nothing leaves before its commit ---- */

Test(engine_submit, nothing_is_told_before_its_commit)
{
    world_t *w = world_new(NULL);
    REGISTER("media");
    world_turn(w);
    EXPECT("media: registered\n"); /* decides nothing and everything before is durable */
    SUBMIT("media", .key = "a");
    world_turn(w);
    EXPECT("");
    SUBMIT("media", .key = "b"); /* waits for the commit in flight, then for its own */
    world_turn(w);
    EXPECT("");
    world_commit(w);
    EXPECT("media: ack a v1\n");
    world_turn(w);
    EXPECT("");
    world_commit(w);
    EXPECT("media: ack b v1\n");
    world_free(&w);
}

Test(engine_submit, answers_that_decide_nothing_wait_for_what_they_have_seen)
{
    world_t *w = world_new(NULL);
    world_media(w, "media");
    SUBMIT("media", .key = "a");
    world_settle(w);
    EXPECT("media: ack a v1\n");
    SUBMIT("media", .key = "b");
    world_turn(w);
    SUBMIT("media", .key = "b");                  /* a duplicate's answer */
    SUBMIT("media", .key = "b", .type = "Other"); /* a refusal */
    SUBMIT("media", .key = "c", .queue = "none"); /* another */
    world_get(w, "media", "a", false);            /* a read */
    world_turn(w);
    EXPECT("");
    world_commit(w);
    EXPECT(
        "media: ack b v1\n"
        "media: ack b v1\n"
        "media: KEY_REUSED\n"
        "media: UNKNOWN_QUEUE\n"
        "media: a v1 queued in in\n");
    world_free(&w);
}

Test(engine_submit, what_tells_nothing_of_the_state_is_told_at_once)
{
    world_t *w = world_new(NULL);
    world_media(w, "media");
    SUBMIT("media", .key = "a");
    world_turn(w);
    world_ping(w, "media");
    world_bytes(w, "media", "\xff\xff", 2);
    world_turn(w);
    EXPECT(
        "media: pong\n"
        "media: MALFORMED\n");
    world_free(&w);
}

Test(engine_submit, an_unclean_commit_releases_nothing_until_a_clean_one)
{
    world_t *w = world_new(NULL);
    world_media(w, "media");
    SUBMIT("media", .key = "a");
    world_turn(w);
    world_commit_unclean(w);
    EXPECT("");
    world_get(w, "media", "00000000-0000-0000-0000-000000000001", false);
    world_turn(w);
    EXPECT("");
    cr_assert(world_in_flight(w), "nothing follows that could be clean");
    world_commit(w);
    EXPECT(
        "media: ack a v1\n"
        "media: UNKNOWN_INTERACTION\n");
    world_settle(w);
    size_t batches = world_batches(w);
    for (int i = 0; i < 5; i++)
        world_settle(w);
    cr_assert_eq(world_batches(w), batches, "beats go on after the clean commit");
    world_free(&w);
}

/* ---- Reads ---- */

Test(engine_submit, a_confirmed_read_waits_for_a_commit_that_was_sent_after_it)
{
    world_t *w = world_new(NULL);
    world_media(w, "media");
    SUBMIT("media", .key = "a");
    world_settle(w);
    world_forget(w);
    world_get(w, "media", "a", false);
    world_turn(w);
    EXPECT("media: a v1 queued in in\n");
    cr_assert_not(world_in_flight(w));
    world_get(w, "media", "a", true);
    world_turn(w);
    EXPECT("");
    cr_assert(world_in_flight(w));
    world_commit(w);
    EXPECT("media: a v1 queued in in\n");
    /* A commit that is on its way already proves nothing. */
    SUBMIT("media", .key = "b");
    world_turn(w);
    world_get(w, "media", "a", true);
    world_turn(w);
    world_commit(w);
    EXPECT("media: ack b v1\n");
    world_commit(w);
    EXPECT("media: a v1 queued in in\n");
    world_free(&w);
}

Test(engine_submit, a_read_tells_what_is_there)
{
    world_t *w = world_new(NULL);
    world_media(w, "media");
    SUBMIT("media", .key = "a", .queue = "work", .priority = 7, .attributes = "{\"n\": 1.10}");
    world_settle(w);
    SUBMIT("media", .key = "b", .hold = true, .parent = "a");
    world_settle(w);
    STOP("media", .of = "b", .key = "k");
    world_settle(w);
    world_forget(w);
    world_get(w, "media", "a", false);
    world_get(w, "media", "b", false);
    world_get(w, "media", "00000000-0000-0000-0000-000000000001", false);
    world_settle(w);
    EXPECT(
        "media: a v1 queued in work priority 7 {\"n\": 1.10}\n"
        "media: b v2 completed\n"
        "media: UNKNOWN_INTERACTION\n");
    world_free(&w);
}

/* ---- Idempotence ---- */

static void s_submit_again(world_t *w, const char *expected)
{
    world_media(w, "media");
    SUBMIT("media", .key = "a", .attributes = "{\"x\":1}");
    world_settle(w);
    world_expect(w, expected, __LINE__);
}

Test(engine_submit, a_submit_is_done_once_whatever_happens_in_between)
{
    world_t *w = world_new(NULL);
    s_submit_again(w, "media: ack a v1\n");
    world_lose(w, "media");
    s_submit_again(w, "media: ack a v1\n");
    for (int from_tables = 0; from_tables < 2; from_tables++) {
        world_pass(w, 1500); /* there is a checkpoint */
        world_restart(w, NULL, from_tables);
        s_submit_again(w, "media: ack a v1\n");
    }
    STOP("media", .of = "a", .key = "k");
    world_settle(w);
    EXPECT("media: ack a v2\n");
    world_lose(w, "media");
    s_submit_again(w, "media: ack a v1\n");
    for (int from_tables = 0; from_tables < 2; from_tables++) {
        world_pass(w, 1500);
        world_restart(w, NULL, from_tables);
        s_submit_again(w, "media: ack a v1\n");
    }
    cr_assert_eq(engine_state(world_engine(w))->count, 0);
    world_free(&w);
}

Test(engine_submit, a_submit_that_was_not_committed_is_made_anew)
{
    world_t *w = world_new(NULL);
    world_media(w, "media");
    SUBMIT("media", .key = "a");
    world_turn(w);
    world_restart(w, NULL, false);
    world_settle(w);
    EXPECT("");
    cr_assert_eq(engine_state(world_engine(w))->count, 0);
    s_submit_again(w, "media: ack a v1\n");
    world_free(&w);
}

Test(engine_submit, the_same_key_for_something_else_is_refused)
{
    world_t *w = world_new(NULL);
    world_media(w, "media");
    const world_submit_t first = {.key = "a", .type = "T", .attributes = "{}"};
    world_submit_t others[8];
    for (size_t i = 0; i < 8; i++)
        others[i] = first;
    others[0].queue = "second";
    others[1].media_type = "chat";
    others[2].type = "U";
    others[3].subtype = "T";
    others[4].external_id = "e";
    others[5].attributes = "{\"a\":1}";
    others[6].priority = 1;
    others[7].hold = true;
    world_submit(w, "media", &first);
    world_settle(w);
    EXPECT("media: ack a v1\n");
    for (size_t i = 0; i < 8; i++) {
        world_submit(w, "media", &others[i]);
        world_settle(w);
        EXPECT("media: KEY_REUSED\n");
    }
    cr_assert(strstr(world_sentence(w), "this key made interaction "), "%s", world_sentence(w));
    STOP("media", .of = "a", .key = "k");
    world_submit(w, "media", &others[0]);
    world_submit(w, "media", &first);
    world_settle(w);
    EXPECT(
        "media: ack a v2\n"
        "media: KEY_REUSED\n"
        "media: ack a v1\n");
    world_free(&w);
}

Test(engine_submit, keys_of_two_tenants_do_not_meet)
{
    world_t *w = world_new(NULL);
    world_media(w, "media");
    REGISTER("guest", .tenant = "other");
    world_settle(w);
    EXPECT("guest: registered\n");
    SUBMIT("media", .key = "a");
    SUBMIT("guest", .key = "a", .as = "g", .type = "Other");
    world_settle(w);
    EXPECT(
        "media: ack a v1\n"
        "guest: ack g v1\n");
    world_get(w, "guest", "a", false);
    world_get(w, "guest", "g", false);
    STOP("guest", .of = "a", .key = "k");
    SUBMIT("guest", .key = "b", .queue = "work"); /* only the other tenant has it */
    world_settle(w);
    EXPECT(
        "guest: UNKNOWN_INTERACTION\n"
        "guest: g v1 queued in in\n"
        "guest: UNKNOWN_INTERACTION\n"
        "guest: UNKNOWN_QUEUE\n");
    cr_assert_str_eq(world_sentence(w),
                     "tenant \"other\" has no queue \"work\"; configure it under `queues`");
    STOP("media", .of = "a", .key = "k");
    world_settle(w);
    world_forget(w);
    world_get(w, "guest", "a", false);
    STOP("guest", .of = "a", .key = "k");
    world_settle(w);
    EXPECT(
        "guest: UNKNOWN_INTERACTION\n"
        "guest: UNKNOWN_INTERACTION\n");
    world_free(&w);
}

/* The answer of the first stands, even when the same content would not be accepted any more. */
Test(engine_submit, a_retry_is_answered_although_the_bounds_are_lower_now)
{
    world_t *w = world_new(NULL);
    world_media(w, "media");
    static char large[3000] = "{\"a\":\"";
    memset(large + 6, 'x', 2000);
    memcpy(large + 2006, "\"}", 3);
    SUBMIT("media", .key = "a", .attributes = large);
    SUBMIT("media", .key = "b", .queue = "second");
    world_settle(w);
    world_restart(
        w,
        &(world_options_t){.queues = "in>s1", .max_attributes_size = 1024, .max_interactions = 1},
        false);
    world_media(w, "media");
    world_forget(w);
    SUBMIT("media", .key = "a", .attributes = large);
    SUBMIT("media", .key = "b", .queue = "second");
    SUBMIT("media", .key = "c", .attributes = large);
    SUBMIT("media", .key = "d", .queue = "second");
    SUBMIT("media", .key = "e");
    world_settle(w);
    EXPECT(
        "media: busy\n" /* tells nothing, so it comes first */
        "media: ack a v1\n"
        "media: ack b v1\n"
        "media: TOO_LARGE\n"
        "media: UNKNOWN_QUEUE\n");
    world_free(&w);
}

/* ---- Bounds ---- */

Test(engine_submit, a_full_server_says_busy_and_goes_on)
{
    world_t *w = world_new(&(world_options_t){.queues = "in>s1 short>s1#2", .max_interactions = 3});
    world_media(w, "media");
    SUBMIT("media", .key = "a", .queue = "short");
    SUBMIT("media", .key = "b", .queue = "short", .hold = true);
    world_settle(w);
    EXPECT(
        "media: ack a v1\n"
        "media: ack b v1\n");
    SUBMIT("media", .key = "c", .queue = "short");
    world_settle(w);
    EXPECT("media: busy\n");
    cr_assert_str_eq(world_sentence(w), "the queue is as long as its max_length allows");
    SUBMIT("media", .key = "c");
    SUBMIT("media", .key = "a", .queue = "short");
    world_settle(w);
    EXPECT(
        "media: ack c v1\n"
        "media: ack a v1\n");
    SUBMIT("media", .key = "d");
    world_settle(w);
    EXPECT("media: busy\n");
    cr_assert_str_eq(world_sentence(w),
                     "as many interactions as limits.max_interactions allows are unfinished");
    STOP("media", .of = "b", .key = "k");
    SUBMIT("media", .key = "d", .queue = "short");
    world_settle(w);
    EXPECT(
        "media: ack b v2\n"
        "media: ack d v1\n");
    world_free(&w);
}

Test(engine_submit, the_memory_of_keys_is_bounded_and_never_forgets_the_young)
{
    world_t *w = world_new(&(world_options_t){
        .dedupe_max_keys = 2, .dedupe_guaranteed_ms = 10000, .dedupe_window_ms = 100000});
    world_media(w, "media");
    static const char *const keys[] = {"a", "b", "c"};
    for (size_t i = 0; i < 2; i++) {
        SUBMIT("media", .key = keys[i]);
        world_settle(w);
        STOP("media", .of = keys[i], .key = "k");
        world_settle(w);
    }
    world_forget(w);
    SUBMIT("media", .key = "c");
    world_settle(w);
    EXPECT("media: busy\n");
    cr_assert(strstr(world_sentence(w), "dedupe.max_keys"), "%s", world_sentence(w));
    SUBMIT("media", .key = "a");
    world_settle(w);
    EXPECT("media: ack a v1\n");
    world_pass(w, 10100);
    world_get(w, "media", "a", true); /* an entry: time goes on in the log */
    world_settle(w);
    SUBMIT("media", .key = "c");
    world_settle(w);
    EXPECT(
        "media: a v2 completed\n"
        "media: ack c v1\n");
    world_free(&w);
}

Test(engine_submit, a_key_is_free_again_after_the_window)
{
    world_t *w = world_new(&(world_options_t){.dedupe_window_ms = 60000});
    world_media(w, "media");
    SUBMIT("media", .key = "a");
    world_settle(w);
    STOP("media", .of = "a", .key = "k");
    world_settle(w);
    world_pass(w, 59000);
    world_get(w, "media", "a", true);
    world_settle(w);
    EXPECT(
        "media: ack a v1\n"
        "media: ack a v2\n"
        "media: a v2 completed\n");
    world_pass(w, 2000);
    world_get(w, "media", "a", true);
    world_settle(w);
    world_get(w, "media", "a", true);
    SUBMIT("media", .key = "a", .as = "a2", .type = "Other");
    world_settle(w);
    cr_assert(strstr(world_told(w), "UNKNOWN_INTERACTION\nmedia: ack a2 v1\n"), "%s",
              world_told(w));
    world_free(&w);
}

/* ---- Limits of every field ---- */

static char s_long[301];

static const char *s_xs(size_t len)
{
    memset(s_long, 'x', len);
    s_long[len] = 0;
    return s_long;
}

static void s_refused(world_t *w, const world_submit_t *submit, const char *code,
                      const char *sentence)
{
    world_submit(w, "media", submit);
    world_settle(w);
    char told[100];
    snprintf(told, sizeof told, "media: %s\n", code);
    world_expect(w, told, __LINE__);
    cr_assert(strstr(world_sentence(w), sentence), "told: %s, expected: %s", world_sentence(w),
              sentence);
    cr_assert_eq(engine_state(world_engine(w))->count, 0);
}

#define REFUSED(code, sentence, ...) s_refused(w, &(world_submit_t){__VA_ARGS__}, code, sentence)

Test(engine_submit, every_field_has_its_limit)
{
    world_t *w = world_new(&(world_options_t){.max_attributes_size = 1024});
    world_media(w, "media");
    REFUSED("INVALID_ARGUMENT", "key has 0 bytes, it needs 1 … 64", .key = NULL);
    REFUSED("INVALID_ARGUMENT", "key has 65 bytes", .key = s_xs(65));
    REFUSED("INVALID_ARGUMENT", "queue has 0 bytes", .key = "a", .queue = "");
    REFUSED("TOO_LARGE", "queue has 65 bytes", .key = "a", .queue = s_xs(65));
    REFUSED("INVALID_ARGUMENT", "media_type has 0 bytes", .key = "a", .media_type = "");
    REFUSED("TOO_LARGE", "media_type has 65", .key = "a", .media_type = s_xs(65));
    REFUSED("TOO_LARGE", "type has 65", .key = "a", .type = s_xs(65));
    REFUSED("TOO_LARGE", "subtype has 65", .key = "a", .subtype = s_xs(65));
    REFUSED("TOO_LARGE", "external_id has 256", .key = "a", .external_id = s_xs(256));
    REFUSED("INVALID_ARGUMENT", "external_id", .key = "a", .external_id = "\xff");
    REFUSED("INVALID_ARGUMENT", "priority is 1000001, it may be -1000000 … 1000000", .key = "a",
            .priority = 1000001);
    REFUSED("INVALID_ARGUMENT", "priority is -1000001", .key = "a", .priority = -1000001);
    REFUSED("INVALID_ARGUMENT", "received_at_us is -1", .key = "a", .received_at_us = -1);
    REFUSED("INVALID_ARGUMENT", "received_at_us is 9223372036854775807", .key = "a",
            .received_at_us = INT64_MAX);
    REFUSED("INVALID_ATTRIBUTES", "line 1, column 1, byte 1", .key = "a", .attributes = "{");
    static char large[1100] = "{\"a\":\"";
    memset(large + 6, 'x', 1020);
    memcpy(large + 1026, "\"}", 3);
    REFUSED("TOO_LARGE", "attributes have 1028 bytes, the limit is 1024", .key = "a",
            .attributes = large);
    Ixn__V1__Submit body = IXN__V1__SUBMIT__INIT;
    body.key = (ProtobufCBinaryData){1, (uint8_t *)"a"};
    body.queue = "in";
    body.media_type = "email";
    body.parent_id = (ProtobufCBinaryData){15, (uint8_t *)"123456789012345"};
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_SUBMIT;
    request.submit = &body;
    world_request(w, "media", &request);
    world_settle(w);
    EXPECT("media: INVALID_ARGUMENT\n");
    cr_assert_str_eq(world_sentence(w), "parent_id has 15 bytes, an interaction's id has 16");
    SUBMIT("media", .key = s_xs(64), .as = "largest", .priority = 1000000,
           .received_at_us = LIMIT_TIME);
    world_settle(w);
    EXPECT("media: ack largest v1\n");
    world_free(&w);
}
