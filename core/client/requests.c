/* Requests, the code: one block of memory a request, lists through them, an array of slots. */
#include "core/client/requests.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "core/base/alloc.h"
#include "core/base/check.h"

#define LISTS (REQUESTS_DELAYED + REQUESTS_DELAYS)

/* Most programs send requests of much the same size: blocks that were used are used again, as long
 * as there is not more of them than this. */
#define SPARE_SIZE ((size_t)256 * 1024)

void requests_init(requests_t *self, size_t max)
{
    *self = (requests_t){.max = max};
    while (((size_t)1 << self->slot_bits) <= max) /* slot 0 is not used, hence <= */
        self->slot_bits++;
    self->slots = memory_zero(max + 1, sizeof(request_t *));
    self->vacant = memory_zero(max, sizeof *self->vacant);
    while (self->vacant_len < max) {
        self->vacant[self->vacant_len] = (uint32_t)(max - self->vacant_len);
        self->vacant_len++;
    }
}

void requests_free(requests_t *self)
{
    for (request_t *request = self->all, *newer; request; request = newer) {
        newer = request->newer;
        free(request);
    }
    for (request_t *spare = self->spare, *next; spare; spare = next) {
        next = spare->next;
        free(spare);
    }
    free(self->slots);
    free(self->vacant);
    *self = (requests_t){0};
}

uint64_t requests_next_id(const requests_t *self)
{
    if (self->vacant_len == 0)
        return 0;
    return (self->sequence + 1) << self->slot_bits | self->vacant[self->vacant_len - 1];
}

uint64_t requests_own_id(requests_t *self)
{
    return ++self->sequence << self->slot_bits;
}

/* Every change of place goes through these, which keep the sums of the lists. */
static void s_take_out(requests_t *self, request_t *request)
{
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): it cannot see that prev is a ring. */
    DL_DELETE2(self->lists[request->list], request, prev, next);
    if (request->list == REQUESTS_READY) {
        self->ready_count--;
        self->ready_size -= request->len;
    } else if (request->list >= REQUESTS_DELAYED) {
        self->delayed_count--;
    }
}

static void s_counted(requests_t *self, const request_t *request)
{
    if (request->list == REQUESTS_READY) {
        self->ready_count++;
        self->ready_size += request->len;
    } else if (request->list >= REQUESTS_DELAYED) {
        self->delayed_count++;
    }
}

static void s_put_last(requests_t *self, request_t *request, unsigned list)
{
    request->list = (uint8_t)list;
    DL_APPEND2(self->lists[list], request, prev, next);
    s_counted(self, request);
}

/* A block for a request of so many bytes. */
static request_t *s_block(requests_t *self, size_t len)
{
    request_t *block = self->spare;
    if (!block || block->room < len) {
        block = memory_new(sizeof *block + len);
        block->room = len;
        return block;
    }
    self->spare = block->next;
    self->spare_size -= block->room;
    return block;
}

static void s_give_back(requests_t *self, request_t *block)
{
    if (self->spare_size + block->room > SPARE_SIZE) {
        free(block);
        return;
    }
    block->next = self->spare;
    self->spare = block;
    self->spare_size += block->room;
}

request_t *requests_add(requests_t *self, text_t bytes, usec_t now)
{
    uint64_t id = requests_next_id(self);
    CHECK(id);
    request_t *request = s_block(self, bytes.len);
    *request = (request_t){
        .id = id, .made_at = now, .due_at = USEC_NEVER, .len = bytes.len, .room = request->room};
    memcpy(request->bytes, bytes.data, bytes.len);
    self->sequence++;
    self->slots[self->vacant[--self->vacant_len]] = request;
    self->count++;
    self->size += bytes.len;
    DL_APPEND2(self->all, request, older, newer);
    s_put_last(self, request, REQUESTS_READY);
    return request;
}

request_t *requests_find(const requests_t *self, uint64_t id)
{
    size_t slot = id & (((uint64_t)1 << self->slot_bits) - 1);
    request_t *request = slot <= self->max ? self->slots[slot] : NULL;
    return request && request->id == id ? request : NULL;
}

