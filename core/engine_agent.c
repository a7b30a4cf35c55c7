#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/engine_internal.h"

/* Reservation of agents. A request for a free agent is granted at the end of its turn. When several
 * want one agent at a time, it is contended: from then on, and as long after as a reservation
 * lasts, requests for it are collected for `request_collection_time` before one wins: the highest
 * priority, then the oldest interaction. Who asks while another has the agent is refused at once.
 * What is being collected is no state: routers that heard no answer ask again. */

enum { CLAIMS_AN_AGENT = 1000, CLAIMS = 10000 };

/* ---- Contests ---- */

static engine_contest_t *s_contest(engine_t *self, const agent_record_t *agent)
{
    engine_contest_t *contest = NULL;
    HASH_FIND(hh, self->contests, &agent->key, sizeof agent->key, contest);
    if (contest)
        return contest;
    contest = memory_zero(1, sizeof *contest);
    contest->key = agent->key;
    contest->tenant = agent->tenant;
    memcpy(contest->agent, agent->name, sizeof contest->agent);
    HASH_ADD(hh, self->contests, key, sizeof contest->key, contest);
    return contest;
}

static void s_free_contest(engine_t *self, engine_contest_t *contest)
{
    HASH_DEL(self->contests, contest);
    free(contest->claims);
    free(contest);
}

void engine_free_contests(engine_t *self)
{
    engine_contest_t *contest, *next;
    HASH_ITER(hh, self->contests, contest, next)
    {
        s_free_contest(self, contest);
    }
    free(self->open_contests);
}

static bool s_is_contended(const engine_t *self, const engine_contest_t *contest)
{
    return contest->contended_until > self->log_time;
}

static void s_contend(engine_t *self, engine_contest_t *contest)
{
    contest->contended_until =
        self->log_time + (usec_t)self->state->configuration->reservation_time_ms * USEC_PER_MS;
}

static usec_t s_collection_ends(const engine_t *self)
{
    return self->log_time +
           (usec_t)self->state->configuration->request_collection_time_ms * USEC_PER_MS;
}

/* The same work asks again, with the same key or another one: the newer request takes its place. */
static engine_claim_t *s_own_claim(const engine_contest_t *contest, const engine_claim_t *claim)
{
    for (size_t i = 0; i < contest->claims_len; i++)
        if (contest->claims[i].token_index == claim->token_index &&
            contest->claims[i].token_epoch == claim->token_epoch)
            return &contest->claims[i];
    return NULL;
}

static void s_add_claim(engine_t *self, const agent_record_t *agent, const engine_claim_t *claim)
{
    engine_contest_t *contest = s_contest(self, agent);
    engine_claim_t *own = s_own_claim(contest, claim);
    if (own) {
        if (own->change != claim->change) { /* another request: each has its answer */
            error_t error;
            error_set(&error, ERROR_AGENT_RESERVED,
                      "this work has asked for agent \"%s\" again since", agent->name);
            engine_refuse(self, own->session, own->request, &error);
        }
        *own = *claim;
        return;
    }
    if (contest->claims_len >= CLAIMS_AN_AGENT || self->claims_len >= CLAIMS) {
        engine_say_busy(self, claim->session, claim->request,
                        "as many requests for agents as may wait at once wait already");
        return;
    }
    if (contest->claims_len == contest->claims_capacity) {
        contest->claims_capacity = contest->claims_capacity * 2 + 4;
        contest->claims =
            memory_resize(contest->claims, contest->claims_capacity * sizeof *contest->claims);
    }
    contest->claims[contest->claims_len++] = *claim;
    self->claims_len++;
    if (contest->claims_len == 1) {
        contest->decide_at =
            s_is_contended(self, contest) ? s_collection_ends(self) : self->log_time;
        self->open_contests = memory_resize(self->open_contests, (self->open_contests_len + 1) *
                                                                     sizeof *self->open_contests);
        self->open_contests[self->open_contests_len++] = contest;
    } else if (!s_is_contended(self, contest)) {
        contest->decide_at = s_collection_ends(self);
    }
    if (contest->claims_len > 1)
        s_contend(self, contest);
}

/* ---- Deciding ---- */

static const interaction_t *s_work(const engine_t *self, const engine_session_t *slot,
                                   const id128_t *id, uint64_t epoch, uint64_t index)
{
    const interaction_t *interaction = state_find(self->state, id);
    if (!interaction || interaction->state != INTERACTION_ROUTING || !slot || !slot->router)
        return NULL;
    const interaction_more_t *more = interaction->more;
    return more->token_epoch == epoch && more->token_index == index &&
                   self->state->routers[more->router] == slot->router
               ? interaction
               : NULL;
}

