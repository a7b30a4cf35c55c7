/* Talker: a client of the pair: a media server, a router, an application server or an operator. It
 * speaks the wire
 * contract (core/wire/client.proto), keeps to the epoch rule, and asks again until it is answered.
 */
#ifndef IXN_TESTS_SIM_TALKER_H
#define IXN_TESTS_SIM_TALKER_H

#include "core/wire/wire.h"
#include "tests/sim/engine_file.h"
#include "tests/sim/errand.h"
#include "tests/sim/planted.h"
#include "tests/sim/world.h"

typedef enum {
    TALKER_MEDIA,
    TALKER_ROUTER,
    TALKER_AUTHOR, /* an operator that stores strategies */
    TALKER_SERVER,
    TALKER_OPERATOR, /* one that gives commands to the pair; the last of them */
} talker_kind_t;

typedef enum {
    ASKED_NOTHING,
    ASKED_REGISTER,
    ASKED_PING,
    ASKED_LOADED,
    ASKED_SUBMIT,  /* item: of submits */
    ASKED_CHANGE,  /* item: of changes */
    ASKED_GET,     /* item: of submits */
    ASKED_RESULT,  /* item: of works */
    ASKED_COMMAND, /* item: kind of command */
    ASKED_STATUS,
    ASKED_CALL,    /* item: of works */
    ASKED_RESERVE, /* item: of works */
    ASKED_BODY,    /* item: of strategies */
    ASKED_FAILED,  /* item: of strategies */
    ASKED_ANSWER,  /* item: of tasks */
    ASKED_ORDER,   /* item: of strategies */
} asked_t;

typedef struct {
    asked_t what;
    size_t item;
    int64_t detail; /* RESULT: 1: it names an agent; LOADED, BODY: the version */
} request_t;

typedef struct {
    uint8_t key[16];
    int32_t priority;
    int queue; /* 0 inbound, 1 work, 2 urgent */
    bool hold;
    bool acked;
    bool refused;   /* it is poison */
    bool gone;      /* it is known no longer: its entry was skipped */
    size_t planted; /* number; PLANTED_MAX: it is none */
    id128_t id;
    uint64_t asking; /* request; 0: none */
    usec_t again_at;
    int repeats; /* how often it is asked again although it is answered */
} submit_t;

typedef struct {
    uint8_t key[16];
    size_t submit;
    Ixn__V1__Request__BodyCase kind;
    bool answered;
    Ixn__V1__Code code; /* OK: acked */
    uint32_t version;
    uint64_t asking;
    usec_t again_at;
    int repeats;
} change_item_t;

/* A piece of work of a router. */
typedef struct {
    Ixn__V1__Token token;
    id128_t id;
    bool first_step; /* strategy "classify" */
    usec_t due_at;   /* USEC_NEVER: never answered */
    Ixn__V1__Request__BodyCase result;
    bool held;  /* it counts as its own */
    bool lying; /* told that it is not, and answers all the same */
    bool over;
    uint64_t asking;
    usec_t again_at;
    errand_t errand;
} work_t;

/* What a router has of a strategy. */
typedef struct {
    bool brought;     /* the node knows that it brings its own */
    uint32_t wanted;  /* stored version that it is told to load; 0: none */
    bool fails;       /* it cannot load that one */
    bool has_body;    /* of it */
    uint32_t said[8]; /* versions that it said it has, and was not told to unload since */
    size_t said_len;
    usec_t again_at;
} loading_t;

/* What an application server was asked, or answers without having been. */
typedef struct {
    Ixn__V1__Token token;
    usec_t due_at;
    bool foreign;
    bool fault;
    bool done;
    bool over;
    char outcome[48];
    uint64_t asking;
    usec_t again_at;
} task_t;

/* What an author wants now. */
typedef struct {
    Ixn__V1__Request__BodyCase kind;
    size_t strategy;
    uint32_t version; /* 0: the newest */
    unsigned routers; /* a bit for each */
    char body[60];
    bool open;
    uint64_t asking;
    usec_t again_at;
} order_t;

