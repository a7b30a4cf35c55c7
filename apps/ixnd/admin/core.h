/* Core: what the thread of the admin port owns, and what its files share. */
#ifndef IXN_ADMIN_CORE_H
#define IXN_ADMIN_CORE_H

#include <sys/queue.h>

#include "apps/ixnd/admin/guard.h"
#include "apps/ixnd/admin/http.h"
#include "apps/ixnd/admin/node_link.h"
#include "apps/ixnd/admin/queues.h"
#include "apps/ixnd/admin/records.h"
#include "apps/ixnd/admin/work.h"
#include "config/config.h"

/* What an answer needs to be fresh. */
enum { NEED_OWN = 1, NEED_PEER = 2, NEED_QUEUES = 4 };

/* An answer that is so young is as good as a new one: so ten thousand questions a second are ten
 * for the node. */
#define FRESH_US ((usec_t)100 * 1000)
/* A node that has said nothing for so long to its own admin port is not well. */
#define SILENT_US ((usec_t)2000 * 1000)
#define COMMAND_US ((usec_t)5000 * 1000)

typedef struct core core_t;
typedef struct exchange exchange_t;
typedef void route_fn(core_t *self, exchange_t *exchange);

typedef struct {
    const char *method;
    const char *path; /* "{id}" stands for one segment */
    right_t right;
    unsigned needs;
    route_fn *run;
} route_t;

/* One request, from its arrival to its end. */
struct exchange {
    LIST_ENTRY(exchange) link; /* among those that wait for what they need */
    http_request_t *request;
    core_t *core;
    const route_t *route;
    token_owner_t who;
    char id[CONFIG_NAME_SIZE]; /* what stood for {id} */
    usec_t until;
    bool parked;
    json_t *body;      /* of a change */
    json_t *collected; /* the answer so far, where it takes more than one question */
    size_t wanted;
    error_t untold;  /* why a node has not taken what both must, or told; its code is OK: none */
    uint64_t audit;  /* its number in the records */
    bool logged;     /* that it was asked for */
    bool of_peer;    /* the other node was told, and … */
    usec_t taken_at; /* … has taken it; 0: not yet */
};

typedef struct live live_t;
/* What a node has said to a command; the error's code is OK when it was taken. */
typedef void command_answer_fn(exchange_t *exchange, node_link_t *link, const error_t *error);

struct core {
    char node[CONFIG_NAME_SIZE];
    text_t configuration; /* in force, as YAML; owned */
    void *context;        /* libzmq's */
    http_t *http;
    tokens_t *tokens; /* NULL: none are configured */
    usec_t tokens_at; /* looked whether the file has changed */
    char url[CONFIG_PATH_SIZE];
    char host[CONFIG_PATH_SIZE];
    node_link_t *own;
    node_link_t *peer; /* NULL: not known */
    work_t *work;
    queues_t *queues;
    records_t *records;
    live_t *live;
    usec_t now; /* CLOCK_BOOTTIME */
    bool stopping;
    usec_t refused_at;   /* a refusal was logged */
    unsigned refused;    /* since then */
    http_body_t *status; /* the answer to /v1/status … */
    usec_t status_at;    /* … of what was heard then */
    LIST_HEAD(, exchange) parked;
    struct {
        uint64_t number; /* 0: free */
        exchange_t *exchange;
        node_link_t *link;
        command_answer_fn *answer;
        usec_t until;
    } commands[16];
};

/* routes.c */
void routes_handle(void *core, http_request_t *request);
/* Asks for what is needed; true when all of it is there, or not to be had. */
bool routes_has_needs(core_t *self, unsigned needs, usec_t until);
/* Runs its route again as soon as what it needs is fresh. */
void routes_park(core_t *self, exchange_t *exchange);
void routes_run_parked(core_t *self);
const char *routes_peer_url(const core_t *self);
usec_t core_wall(void);
/* How long ago that was; a turn's time may be a little behind what was heard within it. */
usec_t core_age(const core_t *self, usec_t at);

