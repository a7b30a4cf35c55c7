#include "apps/ixnd/admin/records.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "dap/database.h"
#include "dap/params.h"

#define SQLSTATE_CANCELLED "57014"

enum { WAITING_MAX = 64, WAYS_MAX = 16, ASK_MS = 5000 };

/* What comes first goes to the lane first. Each kind has places of its own. */
typedef enum { ORDER_AUDIT, ORDER_QUESTION, ORDER_KINDS } order_kind_t;

/* One question, or row of the audit, on its way to the lane and back. */
typedef struct order {
    STAILQ_ENTRY(order) link;
    order_kind_t kind;
    const char *sql;
    char *params[RECORDS_PARAMS]; /* the first is the database's id */
    int params_len;
    bool search;
    records_answer_fn *answer;
    void *context;
    PGresult *result;
    error_t error;
} order_t;

struct records {
    zactor_t *actor;
    int stop; /* an event on it ends what the lane waits for */
    STAILQ_HEAD(, order) waiting[ORDER_KINDS];
    size_t len[ORDER_KINDS]; /* with the one that the lane has */
    order_t *at_work;        /* the lane has it; NULL: it is idle */
    bool searching;
};

/* Owned by the lane's thread. */
typedef struct {
    zsock_t *pipe;
    database_t *ways[WAYS_MAX]; /* one a DAP */
    size_t ways_len;
    size_t good; /* the one that answered last */
} lane_t;

/* ---- The thread ---- */

/* In a transaction that tells the server how long it may take: one that is left alone would go on.
 */
static PGresult *s_search(connection_t *connection, const order_t *order,
                          const connection_params_t *params, error_t *ret_error)
{
    char begin[100];
    PGresult *result = NULL;
    snprintf(begin, sizeof begin, "BEGIN READ ONLY; SET LOCAL statement_timeout = %d",
             RECORDS_SEARCH_MS);
    if (connection_script(connection, begin, ASK_MS, ret_error))
        result = connection_query_within(connection, order->sql, params, ASK_MS, ret_error);
    if (!result && strcmp(connection_sqlstate(connection), SQLSTATE_CANCELLED) == 0)
        error_set(ret_error, ERROR_DATABASE_REFUSED,
                  "the search was ended after %d s; name a queue, or ask the tables by SQL",
                  RECORDS_SEARCH_MS / 1000);
    connection_rollback(connection);
    return result;
}

static PGresult *s_ask_way(lane_t *self, size_t way, const order_t *order, error_t *ret_error)
{
    connection_t *connection = database_connection(self->ways[way], ret_error);
    if (!connection)
        return NULL;
    Oid types[RECORDS_PARAMS];
    int lengths[RECORDS_PARAMS];
    for (int i = 0; i < order->params_len; i++) {
        types[i] = OID_TEXT;
        lengths[i] = order->params[i] ? (int)strlen(order->params[i]) : 0;
    }
    const connection_params_t params = {.count = order->params_len,
                                        .types = types,
                                        .values = (const char *const *)order->params,
                                        .lengths = lengths};
    PGresult *result =
        order->search ? s_search(connection, order, &params, ret_error)
                      : connection_query_within(connection, order->sql, &params, ASK_MS, ret_error);
    if (!result || PQntuples(result) > 0)
        return result;
    PQclear(result);
    error_set(ret_error, ERROR_DATABASE_WRONG,
              "DAP %s reaches another database than the pair's, which is %s",
              connection_name(connection), order->params[0]);
    return NULL;
}

/* The way that was good last, then the others. A statement that was refused is not asked again. */
static void s_ask(lane_t *self, order_t *order)
{
    for (size_t i = 0; i < self->ways_len; i++) {
        size_t way = (self->good + i) % self->ways_len;
        order->result = s_ask_way(self, way, order, &order->error);
        if (order->result)
            self->good = way;
        if (order->result || order->error.code == ERROR_DATABASE_REFUSED)
            return;
    }
}

typedef struct {
    const config_t *config;
    int stop;
} start_t;

static void s_run(zsock_t *pipe, void *argument)
{
    const start_t *start = argument;
    lane_t self = {.pipe = pipe};
    for (; self.ways_len < start->config->daps_len && self.ways_len < WAYS_MAX; self.ways_len++)
        self.ways[self.ways_len] = database_of_dap(start->config, self.ways_len, start->stop);
    zsock_signal(pipe, 0);
    order_t *order = NULL;
    while (zsock_brecv(pipe, "p", &order) == 0 && order) {
        s_ask(&self, order);
        zsock_bsend(pipe, "p", order);
    }
    for (size_t i = 0; i < self.ways_len; i++)
        database_destroy(&self.ways[i]);
}

