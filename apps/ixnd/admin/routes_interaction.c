/* One interaction. What is not finished is asked of the node that serves, exactly; of what is
 * finished the node remembers little, and not for long, so the tables tell it; also where no node
 * serves, since nothing changes it any more. */
#include <stdlib.h>

#include "apps/ixnd/admin/core.h"
#include "apps/views/stored.h"
#include "apps/views/view.h"
#include "core/wire/wire.h"

/* `as_of_index`: of the tables; NULL: a node said so. */
static json_t *s_json(const Ixn__V1__Interaction *one, const char *as_of_index)
{
    json_t *json = view_interaction(one, true);
    json_object_set_new(json, "from", json_string(as_of_index ? "tables" : "node"));
    json_object_set_new(json, "as_of_index",
                        as_of_index ? json_integer(strtoll(as_of_index, NULL, 10)) : json_null());
    return json;
}

static void s_on_row(void *context, const PGresult *result, const error_t *error)
{
    exchange_t *exchange = context;
    if (result && !PQgetisnull(result, 0, 0)) {
        id128_t id = {0};
        stored_t stored;
        id_parse(exchange->id, &id);
        stored_read(result, id, &stored);
        http_answer_json(exchange->request, 200,
                         s_json(&stored.one, PQgetvalue(result, 0, STORED_WIDTH)));
    } else if (exchange->collected) { /* the tables are behind, or cannot be read */
        http_answer_json(exchange->request, 200, json_incref(exchange->collected));
    } else if (exchange->untold.code != ERROR_OK) {
        http_answer_error(exchange->request, 503, "NO_ANSWER",
                          "no node has answered: %s; what is finished the tables tell, but %s",
                          exchange->untold.text,
                          result ? "this one is not, as far as they know" : error->text);
    } else if (result) {
        http_answer_error(exchange->request, 404, error_name(ERROR_UNKNOWN_INTERACTION),
                          "there is no interaction %s: the node has none that is not finished, and "
                          "the tables none that is, as of index %s",
                          exchange->id, PQgetvalue(result, 0, STORED_WIDTH));
    } else {
        http_answer_error(exchange->request, 503, error_name(error->code),
                          "interaction %s is none that is not finished; whether it is finished the "
                          "tables would say, but: %s",
                          exchange->id, error->text);
    }
}

static void s_ask_tables(exchange_t *exchange)
{
    static const char sql[] =
        "SELECT h.*, c.index::text FROM ixn.pair AS p CROSS JOIN ixn.checkpoint AS c LEFT JOIN"
        " (SELECT " STORED_FINISHED
        " FROM ixn.interaction_history WHERE id = $2::text::uuid"
        " LIMIT 1) AS h ON true WHERE p.database_id = $1::text::uuid";
    const char *params[] = {exchange->id};
    error_t error = {0};
    if (records_of_pair(exchange->core, sql, params, 1, s_on_row, exchange))
        return;
    error_set(&error, ERROR_DATABASE_UNREACHABLE,
              "the node has not seen its database yet, or too many ask at once");
    s_on_row(exchange, NULL, &error);
}

static void s_on_interaction(void *context, const Ixn__V1__Message *message, const error_t *error)
{
    exchange_t *exchange = context;
    const bool unknown = message && message->body_case == IXN__V1__MESSAGE__BODY_ERROR &&
                         (error_code_t)message->error->code == ERROR_UNKNOWN_INTERACTION;
    if (!message)
        exchange->untold = *error;
    else if (!unknown &&
             !work_is_good(exchange, message, error, IXN__V1__MESSAGE__BODY_INTERACTION))
        return;
    else if (!unknown)
        exchange->collected = s_json(message->interaction, NULL);
    if (!exchange->collected ||
        message->interaction->state == IXN__V1__INTERACTION_STATE__COMPLETED)
        s_ask_tables(exchange);
    else
        http_answer_json(exchange->request, 200, json_incref(exchange->collected));
}

void route_interaction(core_t *self, exchange_t *exchange)
{
    (void)self;
    work_get(exchange, true, s_on_interaction);
}
