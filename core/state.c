#include "core/state.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/state_internal.h"

enum { CHUNK = 4096 };

/* ---- Order ---- */

static int s_compare_line(const interaction_t *a, const interaction_t *b)
{
    if (a->priority != b->priority)
        return a->priority > b->priority ? -1 : 1;
    if (a->age != b->age)
        return a->age < b->age ? -1 : 1;
    return 0;
}

/* Equal deadlines are common; the handle tells them apart. */
static int s_compare_deadline(const interaction_t *a, const interaction_t *b)
{
    if (a->deadline != b->deadline)
        return a->deadline < b->deadline ? -1 : 1;
    if (a->handle != b->handle)
        return a->handle < b->handle ? -1 : 1;
    return 0;
}

RB_GENERATE_INTERNAL(line, interaction, line, s_compare_line, static __attribute__((unused)))
RB_GENERATE_INTERNAL(deadlines, interaction, line, s_compare_deadline,
                     static __attribute__((unused)))

/* ---- Records ---- */

interaction_t *state_record(const state_t *self, uint32_t handle)
{
    return &self->chunks[handle / CHUNK][handle % CHUNK];
}

static const id128_t *s_id_of(const void *owner, uint32_t handle)
{
    return &state_record(owner, handle)->id;
}

static const id128_t *s_key_of(const void *owner, uint32_t handle)
{
    return &state_record(owner, handle)->key_hash;
}

static void s_free_record(state_t *self, uint32_t handle)
{
    *state_record(self, handle) = (interaction_t){.version = self->free_record};
    self->free_record = handle + 1;
}

static void s_new_chunk(state_t *self)
{
    uint32_t number = self->chunks_len++;
    self->chunks = memory_resize(self->chunks, self->chunks_len * sizeof *self->chunks);
    self->chunks[number] = memory_zero(CHUNK, sizeof(interaction_t));
    for (uint32_t i = CHUNK; i-- > 0;)
        s_free_record(self, number * CHUNK + i);
}

interaction_t *state_record_new(state_t *self)
{
    if (self->free_record == 0)
        s_new_chunk(self);
    uint32_t handle = self->free_record - 1;
    interaction_t *interaction = state_record(self, handle);
    self->free_record = interaction->version;
    *interaction = (interaction_t){.handle = handle, .deadline = USEC_NEVER};
    self->count++;
    return interaction;
}

static size_t s_texts_size(const interaction_texts_t *texts)
{
    return sizeof *texts + FIELDS + texts->attributes_len + texts->external_id_len +
           texts->media_type_len + texts->type_len + texts->subtype_len + texts->submitted_by_len +
           texts->key_len + texts->parent_len;
}

static void s_free_more(state_t *self, interaction_t *interaction)
{
    interaction_more_t *more = interaction->more;
    if (!more)
        return;
    journey_destroy(&more->journey, self->symbols);
    free(more->reason);
    free(more);
}

void state_record_free(state_t *self, interaction_t *interaction)
{
    if (interaction->texts)
        self->text_bytes -= s_texts_size(interaction->texts);
    free(interaction->texts);
    s_free_more(self, interaction);
    s_free_record(self, interaction->handle);
}

interaction_more_t *state_more(interaction_t *interaction)
{
    if (!interaction->more)
        interaction->more = memory_zero(1, sizeof *interaction->more);
    return interaction->more;
}

void interaction_texts(const interaction_t *self, text_t ret_texts[FIELDS])
{
    const interaction_texts_t *texts = self->texts;
    const size_t lens[FIELDS] = {
        [FIELD_ATTRIBUTES] = texts->attributes_len,
        [FIELD_EXTERNAL_ID] = texts->external_id_len,
        [FIELD_MEDIA_TYPE] = texts->media_type_len,
        [FIELD_TYPE] = texts->type_len,
        [FIELD_SUBTYPE] = texts->subtype_len,
        [FIELD_SUBMITTED_BY] = texts->submitted_by_len,
        [FIELD_KEY] = texts->key_len,
        [FIELD_PARENT] = texts->parent_len,
    };
    const char *at = texts->data;
    for (interaction_field_t i = 0; i < FIELDS; i++) {
        ret_texts[i] = (text_t){at, lens[i]};
        at += lens[i] + 1;
    }
}

