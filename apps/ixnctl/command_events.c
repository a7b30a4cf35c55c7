/* Command `events`: the log, as it is committed, one line an event. Read from the journal by SQL,
 * so nothing is shown before it is durable, it costs the nodes nothing, and it goes on over a
 * fail-over.
 */
#include "apps/ixnctl/command.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "apps/ixnctl/parts/units.h"
#include "apps/ixnctl/tail.h"
#include "apps/views/event.h"
#include "apps/views/view.h"
#include "core/base/check.h"
#include "core/base/id.h"
#include "core/wire/wire.h"
#include "dap/feed.h"
#include "dap/field.h"

enum {
    NAMES_MAX = 16,
    LOOK_MS = 200,  /* for new entries */
    AGAIN_MS = 500, /* when the database is away */
    KEY_INTERACTION = 0x400,
    KEY_FROM,
};

typedef struct {
    common_t *common;
    bool follow;
    bool has_from;
    uint64_t from;
    const char *names[NAMES_MAX];
    size_t names_len; /* 0: all */
    char interaction[ID_TEXT_SIZE];
} input_t;

static const struct argp_option s_options[] = {
    {"follow", 'f', NULL, 0, "Go on with what comes, until Ctrl-C", 0},
    {"from", KEY_FROM, "INDEX", 0,
     "Begin with this index of the log (otherwise the oldest that is kept; with --follow: what "
     "comes from now on)",
     0},
    {"event", 'e', "NAME", 0, "Only events of this name; may be given again", 0},
    {"interaction", KEY_INTERACTION, "ID", 0, "Only of this interaction", 0},
    {0},
};

static void s_parse_from(input_t *input, const char *text, const struct argp_state *state)
{
    const size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 18 || text[digits])
        argp_error(state, "--from %s: must be an index of the log, such as 4711", text);
    input->has_from = true;
    input->from = strtoull(text, NULL, 10);
}

static void s_parse_interaction(input_t *input, const char *text, const struct argp_state *state)
{
    id128_t id;
    if (!id_parse(text, &id))
        argp_error(state, "--interaction %s: is no interaction's id, which is a UUID", text);
    else
        id_text(id, input->interaction);
}

static void s_parse_name(input_t *input, const char *name, const struct argp_state *state)
{
    buffer_t names = {0};
    if (!event_is_name(name)) {
        event_names(&names);
        argp_error(state, "--event %s: there is no such event; there are: %.*s", name,
                   (int)names.len, (const char *)names.bytes);
    } else if (input->names_len == NAMES_MAX) {
        argp_error(state, "more than %d names of events", NAMES_MAX);
    } else {
        input->names[input->names_len++] = name;
    }
    buffer_free(&names);
}

static int s_parse(int key, char *argument, struct argp_state *state)
{
    input_t *input = state->input;
    switch (key) {
    case 'f':
        input->follow = true;
        return 0;
    case KEY_FROM:
        s_parse_from(input, argument, state);
        return 0;
    case 'e':
        s_parse_name(input, argument, state);
        return 0;
    case KEY_INTERACTION:
        s_parse_interaction(input, argument, state);
        return 0;
    default:
        return common_key(key, argument, state, input->common);
    }
}

static volatile sig_atomic_t s_interrupted;

static void s_on_signal(int number)
{
    (void)number;
    s_interrupted = 1;
}

/* ---- One event ---- */

typedef struct {
    const input_t *input;
    tail_t *tail;
    wire_arena_t *arena;
    buffer_t out;
    bool placed;   /* `next` is known */
    uint64_t next; /* the first index that was not shown */
    uint64_t last; /* without --follow: where it ends; 0: not known yet */
    bool away;     /* the database is, and that was said */
    bool gone;     /* something that was asked for is not kept any more */
} run_t;

static bool s_is_wanted(const input_t *input, const char *name, const json_t *event)
{
    const char *id = json_string_value(json_object_get(event, "interaction"));
    if (input->interaction[0] && (!id || strcmp(id, input->interaction) != 0))
        return false;
    for (size_t i = 0; i < input->names_len; i++)
        if (strcmp(input->names[i], name) == 0)
            return true;
    return input->names_len == 0;
}

