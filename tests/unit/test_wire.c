/* Wire: what is decoded, what is refused and with which words, and that elements appended one by
 * one read back as one frame. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/limits.h"
#include "core/wire/wire.h"

static wire_arena_t *s_arena;
static buffer_t s_frame;
static error_t s_error;

static void s_setup(void)
{
    s_arena = wire_arena_new();
    s_error = (error_t){0};
}

static void s_teardown(void)
{
    wire_arena_destroy(&s_arena);
    cr_assert_null(s_arena);
    wire_arena_destroy(&s_arena);
    buffer_free(&s_frame);
}

TestSuite(wire, .init = s_setup, .fini = s_teardown);

static void s_append_ping(uint64_t id)
{
    Ixn__V1__Ping ping = IXN__V1__PING__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.id = id;
    request.body_case = IXN__V1__REQUEST__BODY_PING;
    request.ping = &ping;
    wire_append_request(&s_frame, &request);
}

static void s_append_submit(uint64_t id, const id128_t *key, const char *attributes)
{
    Ixn__V1__Submit submit = IXN__V1__SUBMIT__INIT;
    submit.key = wire_bytes(key);
    submit.queue = (char *)(uintptr_t) "inbound";
    submit.attributes.data = (uint8_t *)(uintptr_t)attributes;
    submit.attributes.len = strlen(attributes);
    submit.priority = -7;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.id = id;
    request.body_case = IXN__V1__REQUEST__BODY_SUBMIT;
    request.submit = &submit;
    wire_append_request(&s_frame, &request);
}

static Ixn__V1__ToNode *s_decode(void)
{
    return wire_decode_to_node(s_arena, s_frame.bytes, s_frame.len, &s_error);
}

Test(wire, joined_requests_read_back)
{
    id128_t key = id_random();
    char *large = malloc(200001);
    memset(large, 'x', 200000);
    large[200000] = '\0';
    wire_append_to_node_head(&s_frame);
    s_append_ping(1);
    s_append_submit(UINT64_MAX, &key, large);
    s_append_ping(300);

    Ixn__V1__ToNode *frame = s_decode();
    cr_assert(frame, "%s", s_error.text);
    memset(s_frame.bytes, 0xff, s_frame.len); /* the bytes are not needed any more */
    cr_assert_eq(frame->version, WIRE_VERSION);
    cr_assert_eq(frame->n_requests, 3);
    cr_assert_eq(frame->requests[0]->body_case, IXN__V1__REQUEST__BODY_PING);
    cr_assert_eq(frame->requests[1]->id, UINT64_MAX);
    const Ixn__V1__Submit *submit = frame->requests[1]->submit;
    id128_t read;
    cr_assert(wire_read_id(submit->key, &read));
    cr_assert(id_equal(read, key));
    cr_assert_str_eq(submit->queue, "inbound");
    cr_assert_str_eq(submit->type, "");
    cr_assert_eq(submit->priority, -7);
    cr_assert_eq(submit->attributes.len, 200000);
    cr_assert_eq(memcmp(submit->attributes.data, large, 200000), 0);
    cr_assert_eq(frame->requests[2]->id, 300);
    free(large);
}

Test(wire, joined_messages_are_what_protobuf_packs)
{
    Ixn__V1__Ack ack = IXN__V1__ACK__INIT;
    id128_t id = id_random();
    ack.interaction_id = wire_bytes(&id);
    ack.version = 300;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.request_id = 7;
    message.body_case = IXN__V1__MESSAGE__BODY_ACK;
    message.ack = &ack;
    wire_append_from_node_head(&s_frame, 3, 1ULL << 40);
    wire_append_message(&s_frame, &message);
    wire_append_message(&s_frame, &message);

    Ixn__V1__Message *messages[] = {&message, &message};
    Ixn__V1__FromNode whole = IXN__V1__FROM_NODE__INIT;
    whole.epoch = 3;
    whole.index = 1ULL << 40;
    whole.n_messages = 2;
    whole.messages = messages;
    size_t len = ixn__v1__from_node__get_packed_size(&whole);
    uint8_t *packed = malloc(len);
    ixn__v1__from_node__pack(&whole, packed);
    cr_assert_eq(len, s_frame.len);
    cr_assert_eq(memcmp(packed, s_frame.bytes, len), 0);
    free(packed);

    Ixn__V1__FromNode *frame = wire_decode_from_node(s_arena, s_frame.bytes, s_frame.len, &s_error);
    cr_assert(frame, "%s", s_error.text);
    cr_assert_eq(frame->epoch, 3);
    cr_assert_eq(frame->index, 1ULL << 40);
    cr_assert_eq(frame->n_messages, 2);
    cr_assert_eq(frame->messages[1]->ack->version, 300);
}

