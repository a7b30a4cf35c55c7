#include "balancer/servers.h"

#include <stdlib.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/base/table.h"

/* Pools without a holder are kept for their place in the round robin, up to so many. */
enum { IDLE_POOLS = 4096 };

typedef struct {
    UT_hash_handle hh; /* by name */
    char name[LIMIT_NAME + 1];
    server_t number;
    bool connected;
    int type;
    char **services;
    size_t services_len;
    uint32_t window;
    uint32_t queue; /* 0: the standard */
    uint32_t in_flight;
    uint32_t failures; /* in a row */
    breaker_t breaker;
    usec_t open_until;
} known_t;

typedef struct {
    UT_hash_handle hh; /* by name */
    char name[LIMIT_NAME + 1];
    char (*members)[LIMIT_NAME + 1];
    size_t members_len;
    uint32_t queue;
} cluster_t;

#define POOL_KEY (3 + 2 * LIMIT_NAME)

struct servers_pool {
    UT_hash_handle hh; /* by key */
    char key[POOL_KEY];
    servers_target_t target;
    int type;
    char name[LIMIT_NAME + 1];
    char service[LIMIT_NAME + 1];
    uint32_t holders;
    uint64_t made;     /* `members` are as of this generation of the tables */
    server_t *members; /* by name */
    size_t members_len;
    size_t next;               /* the round robin goes on here */
    char last[LIMIT_NAME + 1]; /* the one that was chosen last; empty: none */
    servers_result_t without;  /* why there are no members */
};

struct servers {
    known_t **servers; /* by number */
    size_t len;
    known_t *by_name;
    cluster_t *clusters;
    servers_pool_t *pools;
    size_t idle;
    uint64_t generation; /* raised when members of a pool may have changed */
    uint32_t breaker_failures;
    usec_t breaker_pause;
    uint32_t standard_queue;
    bool changed;
};

static void s_copy_name(char out[LIMIT_NAME + 1], text_t name)
{
    CHECK(name.len <= LIMIT_NAME);
    if (name.len)
        memcpy(out, name.data, name.len);
    out[name.len] = 0;
}

/* ---- Life ---- */

servers_t *servers_new(void)
{
    servers_t *self = memory_zero(1, sizeof *self);
    self->generation = 1;
    self->breaker_failures = 5;
    self->breaker_pause = 10 * USEC_PER_SECOND;
    self->standard_queue = 1000;
    return self;
}

static void s_free_services(known_t *server)
{
    for (size_t i = 0; i < server->services_len; i++)
        free(server->services[i]);
    free(server->services);
    server->services = NULL;
    server->services_len = 0;
}

static void s_free_pool(servers_t *self, servers_pool_t *pool)
{
    HASH_DEL(self->pools, pool);
    free(pool->members);
    free(pool);
}

void servers_destroy(servers_t **self_p)
{
    servers_t *self = *self_p;
    if (!self)
        return;
    servers_clear_clusters(self);
    servers_pool_t *pool, *next;
    HASH_ITER(hh, self->pools, pool, next)
    {
        s_free_pool(self, pool);
    }
    HASH_CLEAR(hh, self->by_name);
    for (size_t i = 0; i < self->len; i++) {
        s_free_services(self->servers[i]);
        free(self->servers[i]);
    }
    free(self->servers);
    free(self);
    *self_p = NULL;
}

static void s_changed(servers_t *self)
{
    self->generation++;
    self->changed = true;
}

/* ---- Settings ---- */

void servers_set_breaker(servers_t *self, uint32_t failures, usec_t pause)
{
    self->breaker_failures = failures;
    self->breaker_pause = pause;
}

void servers_set_standard_queue(servers_t *self, uint32_t queue)
{
    self->standard_queue = queue;
}

void servers_set_queue(servers_t *self, server_t server, uint32_t queue)
{
    self->servers[server]->queue = queue;
}

/* ---- Servers ---- */

server_t servers_number(servers_t *self, text_t name)
{
    known_t *server = NULL;
    HASH_FIND(hh, self->by_name, name.data, name.len, server);
    if (server)
        return server->number;
    server = memory_zero(1, sizeof *server);
    s_copy_name(server->name, name);
    server->number = (server_t)self->len;
    self->servers = memory_resize(self->servers, (self->len + 1) * sizeof *self->servers);
    self->servers[self->len++] = server;
    HASH_ADD_KEYPTR(hh, self->by_name, server->name, name.len, server);
    return server->number;
}

