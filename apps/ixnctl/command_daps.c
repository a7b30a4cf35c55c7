/* Command `daps`: each node's ways to the database, one row each.
 */
#include "apps/ixnctl/command.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "apps/ixnctl/pair_call.h"
#include "core/base/check.h"

enum { PATIENCE_MS = 1000, LANE_JOURNAL = 1, LANE_CHECKPOINT = 2 };

static const char *s_standing(const Ixn__V1__PairDap *dap)
{
    static const char *const names[] = {"in use", "candidate", "retiring"};
    return (size_t)dap->standing < 3 ? names[dap->standing] : "unknown";
}

static const char *s_state(const Ixn__V1__PairDap *dap)
{
    return dap->proven ? "proven" : dap->reachable ? "not proven" : "not now";
}

static const char *s_lanes(const Ixn__V1__PairDap *dap)
{
    static const char *const names[] = {"", "journal", "checkpoint", "journal, checkpoint"};
    return names[dap->lanes & (LANE_JOURNAL | LANE_CHECKPOINT)];
}

/* Its part of the work that is spread, in hundredths; of nothing: 0. */
static double s_share(const Ixn__V1__PairNode *node, const Ixn__V1__PairDap *dap)
{
    uint64_t all = 0;
    for (size_t i = 0; i < node->n_daps; i++)
        all += node->daps[i]->spread;
    return all ? 100.0 * (double)dap->spread / (double)all : 0;
}

static void s_add(table_t *table, const Ixn__V1__PairNode *node, const Ixn__V1__PairDap *dap)
{
    table_add(table, text_of(node->name));
    table_add(table, text_of(dap->name));
    table_add(table, text_of(s_standing(dap)));
    table_add(table, text_of(s_state(dap)));
    table_printf(table, "%u", dap->weight);
    table_printf(table, "%.0f%%", s_share(node, dap));
    table_add(table, text_of(s_lanes(dap)));
    table_printf(table, "%.1f", (double)dap->average_us / 1000);
    table_printf(table, "%llu", (unsigned long long)dap->done);
    table_printf(table, "%llu", (unsigned long long)dap->errors);
    table_add(table, text_of(dap->trouble));
}

static json_t *s_json(const Ixn__V1__PairNode *node, const Ixn__V1__PairDap *dap)
{
    json_t *json = json_pack(
        "{s:s, s:s, s:s, s:b, s:b, s:i, s:f, s:b, s:b, s:f, s:f, s:I, s:I, s:s}", "node",
        node->name, "dap", dap->name, "standing", s_standing(dap), "reachable", dap->reachable,
        "proven", dap->proven, "weight", (int)dap->weight, "share_percent", s_share(node, dap),
        "journal", (dap->lanes & LANE_JOURNAL) != 0, "checkpoint",
        (dap->lanes & LANE_CHECKPOINT) != 0, "latency_ms", (double)dap->latency_us / 1000,
        "average_ms", (double)dap->average_us / 1000, "done", (json_int_t)dap->done, "errors",
        (json_int_t)dap->errors, "trouble", dap->trouble);
    CHECK(json);
    return json;
}

static void s_print(const pair_view_t *view, bool as_json, buffer_t *out)
{
    static const table_column_t columns[] = {
        {"NODE", false, false},  {"DAP", false, false},    {"STANDING", false, false},
        {"STATE", false, false}, {"WEIGHT", true, false},  {"SHARE", true, false},
        {"LANES", false, false}, {"MS", true, false},      {"DONE", true, false},
        {"ERRORS", true, false}, {"TROUBLE", false, true},
    };
    table_t table = {.columns_len = sizeof columns / sizeof columns[0]};
    json_t *list = json_array();
    memcpy(table.columns, columns, sizeof columns);
    for (size_t i = 0; i < view->len; i++) {
        const Ixn__V1__PairNode *node = view->nodes[i].status ? view->nodes[i].status->own : NULL;
        for (size_t j = 0; node && j < node->n_daps; j++) {
            s_add(&table, node, node->daps[j]);
            json_array_append_new(list, s_json(node, node->daps[j]));
        }
    }
    if (as_json)
        common_append_json(out, json_incref(list));
    else
        table_layout(&table, common_style(), out);
    json_decref(list);
    table_free(&table);
}

int command_daps(common_t *common, int argc, char **argv)
{
    static const char doc[] =
        "Each node's ways to the database: proven or not, in use, how quick, how often wrong.\v"
        "STANDING: in use; candidate, new in the file and not used before it is proven; "
        "retiring, no longer in the file and used until one that is takes its place. SHARE: "
        "its part of the work that is spread by WEIGHT (checkpoints, loads). LANES: what is on "
        "it now. MS: its answers and commits, smoothed. DONE and ERRORS: since the node "
        "began.\n\nExamples:\n"
        "  ixnctl -n tcp://a:7420 -n tcp://b:7420 daps\n"
        "  ixnctl daps -o json | jq '.[] | select(.proven | not)'";
    common_parse_only(common, doc, argc, argv);
    error_t error = {0};
    pair_call_t call;
    if (!pair_open(&call, common, &error))
        return common_fail(&error);
    if (!pair_status(&call, PATIENCE_MS, &error)) {
        pair_close(&call);
        return common_fail(&error);
    }
    buffer_t out = {0};
    s_print(&call.view, common->json, &out);
    pair_close(&call);
    bool printed = common_print(&out);
    buffer_free(&out);
    return printed ? EXIT_DONE : EXIT_PARTLY;
}
