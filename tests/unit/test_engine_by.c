/* For whom an operator speaks: the log keeps the person, not the session, whatever is changed. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/engine_world.h"

/* An operator's request, for a person. */
static Ixn__V1__Request s_request(Ixn__V1__Request__BodyCase body)
{
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = body;
    request.by = (char *)"ann@desk";
    return request;
}

static void s_ask(world_t *w, const char *who, Ixn__V1__Request *request)
{
    world_request(w, who, request);
    world_settle(w);
}

/* The operator asks for that; all bodies share one place in the request. */
static void s_change(world_t *w, Ixn__V1__Request__BodyCase body_case, void *body)
{
    Ixn__V1__Request request = s_request(body_case);
    request.register_ = body;
    s_ask(w, "chief", &request);
}

static const ProtobufCFieldDescriptor *s_body(const Ixn__V1__Entry *entry)
{
    return protobuf_c_message_descriptor_get_field(&ixn__v1__entry__descriptor,
                                                   (unsigned)entry->body_case);
}

/* Who is said to have wanted an entry; NULL: it does not say. */
static const char *s_by(const Ixn__V1__Entry *entry)
{
    const ProtobufCMessageDescriptor *type = s_body(entry)->descriptor;
    const ProtobufCFieldDescriptor *by =
        protobuf_c_message_descriptor_get_field_by_name(type, "by");
    if (!by)
        by = protobuf_c_message_descriptor_get_field_by_name(type, "submitted_by");
    /* all bodies share one place in the entry */
    return by ? *(char *const *)((const char *)entry->submitted + by->offset) : NULL;
}

/* "NAME of the entry by PERSON", a line each that says so, from the batch `at` on. */
static void s_read(const world_t *w, size_t at, char *text, size_t size)
{
    size_t len = 0;
    text[0] = '\0';
    for (; at < world_batches(w); at++) {
        const text_t entries = world_batch(w, at)->entries;
        Ixn__V1__Batch *batch =
            ixn__v1__batch__unpack(NULL, entries.len, (const uint8_t *)entries.data);
        cr_assert(batch);
        for (size_t i = 0; i < batch->n_entries; i++)
            if (s_by(batch->entries[i]))
                len += (size_t)snprintf(text + len, size - len, "%s by %s\n",
                                        s_body(batch->entries[i])->name, s_by(batch->entries[i]));
        cr_assert_lt(len, size);
        ixn__v1__batch__free_unpacked(batch, NULL);
    }
}

static void s_change_interaction(world_t *w)
{
    id128_t id = world_id(w, "a");
    Ixn__V1__ChangeProperties change = IXN__V1__CHANGE_PROPERTIES__INIT;
    Ixn__V1__Hold hold = IXN__V1__HOLD__INIT;
    Ixn__V1__Resume resume = IXN__V1__RESUME__INIT;
    Ixn__V1__PlaceInQueue place = IXN__V1__PLACE_IN_QUEUE__INIT;
    Ixn__V1__Stop stop = IXN__V1__STOP__INIT;
    change.interaction_id = hold.interaction_id = resume.interaction_id = place.interaction_id =
        stop.interaction_id = wire_bytes(&id);
    place.queue = (char *)"in";
    change.key = (ProtobufCBinaryData){1, (uint8_t *)"1"};
    hold.key = (ProtobufCBinaryData){1, (uint8_t *)"2"};
    resume.key = (ProtobufCBinaryData){1, (uint8_t *)"3"};
    place.key = (ProtobufCBinaryData){1, (uint8_t *)"4"};
    stop.key = (ProtobufCBinaryData){1, (uint8_t *)"5"};
    s_change(w, IXN__V1__REQUEST__BODY_CHANGE_PROPERTIES, &change);
    s_change(w, IXN__V1__REQUEST__BODY_HOLD, &hold);
    s_change(w, IXN__V1__REQUEST__BODY_RESUME, &resume);
    s_change(w, IXN__V1__REQUEST__BODY_PLACE_IN_QUEUE, &place);
    s_change(w, IXN__V1__REQUEST__BODY_STOP, &stop);
}