size_t servers_len(const servers_t *self)
{
    return self->len;
}

void servers_view(const servers_t *self, server_t number, servers_view_t *ret_view)
{
    const known_t *server = self->servers[number];
    *ret_view = (servers_view_t){.name = text_of(server->name),
                                 .connected = server->connected,
                                 .type = server->type,
                                 .services = server->services,
                                 .services_len = server->services_len,
                                 .window = server->window,
                                 .in_flight = server->in_flight,
                                 .breaker = server->breaker,
                                 .open_until = server->open_until};
}

void servers_connect(servers_t *self, server_t number, const servers_options_t *options)
{
    known_t *server = self->servers[number];
    CHECK(options->window > 0);
    char **services =
        options->services_len ? memory_zero(options->services_len, sizeof *services) : NULL;
    for (size_t i = 0; i < options->services_len; i++)
        services[i] = memory_text(options->services[i]);
    s_free_services(server);
    server->services = services;
    server->services_len = options->services_len;
    server->connected = true;
    server->type = options->type;
    server->window = options->window;
    s_changed(self);
}

static void s_break(servers_t *self, known_t *server, usec_t now)
{
    server->breaker = BREAKER_OPEN;
    server->open_until = now + self->breaker_pause;
}

static void s_failed(servers_t *self, known_t *server, usec_t now)
{
    server->failures++;
    if (server->breaker == BREAKER_PROBING || server->failures >= self->breaker_failures)
        s_break(self, server, now);
}

void servers_disconnect(servers_t *self, server_t number, bool failed, usec_t now)
{
    known_t *server = self->servers[number];
    server->connected = false;
    server->in_flight = 0;
    if (failed)
        s_failed(self, server, now);
    else if (server->breaker == BREAKER_PROBING)
        server->breaker = BREAKER_OPEN; /* probed again when it comes back */
    s_changed(self);
}

/* ---- Clusters ---- */

void servers_clear_clusters(servers_t *self)
{
    cluster_t *cluster, *next;
    HASH_ITER(hh, self->clusters, cluster, next)
    {
        HASH_DEL(self->clusters, cluster);
        free(cluster->members);
        free(cluster);
    }
    s_changed(self);
}

void servers_add_cluster(servers_t *self, text_t name, char *const *members, size_t len,
                         uint32_t queue)
{
    cluster_t *cluster = memory_zero(1, sizeof *cluster);
    s_copy_name(cluster->name, name);
    cluster->queue = queue;
    cluster->members = memory_zero(len, sizeof *cluster->members);
    cluster->members_len = len;
    for (size_t i = 0; i < len; i++)
        s_copy_name(cluster->members[i], text_of(members[i]));
    HASH_ADD_KEYPTR(hh, self->clusters, cluster->name, name.len, cluster);
    s_changed(self);
}

static cluster_t *s_cluster(const servers_t *self, text_t name)
{
    cluster_t *cluster = NULL;
    HASH_FIND(hh, self->clusters, name.data, name.len, cluster);
    return cluster;
}

bool servers_has_cluster(const servers_t *self, text_t name)
{
    return s_cluster(self, name) != NULL;
}

static known_t *s_find(const servers_t *self, text_t name)
{
    known_t *server = NULL;
    HASH_FIND(hh, self->by_name, name.data, name.len, server);
    return server;
}

uint32_t servers_usable(const servers_t *self, text_t name)
{
    const cluster_t *cluster = s_cluster(self, name);
    uint32_t usable = 0;
    for (size_t i = 0; cluster && i < cluster->members_len; i++) {
        const known_t *server = s_find(self, text_of(cluster->members[i]));
        usable += server && server->connected && server->breaker == BREAKER_CLOSED;
    }
    return usable;
}

static uint32_t s_queue_of(const servers_t *self, const known_t *server)
{
    return server && server->queue ? server->queue : self->standard_queue;
}

