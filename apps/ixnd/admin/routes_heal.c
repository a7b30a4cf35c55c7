/* Writing back what the database lost: the node that would do it is told, and looked at until it
 * says how that ended.
 *
 * The audit is written when it is done, not before: until then what the DAPs reach may be a copy
 * that stayed behind, and nothing is written there. The log of the node has it at once.
 */
#include <string.h>

#include "apps/ixnd/admin/core.h"
#include "apps/views/view.h"
#include "core/base/log.h"

/* Many batches take their time; what asks is cut off when nothing moves for longer than that. */
#define WATCH_US ((usec_t)20 * USEC_PER_SECOND)

/* ---- What is asked for ---- */

static uint64_t s_lost(const exchange_t *exchange)
{
    return (uint64_t)json_integer_value(json_object_get(exchange->body, "lost"));
}

static bool s_is_dry(const exchange_t *exchange)
{
    return json_is_true(json_object_get(exchange->body, "dry_run"));
}

static bool s_check(exchange_t *exchange)
{
    const json_t *lost = json_object_get(exchange->body, "lost");
    const json_t *without = json_object_get(exchange->body, "without_other");
    if (!pair_check(exchange, ", lost, without_other"))
        return false;
    if ((lost && json_integer_value(lost) < 1) || (without && !json_is_boolean(without)) ||
        (!lost && !s_is_dry(exchange))) {
        http_answer_error(exchange->request, 400, "INVALID_ARGUMENT",
                          "lost is needed, a number: how many entries the nodes say are lost "
                          "(/v1/pair, or a dry_run); without_other is true or false");
        return false;
    }
    return true;
}

/* ---- Which node ---- */

static node_link_t *s_link(const core_t *self, bool of_peer)
{
    return of_peer ? self->peer : self->own;
}

/* What it said last; NULL: it is not heard. */
static const Ixn__V1__PairHeal *s_heal(const core_t *self, bool of_peer)
{
    const Ixn__V1__PairStatus *status = status_of(self, s_link(self, of_peer));
    return status ? status->heal : NULL;
}

/* This one, unless the other one is worth more. */
static bool s_choose(const core_t *self)
{
    const Ixn__V1__PairHeal *own = s_heal(self, false);
    const Ixn__V1__PairHeal *peer = s_heal(self, true);
    return peer && view_heal_worth(peer) > view_heal_worth(own);
}

/* ---- How it ended ---- */

static void s_answer(exchange_t *exchange, uint64_t first, uint64_t last)
{
    const core_t *self = exchange->core;
    http_answer_json(exchange->request, 200,
                     json_pack("{s:b, s:b, s:o, s:I, s:I, s:I}", "taken", 1, "dry_run",
                               s_is_dry(exchange), "node",
                               view_text(status_name(self, s_link(self, exchange->of_peer))),
                               "entries", (json_int_t)(last - first + 1), "first",
                               (json_int_t)first, "last", (json_int_t)last));
}

static void s_refuse(exchange_t *exchange, int status, const char *code, const char *text)
{
    log_warning("admin.not_changed", "action=heal who=\"%s\" error=\"%s\"", exchange->who.name,
                text);
    http_answer_error(exchange->request, (unsigned)status, code, "%s", text);
}

static void s_on_audited(core_t *self, exchange_t *exchange)
{
    const Ixn__V1__PairHeal *heal = s_heal(self, exchange->of_peer);
    audit_end(exchange, "done");
    s_answer(exchange, heal ? heal->written_first : 0, heal ? heal->written_last : 0);
}

/* Once it was taken: until the node says how it ended. */
static void s_watch(core_t *self, exchange_t *exchange)
{
    const node_link_t *link = s_link(self, exchange->of_peer);
    const Ixn__V1__PairHeal *heal = s_heal(self, exchange->of_peer);
    bool is_new = link && node_link_heard_at(link) > exchange->taken_at;
    if (is_new && heal && heal->state == IXN__V1__PAIR_HEAL__STATE__DONE)
        audit_begin(exchange, AUDIT_WANTED, "heal", "pair", s_on_audited);
    else if (is_new && heal && heal->state == IXN__V1__PAIR_HEAL__STATE__FAILED)
        s_refuse(exchange, 409, "WRONG_STATE", heal->error);
    else if (self->now < exchange->until)
        routes_park(self, exchange);
    else
        s_refuse(exchange, 503, "NO_ANSWER",
                 "the command was taken; how it ends is not known yet: look at /v1/pair and the "
                 "table ixn.heal");
}

static void s_on_command(exchange_t *exchange, node_link_t *link, const error_t *error)
{
    core_t *self = exchange->core;
    const Ixn__V1__PairHeal *heal = s_heal(self, exchange->of_peer);
    (void)link;
    if (error->code != ERROR_OK) {
        s_refuse(exchange, error->code == ERROR_TIMED_OUT ? 503 : 409, error_name(error->code),
                 error->text);
    } else if (s_is_dry(exchange)) {
        s_answer(exchange, heal ? heal->first : 0, heal ? heal->last : 0);
    } else {
        exchange->taken_at = self->now;
        exchange->until = self->now + WATCH_US;
        routes_park(self, exchange);
    }
}

void route_heal(core_t *self, exchange_t *exchange)
{
    if (exchange->taken_at) {
        s_watch(self, exchange);
        return;
    }
    if (!s_check(exchange))
        return;
    exchange->of_peer = s_choose(self);
    const Ixn__V1__PairHeal *heal = s_heal(self, exchange->of_peer);
    Ixn__V1__PairCommand command = pair_command_of(exchange, IXN__V1__PAIR_COMMAND__KIND__HEAL);
    command.lost = s_lost(exchange) || !heal ? s_lost(exchange) : heal->lost;
    command.without_other = json_is_true(json_object_get(exchange->body, "without_other"));
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.body_case = IXN__V1__REQUEST__BODY_PAIR_COMMAND;
    request.pair_command = &command;
    if (!s_is_dry(exchange))
        audit_log(exchange, "heal", "pair");
    pair_ask(exchange, s_link(self, exchange->of_peer), &request, s_on_command);
}
