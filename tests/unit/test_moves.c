/* Moves: which database leads to which. */
#include <criterion/criterion.h>
#include <string.h>

#include "dap/moves.h"

/* Equal in nothing but what a test makes equal. */
static identity_t s_identity(uint32_t number)
{
    return (identity_t){id_hash(&number, sizeof number), 7000 + number, 100 + number};
}

static moves_t s_moves(size_t len, const uint32_t (*pairs)[2])
{
    moves_t moves = {.len = len};
    for (size_t i = 0; i < len; i++)
        moves.moves[i] = (move_t){.from = s_identity(pairs[i][0]),
                                  .to = s_identity(pairs[i][1]),
                                  .epoch = 100 - i,
                                  .known_index = 1000 + pairs[i][1]};
    return moves;
}

static bool s_lead(const moves_t *moves, uint32_t from, uint32_t to, uint64_t *ret_known)
{
    move_t move;
    identity_t a = s_identity(from);
    identity_t b = s_identity(to);
    bool found = moves_lead(moves, &a, &b, &move);
    if (found) {
        cr_assert(identity_equal(&move.to, &b)); /* the last one on the way */
        *ret_known = move.known_index;
    }
    return found;
}

Test(moves, lead_from_each_place_they_went_through)
{
    static const uint32_t pairs[][2] = {{3, 4}, {2, 3}, {1, 2}};
    moves_t moves = s_moves(3, pairs);
    uint64_t known = 0;
    moves.moves[1].known_index = 5000;
    cr_assert(s_lead(&moves, 3, 4, &known) && known == 1004);
    cr_assert(s_lead(&moves, 2, 4, &known) && known == 5000); /* the most that any knew */
    cr_assert(s_lead(&moves, 1, 4, &known) && known == 5000);
    cr_assert(s_lead(&moves, 1, 3, &known)); /* a copy from before the last move */
    known = 9;
    cr_assert(!s_lead(&moves, 4, 1, &known)); /* never back */
    cr_assert(!s_lead(&moves, 4, 4, &known));
    cr_assert(!s_lead(&moves, 5, 4, &known));
    cr_assert(!s_lead(&moves, 1, 5, &known)); /* a copy of what it led to */
    cr_assert_eq(known, 9);
}

/* Moves of a copy that was itself copied: what is between is not this database. */
Test(moves, of_another_copy_lead_nowhere)
{
    static const uint32_t pairs[][2] = {{2, 5}, {9, 3}, {1, 2}};
    moves_t moves = s_moves(3, pairs);
    uint64_t known;
    cr_assert(s_lead(&moves, 1, 5, &known));
    cr_assert(!s_lead(&moves, 9, 5, &known));
    cr_assert(!s_lead(&moves, 3, 5, &known));
}

Test(moves, differ_in_every_part_of_an_identity)
{
    static const uint32_t pairs[][2] = {{1, 2}};
    moves_t moves = s_moves(1, pairs);
    move_t move;
    for (int part = 0; part < 3; part++) {
        identity_t from = s_identity(1);
        identity_t to = s_identity(2);
        identity_t *changed[] = {&from, &to};
        for (int end = 0; end < 2; end++) {
            identity_t kept = *changed[end];
            if (part == 0)
                changed[end]->database_id.bytes[15]++;
            else if (part == 1)
                changed[end]->system_identifier++;
            else
                changed[end]->database_oid++;
            cr_assert(!moves_lead(&moves, &from, &to, &move));
            *changed[end] = kept;
        }
        cr_assert(moves_lead(&moves, &from, &to, &move));
    }
}

Test(moves, are_read_whole_or_not)
{
    char bytes[84 * (MOVES_MAX + 2)];
    moves_t moves;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i / 84 * 7 + i);
    moves_parse((text_t){NULL, 0}, &moves);
    cr_assert_eq(moves.len, 0);
    moves_parse((text_t){bytes, 83}, &moves);
    cr_assert_eq(moves.len, 0);
    moves_parse((text_t){bytes, 84 * 2 + 5}, &moves);
    cr_assert_eq(moves.len, 2);
    moves_parse((text_t){bytes, sizeof bytes}, &moves);
    cr_assert_eq(moves.len, MOVES_MAX);
    memset(bytes, 0, 84);
    bytes[15] = 1, bytes[23] = 2, bytes[27] = 3, bytes[43] = 4, bytes[51] = 5, bytes[55] = 6;
    bytes[63] = 7, bytes[67] = 8, bytes[75] = 9, bytes[83] = 10;
    moves_parse((text_t){bytes, 84}, &moves);
    const move_t *move = &moves.moves[0];
    cr_assert(move->from.database_id.bytes[15] == 1 && move->from.system_identifier == 2 &&
              move->from.database_oid == 3);
    cr_assert(move->to.database_id.bytes[15] == 4 && move->to.system_identifier == 5 &&
              move->to.database_oid == 6);
    cr_assert(move->instance.started_at == 946684800 * USEC_PER_SECOND + 7 &&
              move->instance.port == 8);
    cr_assert(move->epoch == 9 && move->known_index == 10);
}

Test(moves, are_fresh_until_somebody_claims_or_another_server_answers)
{
    const move_t move = {.instance = {.started_at = 5, .port = 6}, .epoch = 7};
    instance_t other = move.instance;
    cr_assert(move_is_fresh(&move, 7, &move.instance));
    cr_assert(!move_is_fresh(&move, 8, &move.instance));
    other.started_at++;
    cr_assert(!move_is_fresh(&move, 7, &other));
}
