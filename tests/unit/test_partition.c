/* Partition: days and names (the rest needs a database: tests/database). */
#include <criterion/criterion.h>

#include "dap/partition.h"

#define DAY_US (INT64_C(86400) * USEC_PER_SECOND)

Test(partition, days_are_of_utc_and_round_down)
{
    cr_assert_eq(partition_day(0), 0);
    cr_assert_eq(partition_day(DAY_US - 1), 0);
    cr_assert_eq(partition_day(DAY_US), 1);
    cr_assert_eq(partition_day(-1), -1);
    cr_assert_eq(partition_day(-DAY_US), -1);
    cr_assert_eq(partition_day(-DAY_US - 1), -2);
}

Test(partition, names_are_dates)
{
    char name[PARTITION_NAME_SIZE];
    cr_assert_str_eq(partition_name(0, name), "interaction_finished_19700101");
    cr_assert_str_eq(partition_name(11016, name), "interaction_finished_20000229");
    cr_assert_str_eq(partition_name(20484, name), "interaction_finished_20260131");
    cr_assert_str_eq(partition_name(2932896, name), "interaction_finished_99991231");
}

Test(partition, nonsense_gets_no_table)
{
    cr_assert(partition_day_valid(0));
    cr_assert(partition_day_valid(2932896));
    cr_assert_not(partition_day_valid(-1));
    cr_assert_not(partition_day_valid(2932897));
    cr_assert_not(partition_day_valid(partition_day(INT64_MAX)));
    cr_assert_not(partition_day_valid(partition_day(INT64_MIN)));
}
