/* Picture: how it is shown; see picture.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/ixnctl/parts/picture.h"
#include "apps/ixnctl/parts/units.h"
#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/id.h"
#include "core/wire/wire.h"

#define RED "\x1b[31m"
#define YELLOW "\x1b[33m"
#define GREEN "\x1b[32m"
#define PLAIN "\x1b[0m"

/* ---- Order of the queues ---- */

typedef struct {
    const picture_queue_t *queue;
    size_t at;
    picture_order_t order;
} sorted_t;

static int s_compare_numbers(double a, double b)
{
    return (a < b) - (a > b); /* the greatest first */
}

static bool s_troubled(const picture_queue_t *queue)
{
    return queue->quarantined || (queue->waiting && queue->reason[0] && queue->strategy[0]);
}

static int s_compare(const void *a, const void *b)
{
    const sorted_t *left = a;
    const sorted_t *right = b;
    int by = 0;
    switch (left->order) {
    case PICTURE_BY_TROUBLE:
        by = (int)s_troubled(right->queue) - (int)s_troubled(left->queue);
        by = by ? by : s_compare_numbers(left->queue->waiting, right->queue->waiting);
        break;
    case PICTURE_BY_WAITING:
        by = s_compare_numbers(left->queue->waiting, right->queue->waiting);
        break;
    case PICTURE_BY_OLDEST:
        by = s_compare_numbers(left->queue->oldest_seconds, right->queue->oldest_seconds);
        break;
    case PICTURE_BY_IN:
        by = s_compare_numbers(left->queue->in_rate, right->queue->in_rate);
        break;
    case PICTURE_BY_NAME:
        break;
    }
    by = by ? by : strcmp(left->queue->tenant, right->queue->tenant);
    by = by ? by : strcmp(left->queue->name, right->queue->name);
    return by;
}

size_t *picture_sorted_queues(const picture_t *self, picture_order_t order)
{
    const size_t len = self->queues_len;
    sorted_t *sorted = memory_new(len * sizeof *sorted + 1);
    size_t *numbers = memory_new(len * sizeof *numbers + 1);
    for (size_t i = 0; i < len; i++)
        sorted[i] = (sorted_t){&self->queues[i], i, order};
    if (len > 1)
        qsort(sorted, len, sizeof *sorted, s_compare);
    for (size_t i = 0; i < len; i++)
        numbers[i] = sorted[i].at;
    free(sorted);
    return numbers;
}

/* ---- For people ---- */

/* A line of what may come from outside, in a colour of ours; longer than the screen it goes on. */
static void s_line(buffer_t *out, table_style_t style, const char *colour, const char *text)
{
    table_t line = {.columns_len = 1};
    table_add(&line, text_of(text));
    if (style.colour)
        buffer_append_text(out, colour);
    table_layout(&line, (table_style_t){0}, out);
    if (style.colour) { /* before the end of the line */
        out->len--;
        buffer_append_text(out, PLAIN "\n");
    }
    table_free(&line);
}

static void s_print_verdict(const picture_t *self, const picture_problems_t *problems,
                            const picture_look_t *look, buffer_t *out)
{
    const table_style_t style = look->style;
    char reason[PAIR_VIEW_REASON];
    char line[PAIR_VIEW_REASON + 40];
    const picture_verdict_t verdict = picture_verdict(self, problems);
    const bool ready = pair_view_verdict(&self->view, reason) == PAIR_VERDICT_READY;
    snprintf(line, sizeof line, "%s: %s%s",
             verdict == PICTURE_DOWN ? "DOWN"
             : !ready                ? "NOT READY"
             : problems->len         ? "Ready, but see below"
                                     : "All is well",
             reason, pair_view_full_stop(reason));
    s_line(out, style,
           verdict == PICTURE_DOWN || !ready ? RED
           : problems->len                   ? YELLOW
                                             : GREEN,
           line);
    const size_t primary = pair_view_primary(&self->view);
    if (primary == PAIR_VIEW_NONE || look->brief)
        return;
    const Ixn__V1__PairStatus *status = self->view.nodes[primary].status;
    char since[UNITS_TEXT_SIZE];
    buffer_t text = {0};
    buffer_printf(&text, "Epoch %llu since %s: %s.", (unsigned long long)status->epoch,
                  units_seconds((double)status->role_since_ms / 1e3, since), status->role_reason);
    char id[ID_TEXT_SIZE];
    id128_t database;
    if (wire_read_id(status->database_id, &database))
        buffer_printf(&text, " Database %s.", id_text(database, id));
    buffer_append(&text, "", 1);
    s_line(out, style, "", (const char *)text.bytes);
    buffer_free(&text);
}

