/* Queues and interactions: asked of the node that serves, by the requests that every operator's
 * tool uses. */
#include <stdlib.h>
#include <string.h>

#include "apps/ixnd/admin/core.h"
#include "apps/views/reflect.h"
#include "apps/views/view.h"
#include "core/base/check.h"
#include "core/base/id.h"
#include "core/row.h"
#include "core/wire/wire.h"

enum { PAGE_STANDARD = 100, PAGE_MAX = 500 };

/* ---- Answers ---- */

/* The status of HTTP that says what the code of an error says. */
static unsigned s_status(error_code_t code)
{
    switch (code) {
    case ERROR_UNKNOWN_INTERACTION:
    case ERROR_UNKNOWN_QUEUE:
    case ERROR_UNKNOWN_TENANT:
    case ERROR_UNKNOWN_STRATEGY:
        return 404;
    case ERROR_ALREADY_COMPLETED:
    case ERROR_WRONG_STATE:
    case ERROR_VERSION_CONFLICT:
    case ERROR_KEY_REUSED:
        return 409;
    case ERROR_TOO_LARGE:
        return 413;
    default:
        return 400;
    }
}

bool work_is_good(exchange_t *exchange, const Ixn__V1__Message *message, const error_t *error,
                  Ixn__V1__Message__BodyCase kind)
{
    char sentence[sizeof error->text];
    if (message && message->body_case == kind)
        return true;
    if (message && message->body_case == IXN__V1__MESSAGE__BODY_ERROR) {
        const error_code_t code = (error_code_t)message->error->code;
        snprintf(sentence, sizeof sentence, "%s", message->error->sentence);
        wire_clean_text(sentence);
        audit_end(exchange, sentence);
        http_answer_error(exchange->request, s_status(code), error_name(code), "%s", sentence);
        return false;
    }
    audit_end(exchange, "no answer; whether it was done is not known");
    http_answer_error(exchange->request, 503, "NO_ANSWER", "no node has answered: %s%s",
                      error->text,
                      exchange->body ? "; whether the change was done is not known: look" : "");
    return false;
}

void work_ask(exchange_t *exchange, Ixn__V1__Request *request, work_answer_fn *answer)
{
    request->by = exchange->who.name;
    if (work_send(exchange->core->work, request, answer, exchange))
        return;
    audit_end(exchange, "not done: too many requests wait for the node");
    http_answer_error(exchange->request, 503, "BUSY",
                      "as many requests as are allowed at once wait for the node");
}

void work_get(exchange_t *exchange, bool whole, work_answer_fn *answer)
{
    id128_t id;
    if (!work_id(exchange, &id))
        return;
    Ixn__V1__Get get = IXN__V1__GET__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    get.interaction_id = wire_bytes(&id);
    get.confirmed = whole;
    get.journey = whole;
    request.body_case = IXN__V1__REQUEST__BODY_GET;
    request.get = &get;
    work_ask(exchange, &request, answer);
}

/* ---- Queues ---- */

json_t *queues_json(core_t *self)
{
    size_t len;
    const Ixn__V1__Queue *const *queues = queues_list(self->queues, &len);
    json_t *list = json_array();
    for (size_t i = 0; i < len; i++)
        json_array_append_new(list, view_queue(queues[i], core_wall()));
    return list;
}

void route_queues(core_t *self, exchange_t *exchange)
{
    const usec_t heard_at = queues_heard_at(self->queues);
    if (!heard_at || core_age(self, heard_at) > SILENT_US) {
        http_answer_error(exchange->request, 503, "NO_ANSWER",
                          "no node serves, so nobody knows what the queues hold");
        return;
    }
    http_answer_json(exchange->request, 200,
                     json_pack("{s:f, s:o}", "age_seconds", (double)core_age(self, heard_at) / 1e6,
                               "queues", queues_json(self)));
}

/* ---- Routers, strategies, agents ---- */

static void s_on_listing(void *context, const Ixn__V1__Message *message, const error_t *error)
{
    exchange_t *exchange = context;
    if (!work_is_good(exchange, message, error, IXN__V1__MESSAGE__BODY_LISTING))
        return;
    json_t *all = reflect(&message->listing->base);
    const char *name = strrchr(exchange->route->path, '/') + 1;
    json_t *json = json_object();
    const char *next = message->listing->next;
    json_object_set(json, name, json_object_get(all, name));
    json_object_set_new(json, "next", next[0] ? view_text(next) : json_null());
    json_decref(all);
    http_answer_json(exchange->request, 200, json);
}

