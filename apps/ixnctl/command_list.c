/* Command `list`: a question to the documented tables, with the index they show. */
#include "apps/ixnctl/command.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "apps/ixnctl/parts/units.h"
#include "apps/ixnctl/query.h"
#include "core/base/check.h"

typedef struct {
    common_t *common;
    const char *queue;
    const char *state;
    long limit;
} input_t;

typedef enum { TEXT_COLUMN, NUMBER_COLUMN, SECONDS_COLUMN } kind_t;

/* One column of an answer, in the order of the statement's. */
typedef struct {
    const char *heading;
    const char *name; /* in JSON */
    kind_t kind;
    bool shrinks;
} answer_column_t;

typedef struct {
    const char *name; /* of the list, in JSON */
    const char *sql;
    const answer_column_t *columns; /* end with one without a name */
    long limit;
} answer_t;

static const struct argp_option s_options_list[] = {
    {"queue", 'q', "QUEUE", 0, "Only of this queue", 0},
    {"state", 's', "queued|held|routing|quarantined|completed", 0,
     "Only in this state; completed looks into the history", 0},
    {"limit", 'l', "N", 0, "At most so many (50)", 0},
    {0},
};

static int s_parse(int key, char *argument, struct argp_state *state)
{
    static const char *const states[] = {"queued",   "held",        "routing",  "invited",
                                         "handling", "quarantined", "completed"};
    input_t *input = state->input;
    switch (key) {
    case 'q':
        input->queue = argument;
        return 0;
    case 's':
        input->state = argument;
        for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
            if (strcmp(argument, states[i]) == 0)
                return 0;
        }
        argp_error(state, "--state %s: must be queued, held, routing, quarantined or completed",
                   argument);
        return 0;
    case 'l':
        input->limit = common_number(argument, 1, 1000000, "--limit", state);
        return 0;
    default:
        return common_key(key, argument, state, input->common);
    }
}

static void s_add_cell(table_t *table, kind_t kind, const char *value)
{
    char text[UNITS_TEXT_SIZE];
    if (kind == SECONDS_COLUMN && *value)
        table_add(table, text_of(units_seconds(strtod(value, NULL), text)));
    else
        table_add(table, text_of(value));
}

static void s_append_as_of(buffer_t *out, const query_t *query)
{
    char age[UNITS_TEXT_SIZE];
    buffer_printf(out, "as of index %llu, %s ago\n", (unsigned long long)query_index(query),
                  units_seconds(query_age(query), age));
}

static void s_append_table(buffer_t *out, const PGresult *result, const answer_column_t *columns,
                           size_t columns_len, int rows)
{
    table_t table = {.columns_len = columns_len};
    for (size_t i = 0; i < columns_len; i++)
        table.columns[i] = (table_column_t){columns[i].heading, columns[i].kind != TEXT_COLUMN,
                                            columns[i].shrinks};
    for (int row = 0; row < rows; row++) {
        for (size_t i = 0; i < columns_len; i++)
            s_add_cell(&table, columns[i].kind, PQgetvalue(result, row, (int)i));
    }
    table_layout(&table, common_style(), out);
    table_free(&table);
}

static json_t *s_value(kind_t kind, const char *value)
{
    if (kind == TEXT_COLUMN)
        return json_string(value);
    if (!*value)
        return json_null();
    return kind == NUMBER_COLUMN ? json_integer(strtoll(value, NULL, 10))
                                 : json_real(strtod(value, NULL));
}

static void s_append_json(buffer_t *out, const query_t *query, const PGresult *result,
                          const answer_t *answer, int rows)
{
    json_t *array = json_array();
    for (int row = 0; row < rows; row++) {
        json_t *object = json_object();
        for (int i = 0; answer->columns[i].name; i++)
            json_object_set_new(object, answer->columns[i].name,
                                s_value(answer->columns[i].kind, PQgetvalue(result, row, i)));
        json_array_append_new(array, object);
    }
    json_t *all = json_pack("{s:I, s:f, s:b, s:o}", "as_of_index", (json_int_t)query_index(query),
                            "as_of_age_s", query_age(query), "more", PQntuples(result) > rows,
                            answer->name, array);
    common_append_json(out, all);
}

/* Asks and prints at most `limit` rows; a row beyond them says that there are more. Ends the query.
 */