/* What an event says of itself, as words: "queue=inbound priority=3". */
static void s_append_words(buffer_t *out, json_t *event)
{
    const char *name;
    json_t *value;
    json_object_foreach(event, name, value)
    {
        const char *text = json_string_value(value);
        if (json_is_null(value) || (text && !*text))
            continue;
        if (text && !strpbrk(text, " \"=")) {
            buffer_printf(out, " %s=%s", name, text);
            continue;
        }
        char *quoted = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        CHECK(quoted);
        buffer_printf(out, " %s=%s", name, quoted);
        free(quoted);
    }
}

static void s_append_line(run_t *run, uint64_t index, usec_t at, const char *name, json_t *event)
{
    char time[UNITS_TEXT_SIZE];
    buffer_t words = {0};
    table_t line = {.columns_len = 1}; /* for its cleaning of what comes from outside */
    s_append_words(&words, event);
    buffer_t text = {0};
    buffer_printf(&text, "%-10" PRIu64 " %-27s %-21s%.*s", index, units_time(at, time), name,
                  (int)words.len, words.len ? (const char *)words.bytes : "");
    table_add(&line, (text_t){(const char *)text.bytes, text.len});
    table_layout(&line, (table_style_t){0}, &run->out);
    table_free(&line);
    buffer_free(&words);
    buffer_free(&text);
}

/* Takes the event. */
static void s_tell(run_t *run, uint64_t index, usec_t at, const char *name, json_t *event)
{
    if (!run->input->common->json) {
        s_append_line(run, index, at, name, event);
        json_decref(event);
        return;
    }
    json_t *whole = json_pack("{s:I, s:o, s:s}", "index", (json_int_t)index, "at", view_time(at),
                              "event", name);
    CHECK(whole && json_object_update(whole, event) == 0);
    json_decref(event);
    char *text = json_dumps(whole, JSON_COMPACT);
    CHECK(text);
    buffer_printf(&run->out, "%s\n", text);
    free(text);
    json_decref(whole);
}

/* ---- Rows ---- */

/* A row whose entries are not understood is of a newer version: that is said, not passed over. */
static bool s_tell_row(run_t *run, const PGresult *result, int row, error_t *ret_error)
{
    const uint64_t first = field_int8(field_of(result, row, FEED_FIRST));
    const uint64_t epoch = field_int8(field_of(result, row, FEED_EPOCH));
    const usec_t at = field_wall(field_of(result, row, FEED_AT));
    const text_t entries = field_text(field_of(result, row, FEED_ENTRIES));
    wire_arena_reset(run->arena);
    const Ixn__V1__Batch *batch =
        wire_decode_batch(run->arena, (const uint8_t *)entries.data, entries.len, ret_error);
    for (size_t i = 0; batch && i < batch->n_entries; i++) {
        const char *name = "";
        json_t *event = first + i < run->next ? NULL : event_of(batch->entries[i], &name);
        if (first + i >= run->next)
            run->next = first + i + 1;
        if (!event)
            continue;
        if (run->input->common->json)
            json_object_set_new(event, "in_epoch", json_integer((json_int_t)epoch));
        if (s_is_wanted(run->input, name, event))
            s_tell(run, first + i, at, name, event);
        else
            json_decref(event);
    }
    return batch != NULL;
}

/* Finds where to begin. What is not kept any more is said. */
static void s_place(run_t *run, const PGresult *result)
{
    const uint64_t oldest = field_int8(field_of(result, 0, FEED_OLDEST));
    const uint64_t head = field_int8(field_of(result, 0, FEED_HEAD));
    if (!run->placed)
        run->next = run->input->has_from ? run->input->from
                    : run->input->follow ? head + 1
                                         : oldest;
    run->placed = true;
    if (run->last == 0)
        run->last = head;
    if (head == 0 || run->next >= oldest)
        return;
    if (run->next > 0) {
        run->gone = true;
        s_tell(
            run, run->next, 0, "gone",
            json_pack("{s:I, s:I}", "from", (json_int_t)run->next, "oldest", (json_int_t)oldest));
    }
    run->next = oldest;
}

