/* Commands that show what there is, asked of the node and exact: routers, strategies, agents, why
 * queues wait, and what is stuck. Each is one table; rows come in pages.
 */
#include "apps/ixnctl/command.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/ixnctl/parts/show.h"
#include "apps/ixnctl/parts/units.h"
#include "core/base/check.h"
#include "core/base/id.h"
#include "core/wire/wire.h"

typedef struct {
    const char *heading;
    const char *name; /* in JSON */
    bool number;
    bool shrinks;
} column_t;

/* One answer: a table for people and a list for programs, filled by the same calls. */
typedef struct {
    const column_t *columns;
    size_t len;
    size_t at; /* column that is next */
    table_t table;
    json_t *rows;
    json_t *row;
} answer_t;

static void s_add(answer_t *self, const char *value)
{
    const column_t *column = &self->columns[self->at];
    table_add(&self->table, text_of(value));
    if (self->at == 0)
        self->row = json_object();
    json_object_set_new(self->row, column->name,
                        column->number ? json_integer(strtoll(value, NULL, 10))
                                       : json_string(value));
    if (++self->at < self->len)
        return;
    self->at = 0;
    json_array_append_new(self->rows, self->row);
}

static void s_add_number(answer_t *self, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    s_add(self, text);
}

static void s_add_version(answer_t *self, uint32_t version)
{
    s_add_number(self, version);
}

/* Adds the rows of one page; returns where the next begins, or NULL. */
typedef const char *page_fn(answer_t *self, const Ixn__V1__Message *message);

static const char *s_routers(answer_t *self, const Ixn__V1__Message *message)
{
    const Ixn__V1__Listing *listing = message->listing;
    for (size_t i = 0; i < listing->n_routers; i++) {
        const Ixn__V1__RouterInfo *router = listing->routers[i];
        size_t rows = router->n_strategies ? router->n_strategies : 1;
        for (size_t j = 0; j < rows; j++) {
            const Ixn__V1__RouterStrategy *strategy =
                router->n_strategies ? router->strategies[j] : NULL;
            s_add(self, router->name);
            s_add(self, router->connected ? "yes" : "no");
            s_add_number(self, router->pending);
            s_add_number(self, router->max_submitted_interactions);
            s_add(self, router->max_submission_rate);
            s_add(self, router->reservation_announced && router->reservation_configured ? "both"
                        : router->reservation_announced  ? "router's side"
                        : router->reservation_configured ? "configuration"
                                                         : "neither");
            s_add(self, strategy ? strategy->strategy : "");
            s_add(self, strategy ? strategy->version : "");
            s_add(self, strategy ? strategy->reason : "");
            s_add(self, router->drain_reason);
            s_add(self, router->drained_by);
        }
    }
    return listing->next;
}

static const char *s_strategies(answer_t *self, const Ixn__V1__Message *message)
{
    const Ixn__V1__Listing *listing = message->listing;
    for (size_t i = 0; i < listing->n_strategies; i++) {
        const Ixn__V1__StrategyInfo *strategy = listing->strategies[i];
        size_t rows = strategy->n_routers ? strategy->n_routers : 1;
        for (size_t j = 0; j < rows; j++) {
            const Ixn__V1__StrategyRouter *router =
                strategy->n_routers ? strategy->routers[j] : NULL;
            s_add(self, strategy->name);
            s_add_version(self, strategy->n_versions
                                    ? strategy->versions[strategy->n_versions - 1]->version
                                    : 0);
            s_add_number(self, strategy->waiting);
            s_add_number(self, strategy->pending);
            s_add(self, router ? router->router : "");
            s_add_version(self, router ? router->activated_version : 0);
            s_add(self, router ? router->activated_by : "");
            s_add_version(self, router ? router->loaded_version : 0);
            s_add(self, !router ? "" : router->takes_part ? "yes" : "no");
            s_add(self, router ? router->reason : "");
        }
    }
    return listing->next;
}