static int s_answer(common_t *common, query_t *query, const answer_t *answer,
                    const char *const *params)
{
    error_t error = {0};
    PGresult *result = query_rows(query, answer->sql, params, &error);
    if (!result) {
        query_destroy(&query);
        return common_fail(&error);
    }
    size_t columns_len = 0;
    while (answer->columns[columns_len].name)
        columns_len++;
    CHECK((size_t)PQnfields(result) == columns_len);
    bool more = PQntuples(result) > answer->limit;
    int rows = more ? (int)answer->limit : PQntuples(result);
    buffer_t out = {0};
    if (common->json) {
        s_append_json(&out, query, result, answer, rows);
    } else {
        s_append_table(&out, result, answer->columns, columns_len, rows);
        if (more)
            buffer_printf(&out, "there are more than these %d (--limit)\n", rows);
        s_append_as_of(&out, query);
    }
    PQclear(result);
    query_destroy(&query);
    bool printed = common_print(&out);
    buffer_free(&out);
    return printed ? EXIT_DONE : EXIT_PARTLY;
}

int command_list(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .options = s_options_list,
        .parser = s_parse,
        .doc =
            "List interactions, in the order in which they will be routed.\v"
            "Reads the tables ixn.interaction and (--state completed, newest first) "
            "ixn.interaction_history as of the last checkpoint, normally a second ago, and says "
            "so. For one interaction as of now: ixnctl get.\n\nExamples:\n"
            "  ixnctl list --queue inbound --limit 20\n"
            "  ixnctl list --state quarantined -o json",
        .children = common_children,
    };
    static const char live[] =
        "SELECT id::text, CASE WHEN held THEN 'held' ELSE state END, tenant, queue, priority::text,"
        " extract(epoch FROM now() - placed_in_queue_at)::text, attempts::text, media_type,"
        " coalesce(router, ''), external_id, coalesce(reason, '')"
        " FROM ixn.interaction"
        " WHERE ($1::text = '' OR queue = $1::text)"
        " AND ($2::text = '' OR (CASE WHEN held THEN 'held' ELSE state END) = $2::text)"
        " AND ($3::text = '' OR tenant = $3::text)"
        " ORDER BY ixn.interaction.tenant, ixn.interaction.queue, ixn.interaction.priority DESC,"
        " age LIMIT $4::text::bigint";
    static const char history[] =
        "SELECT id::text, state, tenant, queue, priority::text,"
        " extract(epoch FROM completed_at - submitted_at)::text, attempts::text, media_type,"
        " coalesce(router, ''), external_id, coalesce(reason, '')"
        " FROM ixn.interaction_history"
        " WHERE ($1::text = '' OR queue = $1::text) AND $2::text = 'completed'"
        " AND ($3::text = '' OR tenant = $3::text)"
        " ORDER BY completed_at DESC, ixn.interaction_history.id LIMIT $4::text::bigint";
    answer_column_t columns[] = {
        {"ID", "id", TEXT_COLUMN, false},
        {"STATE", "state", TEXT_COLUMN, false},
        {"TENANT", "tenant", TEXT_COLUMN, true},
        {"QUEUE", "queue", TEXT_COLUMN, true},
        {"PRIORITY", "priority", NUMBER_COLUMN, false},
        {"WAITING", "waiting_seconds", SECONDS_COLUMN, false},
        {"ATTEMPTS", "attempts", NUMBER_COLUMN, false},
        {"MEDIA", "media_type", TEXT_COLUMN, true},
        {"ROUTER", "router", TEXT_COLUMN, true},
        {"EXTERNAL ID", "external_id", TEXT_COLUMN, true},
        {"REASON", "reason", TEXT_COLUMN, true},
        {0},
    };
    input_t input = {.common = common, .queue = "", .state = "", .limit = 50};
    common_parse(&argp, argc, argv, &input);
    char limit[24];
    snprintf(limit, sizeof limit, "%ld", input.limit + 1);
    const char *params[] = {input.queue, input.state, common->tenant ? common->tenant : "", limit,
                            NULL};
    error_t error = {0};
    query_t *query = query_new(common, &error);
    if (!query)
        return common_fail(&error);
    answer_t answer = {.name = "interactions", .columns = columns, .limit = input.limit};
    answer.sql = live;
    if (strcmp(input.state, "completed") == 0) {
        answer.sql = history;
        columns[5] = (answer_column_t){"TOOK", "took_seconds", SECONDS_COLUMN, false};
    }
    return s_answer(common, query, &answer, params);
}
