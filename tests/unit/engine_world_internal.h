/* What the files of the world share among themselves. */
#ifndef IXN_TESTS_ENGINE_WORLD_INTERNAL_H
#define IXN_TESTS_ENGINE_WORLD_INTERNAL_H

#include "tests/unit/engine_tables.h"
#include "tests/unit/engine_world.h"

enum { NAME = 80 };

typedef struct {
    char who[NAME];
    session_t session;
} connection_t;

typedef struct {
    uint64_t id;
    char who[NAME];
    char name[NAME]; /* of the interaction that a Submit makes */
    bool answered;
    bool untold; /* a Ping of world_pass */
} asked_t;

typedef struct {
    char name[NAME];
    id128_t id;
} named_t;

struct world {
    world_options_t options;
    node_t *node;
    wire_arena_t *arena;
    usec_t now;
    bool in_turn;
    uint64_t epoch;
    batch_t *in_flight;
    batch_t **journal;
    size_t journal_len;
    engine_tables_t *tables;
    checkpoint_image_t *waiting;
    uint64_t written; /* a checkpoint that the node is to hear of; 0: none */
    connection_t connections[1200];
    size_t connections_len;
    asked_t *asked;
    size_t asked_len;
    size_t asked_capacity;
    named_t *named;
    size_t named_len;
    Ixn__V1__Token *tokens;
    size_t tokens_len;
    buffer_t told;
    char sentence[600];
    world_observer_t observer;
    size_t largest_frame;
    size_t most_messages;
    char last_token[NAME];
    Ixn__V1__Token served;
};

/* engine_world.c */
connection_t *world_find(const world_t *self, const char *who); /* NULL: not connected */
const char *world_who(const world_t *self, session_t session);  /* NULL: gone */
void world_begin(world_t *self);                                /* begins a turn if none is */
/* engine_asks.c */
void world_name(world_t *self, const char *name, id128_t id);
const char *world_name_of(world_t *self, ProtobufCBinaryData id);
const char *world_token_name(world_t *self, const Ixn__V1__Token *token);
/* engine_told.c */
void world_hear(world_t *self, const engine_frame_t *frame);

#endif