static const char *s_agents(answer_t *self, const Ixn__V1__Message *message)
{
    const Ixn__V1__Listing *listing = message->listing;
    for (size_t i = 0; i < listing->n_agents; i++) {
        const Ixn__V1__AgentInfo *agent = listing->agents[i];
        id128_t id;
        char text[ID_TEXT_SIZE] = "";
        if (wire_read_id(agent->interaction_id, &id))
            id_text(id, text);
        s_add(self, agent->name);
        s_add(self, agent->configured ? "configuration" : "operator");
        s_add(self, agent->router);
        s_add(self, text);
        s_add_number(self, agent->left_ms);
    }
    return listing->next;
}

/* All pages of a kind. */
static bool s_ask(ixn_client_t *client, Ixn__V1__List__Kind kind, page_fn *page, answer_t *answer,
                  error_t *ret_error)
{
    char after[LIMIT_NAME + 1] = "";
    for (bool first = true; first || after[0]; first = false) {
        const Ixn__V1__Message *message;
        Ixn__V1__List list = IXN__V1__LIST__INIT;
        list.kind = kind;
        list.after = after;
        Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
        request.body_case = IXN__V1__REQUEST__BODY_LIST;
        request.list = &list;
        if (!ixn_client_call(client, &request, &message, ret_error))
            return false;
        if (message->body_case != IXN__V1__MESSAGE__BODY_LISTING)
            return error_set(ret_error, ERROR_MALFORMED, "the node answered something else");
        snprintf(after, sizeof after, "%s", page(answer, message));
    }
    return true;
}

static void s_add_stuck(answer_t *self, const Ixn__V1__Interaction *one)
{
    id128_t id = {0};
    char text[ID_TEXT_SIZE], state[SHOW_STATE_SIZE], time[UNITS_TEXT_SIZE];
    wire_read_id(one->interaction_id, &id);
    s_add(self, id_text(id, text));
    s_add(self, show_state(one->state, state));
    s_add(self, one->tenant);
    s_add(self, one->queue);
    s_add(self, units_time(one->placed_in_queue_at_us, time));
    s_add_number(self, one->attempts);
    s_add(self, one->router);
    s_add_number(self, one->deadline_in_us < 0 ? (uint64_t)-one->deadline_in_us / 1000000 : 0);
    s_add(self, one->external_id);
    s_add(self, one->reason);
}

static bool s_ask_stuck(const common_t *common, ixn_client_t *client, answer_t *answer,
                        error_t *ret_error)
{
    uint32_t after = 0;
    do {
        const Ixn__V1__Message *message;
        Ixn__V1__ListInteractions list = IXN__V1__LIST_INTERACTIONS__INIT;
        Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
        list.after = after;
        list.tenant = (char *)(common->tenant ? common->tenant : "");
        list.stuck = true;
        request.body_case = IXN__V1__REQUEST__BODY_LIST_INTERACTIONS;
        request.list_interactions = &list;
        if (!ixn_client_call(client, &request, &message, ret_error))
            return false;
        if (message->body_case != IXN__V1__MESSAGE__BODY_INTERACTIONS)
            return error_set(ret_error, ERROR_MALFORMED, "the node answered something else");
        for (size_t i = 0; i < message->interactions->n_interactions; i++)
            s_add_stuck(answer, message->interactions->interactions[i]);
        after = message->interactions->next;
    } while (after);
    return true;
}

