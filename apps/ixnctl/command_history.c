/* Command `history`: who was primary when, why, and for how long. */
#include "apps/ixnctl/command.h"

#include <stdio.h>
#include <stdlib.h>

#include "apps/ixnctl/parts/units.h"
#include "apps/ixnctl/query.h"
#include "core/base/check.h"

typedef struct {
    common_t *common;
    long limit;
} input_t;

enum { EPOCH, OWNER, STARTED, ENDED, SECONDS, ENTRIES, REASON };

static const struct argp_option s_options[] = {
    {"limit", 'l', "N", 0, "At most so many, the newest (20)", 0},
    {0},
};

static int s_parse(int key, char *argument, struct argp_state *state)
{
    input_t *input = state->input;
    switch (key) {
    case 'l':
        input->limit = common_number(argument, 1, 1000000, "--limit", state);
        return 0;
    default:
        return common_key(key, argument, state, input->common);
    }
}

static const char *s_value(const PGresult *result, int row, int column)
{
    return PQgetvalue(result, row, column);
}

static json_t *s_json(const PGresult *result, int rows, bool more)
{
    json_t *roles = json_array();
    for (int row = 0; row < rows; row++) {
        const char *ended = s_value(result, row, ENDED);
        json_array_append_new(
            roles,
            json_pack("{s:I, s:s, s:s, s:s, s:s?, s:f, s:I}", "epoch",
                      strtoll(s_value(result, row, EPOCH), NULL, 10), "owner",
                      s_value(result, row, OWNER), "reason", s_value(result, row, REASON),
                      "started_at", s_value(result, row, STARTED), "ended_at",
                      *ended ? ended : NULL, "seconds", strtod(s_value(result, row, SECONDS), NULL),
                      "entries", strtoll(s_value(result, row, ENTRIES), NULL, 10)));
    }
    return json_pack("{s:o, s:b}", "roles", roles, "more", more);
}

static void s_print(const PGresult *result, int rows, bool more, buffer_t *out)
{
    table_t table = {.columns_len = 7,
                     .columns = {{"EPOCH", true, false},
                                 {"NODE", false, false},
                                 {"SINCE", false, false},
                                 {"UNTIL", false, false},
                                 {"FOR", true, false},
                                 {"ENTRIES", true, false},
                                 {"WHY", false, true}}};
    for (int row = 0; row < rows; row++) {
        char text[UNITS_TEXT_SIZE];
        const char *ended = s_value(result, row, ENDED);
        table_add(&table, text_of(s_value(result, row, EPOCH)));
        table_add(&table, text_of(s_value(result, row, OWNER)));
        table_printf(&table, "%.19sZ", s_value(result, row, STARTED));
        table_printf(&table, *ended ? "%.19sZ" : "%s", *ended ? ended : "now");
        table_add(&table,
                  text_of(units_seconds(strtod(s_value(result, row, SECONDS), NULL), text)));
        table_add(&table,
                  text_of(units_count(strtoull(s_value(result, row, ENTRIES), NULL, 10), text)));
        table_add(&table, text_of(s_value(result, row, REASON)));
    }
    table_layout(&table, common_style(), out);
    table_free(&table);
    if (more)
        buffer_printf(out, "there are more than these %d (--limit)\n", rows);
}

static int s_run(const input_t *input)
{
    static const char sql[] =
        "SELECT epoch::text, owner,"
        " to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),"
        " coalesce(to_char(ended_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), ''),"
        " extract(epoch FROM duration)::text, coalesce(entries, 0)::text, reason"
        " FROM ixn.role_history ORDER BY role_history.epoch DESC LIMIT $1::text::bigint";
    char limit[24];
    snprintf(limit, sizeof limit, "%ld", input->limit + 1);
    const char *params[] = {limit, NULL};
    error_t error = {0};
    query_t *query = query_new(input->common, &error);
    PGresult *result = query ? query_rows(query, sql, params, &error) : NULL;
    if (!result) {
        query_destroy(&query);
        return common_fail(&error);
    }
    const bool more = PQntuples(result) > input->limit;
    const int rows = more ? (int)input->limit : PQntuples(result);
    buffer_t out = {0};
    if (!input->common->json)
        s_print(result, rows, more, &out);
    const bool printed =
        input->common->json ? common_print_json(s_json(result, rows, more)) : common_print(&out);
    buffer_free(&out);
    PQclear(result);
    query_destroy(&query);
    return printed ? EXIT_DONE : EXIT_PARTLY;
}

int command_history(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .options = s_options,
        .parser = s_parse,
        .doc =
            "Who was primary when, why, and for how long; the newest first.\v"
            "One row an epoch, from the view ixn.role_history, which is never shortened: every "
            "start and every take-over raises the epoch, and says why. \"now\" means that this "
            "epoch may still write; whether somebody serves, ixnctl status knows. Times are UTC, "
            "by the database's calendar.\n\nExamples:\n"
            "  ixnctl history\n"
            "  ixnctl history -o json | jq '.roles[0]'",
        .children = common_children,
    };
    input_t input = {.common = common, .limit = 20};
    common_parse(&argp, argc, argv, &input);
    return s_run(&input);
}
