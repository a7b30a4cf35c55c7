/* Check: names that are used twice, names that nothing defines, numbers that contradict each other.
 */
#include "config/check.h"

#include <stdlib.h>
#include <string.h>

#include "config/scalar.h"
#include "core/base/alloc.h"
#include "core/base/check.h"

/* An item of a list by its name; `scope` is the tenant it belongs to. */
typedef struct {
    const char *name;
    const char *scope;
    size_t item;
} named_t;

static int s_compare_names(const named_t *a, const named_t *b)
{
    int order = strcmp(a->scope, b->scope);
    return order ? order : strcmp(a->name, b->name);
}

static int s_compare(const void *a_p, const void *b_p)
{
    const named_t *a = a_p;
    const named_t *b = b_p;
    int order = s_compare_names(a, b);
    return order ? order : (a->item > b->item) - (a->item < b->item);
}

/* The tenant of an item; "" where the list has none. */
static const char *s_tenant_of(const config_t *config, schema_section_id_t id, size_t item)
{
    switch (id) {
    case SCHEMA_QUEUES:
        return config->queues[item].tenant;
    case SCHEMA_STRATEGIES:
        return config->strategies[item].tenant;
    case SCHEMA_AGENTS:
        return config->agents[item].tenant;
    default:
        return "";
    }
}

/* Names of a list are unique (in their tenant, where they have one). The first item in the file
 * that takes a name again is the error. */
static bool s_check_names(const config_t *config, const places_t *places, schema_section_id_t id,
                          error_t *ret_error)
{
    const schema_section_t *section = &schema_sections[id];
    size_t len = schema_items_len(section, config);
    named_t *names = memory_zero(len, sizeof *names);
    for (size_t i = 0; i < len; i++) {
        const char *item = schema_item(section, config, i);
        const char *scope = s_tenant_of(config, id, i);
        names[i] = (named_t){item + section->keys[0].offset, scope, i};
    }
    qsort(names, len, sizeof *names, s_compare);
    const named_t *again = NULL;
    const named_t *first = NULL;
    for (size_t i = 1; i < len; i++) {
        bool same = s_compare_names(&names[i - 1], &names[i]) == 0;
        if (same && (!again || names[i].item < again->item)) {
            again = &names[i];
            first = &names[i - 1];
        }
    }
    bool ok = true;
    if (again) {
        char shown[PLACE_SHOWN_SIZE];
        place_t before = places_of(places, id, first->item, 0);
        ok = places_error(places, places_of(places, id, again->item, 0), ret_error,
                          "%s has the name %s twice%s%s, first on line %u; names must differ",
                          section->path, place_show(text_of(again->name), shown),
                          *again->scope ? " in tenant " : "", again->scope, before.line);
    }
    free(names);
    return ok;
}

static bool s_has_tenant(const config_t *config, const char *name)
{
    for (size_t i = 0; i < config->tenants_len; i++) {
        if (strcmp(config->tenants[i].name, name) == 0)
            return true;
    }
    return false;
}

/* "a, b, c" as far as an error has room for it. */
static void s_list_tenants(const config_t *config, buffer_t *out)
{
    const size_t max = 8;
    for (size_t i = 0; i < config->tenants_len && i < max; i++)
        buffer_printf(out, "%s%s", i ? ", " : "", config->tenants[i].name);
    if (config->tenants_len > max)
        buffer_printf(out, " and %zu more", config->tenants_len - max);
    buffer_append(out, "", 1);
}

/* `noun`: what an item of this list is. */
static bool s_check_tenant(const config_t *config, const places_t *places, schema_section_id_t id,
                           const char *noun, size_t item, error_t *ret_error)
{
    const schema_section_t *section = &schema_sections[id];
    const schema_key_t *key = schema_find_key(section, TEXT("tenant"));
    const char *tenant = s_tenant_of(config, id, item);
    CHECK(key);
    if (s_has_tenant(config, tenant))
        return true;
    const char *name = (const char *)schema_item(section, config, item) + section->keys[0].offset;
    char shown[2][PLACE_SHOWN_SIZE];
    buffer_t known = {0};
    s_list_tenants(config, &known);
    places_error(places, places_of(places, id, item, (size_t)(key - section->keys)), ret_error,
                 "%s %s is of tenant %s, which is not one of `tenants`: %s; add it there or "
                 "name one of these",
                 noun, place_show(text_of(name), shown[0]), place_show(text_of(tenant), shown[1]),
                 (const char *)known.bytes);
    buffer_free(&known);
    return false;
}

