/* What the files of the engine share among themselves. */
#ifndef IXN_CORE_ENGINE_INTERNAL_H
#define IXN_CORE_ENGINE_INTERNAL_H

#include "balancer/balancer.h"
#include "balancer/rate.h"
#include "balancer/servers.h"
#include "core/base/mutation.h"
#include "core/engine.h"

#define SESSION_NAME_KEY (1 + LIMIT_NAME)

/* What a router has of one strategy. */
typedef struct {
    UT_hash_handle hh; /* by strategy */
    balancer_strategy_t strategy;
    bool brought;                 /* it has one of its own */
    char version[LIMIT_NAME + 1]; /* as it says */
    uint32_t loaded;              /* version of the stored one; 0: none */
    uint32_t asked;               /* version that it was told to load and has not answered */
    uint32_t failed;              /* version that it could not load; 0: none */
    char *reason;                 /* … and why */
} engine_load_t;

/* One request for an agent, while requests are collected. */
typedef struct {
    session_t session;
    uint64_t request;
    id128_t interaction_id;
    uint64_t token_epoch;
    uint64_t token_index;
    uint64_t age;
    uint64_t duration_ms;
    uint64_t change;
    int32_t priority;
    bool live; /* while it is decided: its router still has the work */
} engine_claim_t;

/* Those that want one agent. */
typedef struct {
    UT_hash_handle hh;
    id128_t key; /* of the agent */
    uint16_t tenant;
    char agent[LIMIT_NAME + 1];
    usec_t contended_until; /* log time */
    usec_t decide_at;
    engine_claim_t *claims;
    size_t claims_len;
    size_t claims_capacity;
} engine_contest_t;

typedef struct {
    uint32_t count; /* 0: no limit */
    uint32_t interval_ms;
} engine_rate_t;

typedef struct {
    UT_hash_handle by_name; /* by role and name, while registered */
    char key[SESSION_NAME_KEY];
    session_t ref; /* serial << 32 | slot */
    bool open;
    bool registered;
    Ixn__V1__Role role;
    char name[LIMIT_NAME + 1];
    uint16_t tenant;
    id128_t incarnation;
    uint64_t looked_in; /* the turn in which it had a list last */
    usec_t heard;       /* log time */
    usec_t heartbeat;   /* as it was told */
    /* routers */
    state_router_t *router; /* NULL: not a router */
    balancer_router_t balanced;
    bool announced;         /* agent reservation: its side */
    state_server_t *server; /* NULL: not an application server */
    uint32_t announced_limit;
    engine_load_t *loads;
    /* messages that may be sent: one frame that grows */
    buffer_t out;
    uint32_t out_messages;
    size_t usual; /* bytes of the frame before it: so many are taken at once */
    bool in_flush;
} engine_session_t;

/* Messages of one turn, held until `index` is durable. */
typedef struct {
    uint64_t index;
    buffer_t bytes; /* encoded elements of FromNode.messages, one after the other */
    struct held_message {
        session_t session;
        size_t len;
    } * messages;
    size_t messages_len;
    size_t messages_capacity;
} held_turn_t;

RB_HEAD(turns, queue); /* queues of one strategy, by their first in line */

/* A strategy of one tenant: its routers run it for nobody else, as they could not even answer. */
typedef struct {
    UT_hash_handle by_key;
    id128_t key; /* of both names; the balancer knows it by this */
    balancer_strategy_t number;
    uint16_t tenant;
    char name[LIMIT_NAME + 1];
    const strategy_record_t *record; /* NULL: not looked up yet, or never stored or dispatched */
    uint32_t limit;                  /* most pieces of work at once */
    rate_t rate;
    bool gated;   /* in `gated` */
    bool drains;  /* in `draining`: a router is emptied … */
    id128_t lone; /* … for this interaction */
    struct turns turns;
    bool dirty;               /* a choice may have become possible */
    balancer_result_t result; /* of the last choice */
} engine_strategy_t;

/* How a piece of work comes back without a result. */
typedef struct {
    Ixn__V1__ReturnCause cause;
    bool alone; /* it was the only one that its router knew of */
    const char *reason;
    uint64_t change; /* of RouteFailed's token; 0: nobody can ask for this again */
} engine_return_t;

