/* Commands `config check`, `diff`, `show` and `reload`.
 */
#include "apps/ixnctl/command.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/ixnctl/pair_call.h"
#include "core/base/check.h"
#include "dap/database.h"

enum { KEY_DRY_RUN = 0x300, PATIENCE_MS = 1000, FILE_MAX = 4 * 1024 * 1024 };

typedef struct {
    common_t *common;
    bool takes_file;
    bool takes_dry_run;
    bool dry_run;
    const char *file; /* NULL: not given */
} input_t;

static int s_parse(int key, char *argument, struct argp_state *state)
{
    input_t *input = state->input;
    switch (key) {
    case KEY_DRY_RUN:
        if (!input->takes_dry_run)
            return ARGP_ERR_UNKNOWN;
        input->dry_run = true;
        return 0;
    case ARGP_KEY_ARG:
        if (!input->takes_file || input->file)
            common_word_too_many(argument, state);
        else
            input->file = argument;
        return 0;
    default:
        return common_key(key, argument, state, input->common);
    }
}

static int s_print(buffer_t *out, int code)
{
    bool printed = common_print(out);
    buffer_free(out);
    return printed ? code : EXIT_PARTLY;
}

/* ---- check ---- */

/* What this node's database is, as far as anybody here knows. */
typedef struct {
    char text[IDENTITY_TEXT_SIZE]; /* of the identity; empty: nobody knows */
    char source[CONFIG_PATH_SIZE + 40];
} known_t;

static void s_known(common_t *common, const config_t *config, known_t *ret_known)
{
    error_t error = {0};
    pair_call_t call;
    identity_memory_t memory;
    *ret_known = (known_t){{0}, {0}};
    uint32_t timeout_ms = common->timeout_ms;
    common->timeout_ms = timeout_ms < PATIENCE_MS ? timeout_ms : PATIENCE_MS;
    if (pair_open(&call, common, &error)) {
        pair_status(&call, PATIENCE_MS, &error);
        for (size_t i = 0; i < call.view.len && !ret_known->text[0]; i++) {
            const Ixn__V1__PairStatus *status = call.view.nodes[i].status;
            if (!status || !*status->database)
                continue;
            snprintf(ret_known->text, sizeof ret_known->text, "%s", status->database);
            snprintf(ret_known->source, sizeof ret_known->source, "node %s", status->own->name);
        }
        pair_close(&call);
    }
    common->timeout_ms = timeout_ms;
    if (ret_known->text[0] || identity_recall(config->state_dir, &memory, &error) != MEMORY_READ)
        return;
    identity_text(&memory.identity, ret_known->text);
    snprintf(ret_known->source, sizeof ret_known->source, "state_dir %s", config->state_dir);
}

typedef struct {
    const char *verdict;
    char database[sizeof((database_status_t *)NULL)->server];
    char identity[IDENTITY_TEXT_SIZE];
    char trouble[CONFIG_PATH_SIZE + 2 * IDENTITY_TEXT_SIZE];
} checked_t;

static void s_check_dap(const config_t *config, size_t number, const known_t *known,
                        checked_t *ret_checked)
{
    error_t error = {0};
    database_status_t status;
    checked_t checked = {.verdict = "ok"};
    database_t *database = database_of_dap(config, number, -1);
    if (!database_status(database, NULL, &status, &error)) {
        bool wrong = error.code == ERROR_DATABASE_EMPTY || error.code == ERROR_DATABASE_SCHEMA;
        checked.verdict = wrong ? "wrong" : "not now";
        snprintf(checked.trouble, sizeof checked.trouble, "%s", error.text);
    } else {
        snprintf(checked.database, sizeof checked.database, "%s", status.server);
        identity_text(&status.identity, checked.identity);
        if (config->has_database_id && !id_equal(config->database_id, status.identity.database_id))
            snprintf(checked.trouble, sizeof checked.trouble, "database.id demands another one");
        else if (known->text[0] && strcmp(known->text, checked.identity) != 0)
            snprintf(checked.trouble, sizeof checked.trouble, "%s works on %s", known->source,
                     known->text);
        checked.verdict = checked.trouble[0] ? "wrong" : known->text[0] ? "ok" : "reached";
    }
    database_destroy(&database);
    *ret_checked = checked;
}

