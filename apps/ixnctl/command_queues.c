/* Command `queues`: what is in each queue, asked of the node that serves. Where none does, of the
 * documented tables; the answer says which.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "apps/ixnctl/command.h"
#include "apps/ixnctl/gather.h"
#include "apps/ixnctl/parts/units.h"
#include "apps/ixnctl/parts/utf8.h"
#include "apps/ixnctl/query.h"
#include "core/base/check.h"
#include "core/wire/entry.pb-c.h"

enum { PATIENCE_MS = 1000 };

typedef struct {
    common_t *common;
    double interval; /* between two looks; 0: one look */
} input_t;

static const struct argp_option s_options[] = {
    {"interval", 'i', "SECONDS", 0,
     "Between the two looks that the rates need, to 60 (1); 0: one look, without rates", 0},
    {0},
};

static int s_parse(int key, char *argument, struct argp_state *state)
{
    input_t *input = state->input;
    if (key != 'i')
        return common_key(key, argument, state, input->common);
    input->interval = common_seconds(argument, 0, 60, "--interval", state);
    return 0;
}

/* ---- The node's answer ---- */

/* One look; false and why: no node gives one. */
static bool s_look(gather_t *gather, error_t *ret_error)
{
    const picture_t *picture = gather_picture(gather);
    if (!gather_take(gather, PATIENCE_MS, ret_error))
        return false;
    if (picture->has_work)
        return true;
    char why[PAIR_VIEW_REASON];
    if (pair_view_primary(&picture->view) != PAIR_VIEW_NONE) {
        *ret_error = picture->work_error;
        return false;
    }
    pair_view_verdict(&picture->view, why);
    return error_set(ret_error, ERROR_TIMED_OUT, "%s", why);
}

static bool s_take(const input_t *input, gather_t *gather, error_t *ret_error)
{
    if (!s_look(gather, ret_error))
        return false;
    if (input->interval <= 0)
        return true;
    picture_before_t before = {0};
    picture_rate(gather_picture(gather), &before);
    const time_t seconds = (time_t)input->interval;
    nanosleep(&(struct timespec){seconds, (long)((input->interval - (double)seconds) * 1e9)}, NULL);
    const bool taken = s_look(gather, ret_error);
    if (taken)
        picture_rate(gather_picture(gather), &before);
    picture_before_free(&before);
    return taken;
}

static void s_keep_tenant(const common_t *common, picture_t *picture)
{
    if (common->tenant)
        picture_keep_tenant(picture, common->tenant);
}

static void s_append_queues(const picture_t *picture, bool rates, buffer_t *out)
{
    picture_print_queues(picture,
                         &(picture_look_t){.style = common_style(),
                                           .queues_max = SIZE_MAX,
                                           .order = PICTURE_BY_TROUBLE,
                                           .rates = rates,
                                           .strategies = true},
                         out);
}

static bool s_print(const input_t *input, picture_t *picture)
{
    const Ixn__V1__PairNode *node =
        picture->view.nodes[pair_view_primary(&picture->view)].status->own;
    char at[UNITS_TEXT_SIZE];
    s_keep_tenant(input->common, picture);
    if (input->common->json)
        return common_print_json(json_pack("{s:s, s:s, s:s, s:o}", "from", "node", "node",
                                           node->name, "at", units_time(picture->wall_us, at),
                                           "queues", picture_queues_json(picture)));
    buffer_t out = {0};
    s_append_queues(picture, input->interval > 0, &out);
    const bool printed = common_print(&out);
    buffer_free(&out);
    return printed;
}

/* ---- The tables' answer ---- */

/* The configured queues as a JSON list, for the statement to join: one in which nothing is has no
 * row in any table. Caller frees it. */
static char *s_configured_queues(const query_t *query)
{
    text_t encoded = query_configuration(query);
    Ixn__V1__EngineConfiguration *configuration =
        ixn__v1__engine_configuration__unpack(NULL, encoded.len, (const uint8_t *)encoded.data);
    json_t *array = json_array();
    for (size_t i = 0; configuration && i < configuration->n_queues; i++) {
        const Ixn__V1__QueueConfiguration *queue = configuration->queues[i];
        json_array_append_new(array, json_pack("{s:s, s:s, s:s, s:I}", "tenant", queue->tenant,
                                               "queue", queue->name, "strategy", queue->strategy,
                                               "max_length", (json_int_t)queue->max_length));
    }
    if (configuration)
        ixn__v1__engine_configuration__free_unpacked(configuration, NULL);
    char *text = json_dumps(array, JSON_COMPACT);
    CHECK(text);
    json_decref(array);
    return text;
}

static PGresult *s_query_queues(query_t *query, error_t *ret_error)
{
    static const char sql[] =
        "SELECT tenant, queue, coalesce(c.strategy, ''), (c.queue IS NOT NULL)::int::text,"
        " coalesce(c.max_length, 0)::text, coalesce(o.waiting, 0)::text,"
        " coalesce(o.held, 0)::text, coalesce(o.routing, 0)::text,"
        " coalesce(o.quarantined, 0)::text,"
        " coalesce((extract(epoch FROM o.oldest_placed_in_queue_at) * 1000000)::bigint, 0)::text,"
        " (extract(epoch FROM now()) * 1000000)::bigint::text"
        " FROM ixn.queue_overview AS o FULL JOIN json_to_recordset($1::text::json)"
        " AS c(tenant text, queue text, strategy text, max_length bigint)"
        " USING (tenant, queue)";
    char *configured = s_configured_queues(query);
    PGresult *result = query_rows(query, sql, (const char *const[]){configured, NULL}, ret_error);
    free(configured);
    return result;
}

