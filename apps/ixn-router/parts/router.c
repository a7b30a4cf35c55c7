#include "apps/ixn-router/parts/router.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "apps/ixn-router/parts/asking.h"
#include "apps/ixn-router/parts/calling.h"
#include "apps/ixn-router/parts/jobs.h"
#include "apps/ixn-router/parts/strategies.h"
#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/wire/wire.h"

/* One turn takes this many events and then steps scripts for about this long, so that neither the
 * node nor the scripts wait long for the other. */
#define TURN_EVENTS 1000
#define TURN_US (20 * USEC_PER_MS)
/* While scripts hold too much memory, look for room this often. */
#define ROOM_US USEC_PER_SECOND
/* A name can be in use by a session that the node has not yet found dead: this program before it
 * was restarted. Its end is noticed within three heartbeats, so it is worth asking again. */
#define REJOIN_US USEC_PER_SECOND
#define REJOIN_TRIES 30
/* After leave_ms, what was returned is given this long to be heard. */
#define LEAVE_ANSWERS_US USEC_PER_SECOND

/* A body of the node's store that was asked for. */
typedef struct {
    uint64_t request_id;
    uint32_t version;
    char name[LIMIT_NAME + 1];
} fetch_t;

struct router {
    ixn_client_options_t client_options;
    ixn_client_t *client;
    usec_t rejoin_at; /* with a new client; 0: not needed */
    int rejoined;
    bool was_connected;
    vm_t *vm;
    strategies_t *strategies;
    fetch_t *fetches;
    size_t fetches_len;
    jobs_t jobs;
    router_figures_t figures;
    usec_t leave_us;
    usec_t room_at; /* do not start anything before */
    bool is_connected;
    bool is_leaving;
    bool is_over;
    usec_t leave_at;     /* return everything */
    usec_t leave_end_at; /* wait no longer for answers */
    error_t refused;
};

static usec_t s_now(void)
{
    return clock_usec(CLOCK_BOOTTIME);
}

static void s_after_step(router_t *self, job_t *job);

/* ---- Asking the node ---- */

static void s_send(router_t *self, job_t *job)
{
    uint64_t request_id = asking_send(self->client, job);
    jobs_set_request(&self->jobs, job, request_id);
    jobs_set_unsent(&self->jobs, job, request_id == 0);
    if (request_id != 0 && job->state == JOB_SAVING && job->run->outcome == RUN_SAVES)
        run_changes_clear(job->run); /* from here on the script collects the next ones */
}

static void s_end(router_t *self, job_t *job)
{
    jobs_set_state(&self->jobs, job, JOB_ENDING, 0);
    jobs_set_unsent(&self->jobs, job, false);
    s_send(self, job);
}

/* Gives it back; nobody is to blame. */
static void s_return(router_t *self, job_t *job, const char *reason)
{
    run_fail(job->run, reason);
    job->blameless = true;
    s_end(self, job);
}

static void s_fail(router_t *self, job_t *job)
{
    const run_t *run = job->run;
    char id[ID_TEXT_SIZE];
    log_warning("script.failed", "strategy=%s interaction=%s attempt=%u reason=\"%s\" trace=\"%s\"",
                run->work->strategy, id_text(run->work->id, id), run->work->attempt, run->reason,
                run->trace.len > 0 ? (const char *)run->trace.bytes : "");
    job->blameless = false;
    s_end(self, job);
}

/* ---- Steps ---- */

static void s_after_step(router_t *self, job_t *job)
{
    run_t *run = job->run;
    switch (run->outcome) {
    case RUN_SLEEPS: {
        usec_t wake_at = s_now() + run->sleep_us;
        if (self->is_leaving && wake_at > self->leave_at) {
            s_return(self, job, "the router is leaving");
            return;
        }
        jobs_set_state(&self->jobs, job, JOB_SLEEPING, wake_at);
        return;
    }
    case RUN_SAVES:
    case RUN_RESERVES:
        jobs_set_state(&self->jobs, job, JOB_SAVING, 0);
        s_send(self, job);
        return;
    case RUN_CALLS:
        jobs_set_state(&self->jobs, job, JOB_CALLING, 0);
        s_send(self, job);
        return;
    case RUN_PLACED:
    case RUN_STOPPED:
        s_end(self, job);
        return;
    case RUN_FAILED:
    case RUN_NONE:
        s_fail(self, job);
        return;
    }
}