text_t interaction_text(const interaction_t *self, interaction_field_t field)
{
    text_t texts[FIELDS];
    interaction_texts(self, texts);
    return texts[field];
}

void interaction_set_texts(interaction_t *self, const text_t texts[FIELDS], size_t *bytes)
{
    size_t size = sizeof(interaction_texts_t) + FIELDS;
    for (int i = 0; i < FIELDS; i++)
        size += texts[i].len;
    interaction_texts_t *block = memory_new(size);
    *block = (interaction_texts_t){
        .attributes_len = (uint32_t)texts[FIELD_ATTRIBUTES].len,
        .external_id_len = (uint8_t)texts[FIELD_EXTERNAL_ID].len,
        .media_type_len = (uint8_t)texts[FIELD_MEDIA_TYPE].len,
        .type_len = (uint8_t)texts[FIELD_TYPE].len,
        .subtype_len = (uint8_t)texts[FIELD_SUBTYPE].len,
        .submitted_by_len = (uint8_t)texts[FIELD_SUBMITTED_BY].len,
        .key_len = (uint8_t)texts[FIELD_KEY].len,
        .parent_len = (uint8_t)texts[FIELD_PARENT].len,
    };
    char *end = block->data;
    for (int i = 0; i < FIELDS; i++) {
        if (texts[i].len)
            memcpy(end, texts[i].data, texts[i].len);
        end += texts[i].len;
        *end++ = 0;
    }
    *bytes += size;
    if (self->texts)
        *bytes -= s_texts_size(self->texts);
    free(self->texts); /* only now: the new texts may have pointed into it */
    self->texts = block;
}

/* ---- Lines and deadlines ---- */

void state_link(state_t *self, interaction_t *interaction)
{
    queue_t *queue = self->queues[interaction->queue];
    if (interaction->state == INTERACTION_QUEUED) {
        queue->length++;
        if (!(interaction->flags & INTERACTION_HELD)) {
            CHECK(!RB_INSERT(line, &queue->line, interaction));
            return;
        }
    }
    if (interaction->deadline != USEC_NEVER)
        CHECK(!RB_INSERT(deadlines, &self->deadlines, interaction));
}

bool state_place_is_free(const state_t *self, interaction_t *interaction)
{
    return !RB_FIND(line, &self->queues[interaction->queue]->line, interaction);
}

void state_unlink(state_t *self, interaction_t *interaction)
{
    queue_t *queue = self->queues[interaction->queue];
    if (interaction->state == INTERACTION_QUEUED) {
        queue->length--;
        if (!(interaction->flags & INTERACTION_HELD)) {
            RB_REMOVE(line, &queue->line, interaction);
            return;
        }
    }
    if (interaction->deadline != USEC_NEVER)
        RB_REMOVE(deadlines, &self->deadlines, interaction);
}

interaction_t *state_first_in_line(queue_t *queue)
{
    return RB_MIN(line, &queue->line);
}

interaction_t *state_next_deadline(state_t *self)
{
    return RB_MIN(deadlines, &self->deadlines);
}

const interaction_t *state_of_handle(const state_t *self, uint32_t handle)
{
    if (handle >= state_handles(self))
        return NULL;
    const interaction_t *interaction = state_record(self, handle);
    bool live = interaction->state && interaction->state != INTERACTION_COMPLETED;
    return live ? interaction : NULL; /* a completed one is only kept for an image */
}

uint32_t state_handles(const state_t *self)
{
    return self->chunks_len * CHUNK;
}

usec_t state_oldest_in_line(queue_t *queue, unsigned priorities)
{
    usec_t oldest = 0;
    interaction_t *first = RB_MIN(line, &queue->line);
    for (unsigned i = 0; i < priorities && first; i++) {
        if (!oldest || first->placed_at < oldest)
            oldest = first->placed_at;
        interaction_t next = {.priority = first->priority - 1};
        first = RB_NFIND(line, &queue->line, &next);
    }
    return oldest;
}

void state_give_to_router(state_t *self, interaction_t *interaction, state_router_t *router)
{
    (void)self;
    interaction->more->router = router->number;
    LIST_INSERT_HEAD(&router->interactions, interaction, more->with_router);
    router->pending++;
}

