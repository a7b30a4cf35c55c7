/* The node under pressure: slow commits, a checkpoint that falls behind, more work than a batch
 * holds; and time, which only goes on.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/engine_world.h"

/* Time goes by while the batch in flight is not committed; all that are connected say Ping. */
static void s_stand_still(world_t *w, uint32_t ms)
{
    for (uint32_t at = 0; at < ms; at += 100) {
        world_wait(w, 100);
        if (at % 500 == 0 && world_connected(w, "media"))
            world_ping(w, "media");
        if (at % 500 == 0 && world_connected(w, "r1"))
            world_ping(w, "r1");
        world_turn(w);
    }
}

/* ---- Commits that take long ---- */

Test(node, a_commit_that_takes_long_is_told_with_retry)
{
    world_t *w = world_new(NULL);
    world_media(w, "media");
    SUBMIT("media", .key = "a");
    world_turn(w);
    world_wait(w, 900);
    SUBMIT("media", .key = "b");
    world_turn(w);
    EXPECT("");
    world_wait(w, 200);
    SUBMIT("media", .key = "a");
    world_get(w, "media", "00000000-0000-0000-0000-000000000001", false);
    REGISTER("late");
    world_ping(w, "media");
    world_turn(w);
    EXPECT(
        "media: retry\n"
        "media: retry\n"
        "media: pong\n"
        "late: retry\n");
    cr_assert_str_eq(world_sentence(w),
                     "the database does not commit now; ask again with the same key");
    cr_assert(node_figures(world_node(w)).retrying);
    cr_assert(node_may_receive(world_node(w)));
    world_commit(w);
    EXPECT("media: ack a v1\n");
    SUBMIT("media", .key = "a");
    REGISTER("late");
    world_settle(w);
    EXPECT(
        "media: ack b v1\n"
        "media: ack a v1\n"
        "late: registered\n");
    cr_assert_eq(engine_state(world_engine(w))->count, 2);
    world_free(&w);
}

/* The commit's answer is in the same turn as what asks: it is not told to try again. */
Test(node, work_goes_on_in_the_turn_that_hears_of_the_commit)
{
    world_t *w = world_new(NULL);
    world_media(w, "media");
    SUBMIT("media", .key = "a");
    world_turn(w);
    world_wait(w, 5000);
    node_turn_begin(world_node(w), 0, 0); /* the clock that says nothing new is harmless */
    node_turn_end(world_node(w), false);
    world_commit(w);
    SUBMIT("media", .key = "b");
    world_turn(w);
    world_commit(w);
    EXPECT(
        "media: ack a v1\n"
        "media: ack b v1\n");
    world_free(&w);
}

/* What a router cannot give back for want of commits is not its fault. */
Test(node, nothing_times_out_while_nothing_is_committed)
{
    world_t *w = world_new(&(world_options_t){.routing_timeout_ms = 5000});
    world_media(w, "media");
    world_router(w, "r1", "s1");
    SUBMIT("media", .key = "a");
    world_settle(w);
    SUBMIT("media", .key = "b", .queue = "parked");
    world_turn(w);
    SUBMIT("media", .key = "c", .queue = "parked"); /* a batch is open all the time */
    world_turn(w);
    s_stand_still(w, 60000);
    world_forget(w);
    world_commit(w);
    STOP("r1", .of = "a", .token = "t1");
    world_settle(w);
    EXPECT(
        "media: ack b v1\n"
        "media: ack c v1\n"
        "r1: ack a v2\n");
    world_free(&w);
}

Test(node, what_was_not_told_yet_does_not_time_out)
{
    world_t *w = world_new(&(world_options_t){.routing_timeout_ms = 500, .retry_after_ms = 5000});
    world_media(w, "media");
    world_router(w, "r1", "s1");
    SUBMIT("media", .key = "x", .queue = "parked");
    world_turn(w);
    SUBMIT("media", .key = "a"); /* dispatched in the batch that is open */
    world_turn(w);
    s_stand_still(w, 3000);
    world_forget(w);
    world_settle(w);
    cr_assert(strstr(world_told(w), "r1: route a by s1, t1, attempt 1\n"), "%s", world_told(w));
    world_free(&w);
}

/* ---- Bounds ---- */

