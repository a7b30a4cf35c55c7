#include "apps/ixnd/admin/queues.h"

#include <stdlib.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/wire/wire.h"
#include "dap/connection.h"

typedef struct {
    Ixn__V1__Queue **queues; /* each a copy of its own */
    size_t len;
} list_t;

struct queues {
    work_t *work;
    list_t known;
    list_t coming;   /* pages of the list that is asked */
    usec_t asked_at; /* 0: nothing is asked */
    usec_t heard_at;
};

static void s_clear(list_t *list)
{
    for (size_t i = 0; i < list->len; i++)
        ixn__v1__queue__free_unpacked(list->queues[i], NULL);
    free(list->queues);
    *list = (list_t){0};
}

queues_t *queues_new(work_t *work)
{
    queues_t *self = memory_zero(1, sizeof *self);
    self->work = work;
    return self;
}

void queues_destroy(queues_t **self_p)
{
    queues_t *self = *self_p;
    if (!self)
        return;
    s_clear(&self->known);
    s_clear(&self->coming);
    free(self);
    *self_p = NULL;
}

static void s_add(list_t *list, const Ixn__V1__Queue *queue)
{
    size_t size = ixn__v1__queue__get_packed_size(queue);
    uint8_t *packed = memory_new(size + 1);
    ixn__v1__queue__pack(queue, packed);
    Ixn__V1__Queue *copy = ixn__v1__queue__unpack(NULL, size, packed);
    CHECK(copy);
    free(packed);
    list->queues = memory_resize(list->queues, (list->len + 1) * sizeof(Ixn__V1__Queue *));
    list->queues[list->len++] = copy;
}

static void s_ask_page(queues_t *self, uint32_t after);

static void s_on_answer(void *context, const Ixn__V1__Message *message, const error_t *error)
{
    (void)error;
    queues_t *self = context;
    if (!message || message->body_case != IXN__V1__MESSAGE__BODY_QUEUES) {
        self->asked_at = 0; /* nobody serves just now; what is known gets older */
        return;
    }
    for (size_t i = 0; i < message->queues->n_queues; i++)
        s_add(&self->coming, message->queues->queues[i]);
    if (message->queues->next) {
        s_ask_page(self, message->queues->next);
        return;
    }
    s_clear(&self->known);
    self->known = self->coming;
    self->coming = (list_t){0};
    self->heard_at = connection_now();
    self->asked_at = 0;
}

static void s_ask_page(queues_t *self, uint32_t after)
{
    Ixn__V1__ListQueues list = IXN__V1__LIST_QUEUES__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    list.after = after;
    request.body_case = IXN__V1__REQUEST__BODY_LIST_QUEUES;
    request.list_queues = &list;
    if (!work_send(self->work, &request, s_on_answer, self))
        self->asked_at = 0;
}

void queues_ask(queues_t *self, usec_t now)
{
    if (self->asked_at)
        return;
    self->asked_at = now;
    s_clear(&self->coming);
    s_ask_page(self, 0);
}

bool queues_is_asking(const queues_t *self)
{
    return self->asked_at != 0;
}

usec_t queues_heard_at(const queues_t *self)
{
    return self->heard_at;
}

const Ixn__V1__Queue *const *queues_list(const queues_t *self, size_t *ret_len)
{
    *ret_len = self->known.len;
    return (const Ixn__V1__Queue *const *)self->known.queues;
}
