/* Commands to the pair: each goes to the node that it is for, whichever admin port it came to. */
#include <string.h>

#include "apps/ixnd/admin/core.h"
#include "apps/views/view.h"
#include "core/base/limits.h"
#include "core/wire/wire.h"

/* ---- One command and its answer ---- */

void pair_ask(exchange_t *exchange, node_link_t *link, Ixn__V1__Request *request,
              command_answer_fn *answer)
{
    core_t *self = exchange->core;
    error_t error;
    request->by = exchange->who.name;
    for (size_t i = 0; i < sizeof self->commands / sizeof self->commands[0]; i++) {
        if (self->commands[i].number)
            continue;
        uint64_t number = node_link_tell(link, request);
        if (!number)
            break;
        self->commands[i].number = number;
        self->commands[i].exchange = exchange;
        self->commands[i].link = link;
        self->commands[i].answer = answer;
        self->commands[i].until = self->now + COMMAND_US;
        return;
    }
    error_set(&error, ERROR_TIMED_OUT, "%s does not take the command now: is it connected?",
              node_link_endpoint(link));
    answer(exchange, link, &error);
}

static void s_on_command(exchange_t *exchange, node_link_t *link, const error_t *error)
{
    (void)link;
    if (error->code == ERROR_OK) {
        audit_end(exchange, "taken");
        http_answer_json(exchange->request, 200,
                         json_pack("{s:b, s:b}", "taken", 1, "dry_run",
                                   json_is_true(json_object_get(exchange->body, "dry_run"))));
        return;
    }
    audit_end(exchange, error->text);
    http_answer_error(exchange->request, error->code == ERROR_TIMED_OUT ? 503 : 409,
                      error_name(error->code), "%s", error->text);
}

Ixn__V1__PairCommand pair_command_of(const exchange_t *exchange, Ixn__V1__PairCommand__Kind kind)
{
    Ixn__V1__PairCommand command = IXN__V1__PAIR_COMMAND__INIT;
    const char *reason = json_string_value(json_object_get(exchange->body, "reason"));
    command.kind = kind;
    command.dry_run = json_is_true(json_object_get(exchange->body, "dry_run"));
    command.reason = (char *)(reason ? reason : "");
    return command;
}

static void s_tell(exchange_t *exchange, node_link_t *link, Ixn__V1__PairCommand__Kind kind,
                   command_answer_fn *answer)
{
    Ixn__V1__PairCommand command = pair_command_of(exchange, kind);
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_PAIR_COMMAND;
    request.pair_command = &command;
    pair_ask(exchange, link, &request, answer);
}

void pair_hear_commands(core_t *self, node_link_t *link)
{
    uint64_t number;
    error_t error;
    while (node_link_next(link, self->now, &number, &error)) {
        for (size_t i = 0; i < sizeof self->commands / sizeof self->commands[0]; i++) {
            if (self->commands[i].number != number || self->commands[i].link != link)
                continue;
            self->commands[i].number = 0;
            self->commands[i].answer(self->commands[i].exchange, link, &error);
        }
    }
}

static void s_give_up(core_t *self, size_t command, const char *why)
{
    error_t error;
    self->commands[command].number = 0;
    error_set(&error, ERROR_TIMED_OUT,
              "%s; whether the command was taken is not known: look at "
              "/v1/pair",
              why);
    self->commands[command].answer(self->commands[command].exchange, self->commands[command].link,
                                   &error);
}

void pair_expire_commands(core_t *self)
{
    for (size_t i = 0; i < sizeof self->commands / sizeof self->commands[0]; i++)
        if (self->commands[i].number && self->commands[i].until < self->now)
            s_give_up(self, i, "the node has not answered");
}

void pair_forget_link(core_t *self, const node_link_t *link)
{
    for (size_t i = 0; i < sizeof self->commands / sizeof self->commands[0]; i++)
        if (self->commands[i].number && self->commands[i].link == link)
            s_give_up(self, i, "the connection to the node was given up");
}

/* ---- Which node ---- */

static void s_switchover(core_t *self, exchange_t *exchange)
{
    node_link_t *primary = status_primary(self);
    error_t error;
    error_set(&error, ERROR_WRONG_STATE,
              "no node serves, so none can hand over; a backup takes over by failover");
    if (primary)
        s_tell(exchange, primary, IXN__V1__PAIR_COMMAND__KIND__SWITCHOVER, s_on_command);
    else
        s_on_command(exchange, NULL, &error);
}

static void s_failover(core_t *self, exchange_t *exchange)
{
    node_link_t *backup = status_backup(self);
    s_tell(exchange, backup ? backup : self->own, IXN__V1__PAIR_COMMAND__KIND__FAILOVER,
           s_on_command);
}

