#include "dap/moves.h"

#include <string.h>

#include "dap/field.h"

/* Of one move: two identities (16 + 8 + 4 bytes), time, port, epoch and index, as PostgreSQL sends
 * them. */
enum { IDENTITY_SIZE = 28, MOVE_SIZE = 2 * IDENTITY_SIZE + 8 + 4 + 8 + 8 };

static identity_t s_identity(const char *bytes)
{
    return (identity_t){
        .database_id = field_id((field_t){bytes, 16}),
        .system_identifier = field_int8((field_t){bytes + 16, 8}),
        .database_oid = field_oid((field_t){bytes + 24, 4}),
    };
}

void moves_parse(text_t bytes, moves_t *ret_moves)
{
    moves_t moves = {0};
    for (size_t at = 0; bytes.len - at >= MOVE_SIZE && moves.len < MOVES_MAX; at += MOVE_SIZE) {
        const char *move = bytes.data + at;
        const char *rest = move + 2 * IDENTITY_SIZE;
        moves.moves[moves.len++] = (move_t){
            .from = s_identity(move),
            .to = s_identity(move + IDENTITY_SIZE),
            .instance = {.started_at = field_wall((field_t){rest, 8}),
                         .port = (uint32_t)field_int4((field_t){rest + 8, 4})},
            .epoch = field_int8((field_t){rest + 12, 8}),
            .known_index = field_int8((field_t){rest + 20, 8}),
        };
    }
    *ret_moves = moves;
}

bool moves_lead(const moves_t *self, const identity_t *from, const identity_t *to, move_t *ret_move)
{
    const move_t *last = NULL;
    uint64_t known = 0;
    for (size_t i = 0; i < self->len; i++) {
        const move_t *move = &self->moves[i];
        if (!identity_equal(&move->to, to))
            continue; /* a move of a copy before it was adopted here */
        last = last ? last : move;
        known = move->known_index > known ? move->known_index : known;
        if (identity_equal(&move->from, from)) {
            *ret_move = *last;
            ret_move->known_index = known;
            return true;
        }
        to = &move->from;
    }
    return false;
}

bool move_is_fresh(const move_t *self, uint64_t epoch, const instance_t *instance)
{
    return self->epoch == epoch && self->instance.started_at == instance->started_at &&
           self->instance.port == instance->port;
}
