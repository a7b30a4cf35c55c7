/* Planted crashes: linked around the product's own objects (ld --wrap) into a node of the tests'
 * own, ixnd-planted. Nothing of this is in ixnd. Interactions with these external ids end the
 * process:
 *
 *   crash-decide  when it is submitted
 *   crash-turn    at the end of the turn in which it was submitted
 *   crash-apply   when its entry is applied from the log: by a backup, or at a start
 */
#include <signal.h>
#include <string.h>

#include "core/base/hand.h"
#include "core/engine_internal.h"

void __real_engine_submit(engine_t *self, session_t session, uint64_t request,
                          const Ixn__V1__Submit *submit);
void __wrap_engine_submit(engine_t *self, session_t session, uint64_t request,
                          const Ixn__V1__Submit *submit);
batch_t *__real_engine_turn_end(engine_t *self, bool close, bool *ret_more);
batch_t *__wrap_engine_turn_end(engine_t *self, bool close, bool *ret_more);
bool __real_state_apply(state_t *self, const Ixn__V1__Entry *entry, error_t *ret_error);
bool __wrap_state_apply(state_t *self, const Ixn__V1__Entry *entry, error_t *ret_error);

static bool s_turn_is_over;

static void s_crash(void)
{
    *(volatile int *)8 = 0; /* as a real defect does it */
}

void __wrap_engine_submit(engine_t *self, session_t session, uint64_t request,
                          const Ixn__V1__Submit *submit)
{
    if (strcmp(submit->external_id, "crash-decide") == 0)
        s_crash();
    s_turn_is_over = s_turn_is_over || strcmp(submit->external_id, "crash-turn") == 0;
    __real_engine_submit(self, session, request, submit);
}

batch_t *__wrap_engine_turn_end(engine_t *self, bool close, bool *ret_more)
{
    if (s_turn_is_over)
        s_crash();
    return __real_engine_turn_end(self, close, ret_more);
}

bool __wrap_state_apply(state_t *self, const Ixn__V1__Entry *entry, error_t *ret_error)
{
    const hand_t *hand = hand_bound();
    if (hand && hand->kind == HAND_APPLY && entry->body_case == IXN__V1__ENTRY__BODY_SUBMITTED &&
        strcmp(entry->submitted->external_id, "crash-apply") == 0)
        s_crash();
    return __real_state_apply(self, entry, ret_error);
}
