/* gearmand: background jobs in its persistent queue. A submit is safe when its JOB_CREATED comes.
 * The end of a job has no answer, so an echo is sent behind it: when that comes back, the end was
 * dealt with.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "tests/bench/peers/peer.h"
#include "tests/bench/peers/stream.h"
#include "tests/bench/peers/tags.h"

/* The protocol's numbers of packets. */
enum {
    CAN_DO = 1,
    PRE_SLEEP = 4,
    NOOP = 6,
    JOB_CREATED = 8,
    GRAB_JOB = 9,
    NO_JOB = 10,
    JOB_ASSIGN = 11,
    WORK_COMPLETE = 13,
    ECHO_REQ = 16,
    ECHO_RES = 17,
    SUBMIT_JOB_BG = 18,
};
#define S_HEADER 12
typedef struct {
    stream_t stream;
    tags_t tags; /* submits, or ends, without an answer */
    uint32_t number;
    uint64_t sent;
    char function[32]; /* of this run: others keep what runs before have left */
    size_t function_len;
} link_t;

static void s_header(link_t *self, uint32_t type, size_t len)
{
    uint32_t words[2] = {htonl(type), htonl((uint32_t)len)};
    buffer_append(&self->stream.out, "\0REQ", 4);
    buffer_append(&self->stream.out, words, sizeof words);
}

static void *s_open(const peer_target_t *target, peer_side_t side, uint32_t number)
{
    link_t *self = memory_zero(1, sizeof *self);
    self->number = number;
    self->function_len =
        (size_t)snprintf(self->function, sizeof self->function, "work-%d", getpid());
    stream_open(&self->stream, target->at[0]);
    if (side == PEER_WORKER) {
        s_header(self, CAN_DO, self->function_len);
        buffer_append_text(&self->stream.out, self->function);
        s_header(self, GRAB_JOB, 0);
        stream_flush(&self->stream);
    }
    return self;
}

static int s_fd(const void *link)
{
    return ((const link_t *)link)->stream.fd;
}

static void s_submit(void *link, uint64_t tag, const char *payload, size_t payload_len)
{
    link_t *self = link;
    char unique[64]; /* jobs of the same name would be one */
    int len = snprintf(unique, sizeof unique, "%d-%" PRIu32 "-%" PRIu64, getpid(), self->number,
                       self->sent++);
    s_header(self, SUBMIT_JOB_BG,
             self->function_len + 1 + (size_t)len + 1 + sizeof tag + payload_len);
    buffer_append(&self->stream.out, self->function, self->function_len + 1);
    buffer_append(&self->stream.out, unique, (size_t)len + 1);
    buffer_append(&self->stream.out, &tag, sizeof tag);
    buffer_append(&self->stream.out, payload, payload_len);
    tags_put(&self->tags, tag);
}

/* A job: handle \0 function \0 payload. Ends it and asks for the next one. */
static void s_assigned(link_t *self, const char *body, size_t len)
{
    uint64_t tag;
    size_t handle = strnlen(body, len);
    size_t head = handle + 1 + self->function_len + 1;
    if (len < head + sizeof tag)
        peer_fail("gearmand assigned a job of %zu bytes", len);
    memcpy(&tag, body + head, sizeof tag);
    s_header(self, WORK_COMPLETE, handle + 1);
    buffer_append(&self->stream.out, body, handle + 1);
    s_header(self, ECHO_REQ, 1);
    buffer_append_text(&self->stream.out, "e");
    s_header(self, GRAB_JOB, 0);
    tags_put(&self->tags, tag);
}

static void s_packet(link_t *self, uint32_t type, const char *body, size_t len, peer_news_t *news)
{
    switch (type) {
    case JOB_CREATED:
        peer_tell(&news->acknowledged, tags_take(&self->tags));
        break;
    case JOB_ASSIGN:
        s_assigned(self, body, len);
        break;
    case ECHO_RES:
        peer_tell(&news->completed, tags_take(&self->tags));
        break;
    case NO_JOB:
        s_header(self, PRE_SLEEP, 0);
        break;
    case NOOP:
        s_header(self, GRAB_JOB, 0);
        break;
    default:
        peer_fail("gearmand sent packet %u: %.*s", type, (int)len, body);
    }
}

static void s_drain(void *link, peer_news_t *news)
{
    link_t *self = link;
    stream_fill(&self->stream);
    while (stream_len(&self->stream) >= S_HEADER) {
        uint32_t words[2];
        memcpy(words, stream_rest(&self->stream) + 4, sizeof words);
        size_t len = ntohl(words[1]);
        if (stream_len(&self->stream) < S_HEADER + len)
            return;
        s_packet(self, ntohl(words[0]), stream_rest(&self->stream) + S_HEADER, len, news);
        self->stream.taken += S_HEADER + len;
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

const peer_t peer_gearmand = {.name = "gearmand",
                              .what = "background jobs",
                              .open = s_open,
                              .fd = s_fd,
                              .submit = s_submit,
                              .drain = s_drain,
                              .flush = s_flush,
                              .close = s_close};
