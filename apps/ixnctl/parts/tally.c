/* Tally: see tally.h. */
#include "apps/ixnctl/parts/tally.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "apps/ixnctl/parts/table.h"
#include "apps/ixnctl/parts/units.h"
#include "apps/ixnctl/parts/utf8.h"
#include "core/base/check.h"

void tally_reason(tally_t *self, error_code_t code, const char *where, const char *sentence)
{
    for (size_t i = 0; i < self->reasons_len; i++) {
        if (self->reasons[i].code == code) {
            self->reasons[i].count++;
            return;
        }
    }
    if (self->reasons_len == TALLY_REASONS)
        return;
    tally_reason_t *reason = &self->reasons[self->reasons_len++];
    *reason = (tally_reason_t){.code = code, .count = 1};
    snprintf(reason->example, sizeof reason->example, "%s%s%s", where, *where ? ": " : "",
             sentence);
    buffer_t clean = {0}; /* snprintf may have cut a character */
    utf8_clean(&clean, text_of(reason->example), UTF8_LINE);
    size_t len = utf8_cut((text_t){(const char *)clean.bytes, clean.len}, TALLY_EXAMPLE_SIZE - 1);
    snprintf(reason->example, sizeof reason->example, "%.*s", (int)len, (const char *)clean.bytes);
    buffer_free(&clean);
}

int tally_exit_code(const tally_t *self)
{
    bool complete =
        self->refused == 0 && self->unanswered == 0 && self->failed == 0 && !self->interrupted;
    if (complete)
        return EXIT_DONE;
    if (self->submitted > 0)
        return EXIT_PARTLY;
    if (self->unanswered > 0)
        return EXIT_NOT_REACHABLE;
    return self->refused > 0 || self->failed > 0 ? EXIT_REFUSED : EXIT_PARTLY;
}

static void s_add(table_t *table, uint64_t count, const char *words)
{
    char text[UNITS_TEXT_SIZE];
    if (count == 0)
        return;
    table_add(table, text_of(units_count(count, text)));
    table_add(table, text_of(words));
}

void tally_print(const tally_t *self, const source_progress_t *input, double elapsed, buffer_t *out)
{
    char bytes[UNITS_TEXT_SIZE];
    char time[UNITS_TEXT_SIZE];
    char rate[UNITS_TEXT_SIZE];
    uint64_t per_second = elapsed > 0 ? (uint64_t)((double)self->submitted / elapsed) : 0;
    table_t table = {.columns = {{.right = true}, {0}}, .columns_len = 2};
    s_add(&table, self->read, "read");
    for (size_t i = 0; i < MAIL_NOTES_LEN; i++) {
        char words[120];
        snprintf(words, sizeof words, "  %s", mail_note_words[i]);
        s_add(&table, input->notes[i], words);
    }
    char text[UNITS_TEXT_SIZE];
    table_add(&table, text_of(units_count(self->submitted, text)));
    table_add(&table, TEXT("submitted: acknowledged by the node"));
    s_add(&table, self->repeated, "  repeated: the same interaction as another one of this run");
    s_add(&table, self->refused, "refused");
    s_add(&table, self->failed, "files not read to their end");
    s_add(&table, self->unanswered, "without an answer: run the same command again");
    table_layout(&table, (table_style_t){0}, out);
    table_free(&table);
    for (size_t i = 0; i < self->reasons_len; i++)
        buffer_printf(out, "%s (%s), first: %s\n", error_name(self->reasons[i].code),
                      units_count(self->reasons[i].count, text), self->reasons[i].example);
    buffer_printf(out, "%s%s in %s, %s/s\n",
                  self->interrupted ? "stopped before the end of the input; " : "",
                  units_bytes(input->bytes, bytes), units_seconds(elapsed, time),
                  units_count(per_second, rate));
}

void tally_print_json(const tally_t *self, const source_progress_t *input, double elapsed,
                      buffer_t *out)
{
    json_t *notes = json_object();
    for (size_t i = 0; i < MAIL_NOTES_LEN; i++)
        json_object_set_new(notes, mail_note_names[i], json_integer((json_int_t)input->notes[i]));
    json_t *reasons = json_array();
    for (size_t i = 0; i < self->reasons_len; i++) {
        const tally_reason_t *reason = &self->reasons[i];
        json_array_append_new(
            reasons, json_pack("{s:s, s:I, s:s}", "code", error_name(reason->code), "count",
                               (json_int_t)reason->count, "first", reason->example));
    }
    json_t *all = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:o, s:o, s:I, s:f}", "read", (json_int_t)self->read,
        "submitted", (json_int_t)self->submitted, "repeated", (json_int_t)self->repeated, "refused",
        (json_int_t)self->refused, "unanswered", (json_int_t)self->unanswered, "failed_files",
        (json_int_t)self->failed, "interrupted", self->interrupted, "notes", notes, "reasons",
        reasons, "bytes", (json_int_t)input->bytes, "elapsed_s", elapsed);
    CHECK(all);
    char *text = json_dumps(all, JSON_COMPACT | JSON_REAL_PRECISION(6));
    CHECK(text);
    buffer_printf(out, "%s\n", text);
    free(text);
    json_decref(all);
}
