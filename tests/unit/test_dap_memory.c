/* The routes that were proven, in a file of state_dir. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apps/state/dap_memory.h"

static char s_folder[64];
static char s_path[80];

static void s_open(void)
{
    snprintf(s_folder, sizeof s_folder, "/tmp/ixn-dap-memory-XXXXXX");
    cr_assert(mkdtemp(s_folder));
    snprintf(s_path, sizeof s_path, "%s/daps", s_folder);
}

static void s_close(void)
{
    unlink(s_path);
    rmdir(s_folder);
}

TestSuite(dap_memory, .init = s_open, .fini = s_close);

static bool s_read(config_dap_t daps[4], size_t *ret_len, error_t *ret_error)
{
    return dap_memory_read(s_folder, daps, 4, ret_len, ret_error);
}

Test(dap_memory, comes_back_as_it_was_for_its_owner_alone)
{
    const config_dap_t daps[] = {
        {.name = "main way", .conninfo = "host=h password='a b' dbname=ixn", .weight = 7},
        {.name = "second", .conninfo = "postgresql://u:p@h/ixn?a=b", .weight = 100},
    };
    config_dap_t read[4];
    size_t len = 9;
    struct stat file;
    error_t error = {0};
    cr_assert(s_read(read, &len, &error) && len == 0, "nothing is there yet");
    for (int i = 0; i < 2; i++) /* the second time in the place of the first */
        cr_assert(dap_memory_write(s_folder, daps, 2, &error), "%s", error.text);
    cr_assert(stat(s_path, &file) == 0 && (file.st_mode & 0777) == 0600);
    cr_assert(s_read(read, &len, &error), "%s", error.text);
    cr_assert_eq(len, 2);
    for (size_t i = 0; i < len; i++) {
        cr_expect_str_eq(read[i].name, daps[i].name);
        cr_expect_str_eq(read[i].conninfo, daps[i].conninfo);
        cr_expect_eq(read[i].weight, daps[i].weight);
    }
}

Test(dap_memory, is_never_guessed_at)
{
    static const char *const texts[] = {
        "",
        "ixn daps 2\n",
        "ixn daps 1\nname a\n",
        "ixn daps 1\nname a\nweight 0\nconninfo x\n",
        "ixn daps 1\nname a\nweight 1\nconninfo x",
        "ixn daps 1\nweight 1\nname a\nconninfo x\n",
        "ixn daps 1\nname \nweight 1\nconninfo x\n",
        "ixn daps 1\nname a\nweight 1x\nconninfo secret\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        config_dap_t read[4];
        size_t len;
        error_t error = {0};
        FILE *file = fopen(s_path, "we");
        cr_assert(file && fputs(texts[i], file) >= 0 && fclose(file) == 0);
        cr_expect(!s_read(read, &len, &error), "text %zu is taken", i);
        cr_expect(strstr(error.text, s_path) && !strstr(error.text, "secret"), "%s", error.text);
    }
}

Test(dap_memory, more_than_there_is_room_for_is_refused)
{
    config_dap_t daps[5];
    config_dap_t read[4];
    size_t len;
    error_t error = {0};
    memset(daps, 0, sizeof daps);
    for (size_t i = 0; i < 5; i++) {
        snprintf(daps[i].name, sizeof daps[i].name, "d%zu", i);
        snprintf(daps[i].conninfo, sizeof daps[i].conninfo, "x");
        daps[i].weight = 1;
    }
    cr_assert(dap_memory_write(s_folder, daps, 5, &error));
    cr_assert(!s_read(read, &len, &error));
}
