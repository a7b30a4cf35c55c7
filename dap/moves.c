#include "dap/moves.h"

#include <string.h>

#include "dap/field.h"

/* Of one move: two identities (16 + 8 + 4 bytes) and an index, as PostgreSQL sends them. */
enum { IDENTITY_SIZE = 28, MOVE_SIZE = 2 * IDENTITY_SIZE + 8 };

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
        moves.moves[moves.len++] = (move_t){
            .from = s_identity(move),
            .to = s_identity(move + IDENTITY_SIZE),
            .known_index = field_int8((field_t){move + 2 * IDENTITY_SIZE, 8}),
        };
    }
    *ret_moves = moves;
}

bool moves_lead(const moves_t *self, const identity_t *from, const identity_t *to,
                uint64_t *ret_known_index)
{
    uint64_t known = 0;
    for (size_t i = 0; i < self->len; i++) {
        const move_t *move = &self->moves[i];
        if (!identity_equal(&move->to, to))
            continue; /* a move of a copy before it was adopted here */
        known = move->known_index > known ? move->known_index : known;
        if (identity_equal(&move->from, from)) {
            *ret_known_index = known;
            return true;
        }
        to = &move->from;
    }
    return false;
}
