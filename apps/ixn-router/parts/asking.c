#include "apps/ixn-router/parts/asking.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/wire/wire.h"

/* The parts of a request that outlive the function that fills them in. */
typedef struct {
    Ixn__V1__Token token;
    Ixn__V1__Token grant;
    Ixn__V1__AttributesChange change;
    char *names[RUN_REMOVE_LIMIT];
    char *set;
} parts_t;

static void s_begin(parts_t *parts, const job_t *job)
{
    const work_t *work = job->run->work;
    ixn__v1__token__init(&parts->token);
    parts->token.epoch = work->token.epoch;
    parts->token.index = work->token.index;
    ixn__v1__attributes_change__init(&parts->change);
    parts->set = NULL;
}

/* NULL when nothing changes. */
static Ixn__V1__AttributesChange *s_change(parts_t *parts, const job_t *job)
{
    const run_t *run = job->run;
    size_t len;
    bool fits = run_changes_text(run, &parts->set, &len);
    CHECK(fits); /* the script was told otherwise */
    parts->change.set = (ProtobufCBinaryData){len, (uint8_t *)parts->set};
    parts->change.remove = parts->names;
    const char *name;
    json_t *value;
    json_object_foreach(run->changes.remove, name, value)
    {
        parts->names[parts->change.n_remove++] = (char *)(uintptr_t)name;
    }
    return len > 0 || parts->change.n_remove > 0 ? &parts->change : NULL;
}

static uint64_t s_send_save(ixn_client_t *client, const job_t *job, parts_t *parts,
                            Ixn__V1__Request *request)
{
    Ixn__V1__ChangeProperties save = IXN__V1__CHANGE_PROPERTIES__INIT;
    save.interaction_id = wire_bytes(&job->run->work->id);
    save.token = &parts->token;
    save.attributes = s_change(parts, job);
    request->body_case = IXN__V1__REQUEST__BODY_CHANGE_PROPERTIES;
    request->change_properties = &save;
    return ixn_client_send(client, request);
}

/* The grant that a result quotes; NULL: it names no agent. */
static Ixn__V1__Token *s_grant(parts_t *parts, const run_t *run)
{
    if (run->agent < 0)
        return NULL;
    ixn__v1__token__init(&parts->grant);
    parts->grant.epoch = run->grants[run->agent].token.epoch;
    parts->grant.index = run->grants[run->agent].token.index;
    return &parts->grant;
}

static uint64_t s_send_reserve(ixn_client_t *client, const job_t *job, parts_t *parts,
                               Ixn__V1__Request *request)
{
    const run_reservation_t *wanted = &job->run->reservation;
    Ixn__V1__Reserve reserve = IXN__V1__RESERVE__INIT;
    reserve.interaction_id = wire_bytes(&job->run->work->id);
    reserve.token = &parts->token;
    reserve.agent = (char *)(uintptr_t)wanted->agent;
    reserve.duration_ms = wanted->duration_ms;
    if (wanted->has_priority) {
        reserve.priority_given_case = IXN__V1__RESERVE__PRIORITY_GIVEN_PRIORITY;
        reserve.priority = wanted->priority;
    }
    request->body_case = IXN__V1__REQUEST__BODY_RESERVE;
    request->reserve = &reserve;
    return ixn_client_send(client, request);
}

static uint64_t s_send_place(ixn_client_t *client, const job_t *job, parts_t *parts,
                             Ixn__V1__Request *request)
{
    const run_t *run = job->run;
    Ixn__V1__PlaceInQueue place = IXN__V1__PLACE_IN_QUEUE__INIT;
    place.interaction_id = wire_bytes(&run->work->id);
    place.token = &parts->token;
    place.queue = run->queue;
    place.grant = s_grant(parts, run);
    if (place.grant)
        place.agent = (char *)(uintptr_t)run->grants[run->agent].agent;
    place.attributes = s_change(parts, job);
    if (run->has_priority) {
        place.priority_given_case = IXN__V1__PLACE_IN_QUEUE__PRIORITY_GIVEN_PRIORITY;
        place.priority = run->priority;
    }
    if (run->reason)
        place.reason = run->reason;
    request->body_case = IXN__V1__REQUEST__BODY_PLACE_IN_QUEUE;
    request->place_in_queue = &place;
    return ixn_client_send(client, request);
}

static uint64_t s_send_stop(ixn_client_t *client, const job_t *job, parts_t *parts,
                            Ixn__V1__Request *request)
{
    const run_t *run = job->run;
    Ixn__V1__Stop stop = IXN__V1__STOP__INIT;
    stop.interaction_id = wire_bytes(&run->work->id);
    stop.token = &parts->token;
    stop.grant = s_grant(parts, run);
    if (stop.grant)
        stop.agent = (char *)(uintptr_t)run->grants[run->agent].agent;
    stop.attributes = s_change(parts, job);
    if (run->reason)
        stop.reason = run->reason;
    request->body_case = IXN__V1__REQUEST__BODY_STOP;
    request->stop = &stop;
    return ixn_client_send(client, request);
}

static uint64_t s_send_failed(ixn_client_t *client, const job_t *job, parts_t *parts,
                              Ixn__V1__Request *request)
{
    const run_t *run = job->run;
    Ixn__V1__RouteFailed failed = IXN__V1__ROUTE_FAILED__INIT;
    failed.interaction_id = wire_bytes(&run->work->id);
    failed.token = &parts->token;
    failed.reason = run->reason;
    failed.blameless = job->blameless;
    request->body_case = IXN__V1__REQUEST__BODY_ROUTE_FAILED;
    request->route_failed = &failed;
    return ixn_client_send(client, request);
}

