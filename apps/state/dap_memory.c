/* The file: a title, then three lines a DAP: name, weight, connection string, each after its word.
 * Neither a name nor a connection string of the configuration has a line break in it (checked here
 * all the same).
 */
#include "apps/state/dap_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apps/state/state_dir.h"
#include "core/base/buffer.h"

#define TITLE "ixn daps 1"
#define MAX_SIZE (64 * 1024)

bool dap_memory_write(const char *state_dir, const config_dap_t *daps, size_t len,
                      error_t *ret_error)
{
    buffer_t text = {0};
    buffer_append_text(&text, TITLE "\n");
    for (size_t i = 0; i < len; i++) {
        if (strpbrk(daps[i].name, "\r\n") || strpbrk(daps[i].conninfo, "\r\n"))
            continue; /* would be another line; such a route is not remembered */
        buffer_printf(&text, "name %s\nweight %" PRIu32 "\nconninfo %s\n", daps[i].name,
                      daps[i].weight, daps[i].conninfo);
    }
    bool done =
        state_dir_write(state_dir, "daps", (text_t){(char *)text.bytes, text.len}, ret_error);
    explicit_bzero(text.bytes, text.len);
    buffer_free(&text);
    return done;
}

/* The rest of a line that begins with `word`, cut off in place; NULL: it is another line. */
static char *s_value(char **rest, const char *word)
{
    char *line = *rest;
    char *end = strchr(line, '\n');
    size_t len = strlen(word);
    if (!end || strncmp(line, word, len) != 0 || line[len] != ' ')
        return NULL;
    *end = '\0';
    *rest = end + 1;
    return line + len + 1;
}

static bool s_copy(char *target, size_t size, const char *value)
{
    return value && *value && (size_t)snprintf(target, size, "%s", value) < size;
}

static bool s_parse(char *text, config_dap_t *daps, size_t max, size_t *ret_len)
{
    size_t len = 0;
    if (strncmp(text, TITLE "\n", sizeof TITLE) != 0)
        return false;
    for (char *rest = text + sizeof TITLE; *rest; len++) {
        char *end = NULL;
        if (len == max)
            return false;
        daps[len] = (config_dap_t){0};
        if (!s_copy(daps[len].name, sizeof daps[len].name, s_value(&rest, "name")))
            return false;
        const char *weight = s_value(&rest, "weight");
        unsigned long number = weight ? strtoul(weight, &end, 10) : 0;
        if (!weight || *end || number < 1 || number > 100)
            return false;
        daps[len].weight = (uint32_t)number;
        if (!s_copy(daps[len].conninfo, sizeof daps[len].conninfo, s_value(&rest, "conninfo")))
            return false;
    }
    *ret_len = len;
    return true;
}

bool dap_memory_read(const char *state_dir, config_dap_t *daps, size_t max, size_t *ret_len,
                     error_t *ret_error)
{
    char path[CONFIG_PATH_SIZE + 16];
    snprintf(path, sizeof path, "%s/daps", state_dir);
    *ret_len = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 && errno == ENOENT)
        return true;
    buffer_t text = {0};
    char *bytes = (char *)buffer_reserve(&text, MAX_SIZE + 1);
    ssize_t len = file < 0 ? -1 : read(file, bytes, MAX_SIZE);
    int failure = errno;
    if (file >= 0)
        close(file);
    bool done = false;
    if (len < 0) {
        error_set(ret_error, ERROR_SYSTEM, "cannot read %s: %s", path, strerror(failure));
    } else {
        bytes[len] = '\0';
        done = s_parse(bytes, daps, max, ret_len);
        if (!done)
            error_set(ret_error, ERROR_SYSTEM,
                      "%s is not what this program wrote; it holds the routes to the pair's "
                      "database that were proven last: restore it, or remove it if the DAPs of the "
                      "configuration are right",
                      path);
        explicit_bzero(bytes, (size_t)len);
    }
    buffer_free(&text);
    return done;
}
