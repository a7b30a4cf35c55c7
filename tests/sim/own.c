#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "tests/sim/checker_internal.h"
#include "tests/sim/database.h"
#include "tests/sim/schedule.h"

/* Which server is the pair's own. Another one takes its place at the moment when a node decides so,
 * and may do so when nobody was led to the own one just then and everything that anybody was told
 * is there. What nobody was told of may be missing: it was in doubt, and the node that sent it
 * sends it again. From then on the server before is another database. */

enum { LEFT_US = 800000 };

static database_sim_t *s_find(const world_t *world, const identity_memory_t *memory)
{
    for (size_t i = 0; i < world->servers_len; i++) {
        database_sim_t *server = world->servers[i];
        const instance_t instance = tables_instance(server);
        if (instance_equal(&instance, &memory->instance) &&
            identity_equal(&server->row.identity, &memory->identity))
            return server;
    }
    return NULL;
}

static const batch_t *s_batch_at(const checker_t *self, uint64_t last)
{
    for (size_t i = self->log_len; i-- > 0;)
        if (self->log[i].batch->last == last)
            return self->log[i].batch;
    return NULL;
}

/* Each row continues the one before. */
static bool s_is_chain(const database_sim_t *server)
{
    for (size_t i = 1; i < server->journal_len; i++) {
        const batch_t *before = server->journal[i - 1];
        const batch_t *batch = server->journal[i];
        if (batch->first != before->last + 1 || !id_equal(batch->previous, before->hash))
            return false;
    }
    return true;
}

static bool s_has_all_that_was_told(const checker_t *self, const database_sim_t *server)
{
    const batch_t *head = tables_head(server);
    const batch_t *own = s_batch_at(self, head->last);
    return identity_equal(&server->row.identity, &self->world->database->row.identity) &&
           head->last >= self->told_index && s_is_chain(server) &&
           (head->last == 0 || (own && id_equal(own->hash, head->hash)));
}

/* The log ends where the new server's does: the record is made anew from what is left. */
static void s_go_back(checker_t *self, const database_sim_t *server)
{
    uint64_t head = tables_head(server)->last;
    size_t len = 0;
    if (head == self->index)
        return;
    world_trace(self->world, "database", "lost", head, self->index);
    while (len < self->log_len && self->log[len].batch->last <= head)
        len++;
    for (size_t i = len; i < self->log_len; i++)
        batch_destroy(&self->log[i].batch);
    self->log_len = len;
    checker_replay(self);
}

/* `told`: everything that anybody was told is there. */
static void s_take(checker_t *self, int node, database_sim_t *server, bool told)
{
    world_t *world = self->world;
    self->accepted[node] = server;
    if (server == world->database)
        return;
    bool left = self->left_at && world->now - self->left_at < LEFT_US;
    if (!told || !left) {
        world_violation(world, "P5",
                        "node %c takes %s, host %u, head %llu, for the pair's own; that is on host "
                        "%u, head %llu, of which %llu was told%s",
                        'a' + node, server->row.server, server->host,
                        (unsigned long long)tables_head(server)->last, world->database->host,
                        (unsigned long long)self->index, (unsigned long long)self->told_index,
                        left ? "" : ", and is reached");
        return;
    }
    world_trace(world, "database", "replaced", server->host, tables_head(server)->last);
    s_go_back(self, server);
    database_sim_t *before = world->database;
    memcpy(server->cuts, before->cuts, sizeof server->cuts);
    world->database = server;
    schedule_moved(world, node, before);
    self->left_at = 0;
    self->moved_at = world->now;
}

void checker_accepts(checker_t *self, int node, const identity_memory_t *memory)
{
    if (!instance_is_known(&memory->instance))
        self->accepted[node] = NULL; /* it has given its own up */
    database_sim_t *server = s_find(self->world, memory);
    if (!server || server == self->accepted[node])
        return;
    bool own = server == self->world->database;
    s_take(self, node, server,
           server->row.epoch >= self->told_epoch && s_has_all_that_was_told(self, server));
    while (!own && self->epochs_len > 0 &&
           self->epochs[self->epochs_len - 1].epoch > server->row.epoch)
        self->epochs_len--;
}

/* What writes lost batches back takes a higher epoch, too. */
static void s_heals(checker_t *self, const ask_t *ask)
{
    s_take(self, ask->node, ask->server, s_has_all_that_was_told(self, ask->server));
}

writes_t checker_writes(checker_t *self, const ask_t *ask)
{
    world_t *world = self->world;
    const database_sim_t *server = ask->server;
    if (ask->kind == ASK_CHANGE && ask->batches_len > 0)
        s_heals(self, ask);
    if (server == world->database)
        return WRITES_OWN;
    /* It was sent to what was the own server then, and nobody believes the answer. */
    if (self->moved_at && ask->sent_at <= self->moved_at)
        return WRITES_LATE;
    world_violation(world, "P5",
                    "node %c writes to %s, host %u, head %llu; the pair's own is on host %u, head "
                    "%llu",
                    'a' + ask->node, server->row.server, server->host,
                    (unsigned long long)tables_head(server)->last, world->database->host,
                    (unsigned long long)self->index);
    return WRITES_WRONG;
}

void checker_told(checker_t *self, uint64_t epoch, uint64_t index)
{
    if (epoch > self->told_epoch)
        self->told_epoch = epoch;
    if (index > self->told_index)
        self->told_index = index;
}