static uint64_t s_send_call(ixn_client_t *client, const job_t *job, parts_t *parts,
                            Ixn__V1__Request *request)
{
    run_call_t *made = job->run->call;
    Ixn__V1__CallService call = IXN__V1__CALL_SERVICE__INIT;
    call.interaction_id = wire_bytes(&job->run->work->id);
    call.token = &parts->token;
    call.key = (ProtobufCBinaryData){sizeof made->number, (uint8_t *)&made->number};
    if (made->target == CALL_BY_TYPE) {
        call.target_case = IXN__V1__CALL_SERVICE__TARGET_TYPE;
        call.type = (Ixn__V1__ApplicationType)made->type;
    } else if (made->target == CALL_BY_SERVER) {
        call.target_case = IXN__V1__CALL_SERVICE__TARGET_SERVER;
        call.server = made->name;
    } else {
        call.target_case = IXN__V1__CALL_SERVICE__TARGET_CLUSTER;
        call.cluster = made->name;
    }
    call.service = made->service;
    call.method = made->method;
    call.parameters = (ProtobufCBinaryData){strlen(made->parameters), (uint8_t *)made->parameters};
    call.timeout_ms = made->timeout_ms;
    call.safe = made->safe;
    request->body_case = IXN__V1__REQUEST__BODY_CALL_SERVICE;
    request->call_service = &call;
    return ixn_client_send(client, request);
}

uint64_t asking_send(ixn_client_t *client, const job_t *job)
{
    parts_t parts;
    s_begin(&parts, job);
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    uint64_t id;
    if (job->state == JOB_SAVING && job->run->outcome == RUN_RESERVES)
        id = s_send_reserve(client, job, &parts, &request);
    else if (job->state == JOB_SAVING)
        id = s_send_save(client, job, &parts, &request);
    else if (job->state == JOB_CALLING)
        id = s_send_call(client, job, &parts, &request);
    else if (job->run->outcome == RUN_PLACED)
        id = s_send_place(client, job, &parts, &request);
    else if (job->run->outcome == RUN_STOPPED)
        id = s_send_stop(client, job, &parts, &request);
    else
        id = s_send_failed(client, job, &parts, &request);
    free(parts.set);
    return id;
}

void asking_fail_refused(job_t *job, error_code_t code, const char *sentence)
{
    run_t *run = job->run;
    bool placed = run->outcome == RUN_PLACED;
    buffer_t text = {0};
    buffer_printf(&text, "%s.lua:", run->work->strategy);
    if (run->line > 0) /* not known after "return place(…)", which leaves no trace */
        buffer_printf(&text, "%d:", run->line);
    if (placed)
        buffer_printf(&text, " place(\"%s\")", run->queue);
    else
        buffer_append_text(&text, " stop()");
    buffer_printf(&text, " was refused: %s: %s", error_name(code), sentence);
    buffer_append(&text, "", 1);
    run_fail(run, (const char *)text.bytes);
    buffer_clear(&run->trace);
    buffer_free(&text);
}

void asking_announce(ixn_client_t *client, const strategy_t *strategy, bool is_loaded)
{
    Ixn__V1__StrategyLoaded loaded = IXN__V1__STRATEGY_LOADED__INIT;
    Ixn__V1__StrategyUnloaded unloaded = IXN__V1__STRATEGY_UNLOADED__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    if (is_loaded) {
        loaded.strategy = (char *)(uintptr_t)strategy->name;
        loaded.version = (char *)(uintptr_t)strategy->version;
        request.body_case = IXN__V1__REQUEST__BODY_STRATEGY_LOADED;
        request.strategy_loaded = &loaded;
    } else {
        unloaded.strategy = (char *)(uintptr_t)strategy->name;
        request.body_case = IXN__V1__REQUEST__BODY_STRATEGY_UNLOADED;
        request.strategy_unloaded = &unloaded;
    }
    if (ixn_client_send(client, &request) == 0)
        log_warning("router.announce", "strategy=%s error=\"too many unanswered requests\"",
                    strategy->name);
}

static void s_send_about(ixn_client_t *client, Ixn__V1__Request *request, const char *strategy)
{
    if (ixn_client_send(client, request) == 0)
        log_warning("router.announce", "strategy=%s error=\"too many unanswered requests\"",
                    strategy);
}

void asking_stored_loaded(ixn_client_t *client, const strategy_t *strategy)
{
    Ixn__V1__StrategyLoaded loaded = IXN__V1__STRATEGY_LOADED__INIT;
    loaded.strategy = (char *)(uintptr_t)strategy->name;
    loaded.version = (char *)(uintptr_t)strategy->version;
    loaded.stored_version = strategy->stored;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_STRATEGY_LOADED;
    request.strategy_loaded = &loaded;
    s_send_about(client, &request, strategy->name);
}

void asking_stored_failed(ixn_client_t *client, const char *name, uint32_t version,
                          const char *reason)
{
    char cut[LIMIT_TEXT + 1];
    snprintf(cut, sizeof cut, "%s", reason);
    wire_clean_text(cut);
    Ixn__V1__StrategyFailed failed = IXN__V1__STRATEGY_FAILED__INIT;
    failed.strategy = (char *)(uintptr_t)name;
    failed.version = version;
    failed.reason = cut;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_STRATEGY_FAILED;
    request.strategy_failed = &failed;
    s_send_about(client, &request, name);
}

uint64_t asking_get_strategy(ixn_client_t *client, const char *name, uint32_t version)
{
    Ixn__V1__GetStrategy get = IXN__V1__GET_STRATEGY__INIT;
    get.strategy = (char *)(uintptr_t)name;
    get.version = version;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_GET_STRATEGY;
    request.get_strategy = &get;
    return ixn_client_send(client, &request);
}