/* A router whose work goes back, some at a time. */
typedef struct {
    state_router_t *router;
    Ixn__V1__ReturnCause cause;
    bool alone;
    uint64_t told;       /* Routes up to this index had left when it ended */
    id128_t incarnation; /* of the process that had it; zero: not known */
} engine_returning_t;

/* An application server, by number of its name in the state. */
typedef struct {
    session_t session; /* 0: not connected */
    enum {
        SERVER_WELL,    /* connected, or without work */
        SERVER_LOST,    /* what can go on elsewhere does */
        SERVER_LEFT,    /* likewise, and the rest ends */
        SERVER_AWAITED, /* what only this process can do waits for it, until … */
        SERVER_GIVEN_UP,
    } loss;
    usec_t awaited_until; /* … then, in log time */
    uint64_t told;        /* requests up to this index had left when it was lost */
    server_t balanced;
    /* as it registered */
    Ixn__V1__ApplicationType type;
    char **services;
    size_t services_len;
    uint32_t window;
    /* since this node began to serve */
    uint64_t sent;
    uint64_t answered;
    uint64_t faults;
    uint64_t timeouts;
    uint64_t losses;
} engine_server_t;

RB_HEAD(service_turns, service); /* by age */

/* Requests that wait for the same servers. */
struct service_queue {
    UT_hash_handle by_pool;
    servers_pool_t *pool;
    struct service_turns waiting;
    uint32_t len;
    bool dirty; /* a choice may have become possible */
};

struct engine {
    state_t *state;
    balancer_t *balancer;
    servers_t *servers;
    engine_options_t options;
    char node[LIMIT_NAME + 1];
    /* the turn */
    usec_t log_time;
    usec_t wall_time;
    bool batch_open;
    uint64_t turn;    /* which one it is */
    size_t looks;     /* that lists have taken in it */
    bool needs_entry; /* a confirmed read waits for a commit sent after it */
    id128_t previous; /* hash of the batch before */
    uint64_t first;
    buffer_t entries;
    size_t entries_len;
    const char *busy;
    const char *retry;
    const char *hold;
    const char *by; /* who wants the request in hand, for people; NULL: none is in hand */
    /* sessions */
    size_t slots_capacity;
    engine_session_t **slots;
    size_t slots_len;
    uint32_t *free_slots;
    size_t free_len;
    uint32_t serial;
    engine_session_t *by_name;
    uint32_t *flush; /* slots with a frame to send */
    size_t flush_len;
    session_t *ended;
    size_t ended_len;
    size_t ended_capacity;
    usec_t reconcile_until;
    usec_t silent_at; /* log time; nobody has been silent for too long before */
    usec_t listened;  /* everything that had arrived was handed in */
    /* held messages: a ring of turns */
    held_turn_t *held;
    size_t held_capacity;
    size_t held_first;
    size_t held_len;
    bool held_open; /* the newest belongs to the turn that is going on */
    uint64_t committed;
    engine_frame_t *ready; /* frames that are complete, oldest first */
    size_t ready_len;
    size_t ready_at;
    size_t ready_capacity;
    /* dispatch */
    engine_strategy_t **strategies; /* by balancer_strategy_t */
    size_t strategies_len;
    engine_strategy_t *strategies_by_key;
    uint32_t *dirty_strategies;
    size_t dirty_len;
    uint32_t *gated; /* strategies at their own limits */
    size_t gated_len;
    uint32_t *draining; /* strategies for whose lone work a router is emptied */
    size_t draining_len;
    session_t *balanced_sessions; /* by balancer_router_t */
    size_t balanced_sessions_len;
    /* agents */
    engine_contest_t *contests;
    engine_contest_t **open_contests; /* with claims */
    size_t open_contests_len;
    size_t claims_len; /* of all */
    usec_t contests_swept;
    queue_t **dirty_queues;
    size_t dirty_queues_len;
    size_t dirty_queues_capacity;
    engine_returning_t *returning;
    size_t returning_len;
    session_t *router_sessions; /* by state_router_t.number; 0: not connected */
    size_t router_sessions_len;
    bool *reconciled; /* during a registration: which of its tokens are held here */
    /* application servers */
    engine_server_t *apps; /* by state_server_t.number */
    size_t apps_len;
    struct service_queue *service_queues;
    bool services_dirty;
    buffer_t attributes; /* of the change that is being decided */
    buffer_t scratch;
    engine_figures_t figures;
};

