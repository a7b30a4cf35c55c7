/* Rows: how many go into a statement, and what the statements say. */
#include <criterion/criterion.h>
#include <signal.h>

#include "dap/rows.h"

Test(rows, chunks_are_bounded_and_never_empty)
{
    static char large[ROWS_CHUNK_BYTES / 2];
    static interaction_row_t of[3];
    static const interaction_row_t *rows[ROWS_CHUNK + 1];
    for (size_t i = 0; i < ROWS_CHUNK + 1; i++)
        rows[i] = &of[i % 3];
    size_t bytes;
    cr_assert_eq(rows_chunk(rows, ROWS_CHUNK + 1, &bytes), (size_t)ROWS_CHUNK);
    cr_assert_eq(rows_chunk(rows, 3, &bytes), 3u);
    for (size_t i = 0; i < 3; i++)
        of[i].attributes = (text_t){large, sizeof large};
    cr_assert_eq(rows_chunk(rows, 3, &bytes), 1u);
    cr_assert_gt(bytes, sizeof large);
    static char larger[ROWS_CHUNK_BYTES * 2];
    of[0].attributes = (text_t){larger, sizeof larger};
    cr_assert_eq(rows_chunk(rows, 3, &bytes), 1u);
}

Test(rows, statements_name_each_column_once)
{
    rows_t rows;
    rows_init(&rows);
    cr_assert(strstr(rows_upsert_sql(&rows), "deadline_log_us"));
    cr_assert(strstr(rows_upsert_sql(&rows), "ON CONFLICT (id) DO UPDATE SET parent_id = "));
    cr_assert(!strstr(rows_upsert_sql(&rows), "completed_at"));
    cr_assert(strstr(rows_copy_sql(&rows, ROWS_HISTORY), "completed_log_us"));
    cr_assert(!strstr(rows_copy_sql(&rows, ROWS_HISTORY), "token_epoch"));
    cr_assert(strstr(rows_upsert_sql(&rows), " state,"));
    cr_assert(!strstr(rows_copy_sql(&rows, ROWS_HISTORY), " state,"), "the view says it");
    cr_assert(strstr(rows_copy_sql(&rows, ROWS_LIVE), " state,"));
    rows_free(&rows);
}

/* The table has no state, the view's is always the same: what says something else is not written.
 */
Test(rows, the_history_takes_only_what_is_finished, .signal = SIGABRT)
{
    const interaction_row_t row = {.state = INTERACTION_ROUTING};
    const interaction_row_t *const rows_of[] = {&row};
    size_t count;
    rows_t rows;
    rows_init(&rows);
    rows_encode_copy(&rows, ROWS_HISTORY, rows_of, 1, &count);
}
