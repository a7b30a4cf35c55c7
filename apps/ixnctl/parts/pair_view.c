/* Pair view: see pair_view.h. */
#include "apps/ixnctl/parts/pair_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/ixnctl/parts/units.h"
#include "core/base/check.h"
#include "core/wire/wire.h"

/* ---- What follows ---- */

bool pair_view_serves(const Ixn__V1__PairNode *node)
{
    /* "primary-…" by its own word, "primary" by that of the other */
    static const char primary[] = "primary";
    return node && strncmp(node->role, primary, sizeof primary - 1) == 0;
}

size_t pair_view_primary(const pair_view_t *self)
{
    size_t found = PAIR_VIEW_NONE;
    for (size_t i = 0; i < self->len; i++) {
        const Ixn__V1__PairStatus *status = self->nodes[i].status;
        if (status && pair_view_serves(status->own) &&
            (found == PAIR_VIEW_NONE || status->epoch > self->nodes[found].status->epoch))
            found = i;
    }
    return found;
}

size_t pair_view_backup(const pair_view_t *self)
{
    size_t found = PAIR_VIEW_NONE;
    for (size_t i = 0; i < self->len; i++) {
        const Ixn__V1__PairStatus *status = self->nodes[i].status;
        if (!status || pair_view_serves(status->own))
            continue;
        const Ixn__V1__PairNode *best =
            found == PAIR_VIEW_NONE ? NULL : self->nodes[found].status->own;
        if (!best || (status->own->ready && !best->ready) ||
            (status->own->ready == best->ready && status->own->index > best->index))
            found = i;
    }
    return found;
}

const Ixn__V1__PairNode *pair_view_find(const pair_view_t *self, const char *name)
{
    const Ixn__V1__PairNode *heard = NULL;
    for (size_t i = 0; i < self->len; i++) {
        const Ixn__V1__PairStatus *status = self->nodes[i].status;
        if (status && strcmp(status->own->name, name) == 0)
            return status->own;
        if (status && status->peer && status->link && strcmp(status->peer->name, name) == 0)
            heard = status->peer;
    }
    return heard;
}

/* Another node than this one that answered. */
static const Ixn__V1__PairNode *s_other_that_answers(const pair_view_t *self, size_t node)
{
    for (size_t i = 0; i < self->len; i++)
        if (i != node && self->nodes[i].status)
            return self->nodes[i].status->own;
    return NULL;
}

/* The primary does not hear the other node, which may answer here all the same. */
static void s_say_not_heard(const pair_view_t *self, size_t primary, char reason[PAIR_VIEW_REASON])
{
    const Ixn__V1__PairStatus *status = self->nodes[primary].status;
    const Ixn__V1__PairNode *other = s_other_that_answers(self, primary);
    if (!other)
        snprintf(reason, PAIR_VIEW_REASON, "%s serves, but does not hear the other node: is it %s?",
                 status->own->name,
                 status->peer ? "down" : "running, with the same pair.certificate");
    else
        snprintf(reason, PAIR_VIEW_REASON, "%s serves, but does not hear %s, which runs: %s",
                 status->own->name, other->name,
                 !other->ready && *other->readiness
                     ? other->readiness
                     : "compare pair.peer, pair.bind and pair.certificate of both; their logs say "
                       "more (peer.…)");
}

static pair_verdict_t s_verdict_of_primary(const pair_view_t *self, size_t primary,
                                           char reason[PAIR_VIEW_REASON])
{
    const Ixn__V1__PairStatus *status = self->nodes[primary].status;
    const char *name = status->own->name;
    for (size_t i = 0; i < self->len; i++) {
        const Ixn__V1__PairStatus *other = self->nodes[i].status;
        if (i == primary || !other || !pair_view_serves(other->own) ||
            strcmp(other->own->name, name) == 0)
            continue;
        snprintf(
            reason, PAIR_VIEW_REASON,
            "%s says that it serves too, under epoch %llu; %s has epoch %llu, so the other one "
            "can commit nothing any more and will notice",
            other->own->name, (unsigned long long)other->epoch, name,
            (unsigned long long)status->epoch);
        return PAIR_VERDICT_NOT_READY;
    }
    if (!status->has_peer) {
        snprintf(reason, PAIR_VIEW_REASON, "%s serves; it is configured to be alone", name);
        return PAIR_VERDICT_READY;
    }
    if (!status->peer || !status->link) {
        s_say_not_heard(self, primary, reason);
        return PAIR_VERDICT_NOT_READY;
    }
    const Ixn__V1__PairNode *backup = pair_view_find(self, status->peer->name);
    backup = backup ? backup : status->peer;
    if (!backup->ready) {
        snprintf(reason, PAIR_VIEW_REASON, "%s serves, but %s is not ready to take over: %s", name,
                 backup->name, *backup->readiness ? backup->readiness : backup->role);
        return PAIR_VERDICT_NOT_READY;
    }
    snprintf(reason, PAIR_VIEW_REASON, "%s serves, %s is ready to take over%s", name, backup->name,
             backup->automatic ? "" : ", by an operator's command only (manual, or paused)");
    return PAIR_VERDICT_READY;
}