/* ---- The owner ---- */

records_t *records_new(const config_t *config)
{
    records_t *self = memory_zero(1, sizeof *self);
    for (size_t i = 0; i < ORDER_KINDS; i++)
        STAILQ_INIT(&self->waiting[i]);
    self->stop = eventfd(0, EFD_CLOEXEC);
    CHECK(self->stop >= 0);
    start_t start = {config, self->stop};
    self->actor = zactor_new(s_run, &start); /* returns when the lane has read it */
    CHECK(self->actor);
    return self;
}

static void s_free(order_t *order)
{
    PQclear(order->result);
    for (int i = 0; i < order->params_len; i++)
        free(order->params[i]);
    free(order);
}

static void s_end(records_t *self, order_t *order)
{
    self->len[order->kind]--;
    if (order->search)
        self->searching = false;
    if (!order->result && order->error.code == ERROR_OK)
        error_set(&order->error, ERROR_DATABASE_UNREACHABLE, "the node stops");
    order->answer(order->context, order->result, &order->error);
    s_free(order);
}

static order_t *s_take_first(records_t *self)
{
    for (size_t i = 0; i < ORDER_KINDS; i++) {
        order_t *order = STAILQ_FIRST(&self->waiting[i]);
        if (!order)
            continue;
        STAILQ_REMOVE_HEAD(&self->waiting[i], link);
        return order;
    }
    return NULL;
}

void records_destroy(records_t **self_p)
{
    records_t *self = *self_p;
    if (!self)
        return;
    CHECK(eventfd_write(self->stop, 1) == 0);
    zsock_bsend(self->actor, "p", NULL);
    order_t *order = NULL;
    while (self->at_work && zsock_brecv(self->actor, "p", &order) != 0)
        continue; /* a signal was caught */
    if (order)
        s_end(self, order);
    while ((order = s_take_first(self)))
        s_end(self, order);
    zactor_destroy(&self->actor);
    close(self->stop);
    free(self);
    *self_p = NULL;
}

static order_t *s_order(order_kind_t kind, const char *database_id, const char *sql,
                        const char *const *params, size_t params_len, records_answer_fn *answer,
                        void *context)
{
    CHECK(params_len < RECORDS_PARAMS);
    order_t *order = memory_zero(1, sizeof *order);
    order->kind = kind;
    order->sql = sql;
    order->answer = answer;
    order->context = context;
    order->params[order->params_len++] = memory_text(database_id);
    for (size_t i = 0; i < params_len; i++)
        order->params[order->params_len++] = params[i] ? memory_text(params[i]) : NULL;
    return order;
}

static void s_send_first(records_t *self)
{
    if (!self->at_work && (self->at_work = s_take_first(self)))
        zsock_bsend(self->actor, "p", self->at_work);
}

static void s_send(records_t *self, order_t *order)
{
    self->len[order->kind]++;
    STAILQ_INSERT_TAIL(&self->waiting[order->kind], order, link);
    s_send_first(self);
}

bool records_ask(records_t *self, const char *database_id, const char *sql,
                 const char *const *params, size_t params_len, records_answer_fn *answer,
                 void *context)
{
    if (self->len[ORDER_QUESTION] == WAITING_MAX)
        return false;
    s_send(self, s_order(ORDER_QUESTION, database_id, sql, params, params_len, answer, context));
    return true;
}

bool records_audit(records_t *self, const char *database_id, const char *sql,
                   const char *const *params, size_t params_len, records_answer_fn *answer,
                   void *context)
{
    if (self->len[ORDER_AUDIT] == WAITING_MAX)
        return false;
    s_send(self, s_order(ORDER_AUDIT, database_id, sql, params, params_len, answer, context));
    return true;
}

bool records_search(records_t *self, const char *database_id, const char *sql,
                    const char *const *params, size_t params_len, records_answer_fn *answer,
                    void *context)
{
    if (self->len[ORDER_QUESTION] == WAITING_MAX || self->searching)
        return false;
    order_t *order = s_order(ORDER_QUESTION, database_id, sql, params, params_len, answer, context);
    order->search = self->searching = true;
    s_send(self, order);
    return true;
}

zsock_t *records_socket(records_t *self)
{
    return zactor_sock(self->actor);
}

void records_turn(records_t *self)
{
    while (zsock_events(self->actor) & ZMQ_POLLIN) {
        order_t *order = NULL;
        if (zsock_brecv(self->actor, "p", &order) != 0 || !order)
            continue;
        self->at_work = NULL;
        s_end(self, order);
        s_send_first(self);
    }
}