static void s_expect_same(const ProtobufCMessage *element, unsigned element_field,
                          void (*append)(const void *))
{
    uint8_t wanted[4096];
    size_t size = protobuf_c_message_get_packed_size(element);
    cr_assert_lt(size, sizeof wanted - 3); /* so its length has two bytes at most */
    size_t head = 0;
    wanted[head++] = (uint8_t)(element_field << 3 | 2);
    if (size >= 0x80)
        wanted[head++] = (uint8_t)(size | 0x80);
    wanted[head++] = (uint8_t)(size >= 0x80 ? size >> 7 : size);
    protobuf_c_message_pack(element, wanted + head);
    buffer_clear(&s_frame);
    append(element);
    cr_assert_eq(s_frame.len, head + size);
    cr_assert_arr_eq(s_frame.bytes, wanted, head + size);
}

/* The outer messages are written by hand; whatever body, id and person they have, the bytes are
 * those of protobuf. That they are of that shape, an id and a person at most beside the bodies, is
 * proved too. */
static void s_same_bytes(const ProtobufCMessageDescriptor *outer, unsigned element_field,
                         size_t body_case_at, size_t id_at, size_t by_at,
                         void (*append)(const void *))
{
    static const char *const persons[] = {"", "ann@desk"};
    for (unsigned i = 0; i <= outer->n_fields; i++) {
        union {
            ProtobufCMessage base;
            uint8_t bytes[1024];
        } element, body;
        outer->message_init(&element.base);
        uint32_t none = 0;
        if (i < outer->n_fields) {
            const ProtobufCFieldDescriptor *field = &outer->fields[i];
            if (id_at && field->id == 1) {
                cr_assert_eq(field->type, PROTOBUF_C_TYPE_UINT64);
                continue;
            }
            if (by_at && field->offset == by_at) {
                cr_assert_eq(field->type, PROTOBUF_C_TYPE_STRING);
                cr_assert_eq(i, outer->n_fields - 1, "it comes last");
                continue;
            }
            cr_assert_eq(field->type, PROTOBUF_C_TYPE_MESSAGE, "%s", field->name);
            cr_assert_eq(field->quantifier_offset, body_case_at, "%s is no body", field->name);
            const ProtobufCMessageDescriptor *inner = field->descriptor;
            cr_assert_leq(inner->sizeof_message, sizeof body);
            inner->message_init(&body.base);
            for (unsigned j = 0; j < inner->n_fields; j++) /* something to be packed */
                if (inner->fields[j].label == PROTOBUF_C_LABEL_NONE &&
                    inner->fields[j].type == PROTOBUF_C_TYPE_UINT64)
                    memset(body.bytes + inner->fields[j].offset, 0x5a, sizeof(uint64_t));
            memcpy(element.bytes + body_case_at, &field->id, sizeof none);
            void *pointer = &body;
            memcpy(element.bytes + field->offset, &pointer, sizeof pointer);
        }
        uint64_t ids[] = {0, 1, 300, UINT64_MAX};
        for (size_t j = 0; j < (id_at ? 4 : 1); j++) {
            if (id_at)
                memcpy(element.bytes + id_at, &ids[j], sizeof ids[j]);
            for (size_t k = 0; k < (by_at ? 2 : 1); k++) {
                if (by_at)
                    memcpy(element.bytes + by_at, &persons[k], sizeof persons[k]);
                s_expect_same(&element.base, element_field, append);
            }
        }
    }
}

static void s_append_entry(const void *entry)
{
    wire_append_entry(&s_frame, entry);
}

static void s_append_message(const void *message)
{
    wire_append_message(&s_frame, message);
}

static void s_append_request(const void *request)
{
    wire_append_request(&s_frame, request);
}