pair_verdict_t pair_view_verdict(const pair_view_t *self, char reason[PAIR_VIEW_REASON])
{
    size_t primary = pair_view_primary(self);
    if (primary != PAIR_VIEW_NONE)
        return s_verdict_of_primary(self, primary, reason);
    for (size_t i = 0; i < self->len; i++) {
        const Ixn__V1__PairStatus *status = self->nodes[i].status;
        if (!status || !status->link || !pair_view_serves(status->peer))
            continue;
        snprintf(reason, PAIR_VIEW_REASON,
                 "%s says that %s serves, but that one was not asked or does not answer here",
                 status->own->name, status->peer->name);
        return PAIR_VERDICT_NOT_READY;
    }
    snprintf(reason, PAIR_VIEW_REASON, "nobody serves%s",
             pair_view_backup(self) == PAIR_VIEW_NONE ? "" : "; see ixnctl failover --help");
    return PAIR_VERDICT_DOWN;
}

bool pair_view_lag(const Ixn__V1__PairStatus *status, const Ixn__V1__PairNode *node,
                   uint64_t *ret_lag)
{
    const Ixn__V1__PairNode *other = node == status->own ? status->peer : status->own;
    if (pair_view_serves(node) || !pair_view_serves(other))
        return false;
    *ret_lag = other->index > node->index ? other->index - node->index : 0;
    return true;
}

bool pair_view_lag_bytes(const Ixn__V1__PairStatus *status, const Ixn__V1__PairNode *node,
                         uint64_t *ret_lag)
{
    uint64_t entries;
    *ret_lag = status->lag_bytes;
    return status->has_lag_bytes && pair_view_lag(status, node, &entries);
}

const char *pair_view_lag_text(const Ixn__V1__PairStatus *status, const Ixn__V1__PairNode *node,
                               char text[PAIR_VIEW_LAG])
{
    char a[UNITS_TEXT_SIZE], b[UNITS_TEXT_SIZE];
    uint64_t entries = 0, bytes = 0;
    if (!pair_view_lag(status, node, &entries))
        text[0] = '\0';
    else if (entries && pair_view_lag_bytes(status, node, &bytes))
        snprintf(text, PAIR_VIEW_LAG, "%s (%s)", units_count(entries, a), units_bytes(bytes, b));
    else
        snprintf(text, PAIR_VIEW_LAG, "%s", units_count(entries, a));
    return text;
}

/* ---- For people ---- */

/* A node of an older version tells no verdict. */
const char *pair_view_dap_verdict(const Ixn__V1__PairDap *dap)
{
    static const char *const names[] = {"unknown", "not now", "proving", "proven", "wrong"};
    if (dap->verdict == IXN__V1__DAP_VERDICT__DAP_UNKNOWN ||
        (size_t)dap->verdict >= sizeof names / sizeof *names)
        return dap->proven ? "proven" : dap->reachable ? "not proven" : "not now";
    return names[dap->verdict];
}

static void s_add_daps(table_t *table, const Ixn__V1__PairNode *node)
{
    buffer_t text = {0};
    for (size_t i = 0; i < node->n_daps; i++) {
        const Ixn__V1__PairDap *dap = node->daps[i];
        const char *standing = dap->standing == IXN__V1__DAP_STANDING__DAP_CANDIDATE  ? "new "
                               : dap->standing == IXN__V1__DAP_STANDING__DAP_RETIRING ? "old "
                                                                                      : "";
        buffer_printf(&text, "%s%s%s %s", i ? ", " : "", standing, dap->name,
                      pair_view_dap_verdict(dap));
        if (dap->reachable)
            buffer_printf(&text, " %.1fms", (double)dap->latency_us / 1000);
        if (*dap->trouble)
            buffer_printf(&text, " (%s)", dap->trouble);
    }
    table_add(table, (text_t){(const char *)text.bytes, text.len});
    buffer_free(&text);
}