static void s_add_silent(table_t *table, const pair_view_node_t *node)
{
    table_add(table, text_of(node->endpoint));
    table_add(table, TEXT("no answer"));
    for (size_t i = 2; i < table->columns_len; i++)
        table_add(table, TEXT(""));
}

static void s_add_node(table_t *table, const Ixn__V1__PairStatus *status,
                       const Ixn__V1__Figures *figures)
{
    char text[UNITS_TEXT_SIZE];
    char lag[PAIR_VIEW_LAG];
    const Ixn__V1__PairNode *node = status->own;
    table_add(table, text_of(node->name));
    table_add(table, text_of(node->role));
    table_add(table, text_of(units_seconds((double)status->role_since_ms / 1e3, text)));
    table_add(table, text_of(units_count(node->index, text)));
    table_add(table, text_of(pair_view_lag_text(status, node, lag)));
    table_add(table, figures && figures->serving ? text_of(units_bytes(figures->lag_bytes, text))
                                                 : TEXT(""));
    if (pair_view_serves(node))
        table_add(table, TEXT("serves"));
    else if (node->ready)
        table_add(table, node->automatic ? TEXT("yes") : TEXT("yes, by hand only"));
    else
        table_printf(table, "no: %s", node->readiness);
    table_add(table, text_of(figures ? figures->version : ""));
    table_add(table,
              figures ? text_of(units_seconds((double)figures->uptime_ms / 1e3, text)) : TEXT(""));
}

static void s_print_nodes(const picture_t *self, table_style_t style, buffer_t *out)
{
    table_t table = {.columns_len = 9,
                     .columns = {{"NODE", false, false},
                                 {"ROLE", false, false},
                                 {"SINCE", true, false},
                                 {"INDEX", true, false},
                                 {"LAG", true, false},
                                 {"NOT IN TABLES", true, false},
                                 {"READY", false, true},
                                 {"VERSION", false, false},
                                 {"UP", true, false}}};
    for (size_t i = 0; i < self->view.len; i++) {
        if (self->view.nodes[i].status)
            s_add_node(&table, self->view.nodes[i].status, self->figures[i]);
        else
            s_add_silent(&table, &self->view.nodes[i]);
    }
    table_layout(&table, style, out);
    table_free(&table);
}

static void s_print_daps(const picture_t *self, const picture_look_t *look, buffer_t *out)
{
    table_t table = {.columns_len = 6,
                     .columns = {{"DAP", false, false},
                                 {"OF", false, false},
                                 {"STATE", false, false},
                                 {"ANSWERS IN", true, false},
                                 {"ERRORS", true, false},
                                 {"TROUBLE", false, true}}};
    for (size_t i = 0; i < self->view.len; i++) {
        const Ixn__V1__PairStatus *status = self->view.nodes[i].status;
        for (size_t j = 0; status && j < status->own->n_daps; j++) {
            const Ixn__V1__PairDap *dap = status->own->daps[j];
            const char *verdict = pair_view_dap_verdict(dap);
            if (look->brief && strcmp(verdict, "proven") == 0)
                continue;
            table_add(&table, text_of(dap->name));
            table_add(&table, text_of(status->own->name));
            table_add(&table, text_of(verdict));
            if (dap->reachable)
                table_printf(&table, "%.1fms", (double)dap->latency_us / 1e3);
            else
                table_add(&table, TEXT(""));
            table_printf(&table, "%llu", (unsigned long long)dap->errors);
            table_add(&table, text_of(dap->trouble));
        }
    }
    if (table.cells_len) {
        buffer_append_text(out, "\n");
        table_layout(&table, look->style, out);
    }
    table_free(&table);
}

static const char *s_rate(double rate, char text[UNITS_TEXT_SIZE])
{
    if (rate < 0)
        return "";
    if (rate >= 100)
        return units_count((uint64_t)llround(rate), text);
    snprintf(text, UNITS_TEXT_SIZE, "%.1f", rate);
    return text;
}

static void s_add_queue(table_t *table, const picture_queue_t *queue, const picture_look_t *look)
{
    char text[UNITS_TEXT_SIZE];
    if (strcmp(queue->tenant, "default") == 0)
        table_add(table, text_of(queue->name));
    else
        table_printf(table, "%s/%s", queue->tenant, queue->name);
    if (look->strategies)
        table_add(table, text_of(queue->strategy));
    table_add(table, text_of(units_count(queue->waiting, text)));
    table_add(table, text_of(units_count(queue->held, text)));
    table_add(table, text_of(units_count(queue->routing, text)));
    table_add(table, text_of(units_count(queue->quarantined, text)));
    table_add(table, queue->oldest_seconds < 0
                         ? TEXT("")
                         : text_of(units_seconds(queue->oldest_seconds, text)));
    if (look->rates) {
        table_add(table, text_of(s_rate(queue->in_rate, text)));
        table_add(table, text_of(s_rate(queue->out_rate, text)));
    }
    table_add(table, text_of(queue->reason));
}

