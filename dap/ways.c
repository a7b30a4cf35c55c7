#include "dap/ways.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"

use_t *use_new(const config_t *config)
{
    use_t *self = memory_zero(1, sizeof *self);
    self->connect_timeout_ms = config->connect_timeout_ms;
    self->statement_timeout_ms = config->statement_timeout_ms;
    self->hedge_after_ms = config->hedge_after_ms;
    return self;
}

use_t *use_all(const config_t *config)
{
    use_t *self = use_new(config);
    for (size_t i = 0; i < config->daps_len; i++)
        use_add(self, i, &config->daps[i]);
    return self;
}

void use_add(use_t *self, size_t number, const config_dap_t *dap)
{
    CHECK(self->len < WAYS_MAX);
    self->daps[self->len++] = (use_dap_t){number, *dap};
}

void use_destroy(use_t **self_p)
{
    if (!*self_p)
        return;
    explicit_bzero((*self_p)->daps, sizeof(*self_p)->daps);
    free(*self_p);
    *self_p = NULL;
}

void ways_init(ways_t *self, int stop)
{
    *self = (ways_t){.stop = stop};
}

static void s_destroy(way_t *way)
{
    connection_destroy(&way->connection);
    free(way);
}

void ways_free(ways_t *self)
{
    for (size_t i = 0; i < self->len; i++)
        s_destroy(self->ways[i]);
    self->len = 0;
}

bool ways_keeps(const way_t *way, const use_t *use)
{
    for (size_t i = 0; i < use->len; i++)
        if (use->daps[i].number == way->number &&
            connection_leads_to(way->connection, &use->daps[i].dap))
            return true;
    return false;
}

static way_t *s_make(const ways_t *self, const use_dap_t *from, const use_t *use)
{
    way_t *way = memory_zero(1, sizeof *way);
    way->number = from->number;
    way->connection =
        connection_new(&from->dap, use->connect_timeout_ms, use->statement_timeout_ms);
    connection_set_stop(way->connection, self->stop);
    return way;
}

void ways_set(ways_t *self, const use_t *use)
{
    ways_t old = *self;
    self->len = 0;
    for (size_t i = 0; i < use->len; i++) {
        way_t *way = NULL;
        for (size_t j = 0; j < old.len && !way; j++) {
            if (!old.ways[j] || old.ways[j]->number != use->daps[i].number ||
                !connection_leads_to(old.ways[j]->connection, &use->daps[i].dap))
                continue;
            way = old.ways[j];
            old.ways[j] = NULL;
        }
        if (!way)
            way = s_make(self, &use->daps[i], use);
        connection_set_timeouts(way->connection, use->connect_timeout_ms,
                                use->statement_timeout_ms);
        way->turn.weight = use->daps[i].dap.weight;
        self->ways[self->len++] = way;
    }
    for (size_t j = 0; j < old.len; j++)
        if (old.ways[j])
            s_destroy(old.ways[j]);
}

void way_failed(way_t *self, usec_t first, usec_t longest)
{
    if (self->backoff < first)
        self->backoff = first;
    if (self->backoff > longest)
        self->backoff = longest;
    self->retry_at = connection_now() + self->backoff;
    self->backoff *= 2;
}

void way_worked(way_t *self)
{
    self->retry_at = 0;
    self->backoff = 0;
}

way_t *ways_first(const ways_t *self, usec_t now, const way_t *but)
{
    for (size_t i = 0; i < self->len; i++)
        if (self->ways[i] != but && self->ways[i]->retry_at <= now)
            return self->ways[i];
    return NULL;
}

way_t *ways_next(const ways_t *self, usec_t now)
{
    weighted_t *turns[WAYS_MAX];
    way_t *ways[WAYS_MAX];
    size_t len = 0;
    for (size_t i = 0; i < self->len; i++) {
        if (self->ways[i]->retry_at > now)
            continue;
        ways[len] = self->ways[i];
        turns[len++] = &self->ways[i]->turn;
    }
    return len ? ways[weighted_choose(turns, len)] : NULL;
}

usec_t ways_retry_at(const ways_t *self)
{
    usec_t first = USEC_NEVER;
    for (size_t i = 0; i < self->len; i++)
        if (self->ways[i]->retry_at < first)
            first = self->ways[i]->retry_at;
    return first;
}
