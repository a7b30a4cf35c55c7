/* Changes: each is made once, by whom it may be made, within its limits. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/engine_world.h"

/* "a" and "b" are with r1 under t1 and t2, "c" waits; told to nobody. */
static world_t *s_world(void)
{
    world_t *w = world_new(&(world_options_t){.max_submitted = 2});
    world_media(w, "media");
    world_operator(w, "chief");
    SUBMIT("media", .key = "a", .attributes = "{\"x\":1}");
    SUBMIT("media", .key = "b");
    SUBMIT("media", .key = "c");
    world_settle(w);
    world_router(w, "r1", "s1");
    world_unload(w, "r1", "s1");
    world_settle(w);
    world_forget(w);
    return w;
}

/* ---- Once ---- */

Test(engine_change, a_change_that_is_asked_again_hears_the_first_answer)
{
    world_t *w = s_world();
    for (int i = 0; i < 3; i++) {
        CHANGE("media", .of = "c", .key = "1", .set = "{\"n\":1}");
        HOLD("media", .of = "c", .key = "2");
        RESUME("media", .of = "c", .key = "3");
        PLACE("media", .of = "c", .key = "4", .to = "parked");
        world_settle(w);
        EXPECT(
            "media: ack c v2\n"
            "media: ack c v3\n"
            "media: ack c v4\n"
            "media: ack c v5\n");
        if (i == 1) {
            world_restart(w, NULL, false);
            world_media(w, "media");
        }
    }
    world_get(w, "media", "c", false);
    world_settle(w);
    EXPECT("media: c v5 queued in parked {\"n\":1}\n");
    world_free(&w);
}

Test(engine_change, also_after_completion_and_a_restart)
{
    world_t *w = s_world();
    for (int i = 0; i < 4; i++) {
        CHANGE("media", .of = "c", .key = "1", .set = "{\"n\":1}");
        HOLD("media", .of = "c", .key = "2");
        STOP("chief", .of = "c", .key = "3", .reason = "spam");
        world_settle(w);
        EXPECT(
            "media: ack c v2\n"
            "media: ack c v3\n"
            "chief: ack c v4\n");
        HOLD("media", .of = "c", .key = "other");
        world_settle(w);
        EXPECT("media: ALREADY_COMPLETED\n");
        if (i == 0)
            continue;
        world_pass(w, 1500);
        world_restart(w, NULL, i == 1);
        world_media(w, "media");
        world_operator(w, "chief");
    }
    world_free(&w);
}

Test(engine_change, a_result_that_is_sent_again_hears_the_first_answer)
{
    world_t *w = s_world();
    for (int i = 0; i < 2; i++) {
        PLACE("r1", .of = "a", .token = "t1", .to = "work");
        STOP("r1", .of = "b", .token = "t2");
        world_settle(w);
        EXPECT(
            "r1: ack a v2\n"
            "r1: ack b v2\n");
    }
    world_load(w, "r1", "s2");
    world_settle(w);
    EXPECT(
        "r1: ack\n"
        "r1: route a by s2, t3, attempt 1\n");
    STOP("r1", .of = "a", .token = "t3");
    PLACE("r1", .of = "a", .token = "t1", .to = "work");
    STOP("r1", .of = "a", .token = "t3");
    world_settle(w);
    EXPECT(
        "r1: ack a v3\n"
        "r1: ack a v2\n"
        "r1: ack a v3\n");
    world_free(&w);
}

Test(engine_change, of_two_results_of_one_token_one_is_accepted)
{
    world_t *w = s_world();
    FAIL("r1", .of = "a", .token = "t1", .reason = "tried");
    STOP("r1", .of = "a", .token = "t1");
    PLACE("r1", .of = "b", .token = "t2", .to = "parked");
    STOP("r1", .of = "b", .token = "t2");
    FAIL("r1", .of = "b", .token = "t2");
    world_settle(w);
    world_get(w, "media", "a", false);
    world_get(w, "media", "b", false);
    world_settle(w);
    EXPECT(
        "r1: ack a v1\n"
        "r1: OLD_TOKEN\n"
        "r1: ack b v2\n"
        "r1: OLD_TOKEN\n"
        "r1: OLD_TOKEN\n"
        "media: a v1 queued in in attempts 1 {\"x\":1}\n"
        "media: b v2 queued in parked\n");
    STOP("media", .of = "b", .key = "k");
    world_settle(w);
    STOP("r1", .of = "b", .token = "t2");
    world_settle(w);
    EXPECT(
        "media: ack b v3\n"
        "r1: OLD_TOKEN\n");
    world_free(&w);
}

Test(engine_change, nothing_is_accepted_after_a_leave)
{
    world_t *w = s_world();
    world_leave(w, "r1");
    world_settle(w);
    world_router(w, "r1", "");
    world_forget(w);
    STOP("r1", .of = "a", .token = "t1");
    world_settle(w);
    EXPECT("r1: OLD_TOKEN\n");
    world_free(&w);
}