static void s_start(router_t *self, job_t *job)
{
    const work_t *work = job->run->work;
    const strategy_t *strategy =
        work->strategy_version
            ? strategies_find_stored(self->strategies, work->strategy, work->strategy_version)
            : strategies_find(self->strategies, work->strategy);
    if (!strategy) {
        s_return(self, job, "this router has not loaded the strategy");
        return;
    }
    run_start(job->run, strategy->code);
    s_after_step(self, job);
}

/* Whether there is memory to start more. With nothing else running there must be: what is asked
 * then is never given back by waiting. */
static bool s_has_room(router_t *self, usec_t now)
{
    if (self->jobs.len == self->jobs.waiting_len)
        return true;
    if (now < self->room_at)
        return false;
    if (vm_has_room(self->vm))
        return true;
    self->room_at = now + ROOM_US;
    return false;
}

/* Returns whether anything was done. */
static bool s_step_scripts(router_t *self)
{
    bool stepped = false;
    usec_t begin = s_now(), now = begin;
    job_t *job;
    while ((job = jobs_first_asleep(&self->jobs)) && job->wake_at <= now && now < begin + TURN_US) {
        run_resume(job->run, NULL);
        s_after_step(self, job);
        now = s_now();
        stepped = true;
    }
    while ((job = self->jobs.waiting) && now < begin + TURN_US && s_has_room(self, now)) {
        s_start(self, job);
        now = s_now();
        stepped = true;
    }
    return stepped;
}

/* ---- What the node says ---- */

static void s_on_route(router_t *self, const Ixn__V1__Route *route)
{
    work_t *work = work_new(route);
    if (!work) {
        log_warning("router.malformed", "error=\"a Route without token, interaction or id\"");
        return;
    }
    job_t *job = jobs_add(&self->jobs, run_new(self->vm, work));
    if (!job)
        return; /* told twice, at work already */
    self->figures.routed++;
    if (self->is_leaving)
        s_return(self, job, "the router is leaving");
}

static job_t *s_find(router_t *self, const Ixn__V1__Token *token)
{
    return token ? jobs_find_token(&self->jobs, (work_token_t){token->epoch, token->index}) : NULL;
}

static void s_on_gone(router_t *self, job_t *job, const char *reason)
{
    if (!job)
        return;
    char id[ID_TEXT_SIZE];
    log_info("router.revoked", "interaction=%s reason=\"%s\"", id_text(job->run->work->id, id),
             reason);
    self->figures.lost++;
    jobs_remove(&self->jobs, job);
}

static void s_on_done(router_t *self, job_t *job)
{
    char id[ID_TEXT_SIZE];
    log_debug("router.done", "interaction=%s strategy=%s queue=\"%s\" reason=\"%s\"",
              id_text(job->run->work->id, id), job->run->work->strategy,
              job->run->outcome == RUN_PLACED ? job->run->queue : "",
              job->run->reason ? job->run->reason : "");
    switch (job->run->outcome) {
    case RUN_PLACED:
        self->figures.placed++;
        break;
    case RUN_STOPPED:
        self->figures.stopped++;
        break;
    default:
        if (job->blameless)
            self->figures.returned++;
        else
            self->figures.failed++;
        break;
    }
    jobs_remove(&self->jobs, job);
}

static void s_resume_call(router_t *self, job_t *job)
{
    run_resume_call(job->run);
    s_after_step(self, job);
}

/* What came of a call. It may be told twice, and after the script has gone on. */
static void s_on_service_result(router_t *self, const Ixn__V1__ServiceResult *result)
{
    job_t *job = s_find(self, result->token);
    if (!job || job->state != JOB_CALLING || !calling_is_key(job->run, result->key))
        return;
    jobs_set_request(&self->jobs, job, 0); /* its Ack tells nothing more */
    jobs_set_unsent(&self->jobs, job, false);
    calling_answered(job->run, result);
    self->figures.called++;
    s_resume_call(self, job);
}