void state_take_from_router(state_t *self, interaction_t *interaction)
{
    state_router_t *router = self->routers[interaction->more->router];
    LIST_REMOVE(interaction, more->with_router);
    router->pending--;
}

/* ---- Tables of names ---- */

bool state_tenant(const state_t *self, text_t name, uint16_t *ret_tenant)
{
    for (size_t i = 0; i < self->tenants_len; i++) {
        if (text_equal(text_of(self->tenants[i]), name)) {
            *ret_tenant = (uint16_t)i;
            return true;
        }
    }
    return false;
}

static bool s_fits(text_t name)
{
    return name.len <= LIMIT_NAME;
}

/* A table of `len` members with room for one more: it doubles when it is full. */
static void *s_with_room(void *table, size_t len, size_t size)
{
    bool full = (len & (len - 1)) == 0;
    return full ? memory_resize(table, (len ? len * 2 : 1) * size) : table;
}

bool state_tenant_make(state_t *self, text_t name, uint16_t *ret_tenant)
{
    if (state_tenant(self, name, ret_tenant))
        return true;
    if (!s_fits(name) || self->tenants_len == LIMIT_SYMBOLS)
        return false;
    self->tenants = s_with_room(self->tenants, self->tenants_len, sizeof *self->tenants);
    memcpy(self->tenants[self->tenants_len], name.data, name.len);
    self->tenants[self->tenants_len][name.len] = 0;
    *ret_tenant = (uint16_t)self->tenants_len++;
    return true;
}

static size_t s_queue_key(uint16_t tenant, text_t name, char key[sizeof(uint16_t) + LIMIT_NAME])
{
    memcpy(key, &tenant, sizeof tenant);
    memcpy(key + sizeof tenant, name.data, name.len);
    return sizeof tenant + name.len;
}

queue_t *state_queue(const state_t *self, uint16_t tenant, text_t name)
{
    if (!s_fits(name))
        return NULL;
    char key[sizeof(uint16_t) + LIMIT_NAME];
    size_t len = s_queue_key(tenant, name, key);
    queue_t *queue = NULL;
    HASH_FIND(hh, self->queues_by_name, key, len, queue);
    return queue;
}

queue_t *state_queue_make(state_t *self, uint16_t tenant, text_t name)
{
    queue_t *queue = state_queue(self, tenant, name);
    if (queue)
        return queue;
    if (!s_fits(name) || self->queues_len == LIMIT_SYMBOLS)
        return NULL;
    queue = memory_zero(1, sizeof *queue);
    memcpy(queue->name, name.data, name.len);
    queue->names = digest_of_names(text_of(self->tenants[tenant]), name);
    queue->number = (uint16_t)self->queues_len;
    queue->tenant = tenant;
    RB_INIT(&queue->line);
    self->queues = s_with_room(self->queues, self->queues_len, sizeof *self->queues);
    self->queues[self->queues_len++] = queue;
    size_t len = s_queue_key(tenant, name, queue->key);
    HASH_ADD_KEYPTR(hh, self->queues_by_name, queue->key, len, queue);
    return queue;
}

state_router_t *state_router(state_t *self, text_t name)
{
    state_router_t *router = NULL;
    HASH_FIND(hh, self->routers_by_name, name.data, name.len, router);
    if (router)
        return router;
    if (!s_fits(name) || self->routers_len == LIMIT_SYMBOLS)
        return NULL;
    router = memory_zero(1, sizeof *router);
    memcpy(router->name, name.data, name.len);
    router->names = digest_of_names(TEXT(""), name);
    router->number = (uint16_t)self->routers_len;
    LIST_INIT(&router->interactions);
    self->routers = s_with_room(self->routers, self->routers_len, sizeof *self->routers);
    self->routers[self->routers_len++] = router;
    HASH_ADD_KEYPTR(hh, self->routers_by_name, router->name, name.len, router);
    return router;
}

/* ---- Finding ---- */

interaction_t *state_find(const state_t *self, const id128_t *id)
{
    uint32_t handle;
    return index_find(self->by_id, id, &handle) ? state_record(self, handle) : NULL;
}

