/* Apply: an entry that does not fit the state is refused and changes nothing; what the kinds of
 * entry do that is easy to get wrong. */
#include "tests/unit/state_driver.h"

static char s_wide[300];

/* All that an entry could have touched. */
typedef struct {
    kept_row_t *rows;
    uint64_t index;
    size_t texts;
    size_t tenants;
    size_t queues;
    size_t routers;
    size_t remembered;
    uint32_t lengths;
    uint32_t pending;
    bool image_needed;
    size_t configuration;
} look_t;

static look_t s_look(const state_t *state)
{
    look_t look = {.rows = table_of(state),
                   .index = state->index,
                   .texts = state->text_bytes,
                   .tenants = state->tenants_len,
                   .queues = state->queues_len,
                   .routers = state->routers_len,
                   .remembered = state->remembered.len,
                   .image_needed = state_image_needed(state),
                   .configuration =
                       ixn__v1__engine_configuration__get_packed_size(state->configuration)};
    for (size_t i = 0; i < state->queues_len; i++)
        look.lengths = look.lengths * 31 + state->queues[i]->length;
    for (size_t i = 0; i < state->routers_len; i++)
        look.pending = look.pending * 31 + state->routers[i]->pending;
    return look;
}

/* Refused, with a sentence, and nothing changed. */
static void s_refuses(state_t *state, const Ixn__V1__Entry *entry, const char *why)
{
    look_t before = s_look(state);
    error_t error = {0};
    cr_assert_not(state_apply(state, entry, &error), "applied: %s", why);
    cr_assert_eq(error.code, ERROR_DATABASE_DIVERGED, "%s: %s", why, error.text);
    look_t after = s_look(state);
    table_assert_equal(after.rows, before.rows);
    table_clear(&before.rows);
    table_clear(&after.rows);
#define SAME(field) cr_assert_eq(after.field, before.field, #field " changed: %s", why)
    SAME(index);
    SAME(texts);
    SAME(tenants);
    SAME(queues);
    SAME(routers);
    SAME(remembered);
    SAME(lengths);
    SAME(pending);
    SAME(image_needed);
    SAME(configuration);
#undef SAME
}

static void s_applies(state_t *state, const Ixn__V1__Entry *entry)
{
    error_t error = {0};
    cr_assert(state_apply(state, entry, &error), "%s", error.text);
}

/* ---- A small state: 1 is queued, 2 held, 3 with a router, 4 quarantined, 5 finished ---- */

static id128_t s_ids[] = {{{0}}, {{1}}, {{2}}, {{3}}, {{4}}, {{5}}, {{6}}};

static Ixn__V1__Entry s_entry(Ixn__V1__Entry__BodyCase kind, void *body)
{
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    entry.body_case = kind;
    entry.beat = body; /* a union of pointers */
    return entry;
}

static Ixn__V1__Submitted s_submitted(size_t number)
{
    static char keys[7][2];
    keys[number][0] = (char)('a' + number);
    Ixn__V1__Submitted body = IXN__V1__SUBMITTED__INIT;
    body.interaction_id = wire_bytes(&s_ids[number]);
    body.key = (ProtobufCBinaryData){1, (uint8_t *)keys[number]};
    body.tenant = "default";
    body.queue = "inbox";
    body.media_type = "email";
    body.submitted_by = "mail";
    return body;
}

static void s_submit(state_t *state, size_t number)
{
    Ixn__V1__Submitted body = s_submitted(number);
    Ixn__V1__Entry entry = s_entry(IXN__V1__ENTRY__BODY_SUBMITTED, &body);
    s_applies(state, &entry);
}

static void s_dispatch(state_t *state, size_t number)
{
    Ixn__V1__Dispatched body = IXN__V1__DISPATCHED__INIT;
    body.interaction_id = wire_bytes(&s_ids[number]);
    body.router = "r1";
    body.strategy = "s1";
    Ixn__V1__Entry entry = s_entry(IXN__V1__ENTRY__BODY_DISPATCHED, &body);
    s_applies(state, &entry);
}