static void s_add_node(table_t *table, const Ixn__V1__PairStatus *status,
                       const Ixn__V1__PairNode *node)
{
    char text[UNITS_TEXT_SIZE];
    char lag[PAIR_VIEW_LAG];
    bool own = node == status->own;
    table_add(table, text_of(node->name));
    table_add(table, own ? TEXT("itself") : text_of(status->own->name));
    table_add(table, text_of(node->role));
    if (own)
        table_add(table, text_of(units_seconds((double)status->role_since_ms / 1000, text)));
    else
        table_add(table, TEXT(""));
    table_add(table, text_of(units_count(node->index, text)));
    table_add(table, text_of(pair_view_lag_text(status, node, lag)));
    if (!own && !status->link)
        table_printf(table, "last heard %s ago",
                     units_seconds((double)status->link_silent_ms / 1000, text));
    else if (pair_view_serves(node))
        table_add(table, TEXT("serves"));
    else if (node->ready)
        table_add(table, node->automatic ? TEXT("yes") : TEXT("yes, by hand only"));
    else
        table_printf(table, "no: %s", node->readiness);
    s_add_daps(table, node);
}

static void s_print_table(const pair_view_t *self, table_style_t style, buffer_t *out)
{
    static const table_column_t columns[] = {
        {"NODE", false, false},  {"SEEN BY", false, false}, {"ROLE", false, false},
        {"SINCE", true, false},  {"INDEX", true, false},    {"LAG", true, false},
        {"READY", false, false}, {"DAPS", false, true},
    };
    table_t table = {.columns_len = sizeof columns / sizeof columns[0]};
    memcpy(table.columns, columns, sizeof columns);
    for (size_t i = 0; i < self->len; i++) {
        const Ixn__V1__PairStatus *status = self->nodes[i].status;
        if (!status)
            continue;
        s_add_node(&table, status, status->own);
        if (status->peer)
            s_add_node(&table, status, status->peer);
    }
    table_layout(&table, style, out);
    table_free(&table);
}

/* Whether the node can write back what the database lost. */
static void s_print_heal(const Ixn__V1__PairHeal *heal, buffer_t *out)
{
    buffer_printf(out, "; %llu committed entries are lost on %s, %llu … %llu: ",
                  (unsigned long long)heal->lost, heal->server, (unsigned long long)heal->first,
                  (unsigned long long)heal->last);
    if (heal->objection[0])
        buffer_append_text(out, heal->objection);
    else
        buffer_printf(out, "this node can write them back (ixnctl database heal --lost %llu)",
                      (unsigned long long)heal->lost);
}

/* What a row has no room for. */
static void s_print_rest(const pair_view_t *self, buffer_t *out)
{
    table_t table = {.columns_len = 2};
    for (size_t i = 0; i < self->len; i++) {
        const Ixn__V1__PairStatus *status = self->nodes[i].status;
        if (!status) {
            table_add(&table, text_of(self->nodes[i].endpoint));
            table_add(&table, text_of(self->nodes[i].error.text + strlen(self->nodes[i].endpoint) +
                                      strlen(": ")));
            continue;
        }
        table_add(&table, text_of(status->own->name));
        buffer_t line = {0};
        buffer_printf(&line, "epoch %llu; %s", (unsigned long long)status->epoch,
                      *status->role_reason ? status->role_reason : status->own->role);
        if (status->has_peer && status->link)
            buffer_printf(&line, "; hears the other node (%u ms ago)", status->link_silent_ms);
        else if (status->has_peer)
            buffer_append_text(&line, "; does not hear the other node");
        if (status->last_takeover_ms)
            buffer_printf(&line, "; its last take-over took %u ms", status->last_takeover_ms);
        if (*status->database)
            buffer_printf(&line, "; database %s", status->database);
        if (status->heal && status->heal->lost)
            s_print_heal(status->heal, &line);
        table_add(&table, (text_t){(const char *)line.bytes, line.len});
        buffer_free(&line);
    }
    table_layout(&table, (table_style_t){0}, out);
    table_free(&table);
}

const char *pair_view_full_stop(const char *reason)
{
    const size_t len = strlen(reason);
    return len > 0 && reason[len - 1] == '?' ? "" : ".";
}