Test(node, a_checkpoint_that_falls_behind_is_told_with_busy)
{
    world_t *w = world_new(&(world_options_t){.no_checkpoints = true, .checkpoint_max_lag = 2060});
    world_media(w, "media");
    static char text[600] = "{\"a\":\"";
    memset(text + 6, 'x', 500);
    memcpy(text + 506, "\"}", 3);
    static const char *const keys[] = {"a", "b", "c", "d", "e"};
    for (size_t i = 0; i < 5; i++) {
        SUBMIT("media", .key = keys[i], .attributes = text);
        world_settle(w);
    }
    EXPECT(
        "media: ack a v1\n"
        "media: ack b v1\n"
        "media: ack c v1\n"
        "media: ack d v1\n"
        "media: busy\n");
    cr_assert_str_eq(world_sentence(w),
                     "the checkpoint is further behind than "
                     "checkpoint.max_lag_size allows");
    STOP("media", .of = "a", .key = "k"); /* finishing goes on */
    world_settle(w);
    EXPECT("media: ack a v2\n");
    world_checkpoint(w);
    world_settle(w); /* the image before all this; the next one has it */
    world_pass(w, 1100);
    world_checkpoint(w);
    world_settle(w);
    SUBMIT("media", .key = "e", .attributes = text);
    world_settle(w);
    EXPECT("media: ack e v1\n");
    world_free(&w);
}

Test(node, work_that_is_not_durable_is_bounded)
{
    world_t *w = world_new(&(world_options_t){.max_unfinished = 100000, .max_interactions = 5000});
    world_media(w, "media");
    int asked = 0;
    while (node_figures(world_node(w)).unfinished < 110000) {
        char key[16];
        snprintf(key, sizeof key, "k%d", asked++);
        SUBMIT("media", .key = key);
        world_turn(w);
    }
    cr_assert(asked > 500 && asked < 3000, "%d", asked);
    cr_assert_geq(node_figures(world_node(w)).unfinished, 100000);
    world_commit(w); /* the first alone; all others are one batch */
    cr_assert_not(node_may_receive(world_node(w)));
    world_commit(w);
    cr_assert(node_may_receive(world_node(w)));
    world_free(&w);
}

/* A small change writes the attributes whole: a packet of them is larger than a batch may be. */
Test(node, a_batch_never_grows_beyond_its_bytes)
{
    world_t *w = world_new(&(world_options_t){.max_attributes_size = LIMIT_ATTRIBUTES,
                                              .max_unfinished = (size_t)1 << 30});
    world_media(w, "media");
    static char large[1000100] = "{\"a\":\"";
    memset(large + 6, 'x', 1000000);
    memcpy(large + 1000006, "\"}", 3);
    SUBMIT("media", .key = "a", .attributes = large);
    world_settle(w);
    id128_t id = world_id(w, "a");
    Ixn__V1__AttributesChange set = IXN__V1__ATTRIBUTES_CHANGE__INIT;
    set.set = (ProtobufCBinaryData){7, (uint8_t *)"{\"n\":1}"};
    Ixn__V1__ChangeProperties body = IXN__V1__CHANGE_PROPERTIES__INIT;
    body.interaction_id = wire_bytes(&id);
    body.attributes = &set;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_CHANGE_PROPERTIES;
    request.change_properties = &body;
    world_packet(w, "media", &request, 1000);
    world_settle(w); /* the world looks at the size of each batch */
    cr_assert(strstr(world_told(w), "media: busy\n"));
    cr_assert_not(strstr(world_told(w), "media: ack a v1001\n"));
    world_forget(w);
    SUBMIT("media", .key = "b");
    world_settle(w);
    EXPECT("media: ack b v1\n");
    world_free(&w);
}

Test(node, a_batch_never_grows_beyond_its_entries)
{
    world_t *w = world_new(&(world_options_t){.max_unfinished = (size_t)1 << 30});
    world_media(w, "media");
    SUBMIT("media", .key = "a");
    world_settle(w);
    world_forget(w);
    id128_t id = world_id(w, "a");
    Ixn__V1__Hold body = IXN__V1__HOLD__INIT;
    body.interaction_id = wire_bytes(&id);
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_HOLD;
    request.hold = &body;
    for (int i = 0; i < 110; i++) {
        cr_assert_eq(node_may_receive(world_node(w)), i <= 25, "packet %d", i);
        world_packet(w, "media", &request, 1000); /* all the same */
        world_turn(w);
    }
    cr_assert(strstr(world_told(w), "busy"));
    world_settle(w);
    world_free(&w);
}