Test(engine_change, the_same_key_for_another_change_is_refused)
{
    world_t *w = s_world();
    HOLD("media", .of = "c", .key = "k");
    RESUME("media", .of = "c", .key = "k");
    STOP("media", .of = "c", .key = "k");
    world_settle(w);
    EXPECT(
        "media: ack c v2\n"
        "media: KEY_REUSED\n"
        "media: KEY_REUSED\n");
    cr_assert(strstr(world_sentence(w), "was used before to hold"), "%s", world_sentence(w));
    CHANGE("media", .of = "c", .key = "1");
    STOP("media", .of = "c", .key = "2");
    STOP("media", .of = "c", .key = "1");
    CHANGE("media", .of = "c", .key = "2");
    STOP("media", .of = "c", .key = "2");
    world_settle(w);
    EXPECT(
        "media: ack c v3\n"
        "media: ack c v4\n"
        "media: KEY_REUSED\n"
        "media: KEY_REUSED\n"
        "media: ack c v4\n");
    world_free(&w);
}

/* ---- Whose ---- */

Test(engine_change, old_tokens_are_refused_with_both_values)
{
    world_t *w = s_world();
    world_load(w, "r1", "s1");
    FAIL("r1", .of = "a", .token = "t1");
    world_settle(w);
    EXPECT(
        "r1: ack\n"
        "r1: ack a v1\n"
        "r1: route a by s1, t3, attempt 2\n");
    STOP("r1", .of = "a", .token = "t1");
    PLACE("r1", .of = "a", .token = "t1", .to = "work");
    CHANGE("r1", .of = "a", .token = "t1", .key = "k");
    STOP("r1", .of = "a", .token = "7/3");
    world_settle(w);
    EXPECT(
        "r1: OLD_TOKEN\n"
        "r1: OLD_TOKEN\n"
        "r1: OLD_TOKEN\n"
        "r1: OLD_TOKEN\n");
    char sentence[200];
    Ixn__V1__Token token = world_token(w, "t3");
    snprintf(sentence, sizeof sentence,
             "token 7/3 of \"r1\" is no longer held: \"r1\" has the interaction under %u/%u; drop "
             "this work",
             (unsigned)token.epoch, (unsigned)token.index);
    cr_assert_str_eq(world_sentence(w), sentence);
    world_free(&w);
}

Test(engine_change, the_result_of_another_router_is_refused)
{
    world_t *w = s_world();
    world_router(w, "r2", "");
    STOP("r2", .of = "a", .token = "t1");
    CHANGE("r2", .of = "a", .token = "t1", .key = "k");
    FAIL("r2", .of = "a", .token = "t1");
    STOP("r1", .of = "a", .token = "t1");
    world_settle(w);
    EXPECT(
        "r1: ack a v2\n"
        "r2: OLD_TOKEN\n"
        "r2: OLD_TOKEN\n"
        "r2: OLD_TOKEN\n");
    world_free(&w);
}

Test(engine_change, a_right_is_proved_by_key_or_token)
{
    world_t *w = s_world();
    STOP("r1", .of = "a", .key = "k");
    STOP("media", .of = "a", .token = "t1");
    STOP("media", .of = "a");
    CHANGE("r1", .of = "a", .token = "t1");
    FAIL("r1", .of = "a");
    world_settle(w);
    EXPECT(
        "media: WRONG_ROLE\n"
        "media: INVALID_ARGUMENT\n"
        "r1: INVALID_ARGUMENT\n"
        "r1: INVALID_ARGUMENT\n"
        "r1: INVALID_ARGUMENT\n");
    world_free(&w);
}

Test(engine_change, roles_may_ask_what_is_theirs)
{
    world_t *w = s_world();
    SUBMIT("r1", .key = "x");
    HOLD("r1", .of = "a", .key = "k");
    RESUME("r1", .of = "a", .key = "k");
    world_load(w, "media", "s1");
    world_unload(w, "chief", "s1");
    FAIL("media", .of = "a", .token = "t1");
    world_settle(w);
    EXPECT(
        "media: WRONG_ROLE\n"
        "media: WRONG_ROLE\n"
        "chief: WRONG_ROLE\n"
        "r1: WRONG_ROLE\n"
        "r1: WRONG_ROLE\n"
        "r1: WRONG_ROLE\n");
    world_free(&w);
}

/* ---- Conditions and limits ---- */

Test(engine_change, a_version_that_is_expected_must_be_there)
{
    world_t *w = s_world();
    CHANGE("media", .of = "c", .key = "1", .version = 2, .set = "{\"n\":1}");
    CHANGE("media", .of = "c", .key = "2", .version = 1, .set = "{\"n\":2}");
    HOLD("media", .of = "c", .key = "3", .version = 1);
    STOP("media", .of = "c", .key = "4", .version = 3);
    PLACE("r1", .of = "a", .token = "t1", .to = "work", .version = 9);
    CHANGE("media", .of = "c", .key = "2", .version = 1, .set = "{\"n\":2}"); /* a retry */
    world_settle(w);
    EXPECT(
        "media: VERSION_CONFLICT v1\n"
        "media: ack c v2\n"
        "media: VERSION_CONFLICT v2\n"
        "media: VERSION_CONFLICT v2\n"
        "media: ack c v2\n"
        "r1: VERSION_CONFLICT v1\n");
    cr_assert_str_eq(world_sentence(w),
                     "expected version 9, it has version 1; read it again and decide anew");
    world_free(&w);
}