static bool s_ask_queues(const common_t *common, ixn_client_t *client, answer_t *answer,
                         error_t *ret_error)
{
    (void)common; /* of all tenants */
    uint32_t after = 0;
    do {
        const Ixn__V1__Message *message;
        Ixn__V1__ListQueues list = IXN__V1__LIST_QUEUES__INIT;
        list.after = after;
        Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
        request.body_case = IXN__V1__REQUEST__BODY_LIST_QUEUES;
        request.list_queues = &list;
        if (!ixn_client_call(client, &request, &message, ret_error))
            return false;
        if (message->body_case != IXN__V1__MESSAGE__BODY_QUEUES)
            return error_set(ret_error, ERROR_MALFORMED, "the node answered something else");
        for (size_t i = 0; i < message->queues->n_queues; i++) {
            const Ixn__V1__Queue *queue = message->queues->queues[i];
            s_add(answer, queue->tenant);
            s_add(answer, queue->name);
            s_add(answer, queue->strategy);
            s_add_number(answer, queue->waiting);
            s_add_number(answer, queue->routing);
            s_add(answer, queue->reason);
        }
        after = message->queues->next;
    } while (after);
    return true;
}

static int s_print(const common_t *common, const char *name, answer_t *answer)
{
    buffer_t out = {0};
    if (common->json)
        common_append_json(&out, json_pack("{s:O}", name, answer->rows));
    else
        table_layout(&answer->table, common_style(), &out);
    bool printed = common_print(&out);
    buffer_free(&out);
    return printed ? EXIT_DONE : EXIT_PARTLY;
}

typedef bool ask_fn(const common_t *common, ixn_client_t *client, answer_t *answer,
                    error_t *ret_error);

typedef struct {
    const char *name; /* of the list, in JSON */
    Ixn__V1__List__Kind kind;
    page_fn *page;
    const column_t *columns;
    size_t len;
    ask_fn *ask; /* of what is no `List`; NULL: it is, of that kind and by those pages */
} overview_t;

static int s_run(common_t *common, const overview_t *overview)
{
    error_t error = {0};
    ixn_client_t *client = common_client(common, IXN__V1__ROLE__OPERATOR, &error);
    if (!client) {
        common_fail(&error);
        return EXIT_USAGE;
    }
    answer_t answer = {.columns = overview->columns, .len = overview->len, .rows = json_array()};
    answer.table.columns_len = overview->len;
    for (size_t i = 0; i < overview->len; i++)
        answer.table.columns[i] =
            (table_column_t){overview->columns[i].heading, overview->columns[i].number,
                             overview->columns[i].shrinks};
    bool done = overview->ask ? overview->ask(common, client, &answer, &error)
                              : s_ask(client, overview->kind, overview->page, &answer, &error);
    int code = done ? s_print(common, overview->name, &answer) : common_fail_asking(common, &error);
    json_decref(answer.rows);
    table_free(&answer.table);
    ixn_client_destroy(&client);
    return code;
}

int command_routers(common_t *common, int argc, char **argv)
{
    static const char doc[] =
        "Routers: what each has and runs, and why it gets nothing.\vOne line a router and "
        "strategy. An empty reason: it gets work of that strategy. DRAINED says why, where an "
        "operator keeps new work from it, and BY who that was.\n\nExample:\n"
        "  ixnctl routers -o json";
    static const column_t columns[] = {
        {"ROUTER", "router", false, true},
        {"CONNECTED", "connected", false, false},
        {"PENDING", "pending", true, false},
        {"LIMIT", "limit", true, false},
        {"RATE", "rate", false, false},
        {"AGENT RESERVATION", "agent_reservation", false, false},
        {"STRATEGY", "strategy", false, true},
        {"VERSION", "version", false, true},
        {"REASON", "reason", false, false},
        {"DRAINED", "drained", false, true},
        {"BY", "drained_by", false, true},
    };
    common_parse_only(common, doc, argc, argv);
    return s_run(common, &(overview_t){.name = "routers",
                                       .kind = IXN__V1__LIST__KIND__ROUTERS,
                                       .page = s_routers,
                                       .columns = columns,
                                       .len = sizeof columns / sizeof *columns});
}

