/* DAPs by number: where each leads, its access lane, and what the pair says of them. */
#include <stdio.h>
#include <string.h>

#include "apps/ixnd/server_internal.h"
#include "apps/state/dap_memory.h"
#include "core/base/check.h"

_Static_assert((size_t)PAIR_MAX_DAPS <= (size_t)CRASH_LANES, "every lane can note its work");

/* Of its name, too: so it tells which DAP of the file is meant. */
static id128_t s_route(const config_dap_t *dap)
{
    char text[CONFIG_NAME_SIZE + CONFIG_CONNINFO_SIZE + 1];
    int len = snprintf(text, sizeof text, "%s\n%s", dap->name, dap->conninfo);
    id128_t route = id_hash(text, (size_t)len);
    explicit_bzero(text, sizeof text);
    return route;
}

static pair_dap_t s_told(const config_dap_t *dap, bool remembered)
{
    pair_dap_t told = {
        .route = s_route(dap), .weight = dap->weight, .line = dap->line, .remembered = remembered};
    snprintf(told.name, sizeof told.name, "%s", dap->name);
    return told;
}

static void s_open_lane(server_t *self, size_t number, const config_dap_t *dap)
{
    config_t config = *self->config; /* for its time-outs; with this one DAP */
    self->daps[number] = *dap;
    config.daps = &self->daps[number];
    config.daps_len = 1;
    self->access[number] = access_new(&config, 0, crash_lane(self->crash, number));
}

bool server_begin_daps(server_t *self, pair_options_t *options, error_t *ret_error)
{
    size_t len;
    const config_t *config = self->config;
    if (!dap_memory_read(config->state_dir, self->daps, DAP_MEMORY_MAX, &len, ret_error))
        return false;
    bool remembered = len > 0 && options->has_memory;
    if (!remembered) {
        len = config->daps_len;
        memcpy(self->daps, config->daps, len * sizeof *config->daps);
    }
    options->daps_len = len;
    for (size_t i = 0; i < len; i++)
        options->daps[i] = s_told(&self->daps[i], remembered);
    return true;
}

bool server_set_daps(server_t *self, const config_t *config, error_t *ret_error)
{
    pair_dap_t daps[PAIR_MAX_DAPS / 2];
    for (size_t i = 0; i < config->daps_len; i++)
        daps[i] = s_told(&config->daps[i], false);
    return pair_set_daps(self->pair, daps, config->daps_len, ret_error);
}

void server_open_dap(server_t *self, const pair_action_t *action)
{
    const config_t *config = self->config;
    for (size_t i = 0; i < config->daps_len; i++) {
        if (!id_equal(s_route(&config->daps[i]), action->route))
            continue;
        s_open_lane(self, action->dap, &config->daps[i]);
        return;
    }
    CHECK(false); /* the pair was given what the configuration has */
}

void server_close_dap(server_t *self, size_t dap)
{
    access_destroy(&self->access[dap]);
    explicit_bzero(&self->daps[dap], sizeof self->daps[dap]);
}

void server_close_daps(server_t *self)
{
    for (size_t i = 0; i < PAIR_MAX_DAPS; i++)
        server_close_dap(self, i);
}

void server_open_lanes(server_t *self, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        config_dap_t dap = self->daps[i];
        s_open_lane(self, i, &dap);
    }
}

use_t *server_use(const server_t *self, const pair_action_t *action)
{
    use_t *use = use_new(self->config);
    use->rearranged = action->rearranged;
    for (size_t i = 0; i < action->daps_len; i++) {
        config_dap_t dap = self->daps[action->daps[i]];
        dap.weight = action->weights[i];
        use_add(use, action->daps[i], &dap);
    }
    return use;
}

bool server_remember_daps(const server_t *self, const pair_action_t *action, error_t *ret_error)
{
    config_dap_t daps[PAIR_MAX_DAPS];
    for (size_t i = 0; i < action->daps_len; i++) {
        daps[i] = self->daps[action->daps[i]];
        daps[i].weight = action->weights[i];
    }
    bool done = dap_memory_write(self->config->state_dir, daps, action->daps_len, ret_error);
    explicit_bzero(daps, sizeof daps);
    return done;
}
