/* The parts of ixnctl besides mail: JSON Lines, sources, keys, tables, units, progress, summary. */
#include <criterion/criterion.h>
#include <ftw.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "apps/ixnctl/parts/jsonl.h"
#include "apps/ixnctl/parts/progress.h"
#include "apps/ixnctl/parts/reader.h"
#include "apps/ixnctl/parts/show.h"
#include "apps/ixnctl/parts/source.h"
#include "apps/ixnctl/parts/table.h"
#include "apps/ixnctl/parts/tally.h"
#include "apps/ixnctl/parts/units.h"
#include "core/wire/wire.h"

static error_t s_error;
static submission_t s_one;
static const submission_defaults_t s_defaults = {
    .queue = "inbound", .media_type = "chat", .max_text = MAIL_TEXT_DEFAULT};

static bool s_jsonl(const char *line)
{
    s_error = (error_t){0};
    submission_reset(&s_one, &s_defaults);
    return jsonl_read(&s_one, text_of(line), &s_error);
}

static bool s_attributes_are(const char *expected)
{
    return text_equal(text_of(expected),
                      (text_t){(const char *)s_one.attributes.bytes, s_one.attributes.len});
}

Test(jsonl, an_object_is_the_attributes_byte_for_byte)
{
    cr_assert(s_jsonl("{ \"a\" : 1.50, \"b\":\"\\u00e9\" }"));
    cr_assert(s_attributes_are("{ \"a\" : 1.50, \"b\":\"\\u00e9\" }"));
    cr_assert_str_eq(s_one.queue, "inbound");
    cr_assert(s_jsonl("{\"attributes\":\"a text, so this is no envelope\"}"));
    cr_assert(s_attributes_are("{\"attributes\":\"a text, so this is no envelope\"}"));
}

Test(jsonl, an_envelope_says_more)
{
    cr_assert(
        s_jsonl("{\"queue\":\"support\",\"media_type\":\"email\",\"type\":\"Inbound\","
                "\"subtype\":\"new\",\"external_id\":\"x-1\",\"priority\":-7,\"hold\":true,"
                "\"key\":\"k\",\"parent_id\":\"0198c2a4-7b1e-7cc2-98c5-1f2e3d4c5b6a\","
                "\"received_at\":\"1970-01-01T01:00:01.5+01:00\",\"attributes\":{\"a\":[1]}}"),
        "%s", s_error.text);
    cr_assert(s_attributes_are("{\"a\":[1]}"));
    cr_assert_str_eq(s_one.queue, "support");
    cr_assert_str_eq(s_one.media_type, "email");
    cr_assert_str_eq(s_one.external_id, "x-1");
    cr_assert_str_eq(s_one.key, "k");
    cr_assert_eq(s_one.priority, -7);
    cr_assert(s_one.hold);
    cr_assert_eq(s_one.received_at_us, 1500000);
    cr_assert_eq(s_one.parent_id.bytes[0], 0x01);
}