/* True: there may be more right away. */
static bool s_tell_rows(run_t *run, const PGresult *result, error_t *ret_error)
{
    const bool before = run->placed;
    s_place(run, result);
    if (field_is_null(field_of(result, 0, FEED_FIRST)))
        return !before && !run->input->has_from && !run->input->follow;
    for (int row = 0; row < PQntuples(result); row++)
        if (!s_tell_row(run, result, row, ret_error))
            return false;
    return run->input->follow ? PQntuples(result) > 1 : true;
}

/* ---- Looking ---- */

static void s_wait_ms(long ms)
{
    if (!s_interrupted)
        nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* The database is away: once is said, then it is tried again. */
static void s_say_away(run_t *run, const error_t *error)
{
    if (!run->away)
        common_fail(error);
    run->away = true;
    s_wait_ms(AGAIN_MS);
}

/* One look and what it showed. False: it ends, with `ret_code`. */
static bool s_turn(run_t *run, int *ret_code)
{
    error_t error = {0};
    PGresult *result = tail_look(run->tail,
                                 run->placed            ? run->next
                                 : run->input->has_from ? run->input->from
                                                        : (uint64_t)INT64_MAX,
                                 &error);
    if (!result && run->input->follow && error.code == ERROR_DATABASE_UNREACHABLE) {
        s_say_away(run, &error);
        return true;
    }
    bool more = result && s_tell_rows(run, result, &error);
    PQclear(result);
    run->away = false;
    const bool printed = common_print(&run->out);
    buffer_clear(&run->out);
    *ret_code = !printed ? EXIT_PARTLY : error.code != ERROR_OK ? common_fail(&error) : EXIT_DONE;
    if (*ret_code != EXIT_DONE)
        return false;
    if (!run->input->follow)
        return more && run->next <= run->last;
    if (!more)
        s_wait_ms(LOOK_MS);
    return true;
}

static int s_run(run_t *run)
{
    int code = EXIT_DONE;
    const struct sigaction action = {.sa_handler = s_on_signal}; /* ends waiting */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    while (!s_interrupted && s_turn(run, &code))
        continue;
    if (run->input->follow && run->placed && isatty(STDERR_FILENO))
        fprintf(stderr, "ixnctl: it goes on with --from %" PRIu64 "\n", run->next);
    return code == EXIT_DONE && run->gone && !run->input->follow ? EXIT_PARTLY : code;
}

int command_events(common_t *common, int argc, char **argv)
{
    static const struct argp argp = {
        .options = s_options,
        .parser = s_parse,
        .doc =
            "The log as it is committed: what came, went where, and who served.\v"
            "One line an event; with -o json one document, with index, at, event, in_epoch and "
            "what it says. Read from the journal by the DAPs of the configuration, so "
            "nothing is shown before it is durable, and it goes on over a fail-over. An event's "
            "index is its place in the log, the same for ever: whoever keeps the last one and "
            "begins with the next misses nothing and hears nothing twice. Where the journal no "
            "longer reaches back so far (journal.retention), an event \"gone\" says from where to "
            "where. Numbers without an event are beats.\n\n"
            "Exit codes: 0 all was shown, or Ctrl-C; 1 refused; 3 no DAP answers (with --follow it "
            "waits for one); 4 what was asked for is not all kept any more.\n\nExamples:\n"
            "  ixnctl events --follow\n"
            "  ixnctl events --from 4711 -o json >> events.jsonl\n"
            "  ixnctl events --event epoch_started --event configuration_changed\n"
            "  ixnctl events -f --interaction 0198c2a4-7b1e-7cc2-98c5-1f2e3d4c5b6a",
        .children = common_children,
    };
    input_t input = {.common = common};
    common_parse(&argp, argc, argv, &input);
    error_t error = {0};
    run_t run = {.input = &input, .tail = tail_new(common, &error)};
    if (!run.tail)
        return common_fail(&error);
    run.arena = wire_arena_new();
    int code = s_run(&run);
    wire_arena_destroy(&run.arena);
    buffer_free(&run.out);
    tail_destroy(&run.tail);
    return code;
}