static void s_say_granted(engine_t *self, session_t session, uint64_t request,
                          const agent_record_t *agent)
{
    Ixn__V1__Token token = IXN__V1__TOKEN__INIT;
    token.epoch = agent->grant_epoch;
    token.index = agent->grant_index;
    usec_t left = agent->expires - self->log_time;
    Ixn__V1__Granted granted = IXN__V1__GRANTED__INIT;
    granted.agent = (char *)agent->name;
    granted.grant = &token;
    granted.duration_ms = left > 0 ? (uint64_t)(left / USEC_PER_MS) : 0;
    Ixn__V1__Message message = IXN__V1__MESSAGE__INIT;
    message.request_id = request;
    message.body_case = IXN__V1__MESSAGE__BODY_GRANTED;
    message.granted = &granted;
    engine_say(self, session, &message);
}

/* From the time of the entry on, which is that of its batch: as long ago as that has been open. */
static uint64_t s_duration(const engine_t *self, const engine_claim_t *claim)
{
    usec_t open = engine_batch_open(self) ? self->log_time - self->state->log_time : 0;
    return claim->duration_ms + (uint64_t)((open + USEC_PER_MS - 1) / USEC_PER_MS);
}

static void s_grant(engine_t *self, const agent_record_t *agent, const engine_claim_t *claim,
                    bool prolonged)
{
    const engine_session_t *slot = engine_slot(self, claim->session);
    CHECK(slot);
    Ixn__V1__AgentReserved reserved = IXN__V1__AGENT_RESERVED__INIT;
    reserved.tenant = self->state->tenants[agent->tenant];
    reserved.agent = (char *)agent->name;
    reserved.router = (char *)slot->name;
    reserved.interaction_id = wire_bytes(&claim->interaction_id);
    reserved.priority = claim->priority;
    reserved.duration_ms = s_duration(self, claim);
    reserved.change = claim->change;
    reserved.prolonged = prolonged;
    Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
    entry.body_case = IXN__V1__ENTRY__BODY_AGENT_RESERVED;
    entry.agent_reserved = &reserved;
    engine_emit(self, &entry);
    s_say_granted(self, claim->session, claim->request, agent);
}

static void s_refuse_reserved(engine_t *self, const engine_claim_t *claim,
                              const agent_record_t *agent)
{
    char id[ID_TEXT_SIZE];
    error_t error;
    error_set(&error, ERROR_AGENT_RESERVED,
              "agent \"%s\" is reserved for another %lld ms by \"%s\" for interaction %s (priority "
              "%d, here %d); try another agent, or again",
              agent->name, (long long)((agent->expires - self->log_time) / USEC_PER_MS),
              agent->router, id_text(agent->interaction_id, id), agent->priority, claim->priority);
    engine_refuse(self, claim->session, claim->request, &error);
}

static void s_refuse_token(engine_t *self, const engine_claim_t *claim)
{
    error_t error;
    error_set(&error, ERROR_OLD_TOKEN, "token %llu/%llu is no longer held; drop this work",
              (unsigned long long)claim->token_epoch, (unsigned long long)claim->token_index);
    engine_refuse(self, claim->session, claim->request, &error);
}

static bool s_wins(const engine_claim_t *claim, const engine_claim_t *over)
{
    if (MUTATION(FIRST_CLAIM_WINS))
        return !over;
    if (!over || claim->priority != over->priority)
        return !over || claim->priority > over->priority;
    return claim->age != over->age ? claim->age < over->age
                                   : claim->token_index < over->token_index;
}

static void s_decide(engine_t *self, engine_contest_t *contest)
{
    const agent_record_t *agent =
        catalog_agent(self->state, contest->tenant, text_of(contest->agent));
    const engine_claim_t *winner = NULL;
    for (size_t i = 0; i < contest->claims_len; i++) {
        engine_claim_t *claim = &contest->claims[i];
        claim->live = s_work(self, engine_slot(self, claim->session), &claim->interaction_id,
                             claim->token_epoch, claim->token_index) != NULL;
        if (claim->live && s_wins(claim, winner))
            winner = claim;
    }
    if (winner && agent)
        s_grant(self, agent, winner, false);
    for (size_t i = 0; i < contest->claims_len; i++) {
        const engine_claim_t *claim = &contest->claims[i];
        if (!agent)
            engine_refuse_agent(self, claim->session, claim->request, contest->tenant,
                                contest->agent);
        else if (!claim->live)
            s_refuse_token(self, claim);
        else if (claim != winner)
            s_refuse_reserved(self, claim, agent);
    }
    self->claims_len -= contest->claims_len;
    contest->claims_len = 0;
}

