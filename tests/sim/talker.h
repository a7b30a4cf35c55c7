/* Talker: a client of the pair: a media server, a router or an operator. It speaks the wire
 * contract (core/wire/client.proto), keeps to the epoch rule, and asks again until it is answered.
 */
#ifndef IXN_TESTS_SIM_TALKER_H
#define IXN_TESTS_SIM_TALKER_H

#include "core/wire/wire.h"
#include "tests/sim/world.h"

typedef enum { TALKER_MEDIA, TALKER_ROUTER, TALKER_OPERATOR } talker_kind_t;

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
} asked_t;

typedef struct {
    asked_t what;
    size_t item;
} request_t;

typedef struct {
    uint8_t key[16];
    int32_t priority;
    int queue; /* 0 inbound, 1 work, 2 urgent */
    bool hold;
    bool acked;
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
} work_t;

struct talker {
    world_t *world;
    size_t number;
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
    bool loaded[2]; /* the node knows that it can run the strategy */
    usec_t load_at; /* it is told (again) then */
    work_t *works;
    size_t works_len;
    size_t works_from;
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
/* router.c */
void router_registered(talker_t *self, const Ixn__V1__Registered *registered);
size_t router_tokens(talker_t *self, Ixn__V1__Token ***ret_tokens);
void router_tick(talker_t *self);
void router_answer(talker_t *self, const answer_t *answer);
void router_route(talker_t *self, const Ixn__V1__Route *route);
void router_revoked(talker_t *self, const Ixn__V1__Token *token);
void router_forget(talker_t *self); /* its process began anew */
/* operator.c */
void operator_tick(talker_t *self);
void operator_answer(talker_t *self, const answer_t *answer);
void operator_command(talker_t *self, int node, Ixn__V1__PairCommand__Kind kind);

#endif