static char s_long[301];

static const char *s_xs(size_t len)
{
    memset(s_long, 'x', len);
    s_long[len] = 0;
    return s_long;
}

#define REFUSED(kind, code, part, ...)                                                             \
    do {                                                                                           \
        kind("media", .of = "c", __VA_ARGS__);                                                     \
        world_settle(w);                                                                           \
        EXPECT("media: " code "\n");                                                               \
        cr_assert(strstr(world_sentence(w), part), "told: %s", world_sentence(w));                 \
    } while (0)

Test(engine_change, every_field_has_its_limit)
{
    world_t *w = s_world();
    int32_t high = 1000001;
    REFUSED(STOP, "INVALID_ARGUMENT", "key has 65 bytes, it needs 1 … 64", .key = s_xs(65));
    REFUSED(STOP, "TOO_LARGE", "reason has 256", .key = "k", .reason = s_xs(256));
    REFUSED(PLACE, "TOO_LARGE", "reason has 256", .key = "k", .to = "in", .reason = s_xs(256));
    REFUSED(PLACE, "INVALID_ARGUMENT", "queue has 0 bytes", .key = "k");
    REFUSED(PLACE, "TOO_LARGE", "queue has 65", .key = "k", .to = s_xs(65));
    REFUSED(PLACE, "UNKNOWN_QUEUE", "has no queue \"none\"", .key = "k", .to = "none");
    REFUSED(PLACE, "INVALID_ARGUMENT", "priority is 1000001", .key = "k", .to = "in",
            .priority = &high);
    REFUSED(CHANGE, "INVALID_ARGUMENT", "priority is 1000001", .key = "k", .priority = &high);
    REFUSED(CHANGE, "TOO_LARGE", "external_id has 256", .key = "k", .external_id = s_xs(256));
    REFUSED(CHANGE, "TOO_LARGE", "type has 65", .key = "k", .type = s_xs(65));
    REFUSED(CHANGE, "TOO_LARGE", "subtype has 65", .key = "k", .subtype = s_xs(65));
    REFUSED(CHANGE, "INVALID_ATTRIBUTES", "line 1", .key = "k", .set = "[");
    REFUSED(CHANGE, "INVALID_ARGUMENT", "\"n\" is both set and removed", .key = "k",
            .set = "{\"n\":1}", .remove = "n");
    FAIL("r1", .of = "a", .token = "t1", .reason = s_xs(256));
    world_settle(w);
    EXPECT("r1: TOO_LARGE\n");
    world_get(w, "media", "c", false);
    world_settle(w);
    EXPECT("media: c v1 queued in in\n");
    world_free(&w);
}

Test(engine_change, an_id_has_sixteen_bytes)
{
    world_t *w = s_world();
    Ixn__V1__Stop stop = IXN__V1__STOP__INIT;
    stop.interaction_id = (ProtobufCBinaryData){3, (uint8_t *)"abc"};
    stop.key = (ProtobufCBinaryData){1, (uint8_t *)"k"};
    Ixn__V1__Get get = IXN__V1__GET__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_STOP;
    request.stop = &stop;
    world_request(w, "media", &request);
    request.id = 0;
    request.body_case = IXN__V1__REQUEST__BODY_GET;
    request.get = &get;
    world_request(w, "media", &request);
    world_settle(w);
    EXPECT(
        "media: INVALID_ARGUMENT\n"
        "media: INVALID_ARGUMENT\n");
    cr_assert_str_eq(world_sentence(w), "interaction_id has 0 bytes, it needs 16");
    STOP("media", .of = "00000000-0000-0000-0000-000000000001", .key = "k");
    world_settle(w);
    EXPECT("media: UNKNOWN_INTERACTION\n");
    world_free(&w);
}

/* What a client sends comes back to it in sentences: they are text whatever it was. */
Test(engine_change, sentences_are_valid_text)
{
    world_t *w = s_world();
    CHANGE("media", .of = "c", .key = "k", .set = "{\"n\":1, \"\xc3\xa4\":2}",
           .remove = "\xc3\xa4");
    world_settle(w);
    EXPECT("media: INVALID_ARGUMENT\n");
    static char name[300], set[400];
    for (size_t i = 0; i < 99; i++)
        name[i] = 'x';
    memcpy(name + 99, "\xc3\xa4", 3); /* cut in its middle */
    snprintf(set, sizeof set, "{\"%s\":1}", name);
    CHANGE("media", .of = "c", .key = "k", .set = set, .remove = name);
    world_settle(w);
    EXPECT("media: INVALID_ARGUMENT\n");
    error_t error;
    cr_assert(wire_check_text("sentence", world_sentence(w), 1, 1000, &error), "%s", error.text);
    world_free(&w);
}
