/* What a primary says to its backup while it works. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/pair_fixture.h"

TestSuite(stream, .init = world_settled, .fini = world_close, .timeout = 60);

/* Of the frames that B has heard since the world forgot: of this kind. */
static size_t s_heard(Ixn__V1__PeerFrame__BodyCase kind)
{
    size_t count = 0;
    const uint8_t *bytes;
    size_t len;
    for (size_t i = 0; i < pair_world_heard_len(w, B); i++) {
        pair_world_heard(w, B, i, &bytes, &len);
        Ixn__V1__PeerFrame *frame = ixn__v1__peer_frame__unpack(NULL, len, bytes);
        count += frame->body_case == kind;
        ixn__v1__peer_frame__free_unpacked(frame, NULL);
    }
    return count;
}

static void s_ask(session_t session, uint64_t id, Ixn__V1__Request *request)
{
    buffer_t frame = {0};
    request->id = id;
    wire_append_to_node_head(&frame);
    wire_append_request(&frame, request);
    pair_receive(pair_world_pair(w, A), session, frame.bytes, frame.len);
    buffer_free(&frame);
}

/* Makes an entry. */
static session_t s_register(void)
{
    id128_t incarnation = id_hash("media", 5);
    Ixn__V1__Register body = IXN__V1__REGISTER__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    session_t session = pair_session_open(pair_world_pair(w, A));
    cr_assert(session);
    body.role = IXN__V1__ROLE__MEDIA_SERVER;
    body.name = "media";
    body.incarnation = wire_bytes(&incarnation);
    request.body_case = IXN__V1__REQUEST__BODY_REGISTER;
    request.register_ = &body;
    s_ask(session, 1, &request);
    return session;
}

static void s_submit(session_t session, uint64_t id)
{
    Ixn__V1__Submit body = IXN__V1__SUBMIT__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    body.key = wire_text((text_t){(char *)&id, sizeof id});
    body.queue = "inbound";
    body.media_type = "chat";
    request.body_case = IXN__V1__REQUEST__BODY_SUBMIT;
    request.submit = &body;
    s_ask(session, id, &request);
}

/* The backup applies the last entry of a busy time as soon as any other. */
Test(stream, a_commit_that_no_batch_follows_is_said_by_itself)
{
    enum { FRAMES = 12 }; /* the newest of what was heard in 200 ms, from the last one back */
    uint64_t said = 0, batches = 0;
    const uint8_t *bytes;
    size_t len;
    pair_world_forget(w);
    pair_world_pass(w, 200);
    for (size_t i = 0; i < FRAMES; i++) {
        cr_assert(pair_world_heard(w, B, i, &bytes, &len));
        Ixn__V1__PeerFrame *frame = ixn__v1__peer_frame__unpack(NULL, len, bytes);
        if (frame->body_case == IXN__V1__PEER_FRAME__BODY_COMMITTED)
            said = frame->committed->index;
        if (frame->body_case == IXN__V1__PEER_FRAME__BODY_BATCH && said) {
            cr_assert_eq(said, frame->batch->last, "%lu was said after %lu was sent",
                         (unsigned long)said, (unsigned long)frame->batch->last);
            batches++;
        }
        ixn__v1__peer_frame__free_unpacked(frame, NULL);
    }
    cr_assert(batches > 2, "beats are entries");
}

/* A frame of its own would wake both nodes once more for each commit. */
Test(stream, a_commit_that_a_batch_follows_is_said_by_it)
{
    enum { BATCHES = 10 };
    const session_t session = s_register();
    pair_world_pass(w, PAIR_WORLD_STEP_MS);
    pair_world_forget(w);
    for (uint64_t i = 0; i < BATCHES; i++) {
        s_submit(session, 2 + i);
        pair_world_pass(w, 2 * PAIR_WORLD_STEP_MS); /* its commit, with nothing behind it yet */
        cr_assert_geq(pair_state(pair_world_pair(w, B))->index + 3, pair_world_head(w));
    }
    cr_assert_eq(s_heard(IXN__V1__PEER_FRAME__BODY_BATCH), BATCHES);
    cr_assert_eq(s_heard(IXN__V1__PEER_FRAME__BODY_COMMITTED), 0);
    pair_world_pass(w, 4 * PAIR_WORLD_STEP_MS);
    cr_assert_eq(s_heard(IXN__V1__PEER_FRAME__BODY_COMMITTED), 1, "of the last one");
    cr_assert_eq(pair_state(pair_world_pair(w, B))->index, pair_world_head(w));
}

/* A frame that B has heard, as the next version of the protocol would begin it. */
static size_t s_other_frame(uint8_t *ret_bytes, size_t size)
{
    enum { VERSION_AT = 1 };
    const uint8_t *bytes;
    size_t len;
    cr_assert(pair_world_heard(w, B, 0, &bytes, &len) && len <= size);
    memcpy(ret_bytes, bytes, len);
    cr_assert_eq(ret_bytes[VERSION_AT], 1);
    ret_bytes[VERSION_AT] = 2;
    return len;
}

/* Nothing of it may be read. It is said once, however many come, and once more when that is over.
 */
Test(stream, frames_of_another_protocol_are_not_read)
{
    uint8_t other[4096];
    pair_world_pass(w, 200);
    size_t len = s_other_frame(other, sizeof other);
    pair_world_forget(w);
    for (int i = 0; i < 3; i++)
        pair_peer_receive(pair_world_pair(w, B), other, len);
    pair_world_pass(w, 200);
    cr_assert_str_eq(pair_world_told(w),
                     "B: another protocol: 2, not 1\n"
                     "B: the same protocol again\n");
}

/* … and who waits for an operator's word to take over is not kept by a node that is gone. */
Test(stream, another_protocol_is_in_the_way_only_while_it_is_there)
{
    uint8_t other[4096];
    pair_world_pass(w, 200);
    size_t len = s_other_frame(other, sizeof other);
    cr_assert_str_empty(pair_world_unready(w, B));
    pair_peer_receive(pair_world_pair(w, B), other, len);
    cr_assert(strstr(pair_world_unready(w, B), "the other node speaks version 2"), "%s",
              pair_world_unready(w, B));
    pair_peer_link(pair_world_pair(w, B), PEER_LINK_CLOSED);
    cr_assert_str_empty(pair_world_unready(w, B));
}