/* Refused for good. What is not ours any more is dropped; a script hears that its changes were
 * refused; a result that is refused (an unknown queue) is a failure of the script. */
static void s_on_refused(router_t *self, job_t *job, error_code_t code, const char *sentence)
{
    char id[ID_TEXT_SIZE];
    if (code == ERROR_OLD_TOKEN || code == ERROR_UNKNOWN_INTERACTION ||
        code == ERROR_ALREADY_COMPLETED ||
        (job->state == JOB_ENDING && job->run->outcome == RUN_FAILED)) {
        log_info("router.lost", "interaction=%s code=%s sentence=\"%s\"",
                 id_text(job->run->work->id, id), error_name(code), sentence);
        self->figures.lost++;
        jobs_remove(&self->jobs, job);
        return;
    }
    if (job->state == JOB_SAVING) {
        error_t answer;
        error_set(&answer, code, "%s", sentence);
        run_resume(job->run, &answer);
        s_after_step(self, job);
        return;
    }
    if (job->state == JOB_CALLING) {
        calling_failed(job->run, error_name(code), sentence);
        s_resume_call(self, job);
        return;
    }
    asking_fail_refused(job, code, sentence);
    s_fail(self, job);
}

/* ---- The node's store ---- */

static void s_store(router_t *self, const fetch_t *fetch, const Ixn__V1__Strategy *strategy)
{
    error_t error = {0};
    const text_t body = {(const char *)strategy->body.data, strategy->body.len};
    if (!strategies_store(self->strategies, fetch->name, fetch->version, body, &error)) {
        log_error("strategy.broken", "strategy=%s version=%u error=\"%s\"", fetch->name,
                  fetch->version, error.text);
        asking_stored_failed(self->client, fetch->name, fetch->version, error.text);
        return;
    }
    log_info("strategy.loaded", "strategy=%s version=%u", fetch->name, fetch->version);
    asking_stored_loaded(self->client,
                         strategies_find_stored(self->strategies, fetch->name, fetch->version));
}

/* The body of a strategy, or why there is none. False: it is an answer to something else. */
static bool s_on_body(router_t *self, const ixn_event_t *event)
{
    size_t at = 0;
    while (at < self->fetches_len && self->fetches[at].request_id != event->request_id)
        at++;
    if (at == self->fetches_len)
        return false;
    fetch_t fetch = self->fetches[at];
    self->fetches[at] = self->fetches[--self->fetches_len];
    const Ixn__V1__Message *message = event->kind == IXN_EVENT_ANSWER ? event->message : NULL;
    if (message && message->body_case == IXN__V1__MESSAGE__BODY_STRATEGY)
        s_store(self, &fetch, message->strategy);
    else
        asking_stored_failed(self->client, fetch.name, fetch.version,
                             message && message->body_case == IXN__V1__MESSAGE__BODY_ERROR
                                 ? message->error->sentence
                                 : event->error.text);
    return true;
}

static void s_on_load(router_t *self, const Ixn__V1__LoadStrategy *load)
{
    id128_t hash;
    const strategy_t *known =
        load->version ? strategies_find_stored(self->strategies, load->strategy, load->version)
                      : NULL;
    if (self->is_leaving)
        return;
    if (known && wire_read_id(load->hash, &hash) && id_equal(hash, known->hash)) {
        asking_stored_loaded(self->client, known);
        return;
    }
    fetch_t fetch = {.version = load->version};
    snprintf(fetch.name, sizeof fetch.name, "%s", load->strategy);
    fetch.request_id = asking_get_strategy(self->client, load->strategy, load->version);
    if (fetch.request_id == 0) {
        asking_stored_failed(self->client, fetch.name, fetch.version,
                             "too many requests are unanswered; activate it again");
        return;
    }
    self->fetches = memory_resize(self->fetches, (self->fetches_len + 1) * sizeof *self->fetches);
    self->fetches[self->fetches_len++] = fetch;
}