static void s_list(exchange_t *exchange, Ixn__V1__List__Kind kind)
{
    Ixn__V1__List list = IXN__V1__LIST__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    const char *after = http_query(exchange->request, "after");
    list.kind = kind;
    list.after = (char *)(after ? after : "");
    request.body_case = IXN__V1__REQUEST__BODY_LIST;
    request.list = &list;
    work_ask(exchange, &request, s_on_listing);
}

void route_routers(core_t *self, exchange_t *exchange)
{
    (void)self;
    s_list(exchange, IXN__V1__LIST__KIND__ROUTERS);
}

void route_strategies(core_t *self, exchange_t *exchange)
{
    (void)self;
    s_list(exchange, IXN__V1__LIST__KIND__STRATEGIES);
}

void route_agents(core_t *self, exchange_t *exchange)
{
    (void)self;
    s_list(exchange, IXN__V1__LIST__KIND__AGENTS);
}

/* ---- Lists of interactions ---- */

static const char *s_query(const exchange_t *exchange, const char *name)
{
    const char *value = http_query(exchange->request, name);
    return value ? value : "";
}

bool work_number(exchange_t *exchange, const char *name, uint32_t standard, uint32_t max,
                 uint32_t *ret_number)
{
    const char *text = http_query(exchange->request, name);
    char *end;
    *ret_number = standard;
    if (!text || !*text)
        return true;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (*end == '\0' && errno == 0 && text[0] != '-' && number <= max) {
        *ret_number = (uint32_t)number;
        return true;
    }
    http_answer_error(exchange->request, 400, "INVALID_ARGUMENT",
                      "%s is \"%s\"; it must be a number, 0 … %u", name, text, max);
    return false;
}

static bool s_flag(const exchange_t *exchange, const char *name)
{
    const char *text = s_query(exchange, name);
    return strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
}

static bool s_state(exchange_t *exchange, Ixn__V1__ListInteractions *list)
{
    const char *text = s_query(exchange, "state");
    interaction_state_t state = 0;
    if (strcmp(text, "held") == 0) {
        list->held = true;
        return true;
    }
    if (*text && !interaction_state_parse(text_of(text), &state)) {
        http_answer_error(exchange->request, 400, "INVALID_ARGUMENT",
                          "state is \"%s\"; it must be queued, held, routing or quarantined", text);
        return false;
    }
    list->state = (Ixn__V1__InteractionState)state;
    return true;
}

static void s_on_page(void *context, const Ixn__V1__Message *message, const error_t *error);

/* Asks for the next piece; a page of ours may need many, since each looks at few. */
static void s_ask_page(exchange_t *exchange, uint32_t after)
{
    Ixn__V1__ListInteractions list = IXN__V1__LIST_INTERACTIONS__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    list.after = after;
    list.limit = (uint32_t)(exchange->wanted - json_array_size(exchange->collected));
    list.tenant = (char *)s_query(exchange, "tenant");
    list.queue = (char *)s_query(exchange, "queue");
    list.external_id = (char *)s_query(exchange, "external_id");
    list.router = (char *)s_query(exchange, "router");
    list.stuck = s_flag(exchange, "stuck");
    if (!s_state(exchange, &list))
        return;
    request.body_case = IXN__V1__REQUEST__BODY_LIST_INTERACTIONS;
    request.list_interactions = &list;
    work_ask(exchange, &request, s_on_page);
}

static void s_on_page(void *context, const Ixn__V1__Message *message, const error_t *error)
{
    exchange_t *exchange = context;
    if (!work_is_good(exchange, message, error, IXN__V1__MESSAGE__BODY_INTERACTIONS))
        return;
    const Ixn__V1__Interactions *page = message->interactions;
    for (size_t i = 0; i < page->n_interactions; i++)
        json_array_append_new(exchange->collected, view_interaction(page->interactions[i], false));
    if (page->next && json_array_size(exchange->collected) < exchange->wanted) {
        s_ask_page(exchange, page->next);
        return;
    }
    json_t *next = page->next ? json_integer(page->next) : json_null();
    http_answer_json(exchange->request, 200,
                     json_pack("{s:O, s:o}", "interactions", exchange->collected, "next", next));
}