interaction_t *state_find_by_key(const state_t *self, const id128_t *key_hash)
{
    uint32_t handle;
    return index_find(self->by_key, key_hash, &handle) ? state_record(self, handle) : NULL;
}

static uint64_t s_change(const void *bytes, size_t len, XXH64_hash_t seed)
{
    uint64_t hash = XXH3_64bits_withSeed(bytes, len, seed);
    return hash ? hash : 1;
}

uint64_t change_of_key(text_t key)
{
    return s_change(key.data, key.len, 1);
}

uint64_t change_of_token(uint64_t epoch, uint64_t index)
{
    uint64_t token[2] = {htole64(epoch), htole64(index)};
    return s_change(token, sizeof token, 2);
}

id128_t key_hash_of(text_t tenant, text_t key)
{
    char bytes[LIMIT_NAME + 1 + LIMIT_KEY];
    CHECK(tenant.len <= LIMIT_NAME && key.len <= LIMIT_KEY);
    memcpy(bytes, tenant.data, tenant.len);
    bytes[tenant.len] = 0;
    if (key.len)
        memcpy(bytes + tenant.len + 1, key.data, key.len);
    return id_hash(bytes, tenant.len + 1 + key.len);
}

/* ---- Configuration ---- */

static bool s_name_fits(const char *name)
{
    return s_fits(text_of(name));
}

static bool s_durations_fit(const Ixn__V1__EngineConfiguration *configuration)
{
    return configuration->routing_timeout_ms <= LIMIT_DURATION_MS &&
           configuration->hold_timeout_ms <= LIMIT_DURATION_MS &&
           configuration->service_timeout_ms <= LIMIT_DURATION_MS &&
           configuration->service_breaker_pause_ms <= LIMIT_DURATION_MS &&
           configuration->dedupe_window_ms <= LIMIT_DURATION_MS &&
           configuration->dedupe_guaranteed_ms <= LIMIT_DURATION_MS &&
           configuration->reservation_time_ms <= LIMIT_DURATION_MS &&
           configuration->request_collection_time_ms <= LIMIT_DURATION_MS;
}

/* Names stay when they are no longer configured, so only those that are new need room. A new tenant
 * is counted once more for each of its queues; nobody has that many. */
bool state_check_configuration(const state_t *self,
                               const Ixn__V1__EngineConfiguration *configuration)
{
    size_t tenants = self->tenants_len, queues = self->queues_len;
    uint16_t tenant;
    for (size_t i = 0; i < configuration->n_tenants; i++) {
        const char *name = configuration->tenants[i]->name;
        if (!s_name_fits(name))
            return false;
        tenants += !state_tenant(self, text_of(name), &tenant);
    }
    for (size_t i = 0; i < configuration->n_queues; i++) {
        const Ixn__V1__QueueConfiguration *queue = configuration->queues[i];
        if (!s_name_fits(queue->name) || !s_name_fits(queue->tenant) ||
            !s_name_fits(queue->strategy))
            return false;
        bool known = state_tenant(self, text_of(queue->tenant), &tenant);
        tenants += !known;
        queues += !known || !state_queue(self, tenant, text_of(queue->name));
    }
    for (size_t i = 0; i < configuration->n_routers; i++)
        if (!s_name_fits(configuration->routers[i]->name))
            return false;
    for (size_t i = 0; i < configuration->n_application_servers; i++)
        if (!s_name_fits(configuration->application_servers[i]->name))
            return false;
    for (size_t i = 0; i < configuration->n_clusters; i++) {
        const Ixn__V1__ClusterConfiguration *cluster = configuration->clusters[i];
        for (size_t j = 0; j < cluster->n_members; j++)
            if (!s_name_fits(cluster->members[j]))
                return false;
        if (!s_name_fits(cluster->name))
            return false;
    }
    for (size_t i = 0; i < configuration->n_agents; i++) {
        const Ixn__V1__AgentConfiguration *agent = configuration->agents[i];
        if (!agent->name[0] || !s_name_fits(agent->name) || !s_name_fits(agent->tenant))
            return false;
        tenants += !state_tenant(self, text_of(agent->tenant), &tenant);
    }
    return tenants <= LIMIT_SYMBOLS && queues <= LIMIT_SYMBOLS && s_durations_fit(configuration);
}

