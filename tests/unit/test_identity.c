/* What a node remembers of its database, and the comparison with what it finds. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dap/database.h"
#include "dap/identity.h"
#include "dap/schema.h"

static char s_dir[64];

static void s_init(void)
{
    snprintf(s_dir, sizeof s_dir, "/tmp/ixn-identity-XXXXXX");
    cr_assert(mkdtemp(s_dir));
}

static void s_path(char path[128], const char *name)
{
    snprintf(path, 128, "%s/%s", s_dir, name);
}

static void s_free(void)
{
    static const char *const names[] = {"identity", "identity.new"};
    for (size_t i = 0; i < 2; i++) {
        char path[128];
        s_path(path, names[i]);
        unlink(path);
        rmdir(path);
    }
    rmdir(s_dir);
}

TestSuite(identity, .init = s_init, .fini = s_free);

static identity_memory_t s_memory(void)
{
    return (identity_memory_t){.identity = {.database_id = id_random(),
                                            .system_identifier = UINT64_MAX - 7,
                                            .database_oid = UINT32_MAX},
                               .epoch = 42,
                               .generation = id_random(),
                               .given_up = {.started_at = 1000, .port = 5432, .address = "::1"},
                               .given_up_for = {.started_at = 2000, .port = 5433}};
}

static void s_write(const char *text, size_t len)
{
    char path[128];
    s_path(path, "identity");
    FILE *file = fopen(path, "w");
    cr_assert(file && fwrite(text, 1, len, file) == len && fclose(file) == 0);
}

Test(identity, is_remembered_exactly)
{
    identity_memory_t memory = s_memory();
    identity_memory_t recalled = {0};
    error_t error = {0};
    char path[128];
    struct stat found;
    cr_assert(identity_remember(s_dir, &memory, &error), "%s", error.text);
    cr_assert_eq(identity_recall(s_dir, &recalled, &error), MEMORY_READ, "%s", error.text);
    cr_assert(identity_equal(&memory.identity, &recalled.identity));
    cr_assert_eq(recalled.epoch, 42);
    cr_assert(id_equal(memory.generation, recalled.generation));
    memory.epoch++;
    cr_assert(identity_remember(s_dir, &memory, &error), "%s", error.text);
    cr_assert_eq(identity_recall(s_dir, &recalled, &error), MEMORY_READ);
    cr_assert_eq(recalled.epoch, 43);
    cr_assert(instance_equal(&memory.given_up, &recalled.given_up));
    cr_assert_str_eq(recalled.given_up.address, "::1");
    cr_assert(instance_equal(&memory.given_up_for, &recalled.given_up_for));
    s_path(path, "identity.new");
    cr_assert_neq(stat(path, &found), 0, "the temporary file is gone");
}

Test(identity, of_an_empty_folder_is_empty)
{
    identity_memory_t recalled = {.epoch = 5};
    cr_assert_eq(identity_recall(s_dir, &recalled, NULL), MEMORY_EMPTY);
    cr_assert_eq(recalled.epoch, 5, "untouched");
}

Test(identity, of_a_missing_folder_is_not_empty)
{
    identity_memory_t recalled = {0};
    error_t error = {0};
    char path[128];
    s_path(path, "not-mounted");
    cr_assert_eq(identity_recall(path, &recalled, &error), MEMORY_BROKEN);
    cr_assert(strstr(error.text, "create or mount it"), "%s", error.text);
    cr_assert(!identity_remember(path, &recalled, &error));
    cr_assert_eq(error.code, ERROR_SYSTEM);
    cr_assert(strstr(error.text, "No such file"), "%s", error.text);
}

Test(identity, that_cannot_be_read_is_broken)
{
    identity_memory_t recalled;
    error_t error = {0};
    char path[128];
    s_path(path, "identity");
    cr_assert_eq(mkdir(path, 0700), 0);
    cr_assert_eq(identity_recall(s_dir, &recalled, &error), MEMORY_BROKEN);
    cr_assert(strstr(error.text, "cannot read"), "%s", error.text);
}

/* Every file that is shorter, longer, or different in one place is broken, and the line is named.
 */
Test(identity, with_any_damage_is_broken)
{
    identity_memory_t memory = s_memory();
    identity_memory_t recalled;
    char path[128];
    char text[1200];
    s_path(path, "identity");
    cr_assert(identity_remember(s_dir, &memory, NULL));
    FILE *file = fopen(path, "r");
    cr_assert(file);
    size_t len = fread(text, 1, sizeof text - 1, file);
    cr_assert_eq(fclose(file), 0);
    for (size_t cut = 0; cut < len; cut++) {
        s_write(text, cut);
        error_t error = {0};
        cr_assert_eq(identity_recall(s_dir, &recalled, &error), MEMORY_BROKEN, "cut at %zu", cut);
        cr_assert(strstr(error.text, "/identity:"), "%s", error.text);
    }
    for (size_t at = 0; at < len; at++) {
        char kept = text[at];
        text[at] = '\x01';
        s_write(text, len);
        cr_assert_eq(identity_recall(s_dir, &recalled, NULL), MEMORY_BROKEN, "damaged at %zu", at);
        text[at] = 0;
        s_write(text, len);
        cr_assert_eq(identity_recall(s_dir, &recalled, NULL), MEMORY_BROKEN, "zero at %zu", at);
        text[at] = kept;
    }
    text[len] = '\n';
    s_write(text, len + 1);
    cr_assert_eq(identity_recall(s_dir, &recalled, NULL), MEMORY_BROKEN);
    s_write(text, len);
    cr_assert_eq(identity_recall(s_dir, &recalled, NULL), MEMORY_READ);
}