void route_interactions(core_t *self, exchange_t *exchange)
{
    (void)self;
    uint32_t limit, after;
    if (!work_number(exchange, "limit", PAGE_STANDARD, PAGE_MAX, &limit) ||
        !work_number(exchange, "after", 0, UINT32_MAX, &after))
        return;
    exchange->wanted = limit ? limit : PAGE_STANDARD;
    exchange->collected = json_array();
    s_ask_page(exchange, after);
}

/* ---- Changes ---- */

bool work_id(exchange_t *exchange, id128_t *ret_id)
{
    if (id_parse(exchange->id, ret_id))
        return true;
    http_answer_error(exchange->request, 400, "INVALID_ARGUMENT",
                      "\"%s\" is no id of an interaction, which is a UUID", exchange->id);
    return false;
}

static const char *s_text(const exchange_t *exchange, const char *name)
{
    const char *text = json_string_value(json_object_get(exchange->body, name));
    return text ? text : "";
}

static void s_on_change(void *context, const Ixn__V1__Message *message, const error_t *error)
{
    exchange_t *exchange = context;
    if (!work_is_good(exchange, message, error, IXN__V1__MESSAGE__BODY_ACK))
        return;
    audit_end(exchange, "done");
    http_answer_json(exchange->request, 200,
                     json_pack("{s:o, s:I}", "id", view_id(message->ack->interaction_id), "version",
                               (json_int_t)message->ack->version));
}

static uint32_t s_version(const exchange_t *exchange)
{
    return (uint32_t)json_integer_value(json_object_get(exchange->body, "expected_version"));
}

static void s_do_place(exchange_t *exchange, const char *queue)
{
    id128_t id;
    if (!work_id(exchange, &id))
        return;
    Ixn__V1__PlaceInQueue place = IXN__V1__PLACE_IN_QUEUE__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    const json_t *priority = json_object_get(exchange->body, "priority");
    place.interaction_id = wire_bytes(&id);
    place.queue = (char *)queue;
    place.reason = (char *)s_text(exchange, "reason");
    place.expected_version = s_version(exchange);
    if (json_is_integer(priority)) {
        place.priority_given_case = IXN__V1__PLACE_IN_QUEUE__PRIORITY_GIVEN_PRIORITY;
        place.priority = (int32_t)json_integer_value(priority);
    }
    request.body_case = IXN__V1__REQUEST__BODY_PLACE_IN_QUEUE;
    request.place_in_queue = &place;
    work_ask(exchange, &request, s_on_change);
}

static void s_move(core_t *self, exchange_t *exchange)
{
    (void)self;
    s_do_place(exchange, s_text(exchange, "queue"));
}

static void s_stop(core_t *self, exchange_t *exchange)
{
    (void)self;
    id128_t id;
    if (!work_id(exchange, &id))
        return;
    Ixn__V1__Stop stop = IXN__V1__STOP__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    stop.interaction_id = wire_bytes(&id);
    stop.reason = (char *)s_text(exchange, "reason");
    stop.expected_version = s_version(exchange);
    request.body_case = IXN__V1__REQUEST__BODY_STOP;
    request.stop = &stop;
    work_ask(exchange, &request, s_on_change);
}

static void s_hold(core_t *self, exchange_t *exchange)
{
    (void)self;
    id128_t id;
    if (!work_id(exchange, &id))
        return;
    Ixn__V1__Hold hold = IXN__V1__HOLD__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    hold.interaction_id = wire_bytes(&id);
    hold.expected_version = s_version(exchange);
    request.body_case = IXN__V1__REQUEST__BODY_HOLD;
    request.hold = &hold;
    work_ask(exchange, &request, s_on_change);
}