/* One of both has answered, or cannot be told. The last one ends it. */
static void s_on_told(exchange_t *exchange, node_link_t *link, const error_t *error)
{
    const char *name = link ? status_name(exchange->core, link) : "the other node";
    error_t *untold = &exchange->untold;
    const error_t before = *untold;
    if (error->code != ERROR_OK)
        error_set(untold, before.code == ERROR_TIMED_OUT ? before.code : error->code, "%s%s%s: %s",
                  before.text, *before.text ? "; " : "", *name ? name : node_link_endpoint(link),
                  error->text);
    if (--exchange->wanted > 0)
        return;
    const error_t all = *untold;
    if (all.code != ERROR_OK)
        error_set(untold, all.code, "not every node has taken it: %s; ask again, until all have",
                  all.text);
    s_on_command(exchange, link, untold);
}

/* Where the other node cannot be asked: whether it says of itself that it has taken it (its own
 * admin port was asked), or what is to be done. */
static void s_look_at_other(const Ixn__V1__PairStatus *status, bool automatic, error_t *ret_error)
{
    const Ixn__V1__PairNode *other = status->peer;
    *ret_error = (error_t){0};
    if (!other || !*other->client_endpoint)
        error_set(ret_error, ERROR_TIMED_OUT, "where it is was not heard yet: does it run?");
    else if (!status->link || other->automatic != automatic)
        error_set(ret_error, ERROR_TIMED_OUT,
                  "it cannot be asked at %s, which it says of itself; ask its own admin port, %s",
                  other->client_endpoint, *other->admin_url ? other->admin_url : "if it has one");
}

/* All must hear it: a pause that one node does not know of is none. */
static void s_tell_both(core_t *self, exchange_t *exchange, Ixn__V1__PairCommand__Kind kind)
{
    const Ixn__V1__PairStatus *status = node_link_status(self->own);
    node_link_t *peer = self->peer; /* the exchange may be over after the last answer */
    const bool unknown = !peer && status && status->has_peer;
    error_t error = {0};
    if (unknown)
        s_look_at_other(status, kind == IXN__V1__PAIR_COMMAND__KIND__RESUME, &error);
    exchange->wanted = peer || unknown ? 2 : 1;
    s_tell(exchange, self->own, kind, s_on_told);
    if (peer)
        s_tell(exchange, peer, kind, s_on_told);
    else if (unknown)
        s_on_told(exchange, NULL, &error);
}

static void s_pause(core_t *self, exchange_t *exchange)
{
    s_tell_both(self, exchange, IXN__V1__PAIR_COMMAND__KIND__PAUSE);
}

static void s_unpause(core_t *self, exchange_t *exchange)
{
    s_tell_both(self, exchange, IXN__V1__PAIR_COMMAND__KIND__RESUME);
}

/* ---- Routes ---- */

/* Whether the list, ", NAME, NAME", has this very name. */
static bool s_is_among(const char *names, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = strchr(names, ' '); at; at = strchr(at + 1, ' '))
        if (strncmp(at + 1, name, len) == 0 && strchr(",", at[1 + len]))
            return true;
    return false;
}

bool pair_check(exchange_t *exchange, const char *more)
{
    const char *name;
    json_t *value;
    error_t error;
    json_object_foreach(exchange->body, name, value)
    {
        const bool good = (strcmp(name, "reason") == 0 && json_is_string(value)) ||
                          (strcmp(name, "dry_run") == 0 && json_is_boolean(value)) ||
                          s_is_among(more, name);
        if (good)
            continue;
        http_answer_error(exchange->request, 400, "INVALID_ARGUMENT",
                          "\"%s\" is not known here, or not of its type; there are reason (text), "
                          "dry_run (true or false)%s",
                          name, more);
        return false;
    }
    const char *reason = json_string_value(json_object_get(exchange->body, "reason"));
    if (wire_check_text("reason", reason, 1, LIMIT_TEXT, &error))
        return true;
    http_answer_error(exchange->request, 400, "INVALID_ARGUMENT",
                      "say why, for the history of roles and the audit: %s", error.text);
    return false;
}

static void s_command(core_t *self, exchange_t *exchange, const char *action, route_fn *run)
{
    if (!pair_check(exchange, ""))
        return;
    if (json_is_true(json_object_get(exchange->body, "dry_run")))
        run(self, exchange);
    else
        audit_begin(exchange, AUDIT_WANTED, action, "pair", run);
}

void route_switchover(core_t *self, exchange_t *exchange)
{
    s_command(self, exchange, "switchover", s_switchover);
}

void route_failover(core_t *self, exchange_t *exchange)
{
    s_command(self, exchange, "failover", s_failover);
}

void route_pause(core_t *self, exchange_t *exchange)
{
    s_command(self, exchange, "pause", s_pause);
}

void route_unpause(core_t *self, exchange_t *exchange)
{
    s_command(self, exchange, "unpause", s_unpause);
}