uint32_t servers_cluster_queue(const servers_t *self, text_t name)
{
    const cluster_t *cluster = s_cluster(self, name);
    if (!cluster || cluster->queue)
        return cluster ? cluster->queue : 0;
    uint32_t queue = 0;
    for (size_t i = 0; i < cluster->members_len; i++)
        queue += s_queue_of(self, s_find(self, text_of(cluster->members[i])));
    return queue;
}

/* ---- Pools ---- */

static size_t s_pool_key(const servers_wanted_t *wanted, char key[POOL_KEY])
{
    bool by_type = wanted->target == SERVERS_BY_TYPE;
    size_t name_len = by_type ? 0 : wanted->name.len;
    key[0] = (char)wanted->target;
    key[1] = by_type ? (char)wanted->type : 0;
    if (name_len)
        memcpy(key + 2, wanted->name.data, name_len);
    key[2 + name_len] = 0;
    if (wanted->service.len)
        memcpy(key + 3 + name_len, wanted->service.data, wanted->service.len);
    return 3 + name_len + wanted->service.len;
}

static void s_forget_idle(servers_t *self)
{
    servers_pool_t *pool, *next;
    HASH_ITER(hh, self->pools, pool, next)
    {
        if (pool->holders == 0)
            s_free_pool(self, pool);
    }
    self->idle = 0;
}

servers_pool_t *servers_hold(servers_t *self, const servers_wanted_t *wanted)
{
    char key[POOL_KEY];
    CHECK(wanted->name.len <= LIMIT_NAME && wanted->service.len <= LIMIT_NAME);
    size_t len = s_pool_key(wanted, key);
    servers_pool_t *pool = NULL;
    HASH_FIND(hh, self->pools, key, len, pool);
    if (pool) {
        self->idle -= pool->holders == 0;
        pool->holders++;
        return pool;
    }
    pool = memory_zero(1, sizeof *pool);
    memcpy(pool->key, key, len);
    pool->target = wanted->target;
    pool->type = wanted->type;
    s_copy_name(pool->name, wanted->name);
    s_copy_name(pool->service, wanted->service);
    pool->holders = 1;
    HASH_ADD_KEYPTR(hh, self->pools, pool->key, len, pool);
    return pool;
}

void servers_release(servers_t *self, servers_pool_t *pool)
{
    CHECK(pool->holders > 0);
    if (--pool->holders > 0)
        return;
    if (++self->idle > IDLE_POOLS)
        s_forget_idle(self);
}

static bool s_names(const known_t *server, const char *service)
{
    for (size_t i = 0; i < server->services_len; i++)
        if (strcmp(server->services[i], service) == 0)
            return true;
    return false;
}

static bool s_is_addressed(const servers_t *self, const servers_pool_t *pool, const known_t *server)
{
    if (pool->target == SERVERS_BY_TYPE)
        return server->type == pool->type;
    if (pool->target == SERVERS_BY_NAME)
        return strcmp(server->name, pool->name) == 0;
    const cluster_t *cluster = s_cluster(self, text_of(pool->name));
    for (size_t i = 0; cluster && i < cluster->members_len; i++)
        if (strcmp(cluster->members[i], server->name) == 0)
            return true;
    return false;
}

static bool s_offers(const servers_pool_t *pool, const known_t *server)
{
    bool must_name = pool->target == SERVERS_BY_TYPE && pool->type == SERVERS_THIRD_PARTY;
    return (server->services_len == 0 && !must_name) || s_names(server, pool->service);
}

static int s_compare(const void *a, const void *b, void *servers)
{
    known_t *const *known = servers;
    return strcmp(known[*(const server_t *)a]->name, known[*(const server_t *)b]->name);
}

/* Behind the one that was chosen last, which need not be a member any more. */
static void s_find_next(const servers_t *self, servers_pool_t *pool)
{
    pool->next = 0;
    while (pool->next < pool->members_len &&
           strcmp(self->servers[pool->members[pool->next]]->name, pool->last) <= 0)
        pool->next++;
    if (pool->next == pool->members_len)
        pool->next = 0;
}