/* engine.c */
engine_session_t *engine_slot(engine_t *self, session_t session); /* NULL: gone */
session_t engine_ref(const engine_t *self, const engine_session_t *slot);
/* Decides: applies the entry and adds it to the turn's batch. Its index is engine_index(). */
void engine_emit(engine_t *self, Ixn__V1__Entry *entry);
/* False when the batch that is open, or what waits to be told, must not grow: decide no more. */
bool engine_has_room(const engine_t *self);
/* What operators list is a bounded amount of work a turn, but each session has its first page of
 * it, so that one that asks for much keeps nobody out. False: it was BUSY; ask before a page is
 * made, and tell afterwards how many things were looked at and how many are shown. */
bool engine_may_look(engine_t *self, session_t session, uint64_t request);
void engine_looked(engine_t *self, size_t at, size_t shown);
/* Whether a session has anything to do with what is a tenant's: its own, an operator all. */
bool engine_may_see(const engine_session_t *slot, uint16_t tenant);
void engine_end_session(engine_t *self, engine_session_t *slot, Ixn__V1__ReturnCause cause);
/* When it would be silent for too long: its heartbeat is new. */
void engine_watch_silence(engine_t *self, const engine_session_t *slot);

/* engine_answer.c: says `message` to a session when what is decided so far is durable … */
void engine_say(engine_t *self, session_t session, const Ixn__V1__Message *message);
/* … or at once (what tells nothing of the state: protocol errors, RETRY, BUSY, pongs). */
void engine_say_now(engine_t *self, session_t session, const Ixn__V1__Message *message);
void engine_finish_frame(engine_t *self, engine_session_t *slot); /* what it has so far */
void engine_close_held(engine_t *self);                           /* at the end of the turn */
void engine_ack(engine_t *self, session_t session, uint64_t request, id128_t id, uint32_t version);
void engine_refuse(engine_t *self, session_t session, uint64_t request, const error_t *error);
void engine_refuse_now(engine_t *self, session_t session, uint64_t request, const error_t *error);
void engine_say_busy(engine_t *self, session_t session, uint64_t request, const char *sentence);
void engine_say_retry(engine_t *self, session_t session, uint64_t request, const char *sentence);
/* Fills a message's view of an interaction; strings point into the state. */
typedef struct {
    Ixn__V1__Interaction message;
    Ixn__V1__Token token;
} interaction_view_t;
void engine_view(engine_t *self, const interaction_t *interaction, interaction_view_t *ret_view);

/* engine_submit.c */
void engine_submit(engine_t *self, session_t session, uint64_t request,
                   const Ixn__V1__Submit *submit);
void engine_get(engine_t *self, session_t session, uint64_t request, const Ixn__V1__Get *get);

/* engine_list.c */
void engine_list_queues(engine_t *self, session_t session, uint64_t request,
                        const Ixn__V1__ListQueues *list);
void engine_list_interactions(engine_t *self, session_t session, uint64_t request,
                              const Ixn__V1__ListInteractions *list);

/* engine_change.c */
void engine_change(engine_t *self, session_t session, const Ixn__V1__Request *request);

/* engine_register.c */
void engine_register(engine_t *self, session_t session, uint64_t request,
                     const Ixn__V1__Register *wanted);
/* Tokens of a Register, each once, in an order that can be searched. */
size_t engine_sort_tokens(Ixn__V1__Token **tokens, size_t len);
Ixn__V1__Token **engine_find_token(Ixn__V1__Token **tokens, size_t len, service_token_t token);
/* engine_configure.c */
bool engine_same_configuration(const Ixn__V1__EngineConfiguration *a,
                               const Ixn__V1__EngineConfiguration *b);
void engine_emit_configuration(engine_t *self, const Ixn__V1__EngineConfiguration *configuration);

