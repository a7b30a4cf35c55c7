/* What the files of the pair's world share among themselves. */
#ifndef IXN_TESTS_PAIR_WORLD_INTERNAL_H
#define IXN_TESTS_PAIR_WORLD_INTERNAL_H

#include "tests/unit/pair_world.h"

enum { DATABASES = 3, NODES = 2, JOURNAL = 20000, FRAMES = 20000, WALL = 1769860800 };

typedef struct {
    identity_t identity;
    moves_t moves;
    instance_t instance;
    uint64_t epoch;
    id128_t generation;
    char owner[CONFIG_NAME_SIZE];
    batch_t *journal[JOURNAL];
    size_t len;
    uint64_t checkpoint;
} model_t;

typedef struct {
    bool asked;
    pair_action_t action;
    int reaches;
} access_model_t;

typedef struct {
    uint8_t *bytes;
    size_t len;
} frame_t;

typedef struct {
    pair_t *pair;
    bool frozen;
    bool hold_commits;
    bool hold_claims;
    bool hold_answers;
    bool refuse; /* claims and loads */
    bool full;   /* state_dir cannot be written */
    bool must_end;
    access_model_t daps[PAIR_MAX_DAPS];
    pair_action_t used;       /* OPEN or USE, the last one */
    pair_action_t remembered; /* REMEMBER_DAPS, the last one */
    char text[PAIR_MAX_DAPS * 4];
    bool has_memory;
    identity_memory_t memory;
    /* lanes */
    bool open;
    pair_action_t lanes; /* OPEN */
    batch_t *batch;
    uint64_t image; /* 0: none */
    /* link */
    frame_t inbox[FRAMES];
    size_t inbox_len;
    frame_t kept[FRAMES];
    size_t kept_len;
    bool up;
    bool deaf;
    /* told */
    uint64_t saved;
    char proving[PAIR_REASON * 5];
    error_t error;
    size_t claims;
    size_t loads;
    char reason[PAIR_REASON]; /* of the last one */
} member_t;

struct pair_world {
    usec_t now;
    model_t databases[DATABASES];
    member_t members[NODES];
    bool cut;
    bool mute;
    bool wrong_reason;
    uint64_t generations;
    wire_arena_t *arena;
    char told[16384];
    char answer[1024];
    int64_t lag_bytes; /* of the last status; -1: none */
};

/* The newest batch of a database; NULL: none. */
const batch_t *pair_world_newest(const model_t *model);
void pair_world_drop(frame_t *frames, size_t *len);

#endif