static void s_on_answer(router_t *self, const ixn_event_t *event)
{
    const Ixn__V1__Message *message = event->message;
    bool is_error = message->body_case == IXN__V1__MESSAGE__BODY_ERROR;
    if (s_on_body(self, event))
        return;
    job_t *job = jobs_find_request(&self->jobs, event->request_id);
    if (!job) {
        /* To an announcement, or to a request of work that was revoked meanwhile. */
        if (is_error)
            log_warning("router.refused", "code=%s sentence=\"%s\"",
                        error_name((error_code_t)message->error->code), message->error->sentence);
        return;
    }
    jobs_set_request(&self->jobs, job, 0);
    if (is_error) {
        s_on_refused(self, job, (error_code_t)message->error->code, message->error->sentence);
    } else if (job->state == JOB_CALLING) {
        return; /* it is durable; its result comes */
    } else if (job->state == JOB_SAVING && job->run->outcome == RUN_RESERVES) {
        const Ixn__V1__Token *grant =
            message->body_case == IXN__V1__MESSAGE__BODY_GRANTED ? message->granted->grant : NULL;
        run_granted(job->run,
                    grant ? (work_token_t){grant->epoch, grant->index} : (work_token_t){0, 0});
        run_resume(job->run, NULL);
        s_after_step(self, job);
    } else if (job->state == JOB_SAVING) {
        self->figures.saved++;
        run_resume(job->run, NULL);
        s_after_step(self, job);
    } else {
        s_on_done(self, job);
    }
}

/* Never answered. A result is sent again as it was: its token makes that harmless. A script hears
 * that its changes may or may not have been made. */
static void s_on_failed(router_t *self, const ixn_event_t *event)
{
    if (s_on_body(self, event))
        return;
    job_t *job = jobs_find_request(&self->jobs, event->request_id);
    if (!job) {
        log_warning("router.unanswered", "error=\"%s\"", event->error.text);
        return;
    }
    jobs_set_request(&self->jobs, job, 0);
    if (job->state == JOB_SAVING || job->state == JOB_CALLING ||
        event->error.code == ERROR_TOO_LARGE)
        s_on_refused(self, job, event->error.code, event->error.text);
    else
        s_send(self, job);
}

static void s_on_connected(router_t *self, const Ixn__V1__Registered *registered)
{
    const char *endpoint = ixn_client_endpoint(self->client);
    log_info("router.connected", "node=%s endpoint=%s epoch=%" PRIu64 " max_submitted=%u held=%zu",
             registered->node, endpoint ? endpoint : "", ixn_client_epoch(self->client),
             registered->max_submitted_interactions, self->jobs.len);
    self->is_connected = self->was_connected = true;
    for (size_t i = 0; i < registered->n_revoked; i++) {
        job_t *job = s_find(self, registered->revoked[i]);
        /* A result without an answer may be why: accepted by the node that is gone. It is asked
         * again, and its answer tells. */
        if (job && job->state != JOB_ENDING)
            s_on_gone(self, job, "not held any more after the reconnect");
    }
    for (size_t i = 0; i < strategies_len(self->strategies) && !self->is_leaving; i++)
        if (strategies_at(self->strategies, i)->stored == 0)
            asking_announce(self->client, strategies_at(self->strategies, i), true);
}

static void s_on_refused_registration(router_t *self, const error_t *error)
{
    if (error->code == ERROR_NAME_IN_USE && !self->was_connected && self->rejoined < REJOIN_TRIES) {
        log_warning("router.name_in_use", "try=%d error=\"%s\"", self->rejoined + 1, error->text);
        self->rejoin_at = s_now() + REJOIN_US;
        return;
    }
    self->refused = *error;
    self->is_over = true;
}