Test(wire, every_body_is_what_protobuf_packs)
{
    s_same_bytes(&ixn__v1__entry__descriptor, 1, offsetof(Ixn__V1__Entry, body_case), 0, 0,
                 s_append_entry);
    s_same_bytes(&ixn__v1__message__descriptor, 3, offsetof(Ixn__V1__Message, body_case),
                 offsetof(Ixn__V1__Message, request_id), 0, s_append_message);
    s_same_bytes(&ixn__v1__request__descriptor, 2, offsetof(Ixn__V1__Request, body_case),
                 offsetof(Ixn__V1__Request, id), offsetof(Ixn__V1__Request, by), s_append_request);
}

Test(wire, a_head_of_zeros_takes_no_bytes)
{
    wire_append_from_node_head(&s_frame, 0, 0);
    cr_assert_eq(s_frame.len, 0);
}

Test(wire, entries_read_back)
{
    Ixn__V1__Dispatched dispatched = IXN__V1__DISPATCHED__INIT;
    dispatched.router = (char *)(uintptr_t) "router-1";
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    entry.body_case = IXN__V1__ENTRY__BODY_DISPATCHED;
    entry.dispatched = &dispatched;
    for (int i = 0; i < 1000; i++)
        wire_append_entry(&s_frame, &entry);
    Ixn__V1__Batch *batch = wire_decode_batch(s_arena, s_frame.bytes, s_frame.len, &s_error);
    cr_assert(batch, "%s", s_error.text);
    cr_assert_eq(batch->n_entries, 1000);
    cr_assert_str_eq(batch->entries[999]->dispatched->router, "router-1");
}

/* The smallest entries, as many as a batch may have: the bound on memory must not refuse them. */
Test(wire, the_most_entries_of_a_batch_are_decoded)
{
    Ixn__V1__Beat beat = IXN__V1__BEAT__INIT;
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    entry.body_case = IXN__V1__ENTRY__BODY_BEAT;
    entry.beat = &beat;
    for (int i = 0; i < LIMIT_BATCH_ENTRIES; i++)
        wire_append_entry(&s_frame, &entry);
    Ixn__V1__Batch *batch = wire_decode_batch(s_arena, s_frame.bytes, s_frame.len, &s_error);
    cr_assert(batch, "%s", s_error.text);
    wire_arena_reset(s_arena);
    wire_append_entry(&s_frame, &entry);
    cr_assert_null(wire_decode_batch(s_arena, s_frame.bytes, s_frame.len, &s_error));
    cr_assert_eq(s_error.code, ERROR_TOO_LARGE);
    cr_assert(strstr(s_error.text, "100001 entries"), "%s", s_error.text);
}

Test(wire, the_most_tokens_of_a_registration_are_decoded)
{
    Ixn__V1__Token token = IXN__V1__TOKEN__INIT;
    token.epoch = 1;
    token.index = 1;
    Ixn__V1__Token **tokens = malloc((LIMIT_TOKENS + 1) * sizeof(void *));
    for (size_t i = 0; i <= LIMIT_TOKENS; i++)
        tokens[i] = &token;
    Ixn__V1__Register body = IXN__V1__REGISTER__INIT;
    body.tokens = tokens;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.id = 1;
    request.body_case = IXN__V1__REQUEST__BODY_REGISTER;
    request.register_ = &body;
    for (size_t extra = 0; extra < 2; extra++) {
        body.n_tokens = LIMIT_TOKENS + extra;
        buffer_clear(&s_frame);
        wire_append_to_node_head(&s_frame);
        wire_append_request(&s_frame, &request);
        cr_assert_eq(s_decode() != NULL, extra == 0, "%s", s_error.text);
        wire_arena_reset(s_arena);
    }
    cr_assert_eq(s_error.code, ERROR_TOO_LARGE);
    cr_assert(strstr(s_error.text, "100001 tokens"), "%s", s_error.text);
    free(tokens);
}