static void s_return(state_t *state, size_t number, bool quarantined)
{
    Ixn__V1__Returned body = IXN__V1__RETURNED__INIT;
    body.interaction_id = wire_bytes(&s_ids[number]);
    body.cause = IXN__V1__RETURN_CAUSE__ROUTE_FAILED;
    body.quarantined = quarantined;
    Ixn__V1__Entry entry = s_entry(IXN__V1__ENTRY__BODY_RETURNED, &body);
    s_applies(state, &entry);
}

static void s_hold(state_t *state, size_t number, bool held)
{
    Ixn__V1__HeldChanged body = IXN__V1__HELD_CHANGED__INIT;
    body.interaction_id = wire_bytes(&s_ids[number]);
    body.held = held;
    Ixn__V1__Entry entry = s_entry(IXN__V1__ENTRY__BODY_HELD_CHANGED, &body);
    s_applies(state, &entry);
}

static state_t *s_small_state(void)
{
    memset(s_wide, 'w', sizeof s_wide - 1);
    state_t *state = state_new();
    state_begin_batch(state, 1, 1000, 2000);
    for (size_t i = 1; i <= 5; i++)
        s_submit(state, i);
    s_hold(state, 2, true);
    s_dispatch(state, 3);
    s_dispatch(state, 4);
    s_return(state, 4, true);
    Ixn__V1__Stopped body = IXN__V1__STOPPED__INIT;
    body.interaction_id = wire_bytes(&s_ids[5]);
    body.change = 7;
    body.reason = "done";
    Ixn__V1__Entry entry = s_entry(IXN__V1__ENTRY__BODY_STOPPED, &body);
    s_applies(state, &entry);
    state_end_batch(state, (id128_t){{1}});
    return state;
}

static char *s_too_long(size_t len)
{
    return s_wide + (sizeof s_wide - 1 - len);
}

