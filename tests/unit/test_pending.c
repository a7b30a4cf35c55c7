/* The table of unanswered requests of ixn-bench. */
#include <criterion/criterion.h>

#include "apps/ixn-bench/parts/pending.h"

Test(pending, put_take_and_use_again)
{
    pending_table_t *table = pending_table_new();
    for (uint64_t round = 0; round < 3; round++) {
        for (uint64_t id = 1; id <= 1000; id++)
            pending_table_put(table, id * 7919, &(pending_t){.sequence = id + round});
        cr_assert_eq(pending_table_len(table), 1000);
        pending_t pending;
        cr_assert_not(pending_table_take(table, 5, &pending));
        for (uint64_t id = 1000; id >= 1; id--) {
            cr_assert(pending_table_take(table, id * 7919, &pending));
            cr_assert_eq(pending.sequence, id + round);
            cr_assert_not(pending_table_take(table, id * 7919, &pending));
        }
        cr_assert_not(pending_table_pop(table, &pending));
    }
    pending_table_put(table, 1, &(pending_t){.sequence = 1});
    pending_table_destroy(&table);
    cr_assert_null(table);
    pending_table_destroy(&table);
}