uint32_t engine_router_limit(const engine_t *self, const char *name, uint32_t announced);
bool engine_router_configured(const engine_t *self, const char *name);
bool engine_router_annexed(const engine_t *self, const char *name); /* it is under `routers` */
engine_rate_t engine_router_rate(const engine_t *self, const char *name);
engine_session_t *engine_find_router(const engine_t *self, const char *name); /* NULL: none live */

/* engine_strategy.c */
engine_load_t *engine_load(const engine_session_t *slot, balancer_strategy_t strategy);
void engine_forget_loads(engine_session_t *slot);
/* A router has registered: it is told what it is to load. */
void engine_load_activated(engine_t *self, engine_session_t *slot);
void engine_strategy_loaded(engine_t *self, session_t session, const Ixn__V1__Request *request);
void engine_strategy_unloaded(engine_t *self, session_t session, const Ixn__V1__Request *request);
void engine_strategy_failed(engine_t *self, session_t session, const Ixn__V1__Request *request);
void engine_get_strategy(engine_t *self, session_t session, uint64_t request,
                         const Ixn__V1__GetStrategy *get);
void engine_put_strategy(engine_t *self, session_t session, uint64_t request,
                         const Ixn__V1__PutStrategy *put);
void engine_activate_strategy(engine_t *self, session_t session, uint64_t request,
                              const Ixn__V1__ActivateStrategy *activate);
void engine_deactivate_strategy(engine_t *self, session_t session, uint64_t request,
                                const Ixn__V1__DeactivateStrategy *deactivate);
void engine_remove_strategy(engine_t *self, session_t session, uint64_t request,
                            const Ixn__V1__RemoveStrategy *remove);
/* All but the body. */
void engine_strategy_view(const char *name, const strategy_version_t *version,
                          Ixn__V1__Strategy *ret_view);

/* The balancer is told anew what it runs, since it was drained or no longer is. */
void engine_update_router(engine_t *self, engine_session_t *slot);

/* engine_drain.c */
const drain_record_t *engine_drain(const engine_t *self,
                                   const engine_session_t *slot); /* or NULL */
void engine_drain_router(engine_t *self, session_t session, uint64_t request,
                         const Ixn__V1__DrainRouter *body);
void engine_undrain_router(engine_t *self, session_t session, uint64_t request,
                           const Ixn__V1__UndrainRouter *body);

/* engine_agent.c */
void engine_reserve(engine_t *self, session_t session, uint64_t request,
                    const Ixn__V1__Reserve *body);
void engine_change_agent(engine_t *self, session_t session, uint64_t request,
                         const Ixn__V1__ChangeAgent *body);
void engine_refuse_agent(engine_t *self, session_t session, uint64_t request, uint16_t tenant,
                         const char *agent);
void engine_decide_agents(engine_t *self); /* whose time of collecting is over */
void engine_free_contests(engine_t *self);
/* True when the result names no agent, or one that is reserved for this very work. */
bool engine_check_grant(const engine_t *self, const engine_session_t *slot,
                        const interaction_t *interaction, const char *name,
                        const Ixn__V1__Token *grant, error_t *ret_error);

/* engine_overview.c */
/* A terminated copy that lives as long as the page. */
char *engine_page_text(arena_t *arena, const char *text);
/* Why the first in line of a queue is not on its way; "" when it is, or when nothing waits. */
const char *engine_queue_reason(const engine_t *self, queue_t *queue, char *text, size_t size);
void engine_list(engine_t *self, session_t session, uint64_t request, const Ixn__V1__List *wanted);
/* A listing of this router alone. */
void engine_list_router(engine_t *self, session_t session, uint64_t request, const char *name);

/* engine_dispatch.c */
engine_strategy_t *engine_strategy(engine_t *self, uint16_t tenant, text_t name); /* made if new */
engine_strategy_t *engine_find_strategy(const engine_t *self, uint16_t tenant, text_t name);
/* Which of its own limits keeps a strategy from being routed; NULL: none. */
const char *engine_strategy_gate(const engine_t *self, const engine_strategy_t *strategy);
/* The configuration changed: limits of routers and strategies are read again. */
void engine_configure_routing(engine_t *self);
void engine_dispatch(engine_t *self, size_t budget); /* routes what waits */
/* Routers were lost with it: it may be poison. */
bool engine_must_be_alone(const interaction_t *interaction);
void engine_queue_dirty(engine_t *self, uint16_t queue);
void engine_all_queues_dirty(engine_t *self);
/* A piece of work left its router (by a result, a timeout, an operator): the router has room. */
void engine_router_gave_back(engine_t *self, const state_router_t *router);
/* Everything a router has goes back, some at a time. `incarnation`: of its process, or zero. */
void engine_return_all(engine_t *self, state_router_t *router, Ixn__V1__ReturnCause cause,
                       id128_t incarnation);