Test(wire, refuses_other_versions)
{
    static const uint8_t none[] = {0x08, 0x00};
    cr_assert_null(wire_decode_to_node(s_arena, none, sizeof none, &s_error));
    cr_assert_eq(s_error.code, ERROR_UNSUPPORTED_VERSION);
    static const uint8_t next[] = {0x08, 0x02};
    cr_assert_null(wire_decode_to_node(s_arena, next, sizeof next, &s_error));
    cr_assert_eq(s_error.code, ERROR_UNSUPPORTED_VERSION);
    cr_assert(strstr(s_error.text, "version 2") && strstr(s_error.text, "version 1"), "%s",
              s_error.text);
}

/* Who sends several frames hears this, not that the version of nothing is 0. */
Test(wire, refuses_what_is_not_one_frame)
{
    cr_assert_null(s_decode());
    cr_assert_eq(s_error.code, ERROR_MALFORMED);
    cr_assert(strstr(s_error.text, "empty delimiter"), "%s", s_error.text);
}

Test(wire, refuses_what_is_cut_or_garbage)
{
    id128_t key = id_random();
    wire_append_to_node_head(&s_frame);
    size_t head = s_frame.len;
    s_append_submit(1, &key, "{\"a\":1}");
    for (size_t len = head + 1; len < s_frame.len; len++) {
        cr_assert_null(wire_decode_to_node(s_arena, s_frame.bytes, len, &s_error),
                       "decoded %zu of %zu bytes", len, s_frame.len);
        cr_assert_eq(s_error.code, ERROR_MALFORMED);
    }
    static const uint8_t garbage[] = {0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    cr_assert_null(wire_decode_to_node(s_arena, garbage, sizeof garbage, &s_error));
    cr_assert_eq(s_error.code, ERROR_MALFORMED);
    cr_assert_null(wire_decode_from_node(s_arena, garbage, sizeof garbage, &s_error));
    cr_assert_null(wire_decode_batch(s_arena, garbage, sizeof garbage, &s_error));
}

Test(wire, refuses_what_is_too_large)
{
    memset(buffer_reserve(&s_frame, LIMIT_PACKET + 1), 0, LIMIT_PACKET + 1);
    s_frame.len = LIMIT_PACKET + 1;
    cr_assert_null(s_decode());
    cr_assert_eq(s_error.code, ERROR_TOO_LARGE);
    cr_assert(strstr(s_error.text, "4194305") && strstr(s_error.text, "4194304"), "%s",
              s_error.text);

    buffer_clear(&s_frame);
    wire_append_to_node_head(&s_frame);
    for (uint64_t id = 1; id <= LIMIT_PACKET_REQUESTS; id++)
        s_append_ping(id);
    cr_assert(s_decode());
    wire_arena_reset(s_arena);
    s_append_ping(5000);
    cr_assert_null(s_decode());
    cr_assert_eq(s_error.code, ERROR_TOO_LARGE);
    cr_assert(strstr(s_error.text, "1001 requests"), "%s", s_error.text);
}

/* Two bytes on the wire, a hundred in memory: the bound stops it long before the packet's end. */
Test(wire, refuses_what_grows_in_memory)
{
    wire_append_to_node_head(&s_frame);
    while (s_frame.len + 2 <= (size_t)LIMIT_PACKET)
        buffer_append(&s_frame, "\x12", 2); /* an empty Request */
    cr_assert_null(s_decode());
    cr_assert_eq(s_error.code, ERROR_TOO_LARGE);
    cr_assert(strstr(s_error.text, "memory"), "%s", s_error.text);
    /* and the arena works as before */
    wire_arena_reset(s_arena);
    buffer_clear(&s_frame);
    wire_append_to_node_head(&s_frame);
    s_append_ping(1);
    cr_assert(s_decode());
}

Test(wire, refuses_too_many_removed_names)
{
    char *names[LIMIT_REMOVED_NAMES + 1];
    for (size_t i = 0; i <= LIMIT_REMOVED_NAMES; i++)
        names[i] = (char *)(uintptr_t) "a";
    Ixn__V1__AttributesChange change = IXN__V1__ATTRIBUTES_CHANGE__INIT;
    change.remove = names;
    change.n_remove = LIMIT_REMOVED_NAMES + 1;
    Ixn__V1__Stop stop = IXN__V1__STOP__INIT;
    stop.attributes = &change;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_STOP;
    request.stop = &stop;
    wire_append_to_node_head(&s_frame);
    wire_append_request(&s_frame, &request);
    cr_assert_null(s_decode());
    cr_assert_eq(s_error.code, ERROR_TOO_LARGE);
    cr_assert(strstr(s_error.text, "257 names"), "%s", s_error.text);
}

Test(wire, an_unknown_request_is_decoded_as_none)
{
    /* id 5, field 61 (a feature of a later version) with three bytes */
    static const uint8_t bytes[] = {0x08, 0x01, 0x12, 0x08, 0x08, 0x05,
                                    0xea, 0x03, 0x03, 'a',  'b',  'c'};
    Ixn__V1__ToNode *frame = wire_decode_to_node(s_arena, bytes, sizeof bytes, &s_error);
    cr_assert(frame, "%s", s_error.text);
    cr_assert_eq(frame->requests[0]->id, 5);
    cr_assert_eq(frame->requests[0]->body_case, IXN__V1__REQUEST__BODY__NOT_SET);
}

static bool s_check(const char *text, size_t min, size_t max)
{
    s_error = (error_t){0};
    return wire_check_text("queue", text, min, max, &s_error);
}

Test(wire, checks_text)
{
    cr_assert(s_check("inbound", 1, 64));
    cr_assert(s_check(NULL, 0, 64));
    cr_assert(s_check("", 0, 64));
    cr_assert(s_check("gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80", 1, 64));
    cr_assert(s_check("1234", 1, 4));

    cr_assert_not(s_check("12345", 1, 4));
    cr_assert_eq(s_error.code, ERROR_TOO_LARGE);
    cr_assert_str_eq(s_error.text, "queue has 5 bytes, at most 4 are allowed");
    cr_assert_not(s_check(NULL, 1, 4));
    cr_assert_eq(s_error.code, ERROR_INVALID_ARGUMENT);
    cr_assert_str_eq(s_error.text, "queue has 0 bytes, at least 1 are needed");

    static const char *const bad[] = {"ab\xff",     "ab\xed\xa0\x80", "ab\xc0\xaf",
                                      "ab\xe2\x82", "ab\x01",         "ab\n",
                                      "ab\x7f",     "ab\xc2\x85" /* next line */};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_not(s_check(bad[i], 1, 64), "accepted number %zu", i);
        cr_assert_eq(s_error.code, ERROR_INVALID_ARGUMENT);
        cr_assert(strstr(s_error.text, "queue") && strstr(s_error.text, "offset 2"), "%s",
                  s_error.text);
    }
}

