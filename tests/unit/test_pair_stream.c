/* What a primary says to its backup while it works. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/unit/pair_fixture.h"

TestSuite(stream, .init = world_settled, .fini = world_close, .timeout = 60);

/* Under load the next batch says how far the journal is committed. When none follows the commit is
 * said by itself: the backup applies the last entry of a busy time as soon as any other. */
Test(stream, a_commit_that_no_batch_follows_is_said_at_once)
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

/* Nothing of it may be read. It is said once, however many come, and once more when that is over.
 */
Test(stream, frames_of_another_protocol_are_not_read)
{
    enum { VERSION_AT = 1, MOST = 4096 };
    uint8_t other[MOST];
    const uint8_t *bytes;
    size_t len;
    pair_world_pass(w, 200);
    cr_assert(pair_world_heard(w, B, 0, &bytes, &len) && len <= MOST);
    memcpy(other, bytes, len);
    cr_assert_eq(other[VERSION_AT], 1);
    other[VERSION_AT] = 2;
    pair_world_forget(w);
    for (int i = 0; i < 3; i++)
        pair_peer_receive(pair_world_pair(w, B), other, len);
    pair_world_pass(w, 200);
    cr_assert_str_eq(pair_world_told(w),
                     "B: another protocol: 2, not 1\n"
                     "B: the same protocol again\n");
}