Test(node, deadlines_do_not_overfill_a_batch)
{
    world_t *w = world_new(&(world_options_t){.max_unfinished = (size_t)1 << 30,
                                              .max_interactions = 200000,
                                              .hold_timeout_ms = 5000,
                                              .retry_after_ms = 10000});
    world_media(w, "media");
    Ixn__V1__Submit body = IXN__V1__SUBMIT__INIT;
    body.queue = "in";
    body.media_type = "email";
    body.hold = true;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_SUBMIT;
    request.submit = &body;
    for (int i = 0; i < 110; i++) {
        world_packet(w, "media", &request, 1000);
        world_settle(w);
        world_forget(w);
    }
    world_pass(w, 4000);
    SUBMIT("media", .key = "x");
    world_turn(w);
    s_stand_still(w, 4000); /* 40 turns; 5,000 could be resumed in each */
    world_settle(w);
    world_pass(w, 1000);
    cr_assert_eq(engine_state(world_engine(w))->queues[0]->length, 110001);
    cr_assert_null(state_next_deadline(engine_state(world_engine(w))));
    world_free(&w);
}

Test(node, answers_that_wait_are_bounded)
{
    world_t *w = world_new(&(world_options_t){.max_attributes_size = LIMIT_ATTRIBUTES});
    world_media(w, "media");
    static char large[1000100] = "{\"a\":\"";
    memset(large + 6, 'x', 1000000);
    memcpy(large + 1000006, "\"}", 3);
    SUBMIT("media", .key = "a", .attributes = large);
    world_settle(w);
    world_forget(w);
    id128_t id = world_id(w, "a");
    Ixn__V1__Get body = IXN__V1__GET__INIT;
    body.interaction_id = wire_bytes(&id);
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_GET;
    request.get = &body;
    world_packet(w, "media", &request, 1000);
    cr_assert_leq(engine_figures(world_engine(w)).held_bytes, 70000000);
    world_settle(w);
    cr_assert(strstr(world_told(w), "media: busy\n"));
    world_forget(w);
    world_get(w, "media", "a", false);
    world_settle(w);
    cr_assert(strstr(world_told(w), "media: a v1 queued"));
    world_free(&w);
}

Test(node, routes_that_wait_are_bounded)
{
    world_t *w = world_new(&(world_options_t){
        .max_attributes_size = LIMIT_ATTRIBUTES, .max_submitted = 1000, .max_interactions = 5000});
    world_media(w, "media");
    static char large[1000100] = "{\"a\":\"";
    memset(large + 6, 'x', 1000000);
    memcpy(large + 1000006, "\"}", 3);
    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        SUBMIT("media", .key = key, .attributes = large);
        world_settle(w);
    }
    REGISTER("r1", .role = IXN__V1__ROLE__ROUTER);
    world_load(w, "r1", "s1");
    world_turn(w);
    cr_assert_leq(engine_figures(world_engine(w)).held_bytes, 70000000);
    world_settle(w);
    cr_assert(strstr(world_told(w), "route k99 by s1"));
    world_free(&w);
}

/* ---- Time ---- */

static void s_check_log(const world_t *w)
{
    for (size_t i = 1; i < world_batches(w); i++) {
        const batch_t *before = world_batch(w, i - 1);
        const batch_t *batch = world_batch(w, i);
        cr_assert_eq(batch->first, before->last + 1);
        cr_assert(id_equal(batch->previous, before->hash));
        cr_assert(id_equal(batch->hash, batch_hash(batch)));
        cr_assert_geq(batch->log_time, before->log_time);
        cr_assert_geq(batch->epoch, before->epoch);
    }
}