static void s_configure_queue(state_t *self, const Ixn__V1__QueueConfiguration *configured)
{
    uint16_t tenant;
    CHECK(state_tenant_make(self, text_of(configured->tenant), &tenant));
    queue_t *queue = state_queue_make(self, tenant, text_of(configured->name));
    CHECK(queue);
    queue->configured = true;
    queue->max_length = configured->max_length;
    size_t len = strlen(configured->strategy);
    CHECK(len <= LIMIT_NAME);
    memcpy(queue->strategy, configured->strategy, len + 1);
}

/* What is no longer configured keeps its interactions: they wait until it is configured again or an
 * operator moves them. */
static void s_configure_tables(state_t *self)
{
    const Ixn__V1__EngineConfiguration *configuration = self->configuration;
    uint16_t tenant;
    for (size_t i = 0; i < configuration->n_tenants; i++)
        CHECK(state_tenant_make(self, text_of(configuration->tenants[i]->name), &tenant));
    for (size_t i = 0; i < self->queues_len; i++) {
        self->queues[i]->configured = false;
        self->queues[i]->strategy[0] = 0;
        self->queues[i]->max_length = 0;
    }
    for (size_t i = 0; i < configuration->n_queues; i++)
        s_configure_queue(self, configuration->queues[i]);
    agents_configured(self);
}

void state_set_configuration(state_t *self, const Ixn__V1__EngineConfiguration *configuration)
{
    size_t size = ixn__v1__engine_configuration__get_packed_size(configuration);
    uint8_t *packed = memory_new(size);
    ixn__v1__engine_configuration__pack(configuration, packed);
    Ixn__V1__EngineConfiguration *copy = ixn__v1__engine_configuration__unpack(NULL, size, packed);
    CHECK(copy);
    free(packed);
    ixn__v1__engine_configuration__free_unpacked(self->configuration, NULL);
    self->configuration = copy;
    s_configure_tables(self);
}

/* ---- Life ---- */

state_t *state_new(void)
{
    state_t *self = memory_zero(1, sizeof *self);
    self->symbols = symbol_table_new();
    self->by_id = index_new(s_id_of, self);
    self->by_key = index_new(s_key_of, self);
    RB_INIT(&self->deadlines);
    remembered_init(&self->remembered);
    services_init(self);
    self->image = image_new();
    Ixn__V1__EngineConfiguration none = IXN__V1__ENGINE_CONFIGURATION__INIT;
    state_set_configuration(self, &none);
    return self;
}

void state_destroy(state_t **self_p)
{
    state_t *self = *self_p;
    if (!self)
        return;
    services_free(self);
    image_destroy(&self->image);
    catalog_free(&self->catalog);
    for (uint32_t i = 0; i < self->chunks_len * CHUNK; i++) {
        interaction_t *interaction = state_record(self, i);
        if (interaction->state) {
            free(interaction->texts);
            s_free_more(self, interaction);
        }
    }
    for (uint32_t i = 0; i < self->chunks_len; i++)
        free(self->chunks[i]);
    HASH_CLEAR(hh, self->queues_by_name);
    HASH_CLEAR(hh, self->routers_by_name);
    for (size_t i = 0; i < self->queues_len; i++)
        free(self->queues[i]);
    for (size_t i = 0; i < self->routers_len; i++)
        free(self->routers[i]);
    free(self->skips);
    free(self->chunks);
    free(self->tenants);
    free(self->queues);
    free(self->routers);
    index_destroy(&self->by_id);
    index_destroy(&self->by_key);
    remembered_free(&self->remembered);
    ixn__v1__engine_configuration__free_unpacked(self->configuration, NULL);
    symbol_table_destroy(&self->symbols);
    free(self);
    *self_p = NULL;
}

state_memory_t state_memory(const state_t *self)
{
    return (state_memory_t){
        .records = (size_t)self->chunks_len * CHUNK * sizeof(interaction_t),
        .texts = self->text_bytes,
        .indexes = index_memory(self->by_id) + index_memory(self->by_key),
        .remembered = self->remembered.len * sizeof(remembered_t) +
                      index_memory(self->remembered.by_id) + index_memory(self->remembered.by_key),
    };
}