void engine_return_some(engine_t *self, size_t budget);
void engine_return_one(engine_t *self, interaction_t *interaction, const engine_return_t *how);
/* True when its Route may have reached the router; `told`: up to this index they may have. */
bool engine_was_told(const engine_t *self, const interaction_t *interaction, uint64_t told);
/* How one piece of what goes back does. */
engine_return_t engine_return_of(const engine_t *self, const engine_returning_t *returning,
                                 const interaction_t *interaction);
session_t engine_router_session(const engine_t *self, const state_router_t *router);
/* Tells the router that has it that it no longer does. */
void engine_revoke(engine_t *self, const interaction_t *interaction, const char *reason);

/* engine_service.c: what routers ask of application servers. */
void engine_services_new(engine_t *self);
void engine_services_free(engine_t *self);
void engine_services_start(engine_t *self);      /* at the start of the epoch */
void engine_services_configured(engine_t *self); /* the configuration is another one */
void engine_services_dispatch(engine_t *self, size_t budget);
void engine_services_tick(engine_t *self);
void engine_services_dropped(engine_t *self); /* by the entry that was applied last */
/* A router says that it still holds the interaction: it hears again what was answered. */
void engine_services_tell_again(engine_t *self, const interaction_t *interaction);

/* engine_service_ask.c: what routers and servers say of them. */
void engine_call_service(engine_t *self, session_t session, uint64_t request,
                         const Ixn__V1__CallService *call);
void engine_service_answer(engine_t *self, session_t session, const Ixn__V1__Request *request);

/* engine_server.c: application servers come and go. */
bool engine_server_check(engine_t *self, const engine_session_t *slot,
                         const Ixn__V1__Register *wanted, error_t *ret_error);
/* Compares what the server says it holds with what it was sent; `ret_revoked` has room for all
 * `len` tokens (sorted) and takes those that it no longer holds. Returns how many. */
size_t engine_server_register(engine_t *self, engine_session_t *slot,
                              const Ixn__V1__Register *wanted, size_t len,
                              Ixn__V1__Token **ret_revoked);
/* Sends again what it was sent and does not hold. */
void engine_server_resend(engine_t *self, engine_session_t *slot, Ixn__V1__Token **tokens,
                          size_t len);
/* Its session ends. NOT_HELD: the same process begins another one. */
void engine_server_lost(engine_t *self, engine_session_t *slot, Ixn__V1__ReturnCause cause);
/* What lost servers had goes on elsewhere, some at a time. True: there is more. */
bool engine_servers_return(engine_t *self, size_t budget);
void engine_server_connect(engine_t *self, const state_server_t *server);
const Ixn__V1__ApplicationConfiguration *engine_server_annex(const engine_t *self,
                                                             const char *name);
engine_server_t *engine_server(engine_t *self, const state_server_t *server);
void engine_applications(engine_t *self, session_t session, uint64_t request);

/* What these share. */
Ixn__V1__Token engine_service_token(service_token_t token);
void engine_service_tell(engine_t *self,
                         const service_t *service); /* the router, what came of it */
void engine_service_emit_answer(engine_t *self, service_t *service,
                                Ixn__V1__ServiceAnswered *answered);
void engine_service_wait(engine_t *self, service_t *service, bool counts);
void engine_service_fault(engine_t *self, service_t *service, const char *code, const char *text);
void engine_service_say(engine_t *self, const service_t *service, session_t session);
void engine_service_enqueue(engine_t *self, service_t *service);
/* True when its ServiceRequest may have reached the server; `told`: up to this index they may. */
bool engine_service_told(const engine_t *self, const service_t *service, uint64_t told);
extern const char *const engine_application_types[SERVERS_TYPES]; /* as in the configuration */

#endif