/* Only some of the columns. */
static void s_set_queue_columns(table_t *table, const picture_look_t *look)
{
    const struct {
        table_column_t column;
        bool left_out;
    } all[] = {
        {{"QUEUE", false, true}, false},        {{"STRATEGY", false, true}, !look->strategies},
        {{"WAITING", true, false}, false},      {{"HELD", true, false}, false},
        {{"ROUTING", true, false}, false},      {{"QUARANTINED", true, false}, false},
        {{"OLDEST", true, false}, false},       {{"IN/s", true, false}, !look->rates},
        {{"OUT/s", true, false}, !look->rates}, {{"WHY IT WAITS", false, true}, false}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!all[i].left_out)
            table->columns[table->columns_len++] = all[i].column;
}

void picture_print_queues(const picture_t *self, const picture_look_t *look, buffer_t *out)
{
    table_t table = {0};
    s_set_queue_columns(&table, look);
    size_t *order = picture_sorted_queues(self, look->order);
    size_t shown = 0;
    for (size_t i = look->first; i < self->queues_len && shown < look->queues_max; i++, shown++)
        s_add_queue(&table, &self->queues[order[i]], look);
    free(order);
    table_layout(&table, look->style, out);
    table_free(&table);
    if (self->queues_len > shown)
        buffer_printf(out, "%zu to %zu of %zu queues\n", look->first + (shown ? 1 : 0),
                      look->first + shown, self->queues_len);
}

static size_t s_connected(const picture_worker_t *workers, size_t len)
{
    size_t connected = 0;
    for (size_t i = 0; i < len; i++)
        connected += workers[i].connected;
    return connected;
}

static void s_print_sums(const picture_t *self, bool rates, buffer_t *out)
{
    char a[UNITS_TEXT_SIZE], b[UNITS_TEXT_SIZE], c[UNITS_TEXT_SIZE], d[UNITS_TEXT_SIZE];
    uint64_t waiting = 0, held = 0, routing = 0, quarantined = 0;
    for (size_t i = 0; i < self->queues_len; i++) {
        waiting += self->queues[i].waiting;
        held += self->queues[i].held;
        routing += self->queues[i].routing;
        quarantined += self->queues[i].quarantined;
    }
    buffer_printf(out, "\n%s waiting, %s held, %s with routers, %s in quarantine.",
                  units_count(waiting, a), units_count(held, b), units_count(routing, c),
                  units_count(quarantined, d));
    buffer_printf(out, " Routers: %zu of %zu connected",
                  s_connected(self->routers, self->routers_len), self->routers_len);
    size_t drained = 0;
    for (size_t i = 0; i < self->routers_len; i++)
        drained += self->routers[i].drained;
    if (drained)
        buffer_printf(out, ", %zu drained", drained);
    buffer_append_text(out, ".");
    if (self->servers_len)
        buffer_printf(out, " Application servers: %zu of %zu connected, %u requests open.",
                      s_connected(self->servers, self->servers_len), self->servers_len,
                      self->requests_open);
    buffer_append_text(out, "\n");
    if (rates && self->submit_rate >= 0)
        buffer_printf(out, "A second: %s submitted, %s dispatched, %s completed.\n",
                      s_rate(self->submit_rate, a), s_rate(self->dispatch_rate, b),
                      s_rate(self->finish_rate, c));
}

static void s_print_problems(const picture_problems_t *problems, table_style_t style, buffer_t *out)
{
    for (size_t i = 0; i < problems->len; i++) {
        const picture_problem_t *problem = &problems->list[i];
        char line[sizeof problem->what + 16];
        if (i == 0)
            buffer_append_text(out, "\n");
        snprintf(line, sizeof line, "%2zu. %s", i + 1, problem->what);
        s_line(out, style, problem->grave ? RED : YELLOW, line);
        buffer_append_text(out, "    → ");
        s_line(out, style, "", problem->then);
    }
    if (problems->more)
        buffer_printf(out, "    and %zu more of such kinds\n", problems->more);
}

void picture_print(const picture_t *self, const picture_problems_t *problems,
                   const picture_look_t *look, buffer_t *out)
{
    s_print_verdict(self, problems, look, out);
    buffer_append_text(out, "\n");
    s_print_nodes(self, look->style, out);
    s_print_daps(self, look, out);
    s_print_problems(problems, look->style, out);
    if (self->has_work) {
        s_print_sums(self, look->rates, out);
        if (look->queues_max && self->queues_len) {
            buffer_append_text(out, "\n");
            picture_print_queues(self, look, out);
        }
    }
}