#define REFUSES(kind, make, change, why)                                                           \
    do {                                                                                           \
        body = (make);                                                                             \
        change;                                                                                    \
        Ixn__V1__Entry entry = s_entry(IXN__V1__ENTRY__BODY_##kind, &body);                        \
        s_refuses(state, &entry, why);                                                             \
    } while (0)

Test(apply, refuses_submitted)
{
    state_t *state = s_small_state();
    Ixn__V1__Submitted body;
    REFUSES(SUBMITTED, s_submitted(1), (void)0, "its id is live");
    REFUSES(SUBMITTED, s_submitted(6), body.interaction_id.len = 15, "an id of 15 bytes");
    REFUSES(SUBMITTED, s_submitted(6), body.key = s_submitted(1).key, "its key is live");
    REFUSES(SUBMITTED, s_submitted(5), body.key = s_submitted(6).key, "its id was finished");
    REFUSES(SUBMITTED, s_submitted(6), body.key.len = 65;
            body.key.data = (uint8_t *)s_wide, "a long key");
    REFUSES(SUBMITTED, s_submitted(6), body.tenant = s_too_long(65), "a long tenant");
    REFUSES(SUBMITTED, s_submitted(6), body.queue = s_too_long(65), "a long queue");
    REFUSES(SUBMITTED, s_submitted(6), body.tenant = "new";
            body.queue = s_too_long(65), "a long queue of a new tenant");
    REFUSES(SUBMITTED, s_submitted(6), body.media_type = s_too_long(65), "a long media type");
    REFUSES(SUBMITTED, s_submitted(6), body.type = s_too_long(65), "a long type");
    REFUSES(SUBMITTED, s_submitted(6), body.subtype = s_too_long(65), "a long subtype");
    REFUSES(SUBMITTED, s_submitted(6), body.external_id = s_too_long(256), "a long external id");
    REFUSES(SUBMITTED, s_submitted(6), body.submitted_by = s_too_long(65), "a long name");
    REFUSES(SUBMITTED, s_submitted(6), body.parent_id.len = 3;
            body.parent_id.data = (uint8_t *)"abc", "a parent of 3 bytes");
    s_submit(state, 6);
    state_destroy(&state);
}

static Ixn__V1__Changed s_changed(size_t number)
{
    Ixn__V1__Changed body = IXN__V1__CHANGED__INIT;
    body.interaction_id = wire_bytes(&s_ids[number]);
    return body;
}

Test(apply, refuses_changed)
{
    state_t *state = s_small_state();
    Ixn__V1__Changed body;
    REFUSES(CHANGED, s_changed(6), (void)0, "an unknown id");
    REFUSES(CHANGED, s_changed(5), (void)0, "a finished one");
    REFUSES(CHANGED, s_changed(1), body.interaction_id.len = 0, "no id");
    REFUSES(CHANGED, s_changed(1),
            body.external_id_given_case = IXN__V1__CHANGED__EXTERNAL_ID_GIVEN_EXTERNAL_ID;
            body.external_id = s_too_long(256), "a long external id");
    REFUSES(CHANGED, s_changed(1), body.type_given_case = IXN__V1__CHANGED__TYPE_GIVEN_TYPE;
            body.type = s_too_long(65), "a long type");
    REFUSES(CHANGED, s_changed(1),
            body.subtype_given_case = IXN__V1__CHANGED__SUBTYPE_GIVEN_SUBTYPE;
            body.subtype = s_too_long(65), "a long subtype");
    REFUSES(CHANGED, s_changed(1), body.by = s_too_long(65), "a long name");
    state_destroy(&state);
}

static Ixn__V1__Placed s_placed(size_t number)
{
    Ixn__V1__Placed body = IXN__V1__PLACED__INIT;
    body.interaction_id = wire_bytes(&s_ids[number]);
    body.queue = "inbox";
    return body;
}

Test(apply, refuses_placed)
{
    state_t *state = s_small_state();
    Ixn__V1__Placed body;
    REFUSES(PLACED, s_placed(6), (void)0, "an unknown id");
    REFUSES(PLACED, s_placed(5), (void)0, "a finished one");
    REFUSES(PLACED, s_placed(3), body.queue = s_too_long(65), "a long queue");
    REFUSES(PLACED, s_placed(3), body.queue = "new"; body.by = s_too_long(65), "a long name");
    state_destroy(&state);
}

static Ixn__V1__HeldChanged s_held_changed(void)
{
    Ixn__V1__HeldChanged body = IXN__V1__HELD_CHANGED__INIT;
    return body;
}

Test(apply, refuses_held_changed)
{
    state_t *state = s_small_state();
    Ixn__V1__HeldChanged body;
    static const size_t bad[] = {3, 4, 5, 6};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        REFUSES(HELD_CHANGED, s_held_changed(), body.interaction_id = wire_bytes(&s_ids[bad[i]]),
                "it is not queued");
    REFUSES(HELD_CHANGED, s_held_changed(), body.interaction_id = wire_bytes(&s_ids[1]);
            body.by = s_too_long(65), "a long name");
    state_destroy(&state);
}

static Ixn__V1__Stopped s_stopped(void)
{
    Ixn__V1__Stopped body = IXN__V1__STOPPED__INIT;
    return body;
}

Test(apply, refuses_stopped)
{
    state_t *state = s_small_state();
    Ixn__V1__Stopped body;
    REFUSES(STOPPED, s_stopped(), body.interaction_id = wire_bytes(&s_ids[6]), "an unknown id");
    REFUSES(STOPPED, s_stopped(), body.interaction_id = wire_bytes(&s_ids[5]),
            "it is finished already");
    REFUSES(STOPPED, s_stopped(), body.interaction_id = wire_bytes(&s_ids[3]);
            body.reason = s_too_long(256), "a long reason");
    REFUSES(STOPPED, s_stopped(), body.interaction_id = wire_bytes(&s_ids[3]);
            body.by = s_too_long(65), "a long name");
    state_destroy(&state);
}

static Ixn__V1__Dispatched s_dispatched(size_t number)
{
    Ixn__V1__Dispatched body = IXN__V1__DISPATCHED__INIT;
    body.interaction_id = wire_bytes(&s_ids[number]);
    body.router = "r2";
    body.strategy = "s2";
    return body;
}

Test(apply, refuses_dispatched)
{
    state_t *state = s_small_state();
    Ixn__V1__Dispatched body;
    REFUSES(DISPATCHED, s_dispatched(6), (void)0, "an unknown id");
    REFUSES(DISPATCHED, s_dispatched(2), (void)0, "a held one");
    REFUSES(DISPATCHED, s_dispatched(3), (void)0, "one that is with a router");
    REFUSES(DISPATCHED, s_dispatched(4), (void)0, "a quarantined one");
    REFUSES(DISPATCHED, s_dispatched(5), (void)0, "a finished one");
    REFUSES(DISPATCHED, s_dispatched(1), body.router = s_too_long(65), "a long router");
    REFUSES(DISPATCHED, s_dispatched(1), body.router = "", "to nobody");
    REFUSES(DISPATCHED, s_dispatched(1), body.strategy = s_too_long(65), "a long strategy");
    state_destroy(&state);
}

static Ixn__V1__Returned s_returned(size_t number)
{
    Ixn__V1__Returned body = IXN__V1__RETURNED__INIT;
    body.interaction_id = wire_bytes(&s_ids[number]);
    body.cause = IXN__V1__RETURN_CAUSE__ROUTER_LOST;
    return body;
}

Test(apply, refuses_returned)
{
    state_t *state = s_small_state();
    Ixn__V1__Returned body;
    static const size_t bad[] = {1, 2, 4, 5, 6};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        REFUSES(RETURNED, s_returned(bad[i]), (void)0, "it is with no router");
    REFUSES(RETURNED, s_returned(3), body.reason = s_too_long(256), "a long reason");
    REFUSES(RETURNED, s_returned(3), body.cause = (Ixn__V1__ReturnCause)0, "no cause");
    REFUSES(RETURNED, s_returned(3), body.cause = (Ixn__V1__ReturnCause)99, "an unknown cause");
    state_destroy(&state);
}

static void s_refuses_configuration(state_t *state, Ixn__V1__EngineConfiguration *configuration,
                                    const char *why)
{
    Ixn__V1__ConfigurationChanged body = IXN__V1__CONFIGURATION_CHANGED__INIT;
    body.configuration = configuration;
    Ixn__V1__Entry entry = s_entry(IXN__V1__ENTRY__BODY_CONFIGURATION_CHANGED, &body);
    s_refuses(state, &entry, why);
}

Test(apply, refuses_configurations)
{
    state_t *state = s_small_state();
    s_refuses_configuration(state, NULL, "none");
    Ixn__V1__TenantConfiguration tenant = IXN__V1__TENANT_CONFIGURATION__INIT;
    Ixn__V1__TenantConfiguration *tenants[] = {&tenant};
    Ixn__V1__QueueConfiguration queue = IXN__V1__QUEUE_CONFIGURATION__INIT;
    Ixn__V1__QueueConfiguration *queues[] = {&queue};
    Ixn__V1__RouterConfiguration router = IXN__V1__ROUTER_CONFIGURATION__INIT;
    Ixn__V1__RouterConfiguration *routers[] = {&router};
    Ixn__V1__EngineConfiguration good = IXN__V1__ENGINE_CONFIGURATION__INIT, bad;
    tenant.name = queue.tenant = "new";
    queue.name = "new";
    router.name = "new";
    good.tenants = tenants;
    good.queues = queues;
    good.routers = routers;
    good.n_tenants = good.n_queues = good.n_routers = 1;
    tenant.name = s_too_long(65);
    s_refuses_configuration(state, &good, "a tenant's name too long");
    tenant.name = "new";
    queue.name = s_too_long(65);
    s_refuses_configuration(state, &good, "a queue's name too long");
    queue.name = "new";
    queue.tenant = s_too_long(65);
    s_refuses_configuration(state, &good, "a queue's tenant too long");
    queue.tenant = "new";
    queue.strategy = s_too_long(65);
    s_refuses_configuration(state, &good, "a queue's strategy too long");
    queue.strategy = "";
    router.name = s_too_long(65);
    s_refuses_configuration(state, &good, "a router's name too long");
    router.name = "new";
    bad = good;
    bad.routing_timeout_ms = UINT64_MAX / 1000;
    s_refuses_configuration(state, &bad, "a routing timeout that overflows");
    bad = good;
    bad.hold_timeout_ms = UINT64_MAX;
    s_refuses_configuration(state, &bad, "a hold timeout that overflows");
    bad = good;
    bad.dedupe_window_ms = INT64_MAX / 1000;
    s_refuses_configuration(state, &bad, "a window that overflows");
    bad = good;
    bad.dedupe_guaranteed_ms = INT64_MAX;
    s_refuses_configuration(state, &bad, "a guaranteed window that overflows");
    state_destroy(&state);
}

/* Names that were configured once are kept, and there is a limit to them all together. */
Test(apply, refuses_more_queues_than_there_are_numbers)
{
    enum { MANY = 40000 };
    state_t *state = s_small_state();
    Ixn__V1__QueueConfiguration *queues = memory_zero(MANY, sizeof *queues);
    Ixn__V1__QueueConfiguration **list = memory_zero(MANY, sizeof(void *));
    char(*names)[16] = memory_zero(MANY, sizeof *names);
    Ixn__V1__EngineConfiguration configuration = IXN__V1__ENGINE_CONFIGURATION__INIT;
    Ixn__V1__ConfigurationChanged body = IXN__V1__CONFIGURATION_CHANGED__INIT;
    body.configuration = &configuration;
    Ixn__V1__Entry entry = s_entry(IXN__V1__ENTRY__BODY_CONFIGURATION_CHANGED, &body);
    configuration.queues = list;
    configuration.n_queues = MANY;
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < MANY; i++) {
            queues[i] = (Ixn__V1__QueueConfiguration)IXN__V1__QUEUE_CONFIGURATION__INIT;
            snprintf(names[i], sizeof names[i], "%d-%zu", round, i);
            queues[i].name = names[i];
            queues[i].tenant = "default";
            list[i] = &queues[i];
        }
        if (round == 0)
            s_applies(state, &entry);
        else
            s_refuses(state, &entry, "80,000 queues");
    }
    for (size_t i = 0; i < MANY; i++)
        snprintf(names[i], sizeof names[i], "0-%zu", i);
    s_applies(state, &entry);
    free(queues);
    free(list);
    free(names);
    state_destroy(&state);
}