Test(node, log_time_never_goes_back_and_deadlines_never_forward)
{
    world_t *w = world_new(NULL);
    world_media(w, "media");
    SUBMIT("media", .key = "a", .hold = true);
    world_settle(w);
    world_pass(w, 20000);
    world_get(w, "media", "a", true);
    world_settle(w);
    world_forget(w);
    world_reboot(w);
    world_media(w, "media");
    world_pass(w, 9000);
    world_get(w, "media", "a", true);
    world_settle(w);
    EXPECT("media: a v1 queued in in held\n");
    world_pass(w, 1200);
    world_get(w, "media", "a", true);
    world_settle(w);
    EXPECT("media: a v2 queued in in\n");
    s_check_log(w);
    world_free(&w);
}

Test(node, an_idle_node_moves_the_head)
{
    world_t *w = world_new(&(world_options_t){.beat_ms = 1000});
    size_t batches = world_batches(w);
    for (int i = 0; i < 50; i++) {
        world_wait(w, 100);
        world_settle(w);
    }
    cr_assert_eq(world_batches(w), batches + 5);
    world_free(&w);
}

/* Eight clients submit, and what they submit is committed. */
static world_t *s_crowded_world(void)
{
    world_t *w = world_new(NULL);
    for (char name[] = "m1"; name[1] <= '8'; name[1]++) {
        world_media(w, name);
        SUBMIT(name, .key = name);
    }
    world_settle(w);
    node_set_crowded(world_node(w), true);
    world_forget(w);
    return w;
}

Test(node, where_processors_are_crowded_a_batch_waits_for_company)
{
    world_t *w = s_crowded_world();
    usec_t turn = node_next_wakeup(world_node(w));
    SUBMIT("m1", .key = "a");
    world_turn(w);
    cr_assert_not(world_in_flight(w));
    cr_assert_lt(node_next_wakeup(world_node(w)), turn, "it does not wait for a tick");
    SUBMIT("m2", .key = "b");
    SUBMIT("m3", .key = "c");
    world_turn(w);
    cr_assert_not(world_in_flight(w));
    SUBMIT("m4", .key = "d");
    world_turn(w);
    cr_assert(world_in_flight(w));
    world_commit(w);
    EXPECT(
        "m1: ack a v1\n"
        "m2: ack b v1\n"
        "m3: ack c v1\n"
        "m4: ack d v1\n");
    world_free(&w);
}

Test(node, company_that_does_not_come_is_not_waited_for_long)
{
    world_t *w = s_crowded_world();
    SUBMIT("m1", .key = "a");
    world_turn(w);
    cr_assert_not(world_in_flight(w));
    world_wait(w, 3);
    world_turn(w);
    cr_assert(world_in_flight(w));
    world_free(&w);
}

Test(node, a_node_that_is_held_waits_for_no_company)
{
    world_t *w = s_crowded_world();
    SUBMIT("m1", .key = "a");
    world_turn(w);
    cr_assert_not(world_in_flight(w));
    node_hold(world_node(w), "it hands over");
    world_turn(w);
    cr_assert(world_in_flight(w));
    world_free(&w);
}

Test(node, an_epoch_begins_with_its_entry)
{
    world_t *w = world_new(NULL);
    world_restart(w, NULL, false);
    world_settle(w);
    wire_arena_t *arena = wire_arena_new();
    error_t error;
    const batch_t *batch = world_batch(w, world_batches(w) - 1);
    const Ixn__V1__Batch *entries =
        wire_decode_batch(arena, (const uint8_t *)batch->entries.data, batch->entries.len, &error);
    cr_assert_eq(entries->n_entries, 1, "the configuration is the same");
    cr_assert_eq(entries->entries[0]->body_case, IXN__V1__ENTRY__BODY_EPOCH_STARTED);
    cr_assert_eq(entries->entries[0]->epoch_started->epoch, 2);
    world_restart(w, &(world_options_t){.queues = "in>s9"}, false);
    world_settle(w);
    batch = world_batch(w, world_batches(w) - 1);
    entries =
        wire_decode_batch(arena, (const uint8_t *)batch->entries.data, batch->entries.len, &error);
    cr_assert_eq(entries->n_entries, 2);
    cr_assert_eq(entries->entries[1]->body_case, IXN__V1__ENTRY__BODY_CONFIGURATION_CHANGED);
    wire_arena_destroy(&arena);
    s_check_log(w);
    world_free(&w);
}
