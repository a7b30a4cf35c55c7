/* Commands `poison list` and `poison forgive`: inputs that crashed nodes (ha/poison.h). */
#include "apps/ixnctl/command.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "apps/ixnctl/pair_call.h"
#include "apps/ixnctl/parts/table.h"
#include "core/base/check.h"

enum { PATIENCE_MS = 1000 };

typedef struct {
    common_t *common;
    bool takes_fingerprint;
    id128_t fingerprint;
} input_t;

static int s_parse(int key, char *argument, struct argp_state *state)
{
    input_t *input = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        if (!input->takes_fingerprint || !id_is_zero(input->fingerprint))
            common_word_too_many(argument, state);
        else if (!id_parse(argument, &input->fingerprint))
            argp_error(state, "\"%s\" is no fingerprint; ixnctl poison list shows them", argument);
        return 0;
    case ARGP_KEY_END:
        if (input->takes_fingerprint && id_is_zero(input->fingerprint))
            argp_error(state, "a fingerprint is needed; ixnctl poison list shows them");
        return 0;
    default:
        return common_key(key, argument, state, input->common);
    }
}

/* ---- list ---- */

static void s_add(table_t *table, const Ixn__V1__PairNode *node, const Ixn__V1__PairPoison *poison)
{
    char id[ID_TEXT_SIZE] = "";
    char at[32] = "";
    id128_t fingerprint;
    time_t seconds = (time_t)(poison->last_us / USEC_PER_SECOND);
    struct tm calendar;
    if (wire_read_id(poison->fingerprint, &fingerprint))
        id_text(fingerprint, id);
    if (localtime_r(&seconds, &calendar))
        strftime(at, sizeof at, "%Y-%m-%d %H:%M:%S", &calendar);
    table_add(table, text_of(node->name));
    table_add(table, text_of(id));
    table_printf(table, "%u", poison->crashes_own);
    table_printf(table, "%u", poison->crashes_other);
    table_printf(table, "%u", poison->forgiven);
    table_add(table, text_of(at));
    table_add(table, !poison->refused ? TEXT("tried")
                     : poison->index  ? TEXT("not applied")
                                      : TEXT("refused"));
    table_add(table, text_of(poison->what));
}

static json_t *s_json(const Ixn__V1__PairNode *node, const Ixn__V1__PairPoison *poison)
{
    char id[ID_TEXT_SIZE] = "";
    id128_t fingerprint;
    if (wire_read_id(poison->fingerprint, &fingerprint))
        id_text(fingerprint, id);
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:b}", "node", node->name,
                  "fingerprint", id, "what", poison->what, "index", (json_int_t)poison->index,
                  "crashes_own", (json_int_t)poison->crashes_own, "crashes_other",
                  (json_int_t)poison->crashes_other, "forgiven", (json_int_t)poison->forgiven,
                  "last_us", (json_int_t)poison->last_us, "refused", poison->refused);
    CHECK(json);
    return json;
}

static bool s_print(const input_t *input, const pair_view_t *view)
{
    static const table_column_t columns[] = {
        {"NODE", false, false}, {"FINGERPRINT", false, false}, {"CRASHES", true, false},
        {"OTHER", true, false}, {"FORGIVEN", true, false},     {"LAST", false, false},
        {"NOW", false, false},  {"WHAT", false, true},
    };
    table_t table = {.columns_len = sizeof columns / sizeof columns[0]};
    buffer_t out = {0};
    size_t shown = 0;
    memcpy(table.columns, columns, sizeof columns);
    for (size_t i = 0; i < view->len; i++) {
        const Ixn__V1__PairStatus *status = view->nodes[i].status;
        for (size_t k = 0; status && k < status->n_poison; k++, shown++)
            if (input->common->json)
                common_append_json(&out, s_json(status->own, status->poison[k]));
            else
                s_add(&table, status->own, status->poison[k]);
    }
    if (!input->common->json && shown > 0)
        table_layout(&table, common_style(), &out);
    else if (!input->common->json)
        buffer_append_text(&out, "No input is known to have crashed a node.\n");
    table_free(&table);
    bool printed = common_print(&out);
    buffer_free(&out);
    return printed;
}

int command_poison_list(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .parser = s_parse,
        .doc =
            "Inputs that nodes were working on when they crashed.\v"
            "What crashed twice, on either node, is refused (a request) or not applied (an entry "
            "of "
            "the log: see ixnctl database skip). The bytes of a request are in state_dir of the "
            "node that crashed, file poison-FINGERPRINT. --output json: an object a line.\n\n"
            "Exit codes: 0 told; 3 no node answers; 4 output cut.\n\nExample:\n"
            "  ixnctl poison list",
        .children = common_children,
    };
    input_t input = {.common = common};
    common_parse(&argp, argc, argv, &input);
    pair_call_t pair;
    error_t error = {0};
    if (!pair_open(&pair, common, &error))
        return common_fail(&error);
    if (!pair_status(&pair, PATIENCE_MS, &error)) {
        pair_close(&pair);
        return common_fail(&error);
    }
    bool printed = s_print(&input, &pair.view);
    pair_close(&pair);
    return printed ? EXIT_DONE : EXIT_PARTLY;
}

/* ---- forgive ---- */

/* The first that knows it is enough: it tells the other one. */
static int s_forgive(const input_t *input)
{
    pair_call_t pair;
    error_t error = {0};
    char text[ID_TEXT_SIZE];
    Ixn__V1__PairCommand command = IXN__V1__PAIR_COMMAND__INIT;
    command.kind = IXN__V1__PAIR_COMMAND__KIND__FORGIVE;
    command.fingerprint = wire_bytes(&input->fingerprint);
    if (!pair_open(&pair, input->common, &error))
        return common_fail(&error);
    const char *name = NULL;
    if (pair_status(&pair, PATIENCE_MS, &error))
        for (size_t i = 0; i < pair.view.len && !name; i++)
            if (pair.view.nodes[i].status && pair_command(&pair, i, &command, &error))
                name = pair.view.nodes[i].status->own->name;
    int code = EXIT_DONE;
    if (!name)
        code = common_fail(&error);
    else if (input->common->json)
        common_print_json(
            json_pack("{s:s, s:s}", "node", name, "forgiven", id_text(input->fingerprint, text)));
    else
        printf("%s: %s may be tried again\n", name, id_text(input->fingerprint, text));
    pair_close(&pair);
    return code;
}

int command_poison_forgive(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .args_doc = "FINGERPRINT",
        .parser = s_parse,
        .doc =
            "Let an input that crashed nodes be tried again.\v"
            "For when the program was mended. One node is told, and tells the other one. It may "
            "crash twice again before it is refused again.\n\nExample:\n"
            "  ixnctl poison forgive 0f0e0d0c-0b0a-0908-0706-050403020100",
        .children = common_children,
    };
    input_t input = {.common = common, .takes_fingerprint = true};
    common_parse(&argp, argc, argv, &input);
    return s_forgive(&input);
}