static void s_make_members(servers_t *self, servers_pool_t *pool)
{
    bool addressed = false, undeclared = false;
    pool->members_len = 0;
    for (size_t i = 0; i < self->len; i++) {
        known_t *server = self->servers[i];
        if (!server->connected || !s_is_addressed(self, pool, server))
            continue;
        addressed = true;
        undeclared = undeclared || server->services_len == 0;
        if (!s_offers(pool, server))
            continue;
        pool->members =
            memory_resize(pool->members, (pool->members_len + 1) * sizeof *pool->members);
        pool->members[pool->members_len++] = server->number;
    }
    if (pool->members_len)
        qsort_r(pool->members, pool->members_len, sizeof *pool->members, s_compare, self->servers);
    pool->without = !addressed   ? SERVERS_NONE
                    : undeclared ? SERVERS_UNDECLARED
                                 : SERVERS_NOT_OFFERED;
    s_find_next(self, pool);
    pool->made = self->generation;
}

static void s_refresh(servers_t *self, servers_pool_t *pool)
{
    if (pool->made != self->generation)
        s_make_members(self, pool);
}

servers_result_t servers_why_empty(servers_t *self, servers_pool_t *pool)
{
    s_refresh(self, pool);
    return pool->members_len ? SERVERS_CHOSEN : pool->without;
}

uint32_t servers_queue(servers_t *self, servers_pool_t *pool)
{
    if (pool->target == SERVERS_BY_CLUSTER)
        return servers_cluster_queue(self, text_of(pool->name));
    if (pool->target == SERVERS_BY_NAME)
        return s_queue_of(self, s_find(self, text_of(pool->name)));
    s_refresh(self, pool);
    uint32_t queue = 0;
    for (size_t i = 0; i < pool->members_len; i++)
        queue += s_queue_of(self, self->servers[pool->members[i]]);
    return queue ? queue : self->standard_queue;
}

void servers_set_last(servers_t *self, servers_pool_t *pool, text_t server_name)
{
    s_copy_name(pool->last, server_name);
    pool->made = 0;
    s_refresh(self, pool);
}

/* ---- Choice ---- */

static bool s_is_broken(const known_t *server, usec_t now)
{
    return server->breaker == BREAKER_PROBING ||
           (server->breaker == BREAKER_OPEN && now < server->open_until);
}

servers_result_t servers_choose(servers_t *self, servers_pool_t *pool, usec_t now,
                                server_t *ret_server)
{
    s_refresh(self, pool);
    bool broken = false;
    for (size_t i = 0; i < pool->members_len; i++) {
        size_t at = pool->next + i;
        if (at >= pool->members_len)
            at -= pool->members_len;
        known_t *server = self->servers[pool->members[at]];
        if (server->in_flight >= server->window)
            continue;
        if (s_is_broken(server, now)) {
            broken = true;
            continue;
        }
        if (server->breaker == BREAKER_OPEN)
            server->breaker = BREAKER_PROBING;
        server->in_flight++;
        pool->next = at + 1 == pool->members_len ? 0 : at + 1;
        memcpy(pool->last, server->name, sizeof pool->last);
        *ret_server = server->number;
        return SERVERS_CHOSEN;
    }
    return pool->members_len == 0 ? pool->without : broken ? SERVERS_BROKEN : SERVERS_FULL;
}

void servers_sent(servers_t *self, server_t server)
{
    self->servers[server]->in_flight++;
}

void servers_done(servers_t *self, server_t number, servers_outcome_t outcome, usec_t now)
{
    known_t *server = self->servers[number];
    CHECK(server->in_flight > 0);
    server->in_flight--;
    self->changed = true;
    if (outcome == SERVERS_GOOD) {
        server->failures = 0;
        server->breaker = BREAKER_CLOSED;
    } else if (outcome == SERVERS_FAILED) {
        s_failed(self, server, now);
    } else if (server->breaker == BREAKER_PROBING) {
        server->breaker = BREAKER_OPEN; /* it said nothing of the server: probed again */
        server->open_until = now;
    }
}

bool servers_may_choose(servers_t *self, usec_t now)
{
    bool may = self->changed;
    self->changed = false;
    for (size_t i = 0; !may && i < self->len; i++) {
        const known_t *server = self->servers[i];
        may = server->connected && server->breaker == BREAKER_OPEN && now >= server->open_until;
    }
    return may;
}
