/* Redis streams: XADD is a submit, XREADGROUP a dispatch, XACK and XDEL the end. With appendfsync
 * always no answer leaves before the change is synced. A worker ends all that one read gave it and
 * asks for more in one packet: the fastest use that there is.
 */
#include <errno.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "tests/bench/peers/peer.h"
#include "tests/bench/peers/tags.h"

typedef struct {
    redisContext *redis;
    peer_side_t side;
    uint32_t number;
    uint32_t batch;
    tags_t tags;   /* submits, or ends, without an answer */
    size_t ending; /* how many the XDEL has that is not answered */
    unsigned skip; /* answers before that which say nothing to us */
    bool queued;
} link_t;

static redisContext *s_connect(const peer_target_t *target)
{
    char host[64] = "";
    int port = 0;
    if (sscanf(target->at[0], "%63[^:]:%d", host, &port) != 2)
        peer_fail("\"%s\" is not ADDRESS:PORT", target->at[0]);
    redisContext *redis = redisConnect(host, port);
    if (!redis || redis->err)
        peer_fail("cannot connect to Redis at %s: %s", target->at[0], redis ? redis->errstr : "?");
    return redis;
}

static void s_prepare(const peer_target_t *target)
{
    static const char *const commands[] = {"DEL work", "XGROUP CREATE work workers 0 MKSTREAM"};
    redisContext *redis = s_connect(target);
    for (size_t i = 0; i < 2; i++) {
        redisReply *reply = redisCommand(redis, commands[i]);
        if (!reply || reply->type == REDIS_REPLY_ERROR)
            peer_fail("Redis, %s: %s", commands[i], reply ? reply->str : redis->errstr);
        freeReplyObject(reply);
    }
    redisFree(redis);
}

static void s_ask(link_t *self)
{
    redisAppendCommand(self->redis, "XREADGROUP GROUP workers w%u COUNT %u BLOCK 0 STREAMS work >",
                       self->number, self->batch);
    self->queued = true;
}

static bool s_flush(void *link)
{
    link_t *self = link;
    int done = 0;
    if (!self->queued)
        return false;
    while (!done)
        if (redisBufferWrite(self->redis, &done) != REDIS_OK)
            peer_fail("cannot send to Redis: %s", self->redis->errstr);
    self->queued = false;
    return true;
}

static void *s_open(const peer_target_t *target, peer_side_t side, uint32_t number)
{
    link_t *self = memory_zero(1, sizeof *self);
    self->redis = s_connect(target);
    self->side = side;
    self->number = number;
    self->batch = target->batch;
    if (side == PEER_WORKER) {
        s_ask(self);
        s_flush(self);
    }
    return self;
}

static int s_fd(const void *link)
{
    return ((const link_t *)link)->redis->fd;
}

static void s_submit(void *link, uint64_t tag, const char *payload, size_t payload_len)
{
    link_t *self = link;
    redisAppendCommand(self->redis, "XADD work * t %b d %b", &tag, sizeof tag, payload,
                       payload_len);
    tags_put(&self->tags, tag);
    self->queued = true;
}

/* Ends everything that came: XACK, XDEL, and the next XREADGROUP behind them. */
static void s_end(link_t *self, redisReply *entries)
{
    size_t len = entries->elements;
    const char **arguments = memory_new((len + 3) * sizeof *arguments);
    size_t *lens = memory_new((len + 3) * sizeof *lens);
    for (size_t i = 0; i < len; i++) {
        redisReply *entry = entries->element[i];
        uint64_t tag;
        if (entry->elements != 2 || entry->element[1]->elements < 2 ||
            entry->element[1]->element[1]->len != sizeof tag)
            peer_fail("Redis gave an entry that was not submitted here");
        memcpy(&tag, entry->element[1]->element[1]->str, sizeof tag);
        tags_put(&self->tags, tag);
        arguments[3 + i] = entry->element[0]->str;
        lens[3 + i] = entry->element[0]->len;
    }
    static const char *const head[] = {"XACK", "work", "workers"};
    for (size_t i = 0; i < 3; i++) {
        arguments[i] = head[i];
        lens[i] = strlen(head[i]);
    }
    redisAppendCommandArgv(self->redis, (int)(len + 3), arguments, lens);
    arguments[1] = "XDEL";
    lens[1] = 4;
    arguments[2] = "work";
    lens[2] = 4;
    redisAppendCommandArgv(self->redis, (int)(len + 2), arguments + 1, lens + 1);
    free(arguments);
    free(lens);
    self->ending = len;
    self->skip = 1; /* the answer to XACK */
    s_ask(self);
}

static void s_worker_reply(link_t *self, redisReply *reply, peer_news_t *news)
{
    if (self->skip > 0) {
        self->skip--;
    } else if (self->ending > 0) {
        for (; self->ending > 0; self->ending--)
            peer_tell(&news->completed, tags_take(&self->tags));
    } else if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 1) {
        s_end(self, reply->element[0]->element[1]);
    } else {
        s_ask(self);
    }
}

static void s_drain(void *link, peer_news_t *news)
{
    link_t *self = link;
    struct pollfd readable = {.fd = self->redis->fd, .events = POLLIN};
    while (poll(&readable, 1, 0) == 1) { /* the socket is one that waits */
        if (redisBufferRead(self->redis) != REDIS_OK)
            peer_fail("cannot read from Redis: %s", self->redis->errstr);
        redisReply *reply;
        while (redisGetReplyFromReader(self->redis, (void **)&reply) == REDIS_OK && reply) {
            if (reply->type == REDIS_REPLY_ERROR)
                peer_fail("Redis: %s", reply->str);
            if (self->side == PEER_SUBMITTER)
                peer_tell(&news->acknowledged, tags_take(&self->tags));
            else
                s_worker_reply(self, reply, news);
            freeReplyObject(reply);
        }
    }
}

static void s_close(void *link)
{
    link_t *self = link;
    redisFree(self->redis);
    tags_free(&self->tags);
    free(self);
}

const peer_t peer_redis = {.name = "redis",
                           .what = "a stream with a consumer group",
                           .prepare = s_prepare,
                           .open = s_open,
                           .fd = s_fd,
                           .submit = s_submit,
                           .drain = s_drain,
                           .flush = s_flush,
                           .close = s_close};