Test(jsonl, what_is_refused_is_named)
{
    static const char *const bad[][2] = {
        {"{\"a\":1", "column"},
        {"[1]", "one JSON object"},
        {"7", "column 1"},
        {"{\"a\":1,\"a\":2}", "duplicate"},
        {"{\"a\":\"\\u0000\"}", "u0000"},
        {"{\"a\":\"\xff\"}", "0xff"},
        {"{\"attributes\":{},\"prio\":1}", "\"prio\" is not known"},
        {"{\"attributes\":{},\"priority\":1.5}", "whole number"},
        {"{\"attributes\":{},\"priority\":1000001}", "1000000"},
        {"{\"attributes\":{},\"queue\":7}", "a text"},
        {"{\"attributes\":{},\"hold\":1}", "true or false"},
        {"{\"attributes\":{},\"parent_id\":\"7\"}", "UUID"},
        {"{\"attributes\":{},\"received_at\":\"noon\"}", "noon"},
        {"{\"attributes\":{},\"received_at\":\"2026-01-31T12:00:00\"}", "offset"},
        {"{\"attributes\":{},\"key\":\"0123456789012345678901234567890123456789012345678901234567"
         "890123456789\"}",
         "at most 64"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_not(s_jsonl(bad[i][0]), "accepted: %s", bad[i][0]);
        cr_assert_not_null(strstr(s_error.text, bad[i][1]), "%s: %s", bad[i][0], s_error.text);
    }
    cr_assert_not(jsonl_read(&s_one, TEXT("{\"attributes\":{}}\0[1]"), &s_error));
    cr_assert(strstr(s_error.text, "byte 17 is zero"), "%s", s_error.text);
}

static char s_folder[] = "/tmp/test_ixnctl_XXXXXX";
static bool s_has_folder;

static int s_remove(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

static void s_clean(void)
{
    if (s_has_folder)
        nftw(s_folder, s_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* A path in a folder of this test. Good until seven more were made. */
static const char *s_path(const char *name)
{
    static char path[8][200];
    static size_t next;
    char *to = path[next++ % 8];
    if (!s_has_folder)
        cr_assert_not_null(mkdtemp(s_folder));
    s_has_folder = true;
    snprintf(to, sizeof path[0], "%s/%s", s_folder, name);
    return to;
}

static const char *s_write(const char *name, const char *text)
{
    const char *path = s_path(name);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
    return path;
}

TestSuite(source, .fini = s_clean);
TestSuite(reader, .fini = s_clean);

/* Reads everything from the paths: "key-less" summary "external_id@where" joined, refusals as "!".
 */
static char *s_read_all(const char *const *paths, source_format_t format,
                        const submission_defaults_t *defaults)
{
    buffer_t out = {0};
    error_t error = {0};
    source_t *source = source_new(paths, format, defaults, &error);
    cr_assert_not_null(source, "%s", error.text);
    for (;;) {
        source_result_t result = source_next(source, &s_one, &error);
        if (result == SOURCE_END)
            break;
        if (result == SOURCE_ITEM)
            buffer_printf(&out, "%s@%s ", s_one.external_id,
                          strrchr(source_where(source), '/') + 1);
        else
            buffer_printf(&out, "%s(%s) ", result == SOURCE_REFUSED ? "refused" : "failed",
                          strrchr(error.text, '/') + 1);
    }
    source_destroy(&source);
    buffer_append(&out, "", 1);
    return (char *)out.bytes;
}

#define MESSAGE(id) "Message-ID: <" id ">\nSubject: s\n\ntext\n"
#define SEPARATOR "From a@b Sat Jan 31 12:00:00 2026\n"

Test(source, formats_are_seen_from_the_first_bytes)
{
    const char *gz = s_path("d.mbox.gz");
    gzFile file = gzopen(gz, "wb");
    gzputs(file, SEPARATOR MESSAGE("gz1") "\n" SEPARATOR MESSAGE("gz2"));
    gzclose(file);
    const char *paths[] = {
        s_write("a.jsonl", "{\"a\":1}\n\n  \n{\"external_id\":\"j2\",\"attributes\":{}}"),
        s_write("b.mbox", SEPARATOR MESSAGE("m1") "\n" SEPARATOR MESSAGE("m2")),
        s_write("c.eml", MESSAGE("e1")),
        gz,
        s_write("e.txt", "neither this nor that\n"),
        s_write("f.empty", ""),
        NULL};
    char *all = s_read_all(paths, FORMAT_AUTO, &s_defaults);
    cr_assert_str_eq(all,
                     "@a.jsonl:1 j2@a.jsonl:4 m1@b.mbox:1 m2@b.mbox:7 e1@c.eml:1 "
                     "gz1@d.mbox.gz:1 gz2@d.mbox.gz:7 failed(e.txt: neither JSON Lines nor "
                     "mail by its first line; say what it is with --format if it is one of "
                     "them) ");
    free(all);
}

Test(source, maildirs_and_folders)
{
    static const char *const folders[] = {"box",       "box/cur",       "box/new",      "box/tmp",
                                          "box/.Sent", "box/.Sent/cur", "box/.Sent/new"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        cr_assert_eq(mkdir(s_path(folders[i]), 0700), 0);
    s_write("box/cur/1:2,S", MESSAGE("c1"));
    s_write("box/new/2", MESSAGE("n2"));
    s_write("box/tmp/3", MESSAGE("t3"));
    s_write("box/index.cache", "not mail at all");
    s_write("box/.Sent/cur/4", MESSAGE("s4"));
    const char *paths[] = {s_path("box"), NULL};
    char *all = s_read_all(paths, FORMAT_AUTO, &s_defaults);
    cr_assert_str_eq(all, "s4@4:1 c1@1:2,S:1 n2@2:1 ");
    free(all);
    mkdir(s_path("plain"), 0700);
    s_write("plain/a.eml", MESSAGE("p1"));
    s_write("plain/b.mbox", SEPARATOR MESSAGE("p2"));
    const char *plain[] = {s_path("plain"), NULL};
    all = s_read_all(plain, FORMAT_AUTO, &s_defaults);
    cr_assert_str_eq(all, "p1@a.eml:1 p2@b.mbox:1 ");
    free(all);
}

Test(source, paths_that_are_not_there)
{
    const char *missing[] = {s_path("nothing"), NULL};
    cr_assert_null(source_new(missing, FORMAT_AUTO, &s_defaults, &s_error));
    cr_assert_not_null(strstr(s_error.text, "nothing: No such file"), "%s", s_error.text);
    mkdir(s_path("bare"), 0700);
    const char *bare[] = {s_path("bare"), NULL};
    cr_assert_null(source_new(bare, FORMAT_AUTO, &s_defaults, &s_error));
    const char *file[] = {s_write("x", "y"), NULL};
    cr_assert_null(source_new(file, FORMAT_MAILDIR, &s_defaults, &s_error));
}

Test(source, one_bad_line_ends_nothing)
{
    buffer_t text = {0};
    buffer_append_text(&text, "{\"external_id\":\"1\",\"attributes\":{}}\nrubbish\n{\"a\":\"");
    for (int i = 0; i < LIMIT_PACKET; i++)
        buffer_append_text(&text, "x");
    buffer_append_text(&text, "\"}\n{\"external_id\":\"2\",\"attributes\":{}}\n");
    buffer_append(&text, "", 1);
    const char *paths[] = {s_write("a", (const char *)text.bytes), NULL};
    buffer_free(&text);
    char *all = s_read_all(paths, FORMAT_JSONL, &s_defaults);
    cr_assert_not_null(strstr(all, "1@a:1 refused(a:2: not JSON"), "%s", all);
    cr_assert_not_null(strstr(all, "refused(a:3: the line is longer"), "%s", all);
    cr_assert_not_null(strstr(all, "2@a:4"), "%s", all);
    free(all);
}

Test(source, a_damaged_gzip_is_read_as_far_as_it_goes)
{
    const char *path = s_path("cut.gz");
    gzFile file = gzopen(path, "wb");
    for (int i = 0; i < 20000; i++)
        gzprintf(file, "{\"external_id\":\"%d\",\"attributes\":{\"r\":%d}}\n", i, rand());
    gzclose(file);
    cr_assert_eq(truncate(path, 100000), 0);
    const char *paths[] = {path, NULL};
    char *all = s_read_all(paths, FORMAT_AUTO, &s_defaults);
    cr_assert_not_null(strstr(all, " 5000@cut.gz:5001 "));
    cr_assert_not_null(strstr(all, "failed(cut.gz: reading failed after"), "%s",
                       all + strlen(all) - 200);
    free(all);
}

Test(source, an_mbox_by_order_without_a_message_is_told)
{
    const char *paths[] = {s_write("a", "Subject: x\n\ny\n"), NULL};
    char *all = s_read_all(paths, FORMAT_MBOX, &s_defaults);
    cr_assert_not_null(strstr(all, "failed(a: not an mbox"), "%s", all);
    free(all);
}

/* The keys of everything in a file, joined. */
static char *s_keys(const char *path, const submission_defaults_t *defaults)
{
    buffer_t out = {0};
    const char *paths[] = {path, NULL};
    source_t *source = source_new(paths, FORMAT_AUTO, defaults, NULL);
    while (source_next(source, &s_one, &s_error) == SOURCE_ITEM)
        buffer_printf(&out, "%s ", s_one.key);
    source_destroy(&source);
    buffer_append(&out, "", 1);
    return (char *)out.bytes;
}

Test(source, keys_come_from_the_content)
{
    const char *path = s_write("k", "{\"a\":1}\n{\"a\":2}\n{\"a\":1}\n");
    char *first = s_keys(path, &s_defaults);
    char *second = s_keys(path, &s_defaults);
    cr_assert_str_eq(first, second);
    cr_assert_eq(strlen(first), (size_t)3 * 38, "%s", first);
    cr_assert_neq(memcmp(first, first + 38, 38), 0);
    cr_assert_neq(memcmp(first, first + 76, 38), 0, "the same line twice is meant twice");
    submission_defaults_t other = s_defaults;
    other.queue = "support";
    char *elsewhere = s_keys(path, &other);
    cr_assert_str_neq(first, elsewhere, "another queue is another submission, not a reused key");
    other.again = true;
    char *again = s_keys(path, &other);
    cr_assert_str_eq(again, "   ");
    free(first);
    free(second);
    free(elsewhere);
    free(again);
}

Test(source, the_same_mail_has_the_same_key_wherever_it_stands)
{
    char *first =
        s_keys(s_write("m1", SEPARATOR MESSAGE("a") "\n" SEPARATOR MESSAGE("b")), &s_defaults);
    char *second =
        s_keys(s_write("m2", SEPARATOR MESSAGE("b") "\n" SEPARATOR MESSAGE("a") "\n"), &s_defaults);
    cr_assert_eq(memcmp(first, second + 38, 37), 0);
    cr_assert_eq(memcmp(first + 38, second, 37), 0);
    free(first);
    free(second);
}

Test(reader, long_lines_come_in_pieces)
{
    buffer_t text = {0};
    for (int i = 0; i < 200000; i++)
        buffer_append_text(&text, "x");
    buffer_append_text(&text, "\nsecond");
    buffer_append(&text, "", 1);
    reader_t *reader = reader_new(s_write("long", (const char *)text.bytes), &s_error);
    buffer_free(&text);
    size_t len = 0;
    size_t begins = 0;
    reader_line_t line = {0};
    while (reader_line(reader, &line, &s_error) == READER_LINE) {
        len += line.text.len;
        begins += line.begins;
    }
    cr_assert_eq(len, 200007);
    cr_assert_eq(begins, 2);
    cr_assert_eq(line.number, 2);
    reader_destroy(&reader);
    reader = reader_new("/tmp", &s_error); /* a folder opens, but does not read */
    cr_assert_eq(reader_line(reader, &line, &s_error), READER_FAILED);
    cr_assert_eq(reader_line(reader, &line, &s_error), READER_END);
    reader_destroy(&reader);
}

static void s_table_is(const table_t *table, size_t width, const char *expected)
{
    buffer_t out = {0};
    table_layout(table, (table_style_t){width, false}, &out);
    buffer_append(&out, "", 1);
    cr_assert_str_eq((char *)out.bytes, expected, "\n%s", (char *)out.bytes);
    buffer_free(&out);
}

Test(table, aligns_by_the_width_on_the_screen)
{
    table_t table = {
        .columns = {{"NAME", false, true}, {"COUNT", true, false}, {"X", false, false}},
        .columns_len = 3};
    static const char *const cells[] = {"Gr\u00fc\u00dfe", "1", "a", "\u4f60\u597d", "1000", "b",
                                        "e\u0301",         "",  "c"};
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
        table_add(&table, text_of(cells[i]));
    s_table_is(&table, 0,
               "NAME   COUNT  X\nGr\u00fc\u00dfe      1  a\n\u4f60\u597d    1000  b\n"
               "e\u0301             c\n");
    table_free(&table);
}

Test(table, cuts_only_on_a_terminal_and_never_a_character)
{
    table_t table = {.columns = {{"A", false, true}, {"B", false, false}}, .columns_len = 2};
    table_add(&table, text_of("\u4f60\u597d\u4f60\u597d\u4f60\u597d\u4f60\u597d"));
    table_add(&table, text_of("stays"));
    s_table_is(&table, 0,
               "A                 B\n\u4f60\u597d\u4f60\u597d\u4f60\u597d\u4f60\u597d  "
               "stays\n");
    s_table_is(&table, 17, "A           B\n\u4f60\u597d\u4f60\u597d\u2026   stays\n");
    s_table_is(&table, 1, "A         B\n\u4f60\u597d\u4f60\u2026   stays\n");
    table_free(&table);
}

Test(table, strangers_cannot_steer_the_terminal)
{
    table_t table = {.columns_len = 1};
    table_add(&table, text_of("a\x1b[2Jb\nc\xc2\x9b"
                              "d\u202ee\xff"));
    s_table_is(&table, 0,
               "a\ufffd[2Jb c\ufffdd\ufffd"
               "e\ufffd\n");
    table_free(&table);
    table_t empty = {.columns = {{"A", false, false}}, .columns_len = 1};
    s_table_is(&empty, 80, "A\n");
}

Test(units, amounts_as_people_read_them)
{
    char text[UNITS_TEXT_SIZE];
    cr_assert_str_eq(units_count(0, text), "0");
    cr_assert_str_eq(units_count(999, text), "999");
    cr_assert_str_eq(units_count(1234567, text), "1,234,567");
    cr_assert_str_eq(units_count(UINT64_MAX, text), "18,446,744,073,709,551,615");
    cr_assert_str_eq(units_bytes(1023, text), "1023 B");
    cr_assert_str_eq(units_bytes(1048575, text), "1.0 MiB");
    cr_assert_str_eq(units_bytes(UINT64_MAX, text), "16.0 EiB");
    cr_assert_str_eq(units_seconds(-1, text), "0.0s");
    cr_assert_str_eq(units_seconds(59.97, text), "1m00s");
    cr_assert_str_eq(units_seconds(3723, text), "1h02m");
    cr_assert_str_eq(units_seconds(90061, text), "1d01h");
    cr_assert_str_eq(units_time(1, text), "1970-01-01T00:00:00.000001Z");
    cr_assert_str_eq(units_time(-1, text), "1969-12-31T23:59:59.999999Z");
    cr_assert_str_eq(units_time(0, text), "");
    units_time(INT64_MAX, text);
    units_time(INT64_MIN, text);
}

Test(progress, fits_the_terminal)
{
    progress_t progress = {500, 1000, 41200, 8};
    for (size_t width = 0; width < 200; width++) {
        buffer_t out = {0};
        progress_bar(&progress, width, &out);
        cr_assert_leq(out.len, width);
        buffer_free(&out);
    }
    buffer_t out = {0};
    progress_line(&progress, &out);
    buffer_append(&out, "", 1);
    cr_assert_str_eq((char *)out.bytes,
                     " 50%  500 B of 1000 B  41,200 submitted  5,150/s  8.0s left");
    buffer_clear(&out);
    progress.bytes_total = 0;
    progress_bar(&progress, 200, &out);
    buffer_append(&out, "", 1);
    cr_assert_str_eq((char *)out.bytes, "500 B  41,200 submitted  5,150/s");
    buffer_free(&out);
}

Test(tally, exit_codes)
{
    cr_assert_eq(tally_exit_code(&(tally_t){0}), EXIT_DONE);
    cr_assert_eq(tally_exit_code(&(tally_t){.read = 2, .submitted = 2}), EXIT_DONE);
    cr_assert_eq(tally_exit_code(&(tally_t){.submitted = 1, .refused = 1}), EXIT_PARTLY);
    cr_assert_eq(tally_exit_code(&(tally_t){.refused = 1}), EXIT_REFUSED);
    cr_assert_eq(tally_exit_code(&(tally_t){.failed = 1}), EXIT_REFUSED);
    cr_assert_eq(tally_exit_code(&(tally_t){.unanswered = 1}), EXIT_NOT_REACHABLE);
    cr_assert_eq(tally_exit_code(&(tally_t){.submitted = 1, .unanswered = 1}), EXIT_PARTLY);
    cr_assert_eq(tally_exit_code(&(tally_t){.submitted = 1, .interrupted = true}), EXIT_PARTLY);
}

Test(tally, tells_the_first_of_each_reason)
{
    tally_t tally = {.read = 3, .submitted = 1, .refused = 2};
    source_progress_t input = {.bytes = 10, .notes = {[MAIL_CHARSET] = 1}};
    tally_reason(&tally, ERROR_UNKNOWN_QUEUE, "a:1", "no queue \"x\"\n\xff");
    tally_reason(&tally, ERROR_UNKNOWN_QUEUE, "a:2", "no queue \"y\"");
    for (int code = 100; code < 200; code++)
        tally_reason(&tally, (error_code_t)code, "", "more");
    buffer_t out = {0};
    tally_print(&tally, &input, 2, &out);
    buffer_append(&out, "", 1);
    cr_assert_not_null(
        strstr((char *)out.bytes, "UNKNOWN_QUEUE (2), first: a:1: no queue \"x\" \ufffd\n"), "%s",
        (char *)out.bytes);
    buffer_clear(&out);
    tally_print_json(&tally, &input, 2, &out);
    json_t *json = json_loadb((const char *)out.bytes, out.len, 0, NULL);
    cr_assert_eq(json_integer_value(json_object_get(json, "submitted")), 1);
    cr_assert_eq(json_array_size(json_object_get(json, "reasons")), TALLY_REASONS);
    json_decref(json);
    buffer_free(&out);
}

Test(show, attributes_stay_byte_for_byte)
{
    Ixn__V1__Interaction one = IXN__V1__INTERACTION__INIT;
    static const char attributes[] = "{\"big\": 123456789012345678901234567890, \"a\":1.50}";
    id128_t id = {{1, 2, 3}};
    one.interaction_id = wire_bytes(&id);
    one.state = IXN__V1__INTERACTION_STATE__QUARANTINED;
    one.queue = "inbound";
    one.attributes = (ProtobufCBinaryData){sizeof attributes - 1, (uint8_t *)attributes};
    buffer_t out = {0};
    show_interaction_json(&one, &(show_source_t){0}, &out);
    buffer_append(&out, "", 1);
    cr_assert_not_null(strstr((char *)out.bytes, attributes));
    cr_assert_not_null(strstr((char *)out.bytes, "\"state\":\"quarantined\""));
    buffer_clear(&out);
    show_interaction(&one, &(show_source_t){0}, (table_style_t){0}, &out);
    buffer_append(&out, "", 1);
    cr_assert_not_null(strstr((char *)out.bytes, "queue       inbound\n"), "%s", (char *)out.bytes);
    const show_source_t tables = {true, 4711, 1.5, "no node\n\x1b[31m answers"};
    buffer_clear(&out);
    show_interaction(&one, &tables, (table_style_t){0}, &out);
    buffer_append(&out, "", 1);
    cr_assert_not_null(
        strstr((char *)out.bytes,
               "\nfrom the tables, as of index 4711, 1.5s ago: no node [31m answers\n"),
        "%s", (char *)out.bytes);
    one.state = 77;
    one.attributes.len = 0;
    buffer_clear(&out);
    show_interaction_json(&one, &(show_source_t){0}, &out);
    json_t *json = json_loadb((const char *)out.bytes, out.len, 0, NULL);
    cr_assert_str_eq(json_string_value(json_object_get(json, "state")), "state 77");
    json_decref(json);
    buffer_free(&out);
}