static bool s_check_queue(const config_t *config, const places_t *places, size_t item,
                          error_t *ret_error)
{
    enum { KEY_MAX_LENGTH = 3 };
    const schema_key_t *keys = schema_sections[SCHEMA_QUEUES].keys;
    CHECK(strcmp(keys[KEY_MAX_LENGTH].name, "max_length") == 0);
    const config_queue_t *queue = &config->queues[item];
    if (!s_check_tenant(config, places, SCHEMA_QUEUES, "queue", item, ret_error))
        return false;
    if (queue->max_length > config->max_interactions)
        return places_error(places, places_of(places, SCHEMA_QUEUES, item, KEY_MAX_LENGTH),
                            ret_error,
                            "queues.max_length is %u, but limits.max_interactions is %u and would "
                            "be reached first; lower this one or raise the other",
                            queue->max_length, config->max_interactions);
    return true;
}

static bool s_is_cluster(const config_t *config, const char *name)
{
    for (size_t i = 0; i < config->clusters_len; i++) {
        if (strcmp(config->clusters[i].name, name) == 0)
            return true;
    }
    return false;
}

static bool s_is_server(const config_t *config, const char *name)
{
    for (size_t i = 0; i < config->applications_len; i++) {
        if (strcmp(config->applications[i].name, name) == 0)
            return true;
    }
    return false;
}

/* Members are servers that are listed, each once; one level only. */
static bool s_check_cluster(const config_t *config, const places_t *places, size_t item,
                            error_t *ret_error)
{
    enum { KEY_MEMBERS = 1 };
    CHECK(strcmp(schema_sections[SCHEMA_CLUSTERS].keys[KEY_MEMBERS].name, "members") == 0);
    const config_cluster_t *cluster = &config->clusters[item];
    place_t place = places_of(places, SCHEMA_CLUSTERS, item, KEY_MEMBERS);
    char shown[2][PLACE_SHOWN_SIZE];
    place_show(text_of(cluster->name), shown[0]);
    if (cluster->members.len == 0)
        return places_error(places, place, ret_error,
                            "cluster %s has no members; name at least one", shown[0]);
    for (size_t i = 0; i < cluster->members.len; i++) {
        const char *member = cluster->members.names[i];
        place_show(text_of(member), shown[1]);
        if (s_is_cluster(config, member))
            return places_error(
                places, place, ret_error,
                "cluster %s has the cluster %s in it; clusters have one level: name "
                "the servers of %s instead",
                shown[0], shown[1], shown[1]);
        if (!s_is_server(config, member))
            return places_error(places, place, ret_error,
                                "cluster %s has the member %s, which is not one of "
                                "`applications.servers`; add it there",
                                shown[0], shown[1]);
        for (size_t j = 0; j < i; j++) {
            if (strcmp(cluster->members.names[j], member) == 0)
                return places_error(places, place, ret_error,
                                    "cluster %s has the member %s twice; name it once", shown[0],
                                    shown[1]);
        }
    }
    return true;
}

static bool s_is_in_a_cluster(const config_t *config, const char *name)
{
    for (size_t i = 0; i < config->clusters_len; i++) {
        const config_names_t *members = &config->clusters[i].members;
        for (size_t j = 0; j < members->len; j++) {
            if (strcmp(members->names[j], name) == 0)
                return true;
        }
    }
    return false;
}

/* Work is shared by those routers only that take part in agent reservation. */
static size_t s_router_notes(const config_t *self, FILE *file)
{
    size_t notes = 0;
    for (size_t i = 0; i < self->routers_len && self->routers_len > 1; i++) {
        if (self->routers[i].agent_reservation)
            continue;
        notes++;
        fprintf(
            file,
            "note: routers: \"%s\" has no agent_reservation: where another router runs the same "
            "strategy, it gets none of that work\n",
            self->routers[i].name);
    }
    return notes;
}

