/* Commands `list` and `queues`: questions to the documented tables, with the index they show.
 */
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

static const struct argp_option s_options_list[] = {
    {"queue", 'q', "QUEUE", 0, "Only of this queue", 0},
    {"state", 's', "STATE", 0,
     "Only in this state: queued, held, routing, quarantined; completed looks into the history", 0},
    {"limit", 'l', "N", 0, "At most so many (50)", 0},
    {0},
};

static int s_parse(int key, char *argument, struct argp_state *state)
{
    static const char *const states[] = {"queued",   "held",        "routing",  "invited",
                                         "handling", "quarantined", "completed"};
    input_t *input = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = input->common;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "\"%s\" is one word too many", argument);
        return 0;
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
        return ARGP_ERR_UNKNOWN;
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
    buffer_printf(out, "as of index %llu, %s ago\n", (unsigned long long)query->index,
                  units_seconds(query->age, age));
}

static void s_append_table(buffer_t *out, const query_t *query, const answer_column_t *columns,
                           size_t columns_len, int rows)
{
    table_t table = {.columns_len = columns_len};
    for (size_t i = 0; i < columns_len; i++)
        table.columns[i] = (table_column_t){columns[i].heading, columns[i].kind != TEXT_COLUMN,
                                            columns[i].shrinks};
    for (int row = 0; row < rows; row++) {
        for (size_t i = 0; i < columns_len; i++)
            s_add_cell(&table, columns[i].kind, PQgetvalue(query->rows, row, (int)i));
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

static void s_append_json(buffer_t *out, const query_t *query, const char *name,
                          const answer_column_t *columns, int rows)
{
    json_t *array = json_array();
    for (int row = 0; row < rows; row++) {
        json_t *object = json_object();
        for (int i = 0; columns[i].name; i++)
            json_object_set_new(object, columns[i].name,
                                s_value(columns[i].kind, PQgetvalue(query->rows, row, i)));
        json_array_append_new(array, object);
    }
    json_t *all =
        json_pack("{s:I, s:f, s:b, s:o}", "as_of_index", (json_int_t)query->index, "as_of_age_s",
                  query->age, "more", PQntuples(query->rows) > rows, name, array);
    CHECK(all);
    char *text = json_dumps(all, JSON_COMPACT | JSON_REAL_PRECISION(12));
    CHECK(text);
    buffer_printf(out, "%s\n", text);
    free(text);
    json_decref(all);
}

/* Prints at most `limit` rows; a row beyond them says that there are more. */
static int s_print(common_t *common, query_t *query, const char *name,
                   const answer_column_t *columns, long limit)
{
    size_t columns_len = 0;
    while (columns[columns_len].name)
        columns_len++;
    CHECK((size_t)PQnfields(query->rows) == columns_len);
    int rows = PQntuples(query->rows);
    bool more = rows > limit;
    if (more)
        rows = (int)limit;
    buffer_t out = {0};
    if (common->json) {
        s_append_json(&out, query, name, columns, rows);
    } else {
        s_append_table(&out, query, columns, columns_len, rows);
        if (more)
            buffer_printf(&out, "there are more than these %d (--limit)\n", rows);
        s_append_as_of(&out, query);
    }
    PQclear(query->rows);
    bool printed = common_print(&out);
    buffer_free(&out);
    return printed ? EXIT_DONE : EXIT_PARTLY;
}

static const struct argp_child s_children[] = {{&common_argp, 0, NULL, 90}, {0}};

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
        .children = s_children,
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
    static const answer_column_t columns[] = {
        {"ID", "id", TEXT_COLUMN, false},
        {"STATE", "state", TEXT_COLUMN, false},
        {"TENANT", "tenant", TEXT_COLUMN, true},
        {"QUEUE", "queue", TEXT_COLUMN, true},
        {"PRIORITY", "priority", NUMBER_COLUMN, false},
        {"TIME", "seconds", SECONDS_COLUMN, false},
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
    query_t query = {0};
    const char *sql = strcmp(input.state, "completed") == 0 ? history : live;
    if (!query_run(common, sql, params, &query, &error))
        return common_fail(&error);
    return s_print(common, &query, "interactions", columns, input.limit);
}

int command_queues(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .parser = s_parse,
        .doc =
            "What is in each queue, and how long the oldest waits.\v"
            "Reads the view ixn.queue_overview as of the last checkpoint, normally a second "
            "ago, and says so. Queues in which nothing is do not appear.\n\nExample:\n"
            "  ixnctl queues -o json",
        .children = s_children,
    };
    static const char sql[] =
        "SELECT tenant, queue, waiting::text, held::text, routing::text, quarantined::text,"
        " coalesce(extract(epoch FROM now() - oldest_placed_in_queue_at)::text, '')"
        " FROM ixn.queue_overview WHERE ($1::text = '' OR tenant = $1::text)"
        " ORDER BY ixn.queue_overview.tenant, ixn.queue_overview.queue";
    static const answer_column_t columns[] = {
        {"TENANT", "tenant", TEXT_COLUMN, true},
        {"QUEUE", "queue", TEXT_COLUMN, true},
        {"WAITING", "waiting", NUMBER_COLUMN, false},
        {"HELD", "held", NUMBER_COLUMN, false},
        {"ROUTING", "routing", NUMBER_COLUMN, false},
        {"QUARANTINED", "quarantined", NUMBER_COLUMN, false},
        {"OLDEST", "oldest_seconds", SECONDS_COLUMN, false},
        {0},
    };
    input_t input = {.common = common};
    common_parse(&argp, argc, argv, &input);
    const char *params[] = {common->tenant ? common->tenant : "", NULL};
    error_t error = {0};
    query_t query = {0};
    if (!query_run(common, sql, params, &query, &error))
        return common_fail(&error);
    return s_print(common, &query, "queues", columns, LONG_MAX);
}