static void s_change_strategy(world_t *w)
{
    char *routers[] = {(char *)"r1"};
    Ixn__V1__PutStrategy put = IXN__V1__PUT_STRATEGY__INIT;
    put.strategy = (char *)"s1";
    put.body = (ProtobufCBinaryData){3, (uint8_t *)"one"};
    Ixn__V1__ActivateStrategy activate = IXN__V1__ACTIVATE_STRATEGY__INIT;
    activate.strategy = (char *)"s1";
    activate.routers = routers;
    activate.n_routers = 1;
    Ixn__V1__DeactivateStrategy deactivate = IXN__V1__DEACTIVATE_STRATEGY__INIT;
    deactivate.strategy = (char *)"s1";
    Ixn__V1__RemoveStrategy removal = IXN__V1__REMOVE_STRATEGY__INIT;
    removal.strategy = (char *)"s1";
    s_change(w, IXN__V1__REQUEST__BODY_PUT_STRATEGY, &put);
    s_change(w, IXN__V1__REQUEST__BODY_ACTIVATE_STRATEGY, &activate);
    s_change(w, IXN__V1__REQUEST__BODY_DEACTIVATE_STRATEGY, &deactivate);
    s_change(w, IXN__V1__REQUEST__BODY_REMOVE_STRATEGY, &removal);
}

static void s_change_router(world_t *w)
{
    Ixn__V1__DrainRouter drain = IXN__V1__DRAIN_ROUTER__INIT;
    drain.router = (char *)"r1";
    drain.reason = (char *)"kernel update";
    Ixn__V1__UndrainRouter undrain = IXN__V1__UNDRAIN_ROUTER__INIT;
    undrain.router = (char *)"r1";
    Ixn__V1__ChangeAgent agent = IXN__V1__CHANGE_AGENT__INIT;
    agent.agent = (char *)"bob";
    s_change(w, IXN__V1__REQUEST__BODY_DRAIN_ROUTER, &drain);
    s_change(w, IXN__V1__REQUEST__BODY_UNDRAIN_ROUTER, &undrain);
    s_change(w, IXN__V1__REQUEST__BODY_CHANGE_AGENT, &agent);
}

static world_t *s_world(void)
{
    world_t *w = world_new(NULL);
    world_media(w, "media");
    world_operator(w, "chief");
    world_router(w, "r1", "");
    return w;
}

Test(engine_by, every_change_keeps_the_person)
{
    world_t *w = s_world();
    char text[1024];
    SUBMIT("media", .key = "a");
    world_settle(w);
    size_t at = world_batches(w);
    s_change_interaction(w);
    s_change_strategy(w);
    s_change_router(w);
    s_read(w, at, text, sizeof text);
    cr_assert_str_eq(text,
                     "changed by ann@desk\n"
                     "held_changed by ann@desk\n"
                     "held_changed by ann@desk\n"
                     "placed by ann@desk\n"
                     "stopped by ann@desk\n"
                     "strategy_put by ann@desk\n"
                     "strategy_activated by ann@desk\n"
                     "strategy_deactivated by ann@desk\n"
                     "strategy_removed by ann@desk\n"
                     "router_drained by ann@desk\n"
                     "router_undrained by ann@desk\n"
                     "agent_changed by ann@desk\n");
    world_free(&w);
}

Test(engine_by, who_speaks_for_nobody_is_named_itself)
{
    world_t *w = s_world();
    char text[1024];
    size_t at = world_batches(w);
    SUBMIT("media", .key = "a");
    world_settle(w);
    HOLD("chief", .of = "a", .key = "1");
    world_settle(w);
    s_read(w, at, text, sizeof text);
    cr_assert_str_eq(text, "submitted by media\nheld_changed by chief\n");
    world_free(&w);
}

Test(engine_by, only_operators_speak_for_others_and_names_have_an_end)
{
    world_t *w = s_world();
    char by[LIMIT_NAME + 2] = {0};
    memset(by, 'x', sizeof by - 1);
    SUBMIT("media", .key = "a");
    world_settle(w);
    world_forget(w);
    size_t at = world_batches(w);
    id128_t id = world_id(w, "a");
    Ixn__V1__Hold hold = IXN__V1__HOLD__INIT;
    hold.interaction_id = wire_bytes(&id);
    hold.key = (ProtobufCBinaryData){1, (uint8_t *)"1"};
    Ixn__V1__Request request = s_request(IXN__V1__REQUEST__BODY_HOLD);
    request.hold = &hold;
    s_ask(w, "media", &request);
    EXPECT("media: WRONG_ROLE\n");
    cr_assert(strstr(world_sentence(w), "only an OPERATOR may speak for somebody"), "%s",
              world_sentence(w));
    request = s_request(IXN__V1__REQUEST__BODY_HOLD);
    request.hold = &hold;
    request.by = by;
    s_ask(w, "chief", &request);
    EXPECT("chief: TOO_LARGE\n");
    char text[64];
    s_read(w, at, text, sizeof text);
    cr_assert_str_eq(text, "");
    world_free(&w);
}
