/* Fuzzer of what comes from outside to the pair: frames of the other node and visits of clients,
 * to nodes in every role they can be in. Nothing that comes may crash a node or lead it into an
 * impossible cell of the role table, and none of it may make it serve.
 *
 * An input: one byte for the role, then steps: an operation, a length (two bytes) and so many
 * bytes. 0  a frame as it is           1  a frame, its envelope made right (version, epoch,
 * database) 2  a visit                    3  the last frame that the node heard, changed by the
 * bytes 4  time passes                5  an event of the link Corpus: tests/fuzz/corpus/peer.
 */
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "tests/unit/pair_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROLES_TRIED = 7, STEPS = 64, WORLD_MS = 300 };

/* A world whose node B has some role, with A beside it or not. */
static pair_world_t *s_world(uint8_t which)
{
    pair_world_t *w = pair_world_new();
    if (which == 0) { /* knows no database */
        pair_world_reach_all(w, B, NOTHING);
        pair_world_start(w, B, NULL);
        pair_world_pass(w, 20);
        return w;
    }
    CHECK(pair_world_settle(w));
    switch (which) {
    case 1: /* ready */
        break;
    case 2: /* not level */
        pair_world_reach_all(w, B, NOTHING);
        CHECK(pair_world_until(w, B, ROLE_SYNCING, 3000) >= 0);
        break;
    case 3: /* claims */
        pair_world_hold_claims(w, B, true);
        pair_world_kill(w, A);
        CHECK(pair_world_until(w, B, ROLE_TAKING_OVER, 3000) >= 0);
        break;
    case 4: /* serves, alone */
        pair_world_kill(w, A);
        CHECK(pair_world_until(w, B, ROLE_ALONE, 3000) >= 0);
        break;
    case 5: /* serves, paired; then hands over */
        CHECK(strncmp(pair_world_command(w, A, IXN__V1__PAIR_COMMAND__KIND__SWITCHOVER, false),
                      "status", 6) == 0);
        CHECK(pair_world_until(w, B, ROLE_PAIRED, 3000) >= 0);
        CHECK(pair_world_until(w, A, ROLE_READY, 3000) >= 0);
        pair_world_pass(w, 200);
        pair_world_hold_claims(w, A, true);
        pair_world_command(w, B, IXN__V1__PAIR_COMMAND__KIND__SWITCHOVER, false);
        CHECK(pair_world_until(w, B, ROLE_HANDING_OVER, 3000) >= 0);
        break;
    default: /* fenced, claims nothing yet */
        pair_world_kill(w, A);
        CHECK(pair_world_until(w, B, ROLE_ALONE, 3000) >= 0);
        pair_world_usurp(w);
        CHECK(pair_world_until(w, B, ROLE_FENCED, 3000) >= 0);
        break;
    }
    return w;
}

static void s_right(pair_world_t *w, const uint8_t *bytes, size_t len)
{
    Ixn__V1__PeerFrame *frame = ixn__v1__peer_frame__unpack(NULL, len, bytes);
    if (!frame)
        return;
    /* What the envelope points to is the frame's own to free. */
    Ixn__V1__PeerFrame sent = *frame;
    pair_world_frame(w, B, &sent, true);
    ixn__v1__peer_frame__free_unpacked(frame, NULL);
}

static void s_visit(pair_world_t *w, const uint8_t *bytes, size_t len)
{
    engine_frame_t answer = {0};
    if (pair_visit(pair_world_pair(w, B), bytes, len, &answer))
        free(answer.bytes);
}

/* Pairs of a place and a value over a frame that was really sent. */
static void s_changed(pair_world_t *w, const uint8_t *bytes, size_t len)
{
    const uint8_t *real;
    size_t real_len;
    if (!pair_world_heard(w, B, len > 0 ? bytes[0] : 0, &real, &real_len) || real_len == 0)
        return;
    uint8_t *copy = memory_new(real_len);
    memcpy(copy, real, real_len);
    for (size_t i = 1; i + 1 < len; i += 2)
        copy[bytes[i] % real_len] ^= bytes[i + 1];
    pair_peer_receive(pair_world_pair(w, B), copy, real_len);
    free(copy);
}

static void s_step(pair_world_t *w, uint8_t operation, const uint8_t *bytes, size_t len)
{
    /* The parser must not read beyond its end. */
    uint8_t *exact = malloc(len ? len : 1);
    CHECK(exact);
    memcpy(exact, bytes, len);
    switch (operation % 6) {
    case 0:
        pair_peer_receive(pair_world_pair(w, B), exact, len);
        break;
    case 1:
        s_right(w, exact, len);
        break;
    case 2:
        s_visit(w, exact, len);
        break;
    case 3:
        s_changed(w, exact, len);
        break;
    case 4:
        pair_world_pass(w, len > 0 ? exact[0] : PAIR_WORLD_STEP_MS);
        break;
    default:
        pair_peer_link(pair_world_pair(w, B), (peer_link_t)((len > 0 ? exact[0] : 0) % 3));
        break;
    }
    free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    pair_world_t *w = s_world(data[0] % ROLES_TRIED);
    size_t at = 1;
    for (int i = 0; i < STEPS && at + 3 <= size && pair_world_pair(w, B); i++) {
        size_t len = (size_t)data[at + 1] << 8 | data[at + 2];
        if (len > size - at - 3)
            len = size - at - 3;
        s_step(w, data[at], data + at + 3, len);
        at += 3 + len;
    }
    pair_world_pass(w, WORLD_MS);
    pair_world_free(&w);
    return 0;
}