Test(apply, refuses_what_it_does_not_know)
{
    state_t *state = s_small_state();
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    s_refuses(state, &entry, "an entry without a body");
    entry.body_case = (Ixn__V1__Entry__BodyCase)60;
    s_refuses(state, &entry, "an entry of a newer version");
    state_destroy(&state);
}

/* ---- What entries do ---- */

static const interaction_t *s_get(const state_t *state, size_t number)
{
    return state_find(state, &s_ids[number]);
}

Test(apply, a_place_in_line_survives_a_failed_attempt)
{
    state_t *state = s_small_state();
    s_submit(state, 6);
    uint64_t age = s_get(state, 1)->age;
    queue_t *queue = state->queues[s_get(state, 1)->queue];
    s_dispatch(state, 1);
    cr_assert_eq(state_first_in_line(queue), s_get(state, 6));
    s_return(state, 1, false);
    cr_assert_eq(s_get(state, 1)->age, age);
    cr_assert_eq(state_first_in_line(queue), s_get(state, 1));
    cr_assert_eq(s_get(state, 1)->more->attempts, 1u);
    cr_assert_eq(s_get(state, 1)->deadline, USEC_NEVER);
    state_destroy(&state);
}

Test(apply, a_place_in_the_same_queue_keeps_its_age_another_queue_gives_a_new_one)
{
    state_t *state = s_small_state();
    uint64_t age = s_get(state, 3)->age;
    Ixn__V1__Placed body = s_placed(3);
    Ixn__V1__Entry entry = s_entry(IXN__V1__ENTRY__BODY_PLACED, &body);
    s_applies(state, &entry);
    cr_assert_eq(s_get(state, 3)->age, age);
    cr_assert_eq(s_get(state, 3)->state, INTERACTION_QUEUED);
    body.queue = "other";
    s_applies(state, &entry);
    cr_assert_eq(s_get(state, 3)->age, state->index);
    cr_assert_eq(state->queues[s_get(state, 3)->queue]->length, 1u);
    state_destroy(&state);
}