void engine_decide_agents(engine_t *self)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->open_contests_len; i++) {
        engine_contest_t *contest = self->open_contests[i];
        if (contest->decide_at > self->log_time || !engine_has_room(self)) {
            self->open_contests[kept++] = contest;
            continue;
        }
        s_decide(self, contest);
        if (!s_is_contended(self, contest))
            s_free_contest(self, contest);
    }
    self->open_contests_len = kept;
    if (self->log_time - self->contests_swept < USEC_PER_SECOND)
        return;
    self->contests_swept = self->log_time;
    engine_contest_t *contest, *next;
    HASH_ITER(hh, self->contests, contest, next)
    {
        if (contest->claims_len == 0 && !s_is_contended(self, contest))
            s_free_contest(self, contest);
    }
}

/* ---- Requests ---- */

void engine_refuse_agent(engine_t *self, session_t session, uint64_t request, uint16_t tenant,
                         const char *agent)
{
    error_t error;
    error_set(
        &error, ERROR_UNKNOWN_AGENT,
        "tenant \"%s\" has no agent \"%.64s\"; declare it under `agents` or with ixnctl agent "
        "add",
        self->state->tenants[tenant], agent);
    engine_refuse(self, session, request, &error);
}

/* Gives the agent back, if this work has it. */
static void s_give_back(engine_t *self, const agent_record_t *agent, const engine_claim_t *claim)
{
    bool own = agent_is_reserved(self->state, agent, self->log_time) &&
               agent->work_epoch == claim->token_epoch && agent->work_index == claim->token_index;
    if (own) {
        Ixn__V1__AgentReleased released = IXN__V1__AGENT_RELEASED__INIT;
        released.tenant = self->state->tenants[agent->tenant];
        released.agent = (char *)agent->name;
        Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
        entry.body_case = IXN__V1__ENTRY__BODY_AGENT_RELEASED;
        entry.agent_released = &released;
        engine_emit(self, &entry);
    }
    engine_ack(self, claim->session, claim->request, claim->interaction_id, 0);
}

/* The work that has the agent asks again. */
static void s_again(engine_t *self, const agent_record_t *agent, const engine_claim_t *claim)
{
    if (agent->change == claim->change) {
        s_say_granted(self, claim->session, claim->request, agent);
    } else if (!self->state->configuration->reject_subsequent_request) {
        s_grant(self, agent, claim, true);
    } else {
        error_t error;
        error_set(&error, ERROR_AGENT_RESERVED,
                  "this work has agent \"%s\" reserved already, and routing."
                  "reject_subsequent_request is true: give it back (duration 0) or let it end",
                  agent->name);
        engine_refuse(self, claim->session, claim->request, &error);
    }
}

static bool s_read(const engine_t *self, session_t session, uint64_t request,
                   const Ixn__V1__Reserve *body, engine_claim_t *claim, error_t *ret_error)
{
    if (!wire_check_text("agent", body->agent, 1, LIMIT_NAME, ret_error))
        return false;
    if (!body->token)
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "a router must quote the token of its work");
    if (body->key.len < 1 || body->key.len > LIMIT_KEY)
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "key has %zu bytes, it needs 1 … %d; make a random one for each request",
                         body->key.len, LIMIT_KEY);
    if (body->duration_ms < -1 || body->duration_ms > LIMIT_RESERVATION_MS)
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "duration_ms is %lld, allowed are -1 (reservation_time), 0 (give it back) "
                         "and 1 … %d",
                         (long long)body->duration_ms, LIMIT_RESERVATION_MS);
    *claim = (engine_claim_t){.session = session,
                              .request = request,
                              .token_epoch = body->token->epoch,
                              .token_index = body->token->index};
    if (!wire_read_id(body->interaction_id, &claim->interaction_id))
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "interaction_id has %zu bytes, it needs 16", body->interaction_id.len);
    claim->duration_ms = body->duration_ms < 0 ? self->state->configuration->reservation_time_ms
                                               : (uint64_t)body->duration_ms;
    claim->change = change_of_key((text_t){(const char *)body->key.data, body->key.len});
    return true;
}