static void s_on_event(router_t *self, const ixn_event_t *event)
{
    switch (event->kind) {
    case IXN_EVENT_NONE:
        break;
    case IXN_EVENT_ANSWER:
        s_on_answer(self, event);
        break;
    case IXN_EVENT_FAILED:
        s_on_failed(self, event);
        break;
    case IXN_EVENT_MESSAGE:
        if (event->message->body_case == IXN__V1__MESSAGE__BODY_ROUTE)
            s_on_route(self, event->message->route);
        else if (event->message->body_case == IXN__V1__MESSAGE__BODY_SERVICE_RESULT)
            s_on_service_result(self, event->message->service_result);
        else if (event->message->body_case == IXN__V1__MESSAGE__BODY_REVOKED)
            s_on_gone(self, s_find(self, event->message->revoked->token),
                      event->message->revoked->reason);
        else if (event->message->body_case == IXN__V1__MESSAGE__BODY_LOAD_STRATEGY)
            s_on_load(self, event->message->load_strategy);
        else if (event->message->body_case == IXN__V1__MESSAGE__BODY_UNLOAD_STRATEGY)
            strategies_drop(self->strategies, event->message->unload_strategy->strategy,
                            event->message->unload_strategy->version);
        break;
    case IXN_EVENT_CONNECTED:
        s_on_connected(self, event->message->registered);
        break;
    case IXN_EVENT_DISCONNECTED:
        log_warning("router.disconnected", "error=\"%s\" held=%zu", event->error.text,
                    self->jobs.len);
        self->is_connected = false;
        break;
    case IXN_EVENT_REFUSED:
        s_on_refused_registration(self, &event->error);
        break;
    }
}

/* ---- Strategies ---- */

static void s_on_strategy(void *context, strategy_event_t event, const strategy_t *strategy,
                          const error_t *error)
{
    router_t *self = context;
    switch (event) {
    case STRATEGY_LOADED:
        log_info("strategy.loaded", "strategy=%s version=%s", strategy->name, strategy->version);
        break;
    case STRATEGY_UNLOADED:
        log_info("strategy.unloaded", "strategy=%s", strategy->name);
        break;
    case STRATEGY_BROKEN:
        log_error("strategy.broken", "strategy=%s error=\"%s\"", strategy->name, error->text);
        return;
    }
    if (self->is_connected && !self->is_leaving)
        asking_announce(self->client, strategy, event == STRATEGY_LOADED);
}

void router_reload(router_t *self)
{
    error_t error = {0};
    int broken = strategies_load(self->strategies, s_on_strategy, self, &error);
    if (broken < 0)
        log_error("router.reloaded", "error=\"%s\"", error.text);
    else
        log_info("router.reloaded", "strategies=%zu broken=%d", strategies_len(self->strategies),
                 broken);
}

/* ---- Leaving ---- */

static void s_return_those(router_t *self, bool all)
{
    job_t *next;
    for (job_t *job = jobs_first(&self->jobs); job; job = next) {
        next = jobs_next(job);
        bool cannot_end = job->state == JOB_WAITING ||
                          (job->state == JOB_SLEEPING && job->wake_at > self->leave_at);
        if (job->state != JOB_ENDING && (all || cannot_end))
            s_return(self, job, "the router is leaving");
    }
}

void router_leave(router_t *self)
{
    if (self->is_over)
        return;
    usec_t now = s_now();
    if (self->is_leaving) {
        self->leave_at = now;
        return;
    }
    log_info("router.leaving", "held=%zu leave_ms=%" PRId64, self->jobs.len,
             self->leave_us / USEC_PER_MS);
    self->is_leaving = true;
    self->leave_at = now + self->leave_us;
    self->leave_end_at = USEC_NEVER;
    for (size_t i = 0; i < strategies_len(self->strategies) && self->is_connected; i++)
        asking_announce(self->client, strategies_at(self->strategies, i), false);
    s_return_those(self, false);
}

static bool s_leave(router_t *self)
{
    usec_t now = s_now();
    if (self->jobs.len == 0 || now >= self->leave_end_at) {
        self->is_over = true;
        return false;
    }
    if (now < self->leave_at || self->leave_end_at != USEC_NEVER)
        return false;
    self->leave_end_at = now + LEAVE_ANSWERS_US;
    s_return_those(self, true);
    return true;
}

bool router_is_over(const router_t *self, error_t *ret_error)
{
    if (self->is_over && self->refused.code != ERROR_OK)
        *ret_error = self->refused;
    return self->is_over;
}

/* ---- The loop ---- */

/* Nothing was ever held here, so nothing is lost with the old client. */
static void s_rejoin(router_t *self)
{
    error_t error;
    self->rejoin_at = 0;
    self->rejoined++;
    ixn_client_destroy(&self->client);
    self->client = ixn_client_new(&self->client_options, &error);
    if (!self->client) {
        self->refused = error;
        self->is_over = true;
    }
}