Test(wire, reads_ids_of_sixteen_bytes_only)
{
    id128_t id = id_random(), read = {{0}};
    ProtobufCBinaryData bytes = wire_bytes(&id);
    bytes.len = 15;
    cr_assert_not(wire_read_id(bytes, &read));
    cr_assert(id_is_zero(read));
    bytes.len = 16;
    cr_assert(wire_read_id(bytes, &read));
    cr_assert(id_equal(id, read));
}

/* What a newer node writes, read by this one: fields that it does not know, in a batch and in an
 * entry, hide nothing of what it knows. */
Test(wire, fields_of_a_newer_version_are_passed_over)
{
    static const uint8_t unknown[] = {0xA2, 0x1F, 0x02, 'h', 'i'}; /* field 500: two bytes */
    uint8_t bytes[64] = {0x0A};                                    /* Batch.entries */
    Ixn__V1__Beat beat = IXN__V1__BEAT__INIT;
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    entry.body_case = IXN__V1__ENTRY__BODY_BEAT;
    entry.beat = &beat;
    size_t len = ixn__v1__entry__pack(&entry, bytes + 2);
    memcpy(bytes + 2 + len, unknown, sizeof unknown);
    len += sizeof unknown;
    bytes[1] = (uint8_t)len;
    len += 2;
    memcpy(bytes + len, unknown, sizeof unknown);
    const Ixn__V1__Batch *batch = wire_decode_batch(s_arena, bytes, len + sizeof unknown, &s_error);
    cr_assert(batch, "%s", s_error.text);
    cr_assert_eq(batch->n_entries, 1);
    cr_assert_eq(batch->entries[0]->body_case, IXN__V1__ENTRY__BODY_BEAT);
}

/* ---- Packets of an unusual shape are what protobuf makes of them, too ---- */