size_t config_notes(const config_t *self, FILE *file)
{
    enum { THIRD_PARTY = 6 };
    size_t notes = 0;
    for (size_t i = 0; i < self->applications_len; i++) {
        const config_application_t *server = &self->applications[i];
        if (server->type != THIRD_PARTY || server->services.len > 0)
            continue;
        notes++;
        fprintf(
            file,
            "note: applications.servers: third-party server \"%s\" names no services: unless it "
            "names them when it registers, it is reached by its name%s only, never by type\n",
            server->name, s_is_in_a_cluster(self, server->name) ? " or through its cluster" : "");
    }
    return notes + s_router_notes(self, file);
}

/* One key, so many times, must not be larger than another of the same unit. */
typedef struct {
    unsigned times;
    schema_section_id_t smaller_section;
    const char *smaller;
    schema_section_id_t larger_section;
    const char *larger;
    const char *reason;
} order_t;

static const order_t s_orders[] = {
    {1, SCHEMA_DEDUPE, "guaranteed", SCHEMA_DEDUPE, "window",
     "no more can be guaranteed than is remembered"},
    {1, SCHEMA_DEDUPE, "window", SCHEMA_HISTORY, "retention",
     "after a restart keys are read back from the history"},
    {4, SCHEMA_PAIR, "heartbeat", SCHEMA_PAIR, "failover_timeout",
     "a few lost heartbeats must not look like a dead node"},
    {5, SCHEMA_PAIR, "beat", SCHEMA_PAIR, "failover_timeout",
     "a few slow commits must not look like a dead node"},
};

static bool s_check_order(const config_t *config, const places_t *places, const order_t *order,
                          error_t *ret_error)
{
    const schema_section_t *sections[2] = {&schema_sections[order->smaller_section],
                                           &schema_sections[order->larger_section]};
    const schema_key_t *smaller = schema_find_key(sections[0], text_of(order->smaller));
    const schema_key_t *larger = schema_find_key(sections[1], text_of(order->larger));
    CHECK(smaller && larger && smaller->type == larger->type);
    if (scalar_number(smaller, config) * order->times <= scalar_number(larger, config))
        return true;
    size_t smaller_index = (size_t)(smaller - sections[0]->keys);
    size_t larger_index = (size_t)(larger - sections[1]->keys);
    place_t place = places_given(places, order->smaller_section, 0, smaller_index)
                        ? places_of(places, order->smaller_section, 0, smaller_index)
                        : places_of(places, order->larger_section, 0, larger_index);
    buffer_t text = {0};
    buffer_printf(&text, "%s.%s is ", sections[0]->path, smaller->name);
    scalar_write(smaller, config, &text);
    if (order->times > 1)
        buffer_printf(&text, ", %u times that is", order->times);
    buffer_printf(&text, "%s more than %s.%s, which is ", order->times > 1 ? "" : ",",
                  sections[1]->path, larger->name);
    scalar_write(larger, config, &text);
    buffer_printf(&text, "; %s: lower the one or raise the other", order->reason);
    places_error(places, place, ret_error, "%.*s", (int)text.len, (const char *)text.bytes);
    buffer_free(&text);
    return false;
}

/* The place of a key of the pair. */
static place_t s_pair_place(const places_t *places, const char *name)
{
    const schema_section_t *section = &schema_sections[SCHEMA_PAIR];
    const schema_key_t *key = schema_find_key(section, text_of(name));
    CHECK(key);
    return places_of(places, SCHEMA_PAIR, 0, (size_t)(key - section->keys));
}

/* "Every address of this machine" can be bound, but nobody can connect to it. */
static bool s_is_any_address(const char *endpoint)
{
    static const char *const any[] = {"tcp://*:", "tcp://0.0.0.0:", "tcp://[::]:"};
    for (size_t i = 0; i < sizeof any / sizeof any[0]; i++) {
        if (strncmp(endpoint, any[i], strlen(any[i])) == 0)
            return true;
    }
    return false;
}

static bool s_check_pair(const config_t *config, const places_t *places, error_t *ret_error)
{
    char shown[PLACE_SHOWN_SIZE];
    if (!config->has_peer)
        return true;
    if (strcmp(config->peer_bind, config->client_endpoint) == 0)
        return places_error(places, s_pair_place(places, "bind"), ret_error,
                            "pair.bind is %s, and so is node.client_endpoint; the peer port is one "
                            "of its own: give it another port",
                            place_show(text_of(config->peer_bind), shown));
    if (strcmp(config->peer_bind, config->peer_endpoint) == 0)
        return places_error(places, s_pair_place(places, "peer"), ret_error,
                            "pair.peer is %s, and so is pair.bind; `bind` is the peer port of this "
                            "node, `peer` that of the other one",
                            place_show(text_of(config->peer_endpoint), shown));
    if (s_is_any_address(config->peer_endpoint))
        return places_error(places, s_pair_place(places, "peer"), ret_error,
                            "pair.peer is %s, which is every address of this machine; write the "
                            "address or name of the other node's",
                            place_show(text_of(config->peer_endpoint), shown));
    return true;
}