bool router_turn(router_t *self)
{
    if (self->rejoin_at > 0 && s_now() >= self->rejoin_at)
        s_rejoin(self);
    if (self->is_over)
        return false;
    bool busy = false;
    ixn_event_t event;
    for (int i = 0; i < TURN_EVENTS && !self->is_over; i++) {
        ixn_client_next(self->client, 0, &event);
        if (event.kind == IXN_EVENT_NONE)
            break;
        s_on_event(self, &event);
        busy = true;
    }
    job_t *job, *next;
    size_t unanswered = ixn_client_unanswered(self->client);
    DL_FOREACH_SAFE(self->jobs.unsent, job, next)
    {
        s_send(self, job);
        if (job->is_unsent)
            break;
    }
    busy = busy || ixn_client_unanswered(self->client) != unanswered;
    busy = s_step_scripts(self) || busy;
    if (self->is_leaving)
        busy = s_leave(self) || busy;
    return busy && !self->is_over;
}

int router_fd(const router_t *self)
{
    return self->client ? ixn_client_fd(self->client) : -1;
}

int router_wait_ms(const router_t *self)
{
    if (self->is_over)
        return 0;
    usec_t now = s_now(), until = USEC_NEVER;
    const job_t *first = jobs_first_asleep(&self->jobs);
    if (first)
        until = first->wake_at;
    if (self->jobs.waiting && self->room_at < until)
        until = self->room_at;
    if (self->rejoin_at > 0 && self->rejoin_at < until)
        until = self->rejoin_at;
    if (self->is_leaving) {
        usec_t leave = self->leave_end_at != USEC_NEVER ? self->leave_end_at : self->leave_at;
        until = leave < until ? leave : until;
    }
    int wait_ms = ixn_client_wait_ms(self->client);
    if (until == USEC_NEVER)
        return wait_ms;
    /* Rounded up: a millisecond too early would be a turn for nothing. */
    usec_t own_ms = until > now ? (until - now + USEC_PER_MS - 1) / USEC_PER_MS : 0;
    if (wait_ms >= 0 && wait_ms < own_ms)
        return wait_ms;
    return own_ms < INT32_MAX ? (int)own_ms : INT32_MAX;
}

void router_figures(const router_t *self, router_figures_t *ret_figures)
{
    *ret_figures = self->figures;
    ret_figures->held = self->jobs.len;
    ret_figures->waiting = self->jobs.waiting_len;
    ret_figures->sleeping = self->jobs.sleeping_len;
    ret_figures->memory = self->vm->heap.used;
}

/* ---- Begin and end ---- */

static bool s_open(router_t *self, const router_options_t *options, error_t *ret_error)
{
    self->vm = vm_new(&options->vm, ret_error);
    if (!self->vm)
        return false;
    self->strategies = strategies_new(self->vm, options->strategies);
    int broken = strategies_load(self->strategies, s_on_strategy, self, ret_error);
    if (broken < 0)
        return false;
    if (broken > 0)
        return error_set(
            ret_error, ERROR_CONFIGURATION,
            "%d of the strategies in %s are broken (see above); correct or remove them", broken,
            options->strategies);
    if (options->strategies && strategies_len(self->strategies) == 0)
        return error_set(ret_error, ERROR_CONFIGURATION,
                         "the folder %s holds no strategy; they are files called NAME.lua",
                         options->strategies);
    self->client_options = options->client;
    self->client_options.role = IXN__V1__ROLE__ROUTER;
    self->client_options.max_unanswered = ASKING_UNANSWERED;
    self->client = ixn_client_new(&self->client_options, ret_error);
    return self->client != NULL;
}

router_t *router_new(const router_options_t *options, error_t *ret_error)
{
    router_t *self = memory_zero(1, sizeof *self);
    self->leave_us = options->leave_ms * USEC_PER_MS;
    if (!s_open(self, options, ret_error))
        router_destroy(&self);
    return self;
}

void router_destroy(router_t **self_p)
{
    router_t *self = *self_p;
    if (!self)
        return;
    jobs_clear(&self->jobs);
    free(self->fetches);
    strategies_destroy(&self->strategies);
    vm_destroy(&self->vm);
    ixn_client_destroy(&self->client);
    free(self);
    *self_p = NULL;
}