void requests_remove(requests_t *self, request_t *request)
{
    size_t slot = request->id & (((uint64_t)1 << self->slot_bits) - 1);
    CHECK(self->slots[slot] == request);
    self->slots[slot] = NULL;
    self->vacant[self->vacant_len++] = (uint32_t)slot;
    self->count--;
    self->size -= request->len;
    s_take_out(self, request);
    DL_DELETE2(self->all, request, older, newer);
    s_give_back(self, request);
}

size_t requests_fit(const requests_t *self, size_t max_count, size_t max_size, size_t *ret_size)
{
    size_t count = 0, size = 0;
    for (const request_t *at = self->lists[REQUESTS_READY]; at; at = at->next) {
        if (count == max_count || (count && size + at->len > max_size))
            break;
        count++;
        size += at->len;
    }
    *ret_size = size;
    return count;
}

void requests_copy(const requests_t *self, size_t count, uint8_t *out)
{
    const request_t *at = self->lists[REQUESTS_READY];
    for (size_t i = 0; i < count; i++, at = at->next) {
        memcpy(out, at->bytes, at->len);
        out += at->len;
    }
}

void requests_sent(requests_t *self, request_t *request, usec_t now, usec_t resend)
{
    s_take_out(self, request);
    request->due_at = now + resend;
    request->was_sent = true;
    s_put_last(self, request, REQUESTS_SENT);
}

usec_t requests_delay(requests_t *self, request_t *request, uint32_t after_ms, entropy_t *entropy,
                      usec_t now)
{
    unsigned power = 0;
    while (power < REQUESTS_DELAYS - 1 && ((uint32_t)1 << power) < after_ms)
        power++;
    s_take_out(self, request);
    /* One jitter for all in the list, so that it stays in order; a new one when it was empty. */
    if (!self->lists[REQUESTS_DELAYED + power])
        self->delays[power] = entropy_spread(entropy, USEC_PER_MS << power);
    request->due_at = now + self->delays[power];
    s_put_last(self, request, REQUESTS_DELAYED + power);
    return request->due_at;
}

/* Those of one list that are due are its first ones. From the last of them backwards, so that each
 * finds its place at the front of `ready`. */
static size_t s_wake_list(requests_t *self, unsigned list, usec_t now)
{
    request_t *last = NULL;
    size_t count = 0;
    for (request_t *at = self->lists[list]; at && at->due_at <= now; at = at->next) {
        last = at;
        count++;
    }
    for (size_t i = 0; i < count; i++) {
        request_t *before = last->prev; /* of the first: the end of the list, and not used */
        requests_return(self, last);
        last = before;
    }
    return count;
}

size_t requests_wake(requests_t *self, usec_t now, bool with_sent)
{
    for (unsigned list = REQUESTS_DELAYED; self->delayed_count > 0 && list < LISTS; list++)
        s_wake_list(self, list, now);
    return with_sent ? s_wake_list(self, REQUESTS_SENT, now) : 0;
}

void requests_rewind(requests_t *self)
{
    for (request_t *request = self->all; request; request = request->newer) {
        s_take_out(self, request);
        s_put_last(self, request, REQUESTS_READY);
    }
}

void requests_return(requests_t *self, request_t *request)
{
    s_take_out(self, request);
    /* Ids grow with time. What comes back is nearly always older than all that is ready. */
    request_t *newer = self->lists[REQUESTS_READY];
    while (newer && newer->id < request->id)
        newer = newer->next;
    if (!newer) {
        s_put_last(self, request, REQUESTS_READY);
        return;
    }
    request->list = REQUESTS_READY;
    DL_PREPEND_ELEM2(self->lists[REQUESTS_READY], newer, request, prev, next);
    s_counted(self, request);
}

usec_t requests_due_at(const requests_t *self, bool with_sent)
{
    const request_t *sent = self->lists[REQUESTS_SENT];
    usec_t due_at = with_sent && sent ? sent->due_at : USEC_NEVER;
    for (unsigned list = REQUESTS_DELAYED; self->delayed_count > 0 && list < LISTS; list++) {
        const request_t *first = self->lists[list];
        if (first && first->due_at < due_at)
            due_at = first->due_at;
    }
    return due_at;
}