/* held_at: when it was held, while it is. */
Test(apply, held_at_is_there_while_it_is_held)
{
    state_t *state = s_small_state();
    cr_assert_eq(s_get(state, 2)->more->held_at, 2000);
    cr_assert_eq(s_get(state, 2)->deadline, 1000); /* hold_timeout is not configured */
    s_hold(state, 2, false);
    cr_assert_eq(s_get(state, 2)->more->held_at, 0);
    cr_assert_eq(s_get(state, 2)->deadline, USEC_NEVER);
    s_hold(state, 2, true);
    cr_assert_eq(s_get(state, 2)->more->held_at, 2000);
    Ixn__V1__Placed body = s_placed(2);
    Ixn__V1__Entry entry = s_entry(IXN__V1__ENTRY__BODY_PLACED, &body);
    s_applies(state, &entry);
    cr_assert_eq(s_get(state, 2)->more->held_at, 0);
    cr_assert_not(s_get(state, 2)->flags & INTERACTION_HELD);
    state_destroy(&state);
}

/* What an attempt counts for; see ReturnCause. */
Test(apply, only_some_returns_count)
{
    static const struct {
        Ixn__V1__ReturnCause cause;
        bool alone;
        uint16_t attempts, losses;
    } cases[] = {
        {IXN__V1__RETURN_CAUSE__ROUTER_LOST, false, 0, 1},
        {IXN__V1__RETURN_CAUSE__ROUTER_LOST, true, 1, 2},
        {IXN__V1__RETURN_CAUSE__ROUTER_LEFT, true, 1, 2},
        {IXN__V1__RETURN_CAUSE__ROUTE_FAILED, false, 2, 2},
        {IXN__V1__RETURN_CAUSE__ROUTING_TIMEOUT, false, 3, 2},
        {IXN__V1__RETURN_CAUSE__NOT_HELD, true, 3, 2},
    };
    state_t *state = s_small_state();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        s_dispatch(state, 1);
        Ixn__V1__Returned body = s_returned(1);
        body.cause = cases[i].cause;
        body.alone = cases[i].alone;
        Ixn__V1__Entry entry = s_entry(IXN__V1__ENTRY__BODY_RETURNED, &body);
        s_applies(state, &entry);
        cr_assert_eq(s_get(state, 1)->more->attempts, cases[i].attempts, "case %zu", i);
        cr_assert_eq(s_get(state, 1)->more->losses, cases[i].losses, "case %zu", i);
    }
    Ixn__V1__Placed body = s_placed(1);
    Ixn__V1__Entry entry = s_entry(IXN__V1__ENTRY__BODY_PLACED, &body);
    s_applies(state, &entry);
    cr_assert_eq(s_get(state, 1)->more->attempts + s_get(state, 1)->more->losses, 0);
    state_destroy(&state);
}