/* routes_status.c */
route_fn route_health, route_liveness, route_readiness, route_primary, route_backup;
route_fn route_metrics, route_status, route_pair, route_daps;
json_t *status_json(core_t *self); /* a new reference */
json_t *queues_json(core_t *self);
const char *status_name(const core_t *self,
                        const node_link_t *link); /* of that node; "": unknown */
/* What it said last; NULL: it is not heard, or there is no such node. */
const Ixn__V1__PairStatus *status_of(const core_t *self, const node_link_t *link);
/* The node that serves, as far as is known, and the one that follows; NULL: none. */
node_link_t *status_primary(core_t *self);
node_link_t *status_backup(core_t *self);

/* routes_work.c */
/* Asks the node that serves. Answers itself where as much as is allowed is being asked. */
void work_ask(exchange_t *exchange, Ixn__V1__Request *request, work_answer_fn *answer);
/* Asks it for the interaction of the path; `whole`: confirmed, and with its journey. */
void work_get(exchange_t *exchange, bool whole, work_answer_fn *answer);
/* True when the message is of that kind; otherwise the request is answered. */
bool work_is_good(exchange_t *exchange, const Ixn__V1__Message *message, const error_t *error,
                  Ixn__V1__Message__BodyCase kind);
/* A number of the query; false, and the request is answered, when it is none. */
bool work_number(exchange_t *exchange, const char *name, uint32_t standard, uint32_t max,
                 uint32_t *ret_number);
/* The id of the path; false, and the request is answered, when it is none. */
bool work_id(exchange_t *exchange, id128_t *ret_id);
route_fn route_queues, route_interactions;
route_fn route_routers, route_strategies, route_agents;
route_fn route_move, route_stop, route_hold, route_resume, route_release;

/* routes_interaction.c */
route_fn route_interaction;

/* routes_strategies.c */
route_fn route_strategy, route_activate, route_deactivate, route_applications;

/* routes_routers.c */
route_fn route_drain, route_undrain;

/* routes_configuration.c */
route_fn route_configuration, route_diff, route_config_check, route_config_reload;

/* routes_pair.c */
/* Asks one node, whatever its role; `answer` is called once, also when none comes. */
void pair_ask(exchange_t *exchange, node_link_t *link, Ixn__V1__Request *request,
              command_answer_fn *answer);
/* The reason and dry_run of a command; `more` are other names that it may have, as ", NAME, NAME",
 * and their values are the caller's to check. False: it is answered. */
bool pair_check(exchange_t *exchange, const char *more);
Ixn__V1__PairCommand pair_command_of(const exchange_t *exchange, Ixn__V1__PairCommand__Kind kind);
route_fn route_switchover, route_failover, route_pause, route_unpause;
void pair_hear_commands(core_t *self, node_link_t *link);
void pair_expire_commands(core_t *self);
void pair_forget_link(core_t *self, const node_link_t *link);

/* routes_heal.c */
route_fn route_heal;

/* routes_records.c */
route_fn route_history, route_audit, route_search;
/* Asks the pair's own database; false when it is not known yet, or too many ask. */
bool records_of_pair(core_t *self, const char *sql, const char *const *params, size_t params_len,
                     records_answer_fn *answer, void *context);
/* Into the node's log; once, so audit_begin does not say it again. */
void audit_log(exchange_t *exchange, const char *action, const char *target);
/* A command to the pair, or a reload, may be what brings the database back, and a heal is done
 * already: those go on where their row cannot be written; the node's log has them. */
typedef enum { AUDIT_NEEDED, AUDIT_WANTED } audit_need_t;
/* Writes what is about to be done, then calls `then`; answers itself where that must be written and
 * cannot. */
void audit_begin(exchange_t *exchange, audit_need_t need, const char *action, const char *target,
                 route_fn *then);
/* How it ended. */
void audit_end(exchange_t *exchange, const char *outcome);

/* routes_page.c */
route_fn route_page, route_style, route_script, route_icon, route_openapi;

/* live.c: streams */
route_fn route_live, route_events;
live_t *live_new(core_t *core);
void live_destroy(live_t **self_p);
long live_wait_ms(const live_t *self, usec_t now);
void live_turn(live_t *self);

#endif
