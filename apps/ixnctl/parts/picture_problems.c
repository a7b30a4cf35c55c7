/* Picture: what is wrong, and what to do; see picture.h. Each thing that can be wrong has one
 * function here; the order in which they are asked is the order in which an operator cares.
 */
#include "apps/ixnctl/parts/picture.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/ixnctl/parts/units.h"
#include "core/wire/wire.h"

enum {
    FULL_PERCENT = 90,               /* of what a queue may hold */
    BEHIND_BYTES = 64 * 1024 * 1024, /* durable, but not in the tables: recovery takes long */
};

/* The next problem's row; NULL when there is no room, and then it is counted. */
static picture_problem_t *s_next(picture_problems_t *list, bool grave)
{
    if (list->len == PICTURE_PROBLEMS) {
        list->more++;
        return NULL;
    }
    picture_problem_t *problem = &list->list[list->len++];
    *problem = (picture_problem_t){.grave = grave};
    return problem;
}

static void s_add(picture_problems_t *list, bool grave, const char *then, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static void s_add(picture_problems_t *list, bool grave, const char *then, const char *format, ...)
{
    picture_problem_t *problem = s_next(list, grave);
    if (!problem)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(problem->what, sizeof problem->what, format, arguments);
    va_end(arguments);
    wire_clean_text(problem->what); /* it may have been cut inside a character */
    snprintf(problem->then, sizeof problem->then, "%s", then);
}

/* ---- The pair ---- */

static void s_find_pair(const picture_t *self, picture_problems_t *list)
{
    char reason[PAIR_VIEW_REASON];
    const pair_verdict_t verdict = pair_view_verdict(&self->view, reason);
    if (verdict == PAIR_VERDICT_DOWN)
        s_add(list, true,
              pair_view_backup(&self->view) == PAIR_VIEW_NONE
                  ? "start ixnd on a node whose database is right"
                  : "READY above says what keeps the nodes; where a node is well and only waits to "
                    "be told: ixnctl failover --dry-run, then ixnctl failover --wait",
              "nobody serves: what is submitted waits at its senders");
    else if (verdict == PAIR_VERDICT_NOT_READY)
        s_add(list, true,
              "until that is mended a loss of this node stops the service; see ixnctl pair status",
              "%s", reason);
}

static void s_find_nodes(const picture_t *self, picture_problems_t *list)
{
    const char *version = NULL;
    for (size_t i = 0; i < self->view.len; i++) {
        const pair_view_node_t *node = &self->view.nodes[i];
        if (!node->status) {
            s_add(list, true,
                  "look at that machine: systemctl status ixnd, journalctl -u ixnd -n 50",
                  "a node does not answer: %s", node->error.text);
            continue;
        }
        if (!pair_view_serves(node->status->own) && !node->status->own->automatic &&
            node->status->own->ready)
            s_add(list, false, "if it was paused: ixnctl pair resume; or pair.failover is manual",
                  "%s takes over by command only", node->status->own->name);
        const Ixn__V1__Figures *figures = self->figures[i];
        if (figures && figures->retrying)
            s_add(list, true, "journal.waiting in that node's log says why; see DAPS above",
                  "commits of %s take so long that clients are told to try again",
                  node->status->own->name);
        if (figures && figures->lag_bytes > BEHIND_BYTES) {
            char text[UNITS_TEXT_SIZE];
            s_add(list, false, "the database is slower than the work; see ixnctl daps",
                  "the tables are %s behind the log of %s, so a start would take long",
                  units_bytes(figures->lag_bytes, text), node->status->own->name);
        }
        if (figures && version && strcmp(version, figures->version) != 0)
            s_add(list, false, "finish the upgrade: the older node is next",
                  "the nodes run different versions, %s and %s", version, figures->version);
        version = figures ? figures->version : version;
    }
}

static void s_find_daps(const picture_t *self, picture_problems_t *list)
{
    for (size_t i = 0; i < self->view.len; i++) {
        const Ixn__V1__PairStatus *status = self->view.nodes[i].status;
        for (size_t j = 0; status && j < status->own->n_daps; j++) {
            const Ixn__V1__PairDap *dap = status->own->daps[j];
            const char *verdict = pair_view_dap_verdict(dap);
            const bool wrong = strcmp(verdict, "wrong") == 0;
            if (strcmp(verdict, "proven") == 0)
                continue;
            s_add(list, wrong,
                  wrong ? "correct this DAP in that node's configuration, then ixnctl config "
                          "check and ixnctl config reload"
                  : dap->reachable ? "wait a moment; if it stays so: ixnctl daps"
                                   : "see whether that server or pooler runs: ixnctl config check",
                  "DAP %s of %s is %s%s%s", dap->name, status->own->name,
                  strcmp(verdict, "proving") == 0   ? "not proven yet"
                  : strcmp(verdict, "not now") == 0 ? "of no use now"
                                                    : verdict,
                  *dap->trouble ? ": " : "", dap->trouble);
        }
    }
}

/* ---- The work ---- */

static void s_find_queues(const picture_t *self, picture_problems_t *list)
{
    uint64_t quarantined = 0;
    size_t *order = picture_sorted_queues(self, PICTURE_BY_TROUBLE);
    for (size_t i = 0; i < self->queues_len; i++) {
        const picture_queue_t *queue = &self->queues[order[i]];
        const uint64_t inside = (uint64_t)queue->waiting + queue->held;
        char count[UNITS_TEXT_SIZE];
        quarantined += queue->quarantined;
        if (queue->waiting && queue->reason[0] && queue->strategy[0])
            s_add(list, false, "see ixnctl waiting, ixnctl routers",
                  "queue %s stands still with %s waiting: %s", queue->name,
                  units_count(queue->waiting, count), queue->reason);
        if (queue->max_length && inside * 100 >= (uint64_t)queue->max_length * FULL_PERCENT)
            s_add(list, false,
                  "more routers, or a greater max_length of the queue; beyond it senders are told "
                  "BUSY",
                  "queue %s holds %s of the %u it may", queue->name, units_count(inside, count),
                  queue->max_length);
        if (!queue->configured && (inside || queue->routing || queue->quarantined))
            s_add(list, false, "declare the queue again, or move them: ixnctl place ID QUEUE",
                  "queue %s is gone from the configuration, and %s interactions are in it",
                  queue->name, units_count(inside + queue->routing + queue->quarantined, count));
    }
    free(order);
    if (quarantined)
        s_add(list, false,
              "ixnctl list --state quarantined says why; then ixnctl place ID QUEUE, or ixnctl "
              "stop ID",
              "%llu interactions are in quarantine, and nobody works on them",
              (unsigned long long)quarantined);
}

static void s_find_servers(const picture_t *self, picture_problems_t *list)
{
    for (size_t i = 0; i < self->servers_len; i++) {
        const picture_worker_t *server = &self->servers[i];
        if (server->expected && !server->connected)
            s_add(list, false, "start it, or take it out of applications.servers",
                  "application server %s is not connected", server->name);
        else if (server->connected && strcmp(server->breaker, "closed") != 0 && server->breaker[0])
            s_add(list, false, "see ixnctl apps, and that server's own log",
                  "application server %s fails too often, so it gets no work now (%s)",
                  server->name, server->breaker);
    }
}

static void s_find_work(const picture_t *self, picture_problems_t *list)
{
    if (!self->has_work && pair_view_primary(&self->view) != PAIR_VIEW_NONE)
        s_add(list, false, "ask again; if it stays so, see READY and DAPS above",
              "the node that serves has not told about its queues: %s", self->work_error.text);
    s_find_queues(self, list);
    s_find_servers(self, list);
}

void picture_find_problems(const picture_t *self, picture_problems_t *ret_problems)
{
    picture_problems_t list = {0};
    s_find_pair(self, &list);
    s_find_nodes(self, &list);
    s_find_daps(self, &list);
    s_find_work(self, &list);
    /* The grave ones first; each kind in the order it was found. */
    *ret_problems = (picture_problems_t){.more = list.more};
    for (int grave = 1; grave >= 0; grave--)
        for (size_t i = 0; i < list.len; i++)
            if (list.list[i].grave == (grave == 1))
                ret_problems->list[ret_problems->len++] = list.list[i];
}

picture_verdict_t picture_verdict(const picture_t *self, const picture_problems_t *problems)
{
    char reason[PAIR_VIEW_REASON];
    if (pair_view_verdict(&self->view, reason) == PAIR_VERDICT_DOWN)
        return PICTURE_DOWN;
    return problems->len ? PICTURE_NOT_WELL : PICTURE_WELL;
}