static void s_resume(core_t *self, exchange_t *exchange)
{
    (void)self;
    id128_t id;
    if (!work_id(exchange, &id))
        return;
    Ixn__V1__Resume resume = IXN__V1__RESUME__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    resume.interaction_id = wire_bytes(&id);
    resume.expected_version = s_version(exchange);
    request.body_case = IXN__V1__REQUEST__BODY_RESUME;
    request.resume = &resume;
    work_ask(exchange, &request, s_on_change);
}

/* Out of quarantine, back to the queue it is of. */
static void s_on_found(void *context, const Ixn__V1__Message *message, const error_t *error)
{
    exchange_t *exchange = context;
    if (!work_is_good(exchange, message, error, IXN__V1__MESSAGE__BODY_INTERACTION))
        return;
    const Ixn__V1__Interaction *interaction = message->interaction;
    if (interaction->state != IXN__V1__INTERACTION_STATE__QUARANTINED) {
        audit_end(exchange, "refused: not in quarantine");
        http_answer_error(exchange->request, 409, "WRONG_STATE",
                          "interaction %s is not in quarantine, so it cannot be released from it",
                          exchange->id);
        return;
    }
    char queue[CONFIG_NAME_SIZE];
    snprintf(queue, sizeof queue, "%s", interaction->queue);
    json_object_set_new(exchange->body, "expected_version", json_integer(interaction->version));
    s_do_place(exchange, queue);
}

static void s_release(core_t *self, exchange_t *exchange)
{
    (void)self;
    work_get(exchange, false, s_on_found);
}

/* What every change is checked for before anything of it is written down: who reads the audit must
 * not find what could never have been meant. */
static bool s_check(exchange_t *exchange, bool needs_queue)
{
    static const struct {
        const char *name;
        json_type type;
    } known[] = {{"queue", JSON_STRING},
                 {"reason", JSON_STRING},
                 {"priority", JSON_INTEGER},
                 {"expected_version", JSON_INTEGER}};
    id128_t id;
    const char *name;
    json_t *value;
    error_t error;
    if (!work_id(exchange, &id))
        return false;
    json_object_foreach(exchange->body, name, value)
    {
        bool good = false;
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
            good = good || (strcmp(known[i].name, name) == 0 &&
                            (json_typeof(value) == known[i].type ||
                             (known[i].type == JSON_STRING && json_is_null(value))));
        if (good)
            continue;
        http_answer_error(
            exchange->request, 400, "INVALID_ARGUMENT",
            "\"%s\" is not known here, or not of its type; there are queue and reason "
            "(text), priority and expected_version (whole numbers)",
            name);
        return false;
    }
    const json_int_t version =
        json_integer_value(json_object_get(exchange->body, "expected_version"));
    const json_int_t priority = json_integer_value(json_object_get(exchange->body, "priority"));
    if (version < 0 || version > UINT32_MAX || priority < -LIMIT_PRIORITY ||
        priority > LIMIT_PRIORITY) {
        http_answer_error(exchange->request, 400, "INVALID_ARGUMENT",
                          "expected_version is a version, priority is -%d … %d", LIMIT_PRIORITY,
                          LIMIT_PRIORITY);
        return false;
    }
    if (wire_check_text("reason", s_text(exchange, "reason"), 0, LIMIT_TEXT, &error) &&
        wire_check_text("queue", s_text(exchange, "queue"), needs_queue, LIMIT_NAME, &error))
        return true;
    http_answer_error(exchange->request, 400, error_name(error.code), "%s", error.text);
    return false;
}

static void s_change(exchange_t *exchange, const char *action, bool needs_queue, route_fn *run)
{
    if (s_check(exchange, needs_queue))
        audit_begin(exchange, AUDIT_NEEDED, action, exchange->id, run);
}

void route_move(core_t *self, exchange_t *exchange)
{
    (void)self;
    s_change(exchange, "move", true, s_move);
}

void route_stop(core_t *self, exchange_t *exchange)
{
    (void)self;
    s_change(exchange, "stop", false, s_stop);
}

void route_hold(core_t *self, exchange_t *exchange)
{
    (void)self;
    s_change(exchange, "hold", false, s_hold);
}

void route_resume(core_t *self, exchange_t *exchange)
{
    (void)self;
    s_change(exchange, "resume", false, s_resume);
}

void route_release(core_t *self, exchange_t *exchange)
{
    (void)self;
    s_change(exchange, "release", false, s_release);
}
