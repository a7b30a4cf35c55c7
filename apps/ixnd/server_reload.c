/* Reload: a configuration in the place of the one in force, and what is asked about it.
 *
 * Promises: the file is read and checked whole before anything changes; what cannot be taken is
 * refused with the reason, and nothing of it is in force; keys that wait for a restart are named.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/ixnd/server_internal.h"
#include "config/diff.h"
#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/log.h"
#include "core/configuration.h"
#include "core/wire/wire.h"

/* An answer fits into a frame, whatever the files say. */
enum { CHANGES_SHOWN = 1000 };

node_options_t server_node_options(const config_t *config)
{
    return (node_options_t){
        .engine = {.heartbeat_ms = config->heartbeat_ms, .max_clients = config->max_clients},
        .retry_after = config->retry_after_ms * USEC_PER_MS,
        .max_unfinished = config->max_unfinished_size,
        .checkpoint_interval = config->checkpoint_interval_ms * USEC_PER_MS,
        .checkpoint_max_lag = config->checkpoint_max_lag_size,
    };
}

static pair_settings_t s_settings(const config_t *config)
{
    return (pair_settings_t){
        .manual = config->failover_manual,
        .preferred = config->preferred,
        .failover_timeout = config->failover_timeout_ms * USEC_PER_MS,
        .heartbeat = config->peer_heartbeat_ms * USEC_PER_MS,
        .beat = config->beat_ms * USEC_PER_MS,
        .node = {.heartbeat_ms = config->heartbeat_ms,
                 .max_clients = config->max_clients,
                 .retry_after = config->retry_after_ms * USEC_PER_MS,
                 .max_unfinished = config->max_unfinished_size,
                 .checkpoint_interval = config->checkpoint_interval_ms * USEC_PER_MS,
                 .checkpoint_max_lag = config->checkpoint_max_lag_size},
    };
}

/* ---- What would change ---- */

typedef struct {
    arena_t arena;
    Ixn__V1__ConfigChange *changes;
    Ixn__V1__ConfigChange **list;
    size_t len;
    size_t capacity;
} changes_t;

static char *s_keep(changes_t *self, const char *text)
{
    text_t kept = arena_text(&self->arena, (text_t){text, strlen(text) + 1});
    char *copy = (char *)kept.data;
    wire_clean_text(copy);
    return copy;
}

static void s_on_diff(void *context, const diff_t *diff)
{
    static const char *const kinds[] = {"changed", "added", "removed", "order"};
    changes_t *self = context;
    if (self->len >= CHANGES_SHOWN)
        return;
    if (self->len == self->capacity) {
        self->capacity = self->capacity * 2 + 16;
        self->changes = memory_resize(self->changes, self->capacity * sizeof *self->changes);
    }
    Ixn__V1__ConfigChange *change = &self->changes[self->len++];
    ixn__v1__config_change__init(change);
    change->path = s_keep(self, diff->path);
    change->kind = (char *)kinds[diff->kind];
    change->effect = (char *)schema_reload_name(diff->reload);
    change->old = s_keep(self, diff->old);
    change->new_ = s_keep(self, diff->new);
    change->secret = diff->secret;
}

static void s_list(changes_t *self)
{
    self->list = memory_zero(self->len, sizeof *self->list);
    for (size_t i = 0; i < self->len; i++)
        self->list[i] = &self->changes[i];
}

static void s_free(changes_t *self)
{
    arena_free(&self->arena);
    free(self->changes);
    free(self->list);
}

/* ---- Taking it ---- */

/* Puts `config`, which the server owns from now on, in force; or tells why not and changes nothing.
 * `dry`: only tells. */
static bool s_take(server_t *self, config_t *config, bool dry, error_t *ret_error)
{
    const id128_t *id = config->has_database_id ? &config->database_id : NULL;
    Ixn__V1__EngineConfiguration *configuration = configuration_of(config);
    bool ok = pair_check_configuration(self->pair, configuration, id, ret_error) &&
              (dry || server_set_daps(self, config, ret_error));
    if (ok && !dry) {
        pair_settings_t settings = s_settings(config);
        config_t *old = self->config;
        self->config = config;
        config = old;
        log_set_level(self->config->log_level);
        pair_set(self->pair, &settings);
        pair_configure(self->pair, configuration, id);
        server_retime_lanes(self);
        if (self->admin)
            admin_configure(self->admin, self->config);
    }
    configuration_destroy(&configuration);
    config_destroy(&config);
    return ok;
}

/* One line a change in the log. */
static void s_log_changes(const changes_t *changes)
{
    for (size_t i = 0; i < changes->len; i++) {
        const Ixn__V1__ConfigChange *change = changes->list[i];
        log_info("config.change", "key=\"%s\" kind=%s effect=%s old=\"%s\" new=\"%s\"%s%s",
                 change->path, change->kind, change->effect, change->old, change->new_,
                 change->secret ? " text=\"a password differs\"" : "",
                 strcmp(change->effect, "restart") == 0 ? " text=\"at the next start\"" : "");
    }
}