int command_strategy_list(common_t *common, int argc, char **argv)
{
    static const char doc[] =
        "Strategies: where each is activated, loaded, and why not.\vVersion 0: not stored, "
        "the router brings its own. BY: who activated it there. An empty reason: the router gets "
        "work of "
        "it.\n\n"
        "Example:\n  ixnctl strategy list";
    static const column_t columns[] = {
        {"STRATEGY", "strategy", false, true},      {"NEWEST", "newest_version", true, false},
        {"WAITING", "waiting", true, false},        {"PENDING", "pending", true, false},
        {"ROUTER", "router", false, true},          {"ACTIVATED", "activated_version", true, false},
        {"BY", "activated_by", false, true},        {"LOADED", "loaded_version", true, false},
        {"TAKES PART", "takes_part", false, false}, {"REASON", "reason", false, false},
    };
    common_parse_only(common, doc, argc, argv);
    return s_run(common, &(overview_t){.name = "strategies",
                                       .kind = IXN__V1__LIST__KIND__STRATEGIES,
                                       .page = s_strategies,
                                       .columns = columns,
                                       .len = sizeof columns / sizeof *columns});
}

int command_agents(common_t *common, int argc, char **argv)
{
    static const char doc[] = "Agents, and for what each is reserved.\vExample:\n  ixnctl agents";
    static const column_t columns[] = {
        {"AGENT", "agent", false, true},     {"DECLARED BY", "declared_by", false, false},
        {"ROUTER", "router", false, true},   {"INTERACTION", "interaction", false, false},
        {"LEFT MS", "left_ms", true, false},
    };
    common_parse_only(common, doc, argc, argv);
    return s_run(common, &(overview_t){.name = "agents",
                                       .kind = IXN__V1__LIST__KIND__AGENTS,
                                       .page = s_agents,
                                       .columns = columns,
                                       .len = sizeof columns / sizeof *columns});
}

int command_waiting(common_t *common, int argc, char **argv)
{
    static const char doc[] =
        "Why queues wait: which router is missing, and what for.\vAsked of the node, so it "
        "is exact; ixnctl queues has the numbers too.\n\nExample:\n"
        "  ixnctl waiting";
    static const column_t columns[] = {
        {"TENANT", "tenant", false, true},     {"QUEUE", "queue", false, true},
        {"STRATEGY", "strategy", false, true}, {"WAITING", "waiting", true, false},
        {"ROUTING", "routing", true, false},   {"REASON", "reason", false, false},
    };
    common_parse_only(common, doc, argc, argv);
    return s_run(common, &(overview_t){.name = "queues",
                                       .columns = columns,
                                       .len = sizeof columns / sizeof *columns,
                                       .ask = s_ask_queues});
}

int command_stuck(common_t *common, int argc, char **argv)
{
    static const char doc[] =
        "Interactions that somebody must look at.\vThose in quarantine, and those past the time at "
        "which their state should have ended (OVERDUE, seconds). Of all tenants unless --tenant "
        "says one. Asked of the node, so it is exact. What to do: get shows one whole; place "
        "releases it from quarantine, or moves it; stop ends it.\n\nExamples:\n"
        "  ixnctl stuck\n"
        "  ixnctl stuck -o json | jq -r '.interactions[].id' | xargs -I{} ixnctl place {} support";
    static const column_t columns[] = {
        {"ID", "id", false, false},
        {"STATE", "state", false, false},
        {"TENANT", "tenant", false, true},
        {"QUEUE", "queue", false, true},
        {"SINCE", "since", false, false},
        {"ATTEMPTS", "attempts", true, false},
        {"ROUTER", "router", false, true},
        {"OVERDUE", "overdue_seconds", true, false},
        {"EXTERNAL ID", "external_id", false, true},
        {"REASON", "reason", false, true},
    };
    common_parse_only(common, doc, argc, argv);
    return s_run(common, &(overview_t){.name = "interactions",
                                       .columns = columns,
                                       .len = sizeof columns / sizeof *columns,
                                       .ask = s_ask_stuck});
}