void engine_reserve(engine_t *self, session_t session, uint64_t request,
                    const Ixn__V1__Reserve *body)
{
    const engine_session_t *slot = engine_slot(self, session);
    engine_claim_t claim;
    error_t error = {0};
    if (!s_read(self, session, request, body, &claim, &error)) {
        engine_refuse(self, session, request, &error);
        return;
    }
    const agent_record_t *agent = catalog_agent(self->state, slot->tenant, text_of(body->agent));
    if (!agent) {
        engine_refuse_agent(self, session, request, slot->tenant, body->agent);
        return;
    }
    const interaction_t *interaction =
        s_work(self, slot, &claim.interaction_id, claim.token_epoch, claim.token_index);
    if (!interaction) {
        s_refuse_token(self, &claim);
        return;
    }
    claim.age = interaction->age;
    claim.priority = body->priority_given_case == IXN__V1__RESERVE__PRIORITY_GIVEN_PRIORITY
                         ? body->priority
                         : interaction->priority;
    if (body->duration_ms == 0) {
        s_give_back(self, agent, &claim);
    } else if (!agent_is_reserved(self->state, agent, self->log_time) || MUTATION(GRANTED_TWICE) ||
               (MUTATION(GRANTS_FORGOTTEN) && agent->grant_epoch != self->options.epoch)) {
        s_add_claim(self, agent, &claim);
    } else if (agent->work_epoch == claim.token_epoch && agent->work_index == claim.token_index) {
        s_again(self, agent, &claim);
    } else {
        s_contend(self, s_contest(self, agent));
        s_refuse_reserved(self, &claim, agent);
    }
}

bool engine_check_grant(const engine_t *self, const engine_session_t *slot,
                        const interaction_t *interaction, const char *name,
                        const Ixn__V1__Token *grant, error_t *ret_error)
{
    if ((!name[0] && !grant) || MUTATION(GRANT_UNCHECKED))
        return true;
    if (slot->role != IXN__V1__ROLE__ROUTER)
        return error_set(ret_error, ERROR_WRONG_ROLE,
                         "only a router's result names an agent, and quotes the grant it has");
    if (!wire_check_text("agent", name, 1, LIMIT_NAME, ret_error))
        return false;
    const agent_record_t *agent = catalog_agent(self->state, slot->tenant, text_of(name));
    if (!agent)
        return error_set(ret_error, ERROR_UNKNOWN_AGENT,
                         "tenant \"%s\" has no agent \"%s\"; declare it under `agents` or with "
                         "ixnctl agent add",
                         self->state->tenants[slot->tenant], name);
    if (!grant)
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "the result names agent \"%s\" and quotes no grant; reserve it first",
                         name);
    if (agent_is_reserved(self->state, agent, self->log_time) &&
        agent->grant_epoch == grant->epoch && agent->grant_index == grant->index &&
        id_equal(agent->interaction_id, interaction->id))
        return true;
    return error_set(ret_error, ERROR_OLD_TOKEN,
                     "grant %llu/%llu for agent \"%s\" is not in force for this work (any more); "
                     "reserve again",
                     (unsigned long long)grant->epoch, (unsigned long long)grant->index, name);
}

void engine_change_agent(engine_t *self, session_t session, uint64_t request,
                         const Ixn__V1__ChangeAgent *body)
{
    const engine_session_t *slot = engine_slot(self, session);
    error_t error = {0};
    bool ok = wire_check_text("agent", body->agent, 1, LIMIT_NAME, &error);
    const agent_record_t *agent =
        ok ? catalog_agent(self->state, slot->tenant, text_of(body->agent)) : NULL;
    if (ok && !body->remove && !agent && HASH_COUNT(self->state->catalog.agents) >= LIMIT_AGENTS)
        ok = error_set(&error, ERROR_TOO_LARGE, "%d agents are declared, which is the limit",
                       LIMIT_AGENTS);
    if (ok && body->remove && agent && agent->configured && !agent->added)
        ok = error_set(&error, ERROR_WRONG_STATE,
                       "agent \"%s\" is declared in the configuration; take it out of `agents` "
                       "there",
                       body->agent);
    if (!ok) {
        engine_refuse(self, session, request, &error);
        return;
    }
    bool added = agent && agent->added;
    if (added == body->remove) {
        Ixn__V1__AgentChanged changed = IXN__V1__AGENT_CHANGED__INIT;
        changed.tenant = self->state->tenants[slot->tenant];
        changed.agent = body->agent;
        changed.removed = body->remove;
        changed.by = (char *)self->by;
        Ixn__V1__Entry entry = IXN__V1__ENTRY__INIT;
        entry.body_case = IXN__V1__ENTRY__BODY_AGENT_CHANGED;
        entry.agent_changed = &changed;
        engine_emit(self, &entry);
    }
    engine_ack(self, session, request, (id128_t){0}, 0);
}
