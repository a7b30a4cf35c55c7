/* beanstalkd: `put` is a submit, `reserve` a dispatch, `delete` the end. With -b DIR -f 0 each
 * change is synced before its answer. Answers come in the order of the commands.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "tests/bench/peers/peer.h"
#include "tests/bench/peers/stream.h"
#include "tests/bench/peers/tags.h"

#define S_RUN_SECONDS 600 /* a reservation outlives every run */

typedef struct {
    stream_t stream;
    peer_side_t side;
    tags_t tags;      /* puts, or deletes, without an answer */
    size_t body_left; /* bytes of a reserved job that are still to come, with its \r\n */
    char id[32];      /* of that job */
} link_t;

static void *s_open(const peer_target_t *target, peer_side_t side, uint32_t number)
{
    (void)number;
    link_t *self = memory_zero(1, sizeof *self);
    self->side = side;
    stream_open(&self->stream, target->at[0]);
    /* A tube of this run: others keep what runs before have left. */
    if (side == PEER_WORKER)
        buffer_printf(&self->stream.out, "watch %d\r\nignore default\r\nreserve\r\n", getpid());
    else
        buffer_printf(&self->stream.out, "use %d\r\n", getpid());
    stream_flush(&self->stream);
    return self;
}

static int s_fd(const void *link)
{
    return ((const link_t *)link)->stream.fd;
}

static void s_submit(void *link, uint64_t tag, const char *payload, size_t payload_len)
{
    link_t *self = link;
    buffer_printf(&self->stream.out, "put 0 0 %d %zu\r\n", S_RUN_SECONDS, sizeof tag + payload_len);
    buffer_append(&self->stream.out, &tag, sizeof tag);
    buffer_append(&self->stream.out, payload, payload_len);
    buffer_append_text(&self->stream.out, "\r\n");
    tags_put(&self->tags, tag);
}

/* The job is here: ends it and asks for the next one, in one packet. */
static bool s_body(link_t *self)
{
    uint64_t tag;
    if (stream_len(&self->stream) < self->body_left)
        return false;
    memcpy(&tag, stream_rest(&self->stream), sizeof tag);
    self->stream.taken += self->body_left;
    self->body_left = 0;
    buffer_printf(&self->stream.out, "delete %s\r\nreserve\r\n", self->id);
    tags_put(&self->tags, tag);
    return true;
}

static void s_line(link_t *self, const char *line, peer_news_t *news)
{
    size_t len;
    if (strncmp(line, "USING ", 6) == 0 || strncmp(line, "WATCHING ", 9) == 0)
        return;
    if (self->side == PEER_SUBMITTER) {
        if (strncmp(line, "INSERTED ", 9) != 0)
            peer_fail("beanstalkd answered a put with \"%s\"", line);
        peer_tell(&news->acknowledged, tags_take(&self->tags));
    } else if (strcmp(line, "DELETED") == 0) {
        peer_tell(&news->completed, tags_take(&self->tags));
    } else if (sscanf(line, "RESERVED %31s %zu", self->id, &len) == 2) {
        self->body_left = len + 2;
    } else {
        peer_fail("beanstalkd answered a worker with \"%s\"", line);
    }
}

static void s_drain(void *link, peer_news_t *news)
{
    link_t *self = link;
    stream_fill(&self->stream);
    for (;;) {
        if (self->body_left > 0) {
            if (!s_body(self))
                return;
            continue;
        }
        const char *line = stream_line(&self->stream);
        if (!line)
            return;
        s_line(self, line, news);
    }
}

static bool s_flush(void *link)
{
    return stream_flush(&((link_t *)link)->stream);
}

static void s_close(void *link)
{
    link_t *self = link;
    stream_close(&self->stream);
    tags_free(&self->tags);
    free(self);
}

const peer_t peer_beanstalkd = {.name = "beanstalkd",
                                .what = "put, reserve, delete",
                                .open = s_open,
                                .fd = s_fd,
                                .submit = s_submit,
                                .drain = s_drain,
                                .flush = s_flush,
                                .close = s_close};