/* The other node names a server without its address. */
Test(identity, of_a_run_is_a_sentence)
{
    char text[INSTANCE_TEXT_SIZE];
    instance_t instance = {.started_at = 1769860800123456, .port = 5432, .address = "10.0.0.5"};
    cr_assert_str_eq(instance_text(&instance, text),
                     "started 2026-01-31 12:00:00.123456 UTC at 10.0.0.5:5432");
    instance.address[0] = '\0';
    cr_assert_str_eq(instance_text(&instance, text),
                     "started 2026-01-31 12:00:00.123456 UTC at port 5432");
}

/* As earlier versions of the program wrote it. */
Test(identity, of_an_earlier_version_is_read)
{
    static const char first[] =
        "database_id 01980000-0000-7000-8000-000000000000\n"
        "system_identifier 7\ndatabase_oid 8\nepoch 9\n"
        "generation 01980000-0000-4000-8000-000000000000\n";
    static const char second[] =
        "own_generation 01980000-0000-4000-8000-000000000000\n"
        "server_started_us 10\nserver_port 11\nserver_address -\n"
        "committed_index 12\n"
        "committed_hash 01980000-0000-4000-8000-000000000000\n"
        "committed_epoch 9\n"
        "committed_generation 01980000-0000-4000-8000-000000000000\n"
        "orderly_end 1\n";
    char text[1200];
    identity_memory_t recalled = {0};
    error_t error = {0};
    int len = snprintf(text, sizeof text, "ixn identity 1\n%s", first);
    s_write(text, (size_t)len);
    cr_assert_eq(identity_recall(s_dir, &recalled, &error), MEMORY_READ, "%s", error.text);
    cr_assert_eq(recalled.epoch, 9);
    len = snprintf(text, sizeof text, "ixn identity 2\n%s%s", first, second);
    s_write(text, (size_t)len);
    cr_assert_eq(identity_recall(s_dir, &recalled, &error), MEMORY_READ, "%s", error.text);
    cr_assert_eq(recalled.instance.started_at, 10);
    cr_assert(recalled.exact);
    cr_assert(!instance_is_known(&recalled.given_up));
    len = snprintf(text, sizeof text, "ixn identity 3\n%s%s", first, second);
    s_write(text, (size_t)len);
    cr_assert_eq(identity_recall(s_dir, &recalled, &error), MEMORY_BROKEN);
    cr_assert(strstr(error.text, "identity:16: the line is missing"), "%s", error.text);
    len = snprintf(text, sizeof text, "ixn identity 4\n%s%s", first, second);
    s_write(text, (size_t)len);
    cr_assert_eq(identity_recall(s_dir, &recalled, &error), MEMORY_BROKEN);
    cr_assert(strstr(error.text, "expected \"ixn identity 3\""), "%s", error.text);
}

Test(identity, numbers_out_of_range_are_broken)
{
    static const char format[] =
        "ixn identity 1\n"
        "database_id 01980000-0000-7000-8000-000000000000\n"
        "system_identifier %s\ndatabase_oid %s\nepoch %s\n"
        "generation 01980000-0000-4000-8000-000000000000\n";
    static const struct {
        const char *system;
        const char *oid;
        const char *epoch;
        const char *names;
    } cases[] = {{"18446744073709551616", "1", "1", "identity:3: the value of system_identifier"},
                 {"1", "4294967296", "1", "identity:4: the value of database_oid"},
                 {"1", "-1", "1", "identity:4: the value of database_oid"},
                 {"1", " 1", "1", "identity:4: the value of database_oid"},
                 {"1", "1", "9223372036854775808", "identity:5: the value of epoch"},
                 {"1", "1", "", "identity:5: the value of epoch"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[600];
        identity_memory_t recalled;
        error_t error = {0};
        snprintf(text, sizeof text, format, cases[i].system, cases[i].oid, cases[i].epoch);
        s_write(text, strlen(text));
        cr_assert_eq(identity_recall(s_dir, &recalled, &error), MEMORY_BROKEN);
        cr_assert(strstr(error.text, cases[i].names), "%s", error.text);
    }
}

Test(identity, the_schema_travels_with_the_program)
{
    for (size_t i = 0; i < schema_migrations_len; i++)
        cr_assert_eq(schema_migrations[i].version, i + 1);
    cr_assert_eq(schema_migrations_len, DATABASE_SCHEMA_VERSION);
    cr_assert_str_eq(schema_migrations[0].name, "initial");
    cr_assert(strstr(schema_migrations[0].sql, "CREATE TABLE ixn.journal"));
}