static void s_expect_judgement(const char *what, const uint8_t *bytes, size_t len)
{
    s_error = (error_t){0};
    ProtobufCMessage *judge =
        protobuf_c_message_unpack(&ixn__v1__batch__descriptor, NULL, len, bytes);
    Ixn__V1__Batch *batch = wire_decode_batch(s_arena, bytes, len, &s_error);
    cr_assert_eq(batch != NULL, judge != NULL, "%s", what);
    if (!judge)
        return;
    size_t size = protobuf_c_message_get_packed_size(judge);
    cr_assert_eq(protobuf_c_message_get_packed_size(&batch->base), size, "%s", what);
    uint8_t *ours = malloc(size + 1), *theirs = malloc(size + 1);
    protobuf_c_message_pack(&batch->base, ours);
    protobuf_c_message_pack(judge, theirs);
    cr_expect_arr_eq(ours, theirs, size, "%s", what);
    free(ours);
    free(theirs);
    protobuf_c_message_free_unpacked(judge, NULL);
}

Test(wire, packets_of_an_unusual_shape)
{
    const struct {
        const char *what;
        uint8_t bytes[16];
        size_t len;
    } packets[] = {
        {"nothing", {0}, 0},
        {"an empty entry", {0x0a, 0}, 2},
        {"a beat", {0x0a, 2, 0x12, 0}, 4},
        {"two bodies, the last one counts", {0x0a, 4, 0x12, 0, 0x22, 0}, 6},
        {"one body twice", {0x0a, 4, 0x12, 0, 0x12, 0}, 6},
        {"a number where no entry has one", {0x0a, 4, 0x08, 1, 0x12, 0}, 6},
        {"a number behind the body", {0x0a, 4, 0x12, 0, 0x08, 1}, 6},
        {"a body nobody knows", {0x0a, 4, 0xfa, 0x3f, 1, 7}, 6},
        {"a field nobody knows, before an entry", {0x28, 5, 0x0a, 2, 0x12, 0}, 6},
        {"a fixed number", {0x0a, 2, 0x12, 0, 0x2d, 1, 2, 3, 4}, 9},
        {"an entry that ends early", {0x0a, 4, 0x12, 0}, 4},
        {"a body that ends early", {0x0a, 2, 0x12, 1}, 4},
        {"a tag of number 0", {0x0a, 2, 0x02, 0}, 4},
        {"a tag in more bytes than it needs", {0x8a, 0x00, 2, 0x12, 0}, 5},
        {"a length in more bytes than it needs", {0x0a, 0x82, 0x00, 0x12, 0}, 5},
        {"a tag in more bytes than protobuf takes",
         {0x8a, 0x80, 0x80, 0x80, 0x80, 0, 2, 0x12, 0},
         9},
        {"a length in more bytes than protobuf takes",
         {0x0a, 0x82, 0x80, 0x80, 0x80, 0x80, 0, 0x12, 0},
         9},
        {"a length without end",
         {0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
         11},
        {"a beat, then half a tag", {0x0a, 2, 0x12, 0, 0x8a}, 5},
        {"a text twice", {0x0a, 8, 0x4a, 6, 0x12, 1, 'a', 0x12, 1, 'b'}, 10},
        {"texts in another order", {0x0a, 8, 0x4a, 6, 0x1a, 1, 'a', 0x12, 1, 'b'}, 10},
        {"empty bytes, an empty text", {0x0a, 6, 0x4a, 4, 0x0a, 0, 0x12, 0}, 8},
        {"a choice twice", {0x0a, 6, 0x2a, 4, 0x20, 2, 0x20, 3}, 8},
        {"a field nobody knows, in a body", {0x0a, 7, 0x4a, 5, 0x12, 0, 0xfa, 0x3f, 0}, 9},
        {"a number where a text belongs", {0x0a, 4, 0x4a, 2, 0x10, 1}, 6},
        {"a number where eight bytes belong", {0x0a, 4, 0x2a, 2, 0x10, 1}, 6},
        {"eight bytes that end early", {0x0a, 5, 0x2a, 3, 0x11, 1, 2}, 7},
    };
    for (size_t i = 0; i < sizeof packets / sizeof *packets; i++)
        s_expect_judgement(packets[i].what, packets[i].bytes, packets[i].len);
}