static void s_add_checked(const config_dap_t *dap, const checked_t *checked, table_t *table,
                          json_t *list)
{
    table_add(table, text_of(dap->name));
    table_printf(table, "%u", dap->line);
    table_add(table, text_of(checked->verdict));
    table_add(table, text_of(checked->database));
    table_add(table, text_of(checked->identity));
    table_add(table, text_of(checked->trouble));
    json_t *json =
        json_pack("{s:s, s:i, s:s, s:s, s:s, s:s}", "name", dap->name, "line", (int)dap->line,
                  "verdict", checked->verdict, "database", checked->database, "identity",
                  checked->identity, "trouble", checked->trouble);
    CHECK(json);
    json_array_append_new(list, json);
}

/* What is allowed and yet worth knowing: lines of text; the caller frees them. */
static char *s_notes(const config_t *config)
{
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);
    CHECK(file);
    config_notes(config, file);
    CHECK(fclose(file) == 0);
    return text;
}

static json_t *s_notes_json(const char *notes)
{
    json_t *list = json_array();
    for (; *notes; notes += strcspn(notes, "\n") + 1)
        json_array_append_new(list, json_stringn(notes, strcspn(notes, "\n")));
    return list;
}

static int s_check(common_t *common, const char *file, const config_t *config)
{
    static const table_column_t columns[] = {
        {"DAP", false, false},     {"LINE", true, false},      {"VERDICT", false, false},
        {"REACHES", false, false}, {"IDENTITY", false, false}, {"TROUBLE", false, true},
    };
    table_t table = {.columns_len = sizeof columns / sizeof columns[0]};
    json_t *list = json_array();
    known_t known;
    int code = EXIT_DONE;
    memcpy(table.columns, columns, sizeof columns);
    s_known(common, config, &known);
    for (size_t i = 0; i < config->daps_len; i++) {
        checked_t checked;
        s_check_dap(config, i, &known, &checked);
        s_add_checked(&config->daps[i], &checked, &table, list);
        if (strcmp(checked.verdict, "wrong") == 0)
            code = EXIT_REFUSED;
        else if (strcmp(checked.verdict, "not now") == 0 && code == EXIT_DONE)
            code = EXIT_PARTLY;
    }
    char *notes = s_notes(config);
    buffer_t out = {0};
    if (common->json) {
        common_append_json(&out, json_pack("{s:s, s:s, s:s, s:O, s:o}", "file", file, "known",
                                           known.text, "known_by", known.source, "daps", list,
                                           "notes", s_notes_json(notes)));
    } else {
        buffer_append_text(&out, notes);
        table_layout(&table, common_style(), &out);
        if (known.text[0])
            buffer_printf(&out, "\n%s: ok. The pair's own database is %s (by %s).\n", file,
                          known.text, known.source);
        else
            buffer_printf(&out,
                          "\n%s: ok. Nobody here knows which database is the pair's own: no node "
                          "answers, and state_dir %s remembers none.\n",
                          file, config->state_dir);
    }
    free(notes);
    json_decref(list);
    table_free(&table);
    return s_print(&out, code);
}

int command_config_check(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .parser = s_parse,
        .args_doc = "[FILE]",
        .doc =
            "Check a configuration: the file as a whole, and where each DAP leads.\v"
            "FILE is otherwise the configuration of --config. Connects to every DAP, says which "
            "database it reaches, and compares that with the one that the running node works "
            "on, or else with what the node's state_dir remembers. Notes say what is allowed and "
            "yet "
            "worth knowing: servers and routers that get less work than one may think. Changes "
            "nothing.\n\n"
            "Verdicts: ok; reached (nobody knows the pair's own); not now (does not answer); "
            "wrong.\n"
            "Exit codes: 0 all are right; 1 one is wrong; 2 the file is; 4 one does not "
            "answer.\n\nExample:\n  ixnctl config check /etc/ixn/ixnd.yaml.new",
        .children = common_children,
    };
    input_t input = {.common = common, .takes_file = true};
    common_parse(&argp, argc, argv, &input);
    error_t error = {0};
    config_t *own = input.file ? config_load(input.file, &error) : NULL;
    const config_t *config = input.file ? own : common_config(common, &error);
    if (!config)
        return common_fail(&error);
    int code = s_check(common, input.file ? input.file : "the configuration", config);
    config_destroy(&own);
    return code;
}

/* ---- diff, show, reload: asked of the nodes ---- */