static bool s_is_loopback(const char *endpoint)
{
    static const char *const loopback[] = {"tcp://127.", "tcp://localhost:", "tcp://[::1]:"};
    for (size_t i = 0; i < sizeof loopback / sizeof loopback[0]; i++) {
        if (strncmp(endpoint, loopback[i], strlen(loopback[i])) == 0)
            return true;
    }
    return false;
}

static place_t s_admin_place(const places_t *places, const char *name)
{
    const schema_section_t *section = &schema_sections[SCHEMA_ADMIN];
    const schema_key_t *key = schema_find_key(section, text_of(name));
    CHECK(key);
    return places_of(places, SCHEMA_ADMIN, 0, (size_t)(key - section->keys));
}

static bool s_check_admin(const config_t *config, const places_t *places, error_t *ret_error)
{
    char shown[PLACE_SHOWN_SIZE];
    const char *endpoint = config->admin_endpoint;
    if (!config->has_admin)
        return true;
    if (strncmp(endpoint, "tcp://", strlen("tcp://")) != 0)
        return places_error(places, s_admin_place(places, "endpoint"), ret_error,
                            "admin.endpoint is %s; the admin port is tcp://HOST:PORT",
                            place_show(text_of(endpoint), shown));
    if (strcmp(endpoint, config->client_endpoint) == 0 ||
        (config->has_peer && strcmp(endpoint, config->peer_bind) == 0))
        return places_error(places, s_admin_place(places, "endpoint"), ret_error,
                            "admin.endpoint is %s, and so is node.client_endpoint or pair.bind; "
                            "give it another port",
                            place_show(text_of(endpoint), shown));
    if (!config->admin_tokens[0] && !s_is_loopback(endpoint))
        return places_error(places, s_admin_place(places, "endpoint"), ret_error,
                            "admin.endpoint is %s, which others than this machine can reach, but "
                            "there is no admin.tokens, so anybody could change everything; name a "
                            "file of tokens, or listen on 127.0.0.1",
                            place_show(text_of(endpoint), shown));
    if (!config->admin_certificate[0] == !config->admin_private_key[0])
        return true;
    return places_error(
        places, s_admin_place(places, config->admin_certificate[0] ? "certificate" : "private_key"),
        ret_error, "admin.certificate and admin.private_key belong together; give both or none");
}

bool check_all(const config_t *config, const places_t *places, error_t *ret_error)
{
    static const schema_section_id_t lists[] = {SCHEMA_DAPS,    SCHEMA_TENANTS,    SCHEMA_QUEUES,
                                                SCHEMA_ROUTERS, SCHEMA_STRATEGIES, SCHEMA_AGENTS,
                                                SCHEMA_SERVERS, SCHEMA_CLUSTERS};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        if (!s_check_names(config, places, lists[i], ret_error))
            return false;
    }
    for (size_t i = 0; i < config->queues_len; i++) {
        if (!s_check_queue(config, places, i, ret_error))
            return false;
    }
    for (size_t i = 0; i < config->clusters_len; i++) {
        if (!s_check_cluster(config, places, i, ret_error))
            return false;
    }
    for (size_t i = 0; i < config->strategies_len; i++) {
        if (!s_check_tenant(config, places, SCHEMA_STRATEGIES, "strategy", i, ret_error))
            return false;
    }
    for (size_t i = 0; i < config->agents_len; i++) {
        if (!s_check_tenant(config, places, SCHEMA_AGENTS, "agent", i, ret_error))
            return false;
    }
    for (size_t i = 0; i < sizeof s_orders / sizeof s_orders[0]; i++) {
        if (!s_check_order(config, places, &s_orders[i], ret_error))
            return false;
    }
    return s_check_pair(config, places, ret_error) && s_check_admin(config, places, ret_error);
}
