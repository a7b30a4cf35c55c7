/* Digest: a sum over all interactions, so that it does not depend on their order and a change costs
 * one hash out and one in. It finds accidents, not forgeries. Numbers that depend on what was
 * loaded when (of queues, routers, names) are not in it: hashes of the names are.
 */
#include <endian.h>
#include <xxhash.h>

#include "core/base/check.h"
#include "core/state_internal.h"

/* Little-endian, without holes. */
typedef struct {
    id128_t id;
    uint64_t queue;
    uint64_t router; /* routing: who has it, and under which token */
    uint64_t token_epoch;
    uint64_t token_index;
    uint64_t age;
    uint64_t deadline;
    uint32_t version;
    uint32_t priority;
    uint16_t attempts;
    uint16_t losses;
    uint8_t state;
    uint8_t held;
    uint8_t zero[2];
} content_t;
_Static_assert(sizeof(content_t) == 16 + 6 * 8 + 2 * 4 + 2 * 2 + 4, "a hole would be hashed");

static uint64_t s_hash(const state_t *self, const interaction_t *interaction)
{
    const interaction_more_t *more = interaction->more;
    content_t content = {
        .id = interaction->id,
        .queue = htole64(self->queues[interaction->queue]->names),
        .age = htole64(interaction->age),
        .deadline = htole64((uint64_t)interaction->deadline),
        .version = htole32(interaction->version),
        .priority = htole32((uint32_t)interaction->priority),
        .state = interaction->state,
        .held = interaction->flags & INTERACTION_HELD,
    };
    if (more) {
        content.attempts = htole16(more->attempts);
        content.losses = htole16(more->losses);
    }
    if (interaction->state == INTERACTION_ROUTING) {
        content.router = htole64(self->routers[more->router]->names);
        content.token_epoch = htole64(more->token_epoch);
        content.token_index = htole64(more->token_index);
    }
    return XXH3_64bits(&content, sizeof content);
}

void digest_add(state_t *self, const interaction_t *interaction)
{
    self->digest += s_hash(self, interaction);
}

void digest_remove(state_t *self, const interaction_t *interaction)
{
    self->digest -= s_hash(self, interaction);
}

/* Likewise. Its server's name, not its number; none: 0. */
typedef struct {
    service_token_t token;
    id128_t interaction;
    id128_t incarnation;
    service_token_t sent;
    uint64_t server;
    uint64_t deadline;
    uint64_t fingerprint;
    uint16_t attempts;
    uint8_t state;
    uint8_t target;
    uint8_t safe;
    uint8_t zero[3];
} service_content_t;
_Static_assert(sizeof(service_content_t) == 4 * 16 + 3 * 8 + 8, "a hole would be hashed");

static uint64_t s_hash_service(const service_t *service)
{
    service_content_t content = {
        .token = {htole64(service->token.epoch), htole64(service->token.index)},
        .interaction = service->interaction->id,
        .deadline = htole64((uint64_t)service->deadline),
        .fingerprint = htole64(service->fingerprint),
        .attempts = htole16(service->attempts),
        .state = (uint8_t)service->state,
        .target = (uint8_t)service->target,
        .safe = service->safe,
    };
    if (service->server) {
        content.server = htole64(digest_of_names(TEXT(""), text_of(service->server->name)));
        content.incarnation = service->incarnation;
        content.sent =
            (service_token_t){htole64(service->sent.epoch), htole64(service->sent.index)};
    }
    return XXH3_64bits(&content, sizeof content);
}

void digest_add_service(state_t *self, const service_t *service)
{
    self->digest += s_hash_service(service);
}

void digest_remove_service(state_t *self, const service_t *service)
{
    self->digest -= s_hash_service(service);
}

uint64_t digest_of_names(text_t owner, text_t name)
{
    return XXH3_64bits_withSeed(name.data, name.len, XXH3_64bits(owner.data, owner.len));
}

uint64_t state_digest(const state_t *self)
{
    CHECK(!self->touched);
    const uint64_t all[] = {htole64(self->index), htole64(self->count), htole64(self->digest),
                            htole64(self->catalog.digest)};
    return XXH3_64bits(all, sizeof all);
}
