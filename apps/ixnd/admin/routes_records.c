/* What the database keeps for operators: the roles of the past, and who changed what. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "apps/ixnd/admin/core.h"
#include "apps/views/view.h"
#include "core/base/check.h"
#include "core/base/id.h"
#include "core/base/log.h"
#include "core/wire/wire.h"
#include "dap/field.h"

/* The database's id as the node knows it; false: it has not seen it yet. */
static bool s_database_id(const core_t *self, char text[ID_TEXT_SIZE])
{
    const Ixn__V1__PairStatus *status = node_link_status(self->own);
    id128_t id;
    if (!status || !wire_read_id(status->database_id, &id))
        return false;
    id_text(id, text);
    return true;
}

bool records_of_pair(core_t *self, const char *sql, const char *const *params, size_t params_len,
                     records_answer_fn *answer, void *context)
{
    char database[ID_TEXT_SIZE];
    return s_database_id(self, database) &&
           records_ask(self->records, database, sql, params, params_len, answer, context);
}

/* ---- Lists: one column, of JSON text ---- */

static void s_on_list(void *context, const PGresult *result, const error_t *error)
{
    exchange_t *exchange = context;
    if (!result) {
        http_answer_error(exchange->request, 503, error_name(error->code), "%s", error->text);
        return;
    }
    buffer_t body = {0};
    text_t json = field_text(field_of(result, 0, 0));
    buffer_append(&body, json.data, json.len);
    buffer_append_text(&body, "\n");
    http_answer(exchange->request, 200, "application/json", &body);
}

static void s_list(core_t *self, exchange_t *exchange, const char *sql)
{
    const char *limit = http_query(exchange->request, "limit");
    size_t digits = limit ? strspn(limit, "0123456789") : 0;
    if (limit && (digits == 0 || digits > 4 || limit[digits])) {
        http_answer_error(exchange->request, 400, "INVALID_ARGUMENT",
                          "limit is \"%s\"; it must be a number, 0 … 9999", limit);
        return;
    }
    const char *params[] = {limit ? limit : "100"};
    if (!records_of_pair(self, sql, params, 1, s_on_list, exchange))
        http_answer_error(exchange->request, 503, "NO_DATABASE",
                          "the node has not seen its database yet, or too many ask at once");
}

void route_history(core_t *self, exchange_t *exchange)
{
    s_list(self, exchange,
           "SELECT json_build_object('roles', coalesce((SELECT json_agg(r) FROM (SELECT epoch,"
           " owner, reason, started_at, ended_at, extract(epoch FROM duration)::float8 AS seconds,"
           " first_index, entries FROM ixn.role_history ORDER BY epoch DESC"
           " LIMIT $2::text::bigint) AS r), '[]'::json))::text"
           " FROM ixn.pair WHERE database_id = $1::text::uuid");
}

void route_audit(core_t *self, exchange_t *exchange)
{
    s_list(self, exchange,
           "SELECT json_build_object('audit', coalesce((SELECT json_agg(a) FROM (SELECT id,"
           " began_at, ended_at, node, who, role, address, action, target, reason, request, outcome"
           " FROM ixn.audit ORDER BY id DESC LIMIT $2::text::bigint) AS a), '[]'::json))::text"
           " FROM ixn.pair WHERE database_id = $1::text::uuid");
}

/* ---- By attribute ---- */

/* In the tables, so as of the last checkpoint, and at no cost to the node: it does not look into
 * attributes. No index helps, so the database reads all of them: one search at a time, and each
 * within its bound. */
void route_search(core_t *self, exchange_t *exchange)
{
    static const char sql[] =
        "SELECT json_build_object('as_of_index', (SELECT index FROM ixn.checkpoint), "
        "'interactions',"
        " coalesce((SELECT json_agg(i) FROM (SELECT id, tenant, queue,"
        " CASE WHEN held THEN 'held' ELSE state END AS state, priority, media_type, external_id,"
        " submitted_at, placed_in_queue_at, router, reason, attributes FROM ixn.interaction"
        " WHERE ($4::text = '' OR queue = $4::text) AND attributes ->> $2::text = $3::text"
        " ORDER BY submitted_at, ixn.interaction.id LIMIT $5::text::bigint) AS i),"
        " '[]'::json))::text FROM ixn.pair WHERE database_id = $1::text::uuid";
    const char *attribute = http_query(exchange->request, "attribute");
    const char *value = http_query(exchange->request, "value");
    const char *queue = http_query(exchange->request, "queue");
    uint32_t limit;
    char number[16];
    if (!attribute || !*attribute || !value) {
        http_answer_error(
            exchange->request, 400, "INVALID_ARGUMENT",
            "attribute (the name of a member of the attributes) and value are needed");
        return;
    }
    if (!work_number(exchange, "limit", 100, 500, &limit))
        return;
    snprintf(number, sizeof number, "%u", limit);
    const char *params[] = {attribute, value, queue ? queue : "", number};
    char database[ID_TEXT_SIZE];
    if (!s_database_id(self, database))
        http_answer_error(exchange->request, 503, "NO_DATABASE",
                          "the node has not seen its database yet");
    else if (!records_search(self->records, database, sql, params, 4, s_on_list, exchange))
        http_answer_error(exchange->request, 503, "BUSY",
                          "another search is under way, and there is one at a time; ask again");
}