static void s_fill(picture_t *picture, const PGresult *result)
{
    enum { TENANT, QUEUE, STRATEGY, CONFIGURED, LENGTH, WAITING, HELD, ROUTING, QUARANTINED };
    enum { OLDEST = QUARANTINED + 1, NOW };
    for (int row = 0; row < PQntuples(result); row++) {
        Ixn__V1__Queue queue = IXN__V1__QUEUE__INIT;
        picture->wall_us = strtoll(PQgetvalue(result, row, NOW), NULL, 10);
        queue.tenant = PQgetvalue(result, row, TENANT);
        queue.name = PQgetvalue(result, row, QUEUE);
        queue.strategy = PQgetvalue(result, row, STRATEGY);
        queue.configured = *PQgetvalue(result, row, CONFIGURED) == '1';
        queue.max_length = (uint32_t)strtoul(PQgetvalue(result, row, LENGTH), NULL, 10);
        queue.waiting = (uint32_t)strtoul(PQgetvalue(result, row, WAITING), NULL, 10);
        queue.held = (uint32_t)strtoul(PQgetvalue(result, row, HELD), NULL, 10);
        queue.routing = (uint32_t)strtoul(PQgetvalue(result, row, ROUTING), NULL, 10);
        queue.quarantined = (uint32_t)strtoul(PQgetvalue(result, row, QUARANTINED), NULL, 10);
        queue.oldest_placed_at_us = strtoll(PQgetvalue(result, row, OLDEST), NULL, 10);
        picture_add_queue(picture, &queue);
    }
}

/* What tables cannot know is null. */
static json_t *s_tables_json(const picture_t *picture, const query_t *query, const char *why)
{
    json_t *queues = picture_queues_json(picture);
    for (size_t i = 0; i < json_array_size(queues); i++) {
        json_t *queue = json_array_get(queues, i);
        json_object_set_new(queue, "entered", json_null());
        json_object_set_new(queue, "left", json_null());
        json_object_set_new(queue, "reason", json_null());
    }
    return json_pack("{s:s, s:s, s:I, s:f, s:o}", "from", "tables", "why", why, "as_of_index",
                     (json_int_t)query_index(query), "as_of_age_s", query_age(query), "queues",
                     queues);
}

static void s_append_as_of(buffer_t *out, const query_t *query, const char *why)
{
    char age[UNITS_TEXT_SIZE];
    buffer_printf(out, "from the tables, as of index %llu, %s ago: ",
                  (unsigned long long)query_index(query), units_seconds(query_age(query), age));
    utf8_clean(out, text_of(why), UTF8_LINE); /* parts of it come from outside */
    buffer_append_text(out, "\n");
}

static void s_print_tables(const input_t *input, const picture_t *picture, const query_t *query,
                           const char *why)
{
    buffer_t out = {0};
    if (input->common->json) {
        common_append_json(&out, s_tables_json(picture, query, why));
    } else {
        s_append_queues(picture, false, &out);
        s_append_as_of(&out, query, why);
    }
    common_print(&out);
    buffer_free(&out);
}

static int s_answer_by_tables(const input_t *input, const error_t *why)
{
    error_t error = {0};
    query_t *query = query_new(input->common, &error);
    PGresult *result = query ? s_query_queues(query, &error) : NULL;
    if (!result) {
        error_t both = {0};
        query_destroy(&query);
        error_set(&both, why->code, "%s; and the tables cannot be read: %s", why->text, error.text);
        return common_fail(&both);
    }
    picture_t picture;
    picture_init(&picture);
    s_fill(&picture, result);
    s_keep_tenant(input->common, &picture);
    s_print_tables(input, &picture, query, why->text);
    picture_free(&picture);
    PQclear(result);
    query_destroy(&query);
    return EXIT_PARTLY;
}

int command_queues(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .options = s_options,
        .parser = s_parse,
        .doc =
            "What is in each queue, how long the oldest waits, what comes and goes, and why the "
            "first in line is not routed.\v"
            "Asks the node that serves, so it is exact; any node of the pair will do to find it, "
            "as with ixnctl status. Rates need two looks, which is why it takes a second. Queues "
            "that need a look come first, then the longest.\n\n"
            "Where no node serves it reads the tables by the DAPs of the configuration, as of "
            "the last checkpoint, says so (with -o json: \"from\" is \"tables\"), and exits with "
            "4. Tables know neither rates nor reasons.\n\nExamples:\n"
            "  ixnctl queues\n"
            "  ixnctl -n tcp://b:7420 queues --interval 0 -o json | jq '.queues[] | "
            "select(.waiting > 0)'",
        .children = common_children,
    };
    input_t input = {.common = common, .interval = 1};
    common_parse(&argp, argc, argv, &input);
    error_t error = {0};
    gather_t *gather = gather_new(common, GATHER_PRIMARY, &error);
    if (!gather)
        return common_fail(&error);
    int code;
    if (s_take(&input, gather, &error))
        code = s_print(&input, gather_picture(gather)) ? EXIT_DONE : EXIT_PARTLY;
    else if (error.code == ERROR_UNKNOWN_TENANT)
        code = common_fail(&error);
    else
        code = s_answer_by_tables(&input, &error);
    gather_destroy(&gather);
    return code;
}