struct talker {
    world_t *world;
    size_t number;
    size_t place; /* among those of its kind, from 0 */
    talker_kind_t kind;
    char name[32];
    bool alive;
    bool hung; /* a router that hears and does nothing */
    uint64_t life;
    id128_t incarnation;
    uint64_t connection;
    int target;
    bool registered;
    usec_t registering_at; /* when it asked last; 0: not yet */
    usec_t heard_at;
    usec_t said_at;
    usec_t switch_at; /* not before: two nodes that both send it away */
    uint64_t highest_epoch;
    uint64_t registered_epoch; /* … when it registered */
    wire_arena_t *arena;
    buffer_t out;
    size_t out_requests;
    request_t *requests; /* by id */
    size_t requests_len;
    size_t requests_capacity;
    /* media servers */
    submit_t *submits;
    size_t submits_len;
    change_item_t *changes;
    size_t changes_len;
    usec_t next_submit;
    size_t open_from; /* submits before it are done with */
    /* routers */
    loading_t loads[STRATEGIES];
    work_t *works;
    size_t works_len;
    size_t works_from;
    /* application servers */
    task_t *tasks;
    size_t tasks_len;
    size_t tasks_from;
    /* authors */
    order_t order;
    usec_t next_order;
    int texts;
    size_t peace;
    /* operators */
    usec_t next_command;
    bool quiet; /* makes nothing new */
};

void talkers_new(world_t *world);
void talkers_destroy(world_t *world);

void talker_receive(talker_t *self, int node, const uint8_t *bytes, size_t len);
void talker_closed(talker_t *self, int node);
void talker_kill(talker_t *self, bool heard);
void talker_start(talker_t *self);

/* Adds a request to the frame that leaves at the end of this tick; returns its id. */
uint64_t talker_ask(talker_t *self, Ixn__V1__Request *request, asked_t what, size_t item);
void talker_switch(talker_t *self, int node);
/* The answers of a request that was not for the talker itself; `retry_at`: asked again then. */
typedef struct {
    const request_t *request;
    uint64_t id;
    int node;
    usec_t retry_at; /* 0: it is answered */
    const Ixn__V1__Message *message;
} answer_t;

/* media.c */
void media_tick(talker_t *self);
void media_answer(talker_t *self, const answer_t *answer);
/* Submits what crashes whoever decides it. */
bool media_poison(talker_t *self, planted_kind_t kind); /* false: there were enough */
/* router.c */
void router_registered(talker_t *self, const Ixn__V1__Registered *registered);
size_t router_tokens(talker_t *self, Ixn__V1__Token ***ret_tokens);
void router_tick(talker_t *self);
void router_answer(talker_t *self, const answer_t *answer);
void router_route(talker_t *self, const Ixn__V1__Route *route);
void router_revoked(talker_t *self, const Ixn__V1__Token *token);
void router_forget(talker_t *self); /* its process began anew */
/* loading.c: a router's strategies */
void loading_registered(talker_t *self);
void loading_tick(talker_t *self);
void loading_load(talker_t *self, const Ixn__V1__LoadStrategy *load);
void loading_unload(talker_t *self, const Ixn__V1__UnloadStrategy *unload);
void loading_answer(talker_t *self, const answer_t *answer);
void loading_routed(talker_t *self, const Ixn__V1__Route *route);
/* server.c */
void server_fill(talker_t *self, Ixn__V1__ApplicationServer *body);
void server_registered(talker_t *self, const Ixn__V1__Registered *registered);
size_t server_tokens(talker_t *self, Ixn__V1__Token ***ret_tokens);
void server_tick(talker_t *self);
void server_answer(talker_t *self, const answer_t *answer);
void server_request(talker_t *self, const Ixn__V1__ServiceRequest *request);
void server_drop(talker_t *self, const Ixn__V1__Token *token);
void server_forget(talker_t *self);
/* author.c */
void author_tick(talker_t *self);
void author_answer(talker_t *self, const answer_t *answer);
/* operator.c */
void operator_tick(talker_t *self);
void operator_answer(talker_t *self, const answer_t *answer);
void operator_command(talker_t *self, int node, Ixn__V1__PairCommand__Kind kind);

#endif