/* ---- For programs ---- */

static json_t *s_number(double number)
{
    return number < 0 ? json_null() : json_real(number);
}

static json_t *s_queue_json(const picture_queue_t *queue)
{
    return json_pack("{s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:o, s:o, s:s}",
                     "tenant", queue->tenant, "queue", queue->name, "strategy", queue->strategy,
                     "configured", queue->configured, "max_length", (json_int_t)queue->max_length,
                     "waiting", (json_int_t)queue->waiting, "held", (json_int_t)queue->held,
                     "routing", (json_int_t)queue->routing, "quarantined",
                     (json_int_t)queue->quarantined, "oldest_seconds",
                     s_number(queue->oldest_seconds), "entered", (json_int_t)queue->entered, "left",
                     (json_int_t)queue->left, "in_per_second", s_number(queue->in_rate),
                     "out_per_second", s_number(queue->out_rate), "reason", queue->reason);
}

static json_t *s_workers_json(const picture_worker_t *workers, size_t len, bool servers)
{
    json_t *list = json_array();
    for (size_t i = 0; i < len; i++) {
        json_t *one =
            json_pack("{s:s, s:b, s:I, s:I, s:s}", "name", workers[i].name, "connected",
                      workers[i].connected, servers ? "in_flight" : "pending",
                      (json_int_t)workers[i].busy, servers ? "window" : "limit",
                      (json_int_t)workers[i].room, servers ? "note" : "reason", workers[i].reason);
        CHECK(one);
        if (servers)
            json_object_set_new(one, "breaker", json_string(workers[i].breaker));
        else
            json_object_set_new(one, "drained", json_boolean(workers[i].drained));
        json_array_append_new(list, one);
    }
    return list;
}

/* Adds to each node of the pair's JSON what its process says of itself. */
static void s_add_figures(const picture_t *self, json_t *nodes)
{
    for (size_t i = 0; i < self->view.len; i++) {
        const Ixn__V1__Figures *figures = self->figures[i];
        if (!figures)
            continue;
        json_t *json = json_pack(
            "{s:s, s:f, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:I}", "version", figures->version,
            "uptime_seconds", (double)figures->uptime_ms / 1e3, "serving", figures->serving,
            "retrying", figures->retrying, "lag_bytes", (json_int_t)figures->lag_bytes, "submitted",
            (json_int_t)figures->submitted, "dispatched", (json_int_t)figures->dispatched,
            "completed", (json_int_t)figures->completed, "interactions",
            (json_int_t)figures->interactions, "clients", (json_int_t)figures->sessions);
        CHECK(json);
        json_object_set_new(json_array_get(nodes, i), "figures", json);
    }
}

json_t *picture_queues_json(const picture_t *self)
{
    json_t *queues = json_array();
    for (size_t i = 0; i < self->queues_len; i++) {
        json_t *queue = s_queue_json(&self->queues[i]);
        CHECK(queue);
        json_array_append_new(queues, queue);
    }
    return queues;
}

static json_t *s_work_json(const picture_t *self)
{
    if (!self->has_work)
        return json_null();
    return json_pack("{s:o, s:o, s:o, s:I, s:o, s:o, s:o}", "queues", picture_queues_json(self),
                     "routers", s_workers_json(self->routers, self->routers_len, false),
                     "application_servers", s_workers_json(self->servers, self->servers_len, true),
                     "requests_open", (json_int_t)self->requests_open, "submitted_per_second",
                     s_number(self->submit_rate), "dispatched_per_second",
                     s_number(self->dispatch_rate), "completed_per_second",
                     s_number(self->finish_rate));
}

json_t *picture_json(const picture_t *self, const picture_problems_t *problems)
{
    static const char *const names[] = {
        [PICTURE_WELL] = "well", [PICTURE_NOT_WELL] = "not well", [PICTURE_DOWN] = "down"};
    char at[UNITS_TEXT_SIZE];
    json_t *list = json_array();
    for (size_t i = 0; i < problems->len; i++)
        json_array_append_new(list,
                              json_pack("{s:b, s:s, s:s}", "grave", problems->list[i].grave, "what",
                                        problems->list[i].what, "then", problems->list[i].then));
    json_t *pair = pair_view_json(&self->view);
    s_add_figures(self, json_object_get(pair, "nodes"));
    json_t *json =
        json_pack("{s:s, s:s, s:o, s:o, s:o, s:I}", "at", units_time(self->wall_us, at), "state",
                  names[picture_verdict(self, problems)], "problems", list, "pair", pair, "work",
                  s_work_json(self), "more_problems", (json_int_t)problems->more);
    CHECK(json);
    return json;
}