static void s_add_change(table_t *table, const Ixn__V1__ConfigChange *change)
{
    table_add(table, text_of(change->path));
    table_add(table, text_of(change->kind));
    table_add(table, text_of(change->effect));
    table_add(table, text_of(change->old));
    if (change->secret)
        table_add(table, TEXT("(a password differs)"));
    else
        table_add(table, text_of(change->new_));
}

static const char *s_verdict(const Ixn__V1__ConfigAnswer *answer)
{
    if (answer->n_changes == 0)
        return answer->applied ? "reloaded; nothing has changed" : "nothing would change";
    return answer->applied ? "reloaded" : "a reload would be taken";
}

static void s_print_answer(const Ixn__V1__ConfigAnswer *answer, buffer_t *out)
{
    static const table_column_t columns[] = {
        {"KEY", false, false}, {"CHANGE", false, false}, {"EFFECT", false, false},
        {"OLD", false, true},  {"NEW", false, true},
    };
    bool logged = false;
    bool restart = false;
    table_t table = {.columns_len = sizeof columns / sizeof columns[0]};
    memcpy(table.columns, columns, sizeof columns);
    for (size_t i = 0; i < answer->n_changes; i++) {
        s_add_change(&table, answer->changes[i]);
        logged |= strcmp(answer->changes[i]->effect, "logged") == 0;
        restart |= strcmp(answer->changes[i]->effect, "restart") == 0;
    }
    if (answer->n_changes > 0)
        table_layout(&table, common_style(), out);
    table_free(&table);
    buffer_printf(out, "%s, %s: %s.\n", answer->node, answer->file, s_verdict(answer));
    if (logged && !answer->serves)
        buffer_append_text(out,
                           "This node does not serve: what is \"logged\" counts when the "
                           "primary's file says it; reload that, too.\n");
    if (restart)
        buffer_append_text(out,
                           "What is \"restart\" is in force at the next start of the "
                           "process.\n");
}

static json_t *s_answer_json(const Ixn__V1__ConfigAnswer *answer)
{
    json_t *changes = json_array();
    for (size_t i = 0; i < answer->n_changes; i++) {
        const Ixn__V1__ConfigChange *change = answer->changes[i];
        json_array_append_new(changes, json_pack("{s:s, s:s, s:s, s:s, s:s, s:b}", "key",
                                                 change->path, "change", change->kind, "effect",
                                                 change->effect, "old", change->old, "new",
                                                 change->new_, "secret", change->secret));
    }
    json_t *json =
        json_pack("{s:s, s:s, s:b, s:b, s:o}", "node", answer->node, "file", answer->file,
                  "applied", answer->applied, "serves", answer->serves, "changes", changes);
    CHECK(json);
    return json;
}

/* Each node's answer, or why it has none. */
static int s_print_answers(common_t *common, const pair_call_t *call)
{
    buffer_t out = {0};
    int code = EXIT_DONE;
    for (size_t i = 0; i < call->view.len; i++) {
        const Ixn__V1__ConfigAnswer *answer = call->answers[i];
        if (!answer)
            code = common_fail(&call->view.nodes[i].error);
        else if (common->json)
            common_append_json(&out, s_answer_json(answer));
        else if (answer->text.len > 0)
            buffer_append(&out, answer->text.data, answer->text.len);
        else
            s_print_answer(answer, &out);
    }
    return s_print(&out, code);
}

static int s_ask(common_t *common, Ixn__V1__ConfigRequest *request)
{
    error_t error = {0};
    pair_call_t call;
    if (!pair_open(&call, common, &error))
        return common_fail(&error);
    pair_config(&call, request, PATIENCE_MS);
    int code = s_print_answers(common, &call);
    pair_close(&call);
    return code;
}

/* Whether one of several nodes would refuse its file, or all are silent, said as s_print_answers
 * does. One that is silent while others answer is no reason. */
static int s_foresee(common_t *common, Ixn__V1__ConfigRequest request)
{
    error_t error = {0};
    pair_call_t call;
    int code = EXIT_DONE;
    if (!pair_open(&call, common, &error))
        return common_fail(&error);
    const size_t several = call.view.len > 1 ? call.view.len : 0;
    size_t silent = 0;
    request.kind = IXN__V1__CONFIG_REQUEST__KIND__DIFF;
    if (several)
        pair_config(&call, &request, PATIENCE_MS);
    for (size_t i = 0; i < several; i++) {
        const error_t *refusal = &call.view.nodes[i].error;
        if (call.answers[i])
            continue;
        if (refusal->code == ERROR_TIMED_OUT) {
            silent++;
            continue;
        }
        error_set(&error, refusal->code, "%s; no node has reloaded its file", refusal->text);
        code = common_fail(&error);
    }
    if (several && silent == several)
        code = s_print_answers(common, &call);
    pair_close(&call);
    return code;
}