/* ---- The audit ---- */

/* What was decided in audit_begin, until the row is there. */
typedef struct {
    exchange_t *exchange;
    route_fn *then;
    audit_need_t need;
} beginning_t;

static bool s_audit(core_t *self, const char *sql, const char *const *params, size_t params_len,
                    records_answer_fn *answer, void *context)
{
    char database[ID_TEXT_SIZE];
    return s_database_id(self, database) &&
           records_audit(self->records, database, sql, params, params_len, answer, context);
}

static void s_go_on(beginning_t *beginning)
{
    exchange_t *exchange = beginning->exchange;
    route_fn *then = beginning->then;
    free(beginning);
    then(exchange->core, exchange);
}

static void s_on_begun(void *context, const PGresult *result, const error_t *error)
{
    beginning_t *beginning = context;
    exchange_t *exchange = beginning->exchange;
    if (exchange->core->stopping) { /* who would do it is gone already */
        free(beginning);
        http_answer_error(exchange->request, 503, "STOPPED", "the node stops; nothing was changed");
        return;
    }
    if (result)
        exchange->audit = field_int8(field_of(result, 0, 0));
    else
        log_warning("admin.audit", "error=\"%s\"", error->text);
    if (result || beginning->need == AUDIT_WANTED) {
        s_go_on(beginning);
        return;
    }
    free(beginning);
    http_answer_error(exchange->request, 503, error_name(error->code),
                      "nothing was changed, since the audit cannot be written: %s", error->text);
}

void audit_log(exchange_t *exchange, const char *action, const char *target)
{
    const char *reason = json_string_value(json_object_get(exchange->body, "reason"));
    if (!exchange->logged)
        log_info("admin.change", "action=%s target=%s who=\"%s\" role=%s address=%s reason=\"%s\"",
                 action, target, exchange->who.name, right_name(exchange->who.role),
                 http_address(exchange->request), reason ? reason : "");
    exchange->logged = true;
}

void audit_begin(exchange_t *exchange, audit_need_t need, const char *action, const char *target,
                 route_fn *then)
{
    static const char sql[] =
        "INSERT INTO ixn.audit (node, who, role, address, action, target, reason, request)"
        " SELECT $2::text, $3::text, $4::text, $5::text, $6::text, $7::text, $8::text,"
        " $9::text::jsonb FROM ixn.pair WHERE database_id = $1::text::uuid RETURNING id";
    core_t *self = exchange->core;
    const char *reason = json_string_value(json_object_get(exchange->body, "reason"));
    char *request = json_dumps(exchange->body, JSON_COMPACT);
    CHECK(request);
    audit_log(exchange, action, target);
    const char *params[] = {self->node,
                            exchange->who.name,
                            right_name(exchange->who.role),
                            http_address(exchange->request),
                            action,
                            target,
                            reason ? reason : "",
                            request};
    beginning_t *beginning = malloc(sizeof *beginning);
    CHECK(beginning);
    *beginning = (beginning_t){exchange, then, need};
    bool asked =
        s_audit(self, sql, params, sizeof params / sizeof params[0], s_on_begun, beginning);
    free(request);
    if (asked)
        return;
    error_t error;
    error_set(&error, ERROR_DATABASE_UNREACHABLE,
              "the node has not seen its database yet, or too many changes wait for it at once");
    s_on_begun(beginning, NULL, &error);
}

static void s_on_ended(void *context, const PGresult *result, const error_t *error)
{
    (void)context;
    if (!result)
        log_warning("admin.audit", "error=\"%s\"", error->text);
}

void audit_end(exchange_t *exchange, const char *outcome)
{
    static const char sql[] =
        "UPDATE ixn.audit SET ended_at = clock_timestamp(), outcome = $3::text"
        " FROM ixn.pair WHERE database_id = $1::text::uuid"
        " AND id = $2::text::bigint RETURNING id";
    char number[24];
    if (!exchange->audit)
        return;
    snprintf(number, sizeof number, "%" PRIu64, exchange->audit);
    const char *params[] = {number, outcome};
    if (!s_audit(exchange->core, sql, params, 2, s_on_ended, NULL))
        log_warning("admin.audit", "error=\"its end is not written\" id=%s", number);
    exchange->audit = 0;
}