void pair_view_print(const pair_view_t *self, table_style_t style, buffer_t *out)
{
    char reason[PAIR_VIEW_REASON];
    pair_verdict_t verdict = pair_view_verdict(self, reason);
    s_print_table(self, style, out);
    buffer_append_text(out, "\n");
    s_print_rest(self, out);
    table_t line = {.columns_len = 1}; /* for its cleaning of what comes from outside */
    table_printf(&line, "%s: %s%s", verdict == PAIR_VERDICT_READY ? "Ready" : "NOT READY", reason,
                 pair_view_full_stop(reason));
    buffer_append_text(out, "\n");
    table_layout(&line, (table_style_t){0}, out);
    table_free(&line);
}

/* ---- For programs ---- */

static json_t *s_node_json(const Ixn__V1__PairNode *node)
{
    json_t *daps = json_array();
    for (size_t i = 0; i < node->n_daps; i++) {
        const Ixn__V1__PairDap *dap = node->daps[i];
        json_array_append_new(daps,
                              json_pack("{s:s, s:s, s:b, s:b, s:f, s:s}", "name", dap->name,
                                        "verdict", pair_view_dap_verdict(dap), "reachable",
                                        dap->reachable, "proven", dap->proven, "latency_ms",
                                        (double)dap->latency_us / 1000, "trouble", dap->trouble));
    }
    json_t *json = json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:b, s:s, s:b, s:b, s:o}", "name", node->name, "role",
        node->role, "client_endpoint", node->client_endpoint, "index", (json_int_t)node->index,
        "checkpoint", (json_int_t)node->checkpoint, "ready", node->ready, "readiness",
        node->readiness, "automatic", node->automatic, "database", node->database, "daps", daps);
    CHECK(json);
    return json;
}

/* Null: nothing is missing that this node knows of. */
static json_t *s_heal_json(const Ixn__V1__PairHeal *heal)
{
    if (!heal || !heal->lost)
        return json_null();
    return json_pack("{s:I, s:I, s:I, s:s, s:s, s:s}", "entries", (json_int_t)heal->lost, "first",
                     (json_int_t)heal->first, "last", (json_int_t)heal->last, "dap", heal->dap,
                     "server", heal->server, "objection", heal->objection);
}

static json_t *s_answer_json(const pair_view_node_t *node)
{
    const Ixn__V1__PairStatus *status = node->status;
    if (!status)
        return json_pack("{s:s, s:b, s:s}", "endpoint", node->endpoint, "answered", 0, "error",
                         node->error.text);
    char text[ID_TEXT_SIZE];
    id128_t id;
    bool known = wire_read_id(status->database_id, &id);
    uint64_t lag = 0, bytes = 0;
    bool follows = pair_view_lag(status, status->own, &lag);
    bool counted = pair_view_lag_bytes(status, status->own, &bytes);
    return json_pack(
        "{s:s, s:b, s:o, s:o*, s:b, s:b, s:f, s:I, s:s?, s:s, s:f, s:s, s:I, s:o, s:o, s:o}",
        "endpoint", node->endpoint, "answered", 1, "own", s_node_json(status->own), "peer",
        status->peer ? s_node_json(status->peer) : NULL, "has_peer", status->has_peer, "link",
        status->link, "link_silent_seconds", (double)status->link_silent_ms / 1000, "epoch",
        (json_int_t)status->epoch, "database_id", known ? id_text(id, text) : NULL, "database",
        status->database, "role_since_seconds", (double)status->role_since_ms / 1000, "role_reason",
        status->role_reason, "last_takeover_ms", (json_int_t)status->last_takeover_ms,
        "lag_entries", follows ? json_integer((json_int_t)lag) : json_null(), "lag_bytes",
        counted ? json_integer((json_int_t)bytes) : json_null(), "lost", s_heal_json(status->heal));
}

json_t *pair_view_json(const pair_view_t *self)
{
    char reason[PAIR_VIEW_REASON];
    pair_verdict_t verdict = pair_view_verdict(self, reason);
    wire_clean_text(reason); /* it may have been cut inside a character */
    size_t primary = pair_view_primary(self);
    json_t *nodes = json_array();
    for (size_t i = 0; i < self->len; i++) {
        json_t *answer = s_answer_json(&self->nodes[i]);
        CHECK(answer);
        json_array_append_new(nodes, answer);
    }
    json_t *json = json_pack(
        "{s:b, s:s, s:s?, s:o}", "ready", verdict == PAIR_VERDICT_READY, "verdict", reason,
        "primary", primary == PAIR_VIEW_NONE ? NULL : self->nodes[primary].status->own->name,
        "nodes", nodes);
    CHECK(json);
    return json;
}