static bool s_read_file(const char *path, buffer_t *text, error_t *ret_error)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return error_set(ret_error, ERROR_SYSTEM, "%s: cannot be opened: %s", path,
                         strerror(errno));
    text->len = fread(buffer_reserve(text, FILE_MAX), 1, FILE_MAX, file);
    bool read = !ferror(file) && feof(file);
    fclose(file);
    return read ||
           error_set(ret_error, ERROR_SYSTEM, "%s: cannot be read, or has more than 4 MiB", path);
}

int command_config_diff(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .parser = s_parse,
        .args_doc = "[FILE]",
        .doc =
            "What a reload would change, key by key, and whether it would be taken.\v"
            "The node compares FILE (otherwise its own file) with what is in force. EFFECT: "
            "live, at once; logged, through the log, for both nodes, when the primary's file "
            "says it; restart, at the next start of the process. Passwords are never shown. "
            "Where the DAPs of a file lead, config check says.\n\nExamples:\n"
            "  ixnctl config diff /etc/ixn/ixnd.yaml.new\n"
            "  ixnctl -n tcp://a:7420 -n tcp://b:7420 config diff -o json",
        .children = common_children,
    };
    input_t input = {.common = common, .takes_file = true};
    common_parse(&argp, argc, argv, &input);
    error_t error = {0};
    buffer_t text = {0};
    Ixn__V1__ConfigRequest request = IXN__V1__CONFIG_REQUEST__INIT;
    request.kind = IXN__V1__CONFIG_REQUEST__KIND__DIFF;
    if (input.file && !s_read_file(input.file, &text, &error)) {
        buffer_free(&text);
        return common_fail(&error);
    }
    request.name = (char *)(input.file ? input.file : "");
    request.text = (ProtobufCBinaryData){text.len, text.bytes};
    int code = s_ask(common, &request);
    buffer_free(&text);
    return code;
}

int command_config_show(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .parser = s_parse,
        .doc =
            "The configuration that is in force on a node, as YAML, passwords hidden.\v"
            "What waits for a restart shows the value in force, not that of the file.\n\n"
            "Example:\n  ixnctl -n tcp://b:7420 config show",
        .children = common_children,
    };
    input_t input = {.common = common};
    common_parse(&argp, argc, argv, &input);
    Ixn__V1__ConfigRequest request = IXN__V1__CONFIG_REQUEST__INIT;
    request.kind = IXN__V1__CONFIG_REQUEST__KIND__SHOW;
    return s_ask(common, &request);
}

int command_config_reload(common_t *common, int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"dry-run", KEY_DRY_RUN, NULL, 0, "say what would change, and change nothing", 0},
        {0},
    };
    static const struct argp argp = {
        .options = options,
        .parser = s_parse,
        .doc =
            "Let nodes read their configuration files again, as SIGHUP does.\v"
            "Each node named by --node (otherwise that of the configuration) reads its own "
            "file. It is taken as a whole or not at all: a wrong file, or one that cannot be in "
            "force now, is refused with the reason, and the node goes on as it was. Where one of "
            "several nodes refuses its file, none reloads. A DAP that "
            "is new or leads another way is used once it is proven to reach the pair's own "
            "database; until then the old way is: see ixnctl daps.\n\nExample:\n"
            "  ixnctl -n tcp://a:7420 -n tcp://b:7420 config reload",
        .children = common_children,
    };
    input_t input = {.common = common, .takes_dry_run = true};
    common_parse(&argp, argc, argv, &input);
    Ixn__V1__ConfigRequest request = IXN__V1__CONFIG_REQUEST__INIT;
    request.kind =
        input.dry_run ? IXN__V1__CONFIG_REQUEST__KIND__DIFF : IXN__V1__CONFIG_REQUEST__KIND__RELOAD;
    const int refused = input.dry_run ? EXIT_DONE : s_foresee(common, request);
    return refused != EXIT_DONE ? refused : s_ask(common, &request);
}