/* Compares `config` (NULL and `ret_error` says why: it could not be read) with what is in force,
 * and puts it in force unless `dry`. Takes `config`. */
static bool s_reload(server_t *self, config_t *config, bool dry, changes_t *changes,
                     error_t *ret_error)
{
    if (!config)
        return false;
    diff_configurations(self->config, config, s_on_diff, changes);
    s_list(changes);
    diff_keep_until_restart(self->config, config);
    return s_take(self, config, dry, ret_error);
}

static bool s_reload_file(server_t *self, const char *by, changes_t *changes, error_t *ret_error)
{
    bool taken = s_reload(self, config_load(self->path, ret_error), false, changes, ret_error);
    if (!taken) {
        log_error("config.refused",
                  "file=%s by=\"%s\" error=\"%s\" text=\"what was in force stays so\"", self->path,
                  by, ret_error->text);
        return false;
    }
    s_log_changes(changes);
    log_info("config.reloaded", "file=%s by=\"%s\" changes=%zu", self->path, by, changes->len);
    return true;
}

void server_reload(server_t *self)
{
    changes_t changes = {0};
    error_t error = {0};
    s_reload_file(self, "SIGHUP", &changes, &error);
    s_free(&changes);
}

/* ---- What is asked ---- */

static void s_fail(uint64_t request, error_t *error, buffer_t *frame)
{
    Ixn__V1__Error body = IXN__V1__ERROR__INIT;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    wire_clean_text(error->text);
    body.code = (Ixn__V1__Code)error->code;
    body.sentence = error->text;
    message.request_id = request;
    message.body_case = IXN__V1__MESSAGE__BODY_ERROR;
    message.error = &body;
    wire_append_message(frame, &message);
}

static void s_show(const server_t *self, Ixn__V1__ConfigAnswer *answer, char **ret_text)
{
    size_t len = 0;
    FILE *file = open_memstream(ret_text, &len);
    CHECK(file);
    config_print(self->config, file);
    CHECK(fclose(file) == 0);
    answer->text = (ProtobufCBinaryData){len, (uint8_t *)*ret_text};
}

static bool s_compare(server_t *self, const Ixn__V1__ConfigRequest *asked, changes_t *changes,
                      error_t *ret_error)
{
    if (asked->text.len == 0)
        return s_reload(self, config_load(self->path, ret_error), true, changes, ret_error);
    if (!wire_check_text("name", asked->name, 1, LIMIT_TEXT, ret_error))
        return false;
    config_t *config =
        config_parse(asked->name, (const char *)asked->text.data, asked->text.len, ret_error);
    return s_reload(self, config, true, changes, ret_error);
}

static void s_answer(server_t *self, const Ixn__V1__Request *request, buffer_t *frame)
{
    const Ixn__V1__ConfigRequest *asked = request->config;
    Ixn__V1__ConfigAnswer answer = IXN__V1__CONFIG_ANSWER__INIT;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    changes_t changes = {0};
    error_t error = {0};
    char *text = NULL;
    bool ok = true;
    if (asked->kind == IXN__V1__CONFIG_REQUEST__KIND__SHOW)
        s_show(self, &answer, &text);
    else if (asked->kind == IXN__V1__CONFIG_REQUEST__KIND__DIFF)
        ok = s_compare(self, asked, &changes, &error);
    else if (asked->kind == IXN__V1__CONFIG_REQUEST__KIND__RELOAD)
        ok = wire_check_text("by", request->by, 0, LIMIT_NAME, &error) &&
             s_reload_file(self, request->by, &changes, &error);
    else
        ok = error_set(&error, ERROR_INVALID_ARGUMENT, "the kind %d is not known here",
                       (int)asked->kind);
    answer.node = self->config->node_name; /* of the one in force now */
    answer.file = (char *)(asked->text.len ? asked->name : self->path);
    answer.applied = ok && asked->kind == IXN__V1__CONFIG_REQUEST__KIND__RELOAD;
    answer.serves = pair_serves(self->pair);
    answer.changes = changes.list;
    answer.n_changes = changes.len;
    message.request_id = request->id;
    message.body_case = IXN__V1__MESSAGE__BODY_CONFIG;
    message.config = &answer;
    if (ok)
        wire_append_message(frame, &message);
    else
        s_fail(request->id, &error, frame);
    s_free(&changes);
    free(text);
}

bool server_visit(server_t *self, const uint8_t *bytes, size_t len, engine_frame_t *ret_frame)
{
    error_t error = {0};
    wire_arena_t *arena = wire_arena_new();
    Ixn__V1__ToNode *asked = wire_decode_to_node(arena, bytes, len, &error);
    bool ours = asked && asked->n_requests == 1 &&
                asked->requests[0]->body_case == IXN__V1__REQUEST__BODY_CONFIG;
    if (ours) {
        buffer_t frame = {0};
        wire_append_from_node_head(&frame, 0, 0);
        s_answer(self, asked->requests[0], &frame);
        *ret_frame = (engine_frame_t){0, frame.bytes, frame.len};
    }
    wire_arena_destroy(&arena);
    return ours;
}
