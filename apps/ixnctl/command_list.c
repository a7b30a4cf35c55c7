/* Command `list`: a question to the documented tables, with the index they show. */
#include "apps/ixnctl/command.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "apps/ixnctl/parts/units.h"
#include "apps/ixnctl/query.h"
#include "core/base/alloc.h"
#include "core/base/check.h"

enum { ATTRIBUTES_MAX = 4 };

typedef struct {
    common_t *common;
    const char *queue;
    const char *state;
    const char *external_id;
    long limit;
    char *names[ATTRIBUTES_MAX]; /* of attributes that it must have; owned */
    const char *values[ATTRIBUTES_MAX];
    size_t attributes_len;
} input_t;

/* JSON_COLUMN is not shown in the table. */
typedef enum { TEXT_COLUMN, NUMBER_COLUMN, SECONDS_COLUMN, JSON_COLUMN } kind_t;

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
    {"external-id", 'e', "ID", 0, "Only with this id of the outside world, such as a Message-ID",
     0},
    {"attribute", 'a', "NAME=VALUE", 0,
     "Only with this attribute; up to four times: with all of them", 0},
    {"limit", 'l', "N", 0, "At most so many (50)", 0},
    {0},
};

static void s_add_attribute(input_t *input, const char *text, const struct argp_state *state)
{
    const char *sign = strchr(text, '=');
    if (!sign || sign == text || input->attributes_len == ATTRIBUTES_MAX) {
        argp_error(state, "--attribute %s: must be NAME=VALUE, at most %d times", text,
                   ATTRIBUTES_MAX);
        return;
    }
    char *name = memory_text(text);
    name[sign - text] = '\0';
    input->names[input->attributes_len] = name;
    input->values[input->attributes_len++] = sign + 1;
}

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
    case 'e':
        if (!*argument)
            argp_error(state, "--external-id: an id is needed");
        input->external_id = argument;
        return 0;
    case 'a':
        s_add_attribute(input, argument, state);
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
    table_t table = {0};
    for (size_t i = 0; i < columns_len; i++)
        if (columns[i].kind != JSON_COLUMN)
            table.columns[table.columns_len++] = (table_column_t){
                columns[i].heading, columns[i].kind != TEXT_COLUMN, columns[i].shrinks};
    for (int row = 0; row < rows; row++) {
        for (size_t i = 0; i < table.columns_len; i++)
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
    if (kind == JSON_COLUMN) { /* with a number that has no room here: its text */
        json_t *json = json_loads(value, 0, NULL);
        return json ? json : json_string(value);
    }
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
        if (query_was_ended(query))
            error_set(&error, ERROR_TIMED_OUT,
                      "the search was ended after %u s; name a --queue, or give it longer "
                      "(--timeout)",
                      common->timeout_ms / 1000);
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

static const answer_column_t s_columns[] = {
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
    {NULL, "attributes", JSON_COLUMN, false},
    {0},
};
enum { COLUMN_TIME = 5, COLUMN_ATTRIBUTES = 11, COLUMNS = 13 };

/* The statement, the caller's to free; its parameters are queue, state, tenant, limit, external id,
 * and name and value of each attribute. What is cheap to know is looked at first. */
static char *s_statement(const input_t *input, bool completed)
{
    const char *state = completed ? "'completed'" : "CASE WHEN held THEN 'held' ELSE state END";
    buffer_t sql = {0};
    buffer_printf(
        &sql,
        "SELECT id::text, %s, tenant, queue, priority::text, extract(epoch FROM %s)::text,"
        " attempts::text, media_type, coalesce(router, ''), external_id,"
        " coalesce(reason, '')%s FROM %s AS i"
        " WHERE ($1::text = '' OR queue = $1::text)"
        " AND ($2::text = '' OR %s = $2::text)"
        " AND ($3::text = '' OR tenant = $3::text)"
        " AND ($5::text = '' OR (external_id <> '' AND external_id = $5::text))",
        state, completed ? "completed_at - submitted_at" : "now() - placed_in_queue_at",
        input->attributes_len ? ", attributes::text" : "",
        completed ? "ixn.interaction_history" : "ixn.interaction", state);
    for (size_t i = 0; i < input->attributes_len; i++)
        buffer_printf(&sql, " AND attributes ->> $%zu::text = $%zu::text", 6 + 2 * i, 7 + 2 * i);
    buffer_printf(&sql, " ORDER BY %s LIMIT $4::text::bigint",
                  completed ? "completed_at DESC, i.id"
                            : "i.tenant, i.queue, i.priority DESC, age");
    buffer_append(&sql, "", 1);
    return (char *)sql.bytes;
}

static int s_list(const input_t *input, query_t *query)
{
    const bool completed = strcmp(input->state, "completed") == 0;
    char limit[24];
    snprintf(limit, sizeof limit, "%ld", input->limit + 1);
    const char *params[QUERY_PARAMS] = {input->queue, input->state,
                                        input->common->tenant ? input->common->tenant : "", limit,
                                        input->external_id};
    for (size_t i = 0; i < input->attributes_len; i++) {
        params[5 + 2 * i] = input->names[i];
        params[6 + 2 * i] = input->values[i];
    }
    answer_column_t columns[COLUMNS];
    memcpy(columns, s_columns, sizeof s_columns);
    if (completed)
        columns[COLUMN_TIME] = (answer_column_t){"TOOK", "took_seconds", SECONDS_COLUMN, false};
    if (input->attributes_len == 0)
        columns[COLUMN_ATTRIBUTES] = (answer_column_t){0};
    char *sql = s_statement(input, completed);
    const answer_t answer = {"interactions", sql, columns, input->limit};
    const int code = s_answer(input->common, query, &answer, params);
    free(sql);
    return code;
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
            "so. For one interaction as of now: ixnctl get.\n\n"
            "--attribute finds those whose attributes have a member of that name with that value, "
            "all of it (a number or true as it is written); -o json shows the attributes then. No "
            "index serves every name, so the database reads the attributes of all that the other "
            "options leave, for as long as --timeout allows.\n\nExamples:\n"
            "  ixnctl list --queue inbound --limit 20\n"
            "  ixnctl list --state quarantined -o json\n"
            "  ixnctl list --state completed --external-id '<m-17@example.org>'\n"
            "  ixnctl list --attribute from_address=a@example.org",
        .children = common_children,
    };
    input_t input = {.common = common, .queue = "", .state = "", .external_id = "", .limit = 50};
    common_parse(&argp, argc, argv, &input);
    error_t error = {0};
    query_t *query = query_new(common, &error);
    int code = EXIT_DONE;
    if (!query || (input.attributes_len && !query_set_time(query, common->timeout_ms, &error))) {
        query_destroy(&query);
        code = common_fail(&error);
    } else {
        code = s_list(&input, query);
    }
    for (size_t i = 0; i < input.attributes_len; i++)
        free(input.names[i]);
    return code;
}
