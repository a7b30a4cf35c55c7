#include "dap/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "identity"
#define FILE_TITLE "ixn identity 1"

/* The file is its title, then these lines, in this order: name, space, value. */
enum { LINE_DATABASE, LINE_SYSTEM, LINE_OID, LINE_EPOCH, LINE_GENERATION, LINES };
static const char *const s_names[LINES] = {"database_id", "system_identifier", "database_oid",
                                           "epoch", "generation"};

const char *identity_text(const identity_t *self, char text[IDENTITY_TEXT_SIZE])
{
    char id[ID_TEXT_SIZE];
    snprintf(text, IDENTITY_TEXT_SIZE, "database_id %s system_identifier %" PRIu64 " oid %" PRIu32,
             id_text(self->database_id, id), self->system_identifier, self->database_oid);
    return text;
}

bool identity_equal(const identity_t *a, const identity_t *b)
{
    return id_equal(a->database_id, b->database_id) &&
           a->system_identifier == b->system_identifier && a->database_oid == b->database_oid;
}

static memory_result_t s_broken(error_t *ret_error, const char *path, int line, const char *what)
{
    error_set(
        ret_error, ERROR_SYSTEM,
        "%s:%d: %s; this file guards against a wrong database, so it is not guessed at: restore "
        "it, or remove it if this node may accept the database that its configuration names",
        path, line, what);
    return MEMORY_BROKEN;
}

static bool s_number(const char *text, uint64_t max, uint64_t *ret_value)
{
    char *end;
    if (*text < '0' || *text > '9') /* strtoull takes signs and spaces */
        return false;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || *end || value > max)
        return false;
    *ret_value = value;
    return true;
}

static bool s_read_value(int line, const char *text, identity_memory_t *memory)
{
    uint64_t number;
    switch (line) {
    case LINE_DATABASE:
        return id_parse(text, &memory->identity.database_id);
    case LINE_SYSTEM:
        return s_number(text, UINT64_MAX, &memory->identity.system_identifier);
    case LINE_OID:
        if (!s_number(text, UINT32_MAX, &number))
            return false;
        memory->identity.database_oid = (uint32_t)number;
        return true;
    case LINE_EPOCH:
        return s_number(text, INT64_MAX, &memory->epoch);
    default:
        return id_parse(text, &memory->generation);
    }
}

/* `text` is cut into lines in place. */
static memory_result_t s_parse(const char *path, char *text, identity_memory_t *ret_memory,
                               error_t *ret_error)
{
    identity_memory_t memory = {0};
    char *rest = text;
    for (int i = -1; i < LINES; i++) {
        char what[80];
        char *line = rest;
        char *end = strchr(rest, '\n');
        if (!end)
            return s_broken(ret_error, path, i + 2, "the line is missing or not complete");
        *end = 0;
        rest = end + 1;
        const char *name = i < 0 ? FILE_TITLE : s_names[i];
        size_t len = strlen(name);
        snprintf(what, sizeof what, "expected \"%s%s", name, i < 0 ? "\"" : " …\"");
        if (strncmp(line, name, len) != 0 || line[len] != (i < 0 ? 0 : ' '))
            return s_broken(ret_error, path, i + 2, what);
        snprintf(what, sizeof what, "the value of %s makes no sense", name);
        if (i >= 0 && !s_read_value(i, line + len + 1, &memory))
            return s_broken(ret_error, path, i + 2, what);
    }
    if (*rest)
        return s_broken(ret_error, path, LINES + 2, "there is more than expected");
    *ret_memory = memory;
    return MEMORY_READ;
}

memory_result_t identity_recall(const char *state_dir, identity_memory_t *ret_memory,
                                error_t *ret_error)
{
    char path[PATH_MAX];
    char text[1024];
    struct stat folder;
    snprintf(path, sizeof path, "%s/" FILE_NAME, state_dir);
    /* A state_dir that is not mounted must not look like one that is empty. */
    if (stat(state_dir, &folder) != 0 || !S_ISDIR(folder.st_mode)) {
        error_set(ret_error, ERROR_SYSTEM,
                  "state_dir %s is not a folder that can be read (%s); create or mount it",
                  state_dir, strerror(errno ? errno : ENOTDIR));
        return MEMORY_BROKEN;
    }
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 && errno == ENOENT)
        return MEMORY_EMPTY;
    ssize_t len = file < 0 ? -1 : read(file, text, sizeof text - 1);
    int failure = errno;
    if (file >= 0)
        close(file);
    if (len < 0) {
        error_set(ret_error, ERROR_SYSTEM, "cannot read %s: %s", path, strerror(failure));
        return MEMORY_BROKEN;
    }
    text[len] = 0;
    if (strlen(text) != (size_t)len)
        return s_broken(ret_error, path, 1, "it is not a text file");
    return s_parse(path, text, ret_memory, ret_error);
}

/* Writes and syncs one file. False with errno. */
static bool s_write(const char *path, const char *text, size_t len)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0)
        return false;
    bool done = write(file, text, len) == (ssize_t)len && fsync(file) == 0;
    int failure = done ? 0 : errno ? errno : ENOSPC; /* a short write sets none */
    if (close(file) != 0 && done) {
        failure = errno;
        done = false;
    }
    errno = failure;
    return done;
}

static bool s_sync_folder(const char *path)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return false;
    bool done = fsync(folder) == 0;
    int failure = errno;
    close(folder);
    errno = failure;
    return done;
}

bool identity_remember(const char *state_dir, const identity_memory_t *memory, error_t *ret_error)
{
    char path[PATH_MAX];
    char path_new[PATH_MAX];
    char text[512];
    char database_id[ID_TEXT_SIZE];
    char generation[ID_TEXT_SIZE];
    snprintf(path, sizeof path, "%s/" FILE_NAME, state_dir);
    snprintf(path_new, sizeof path_new, "%s/" FILE_NAME ".new", state_dir);
    int len =
        snprintf(text, sizeof text,
                 FILE_TITLE "\n%s %s\n%s %" PRIu64 "\n%s %" PRIu32 "\n%s %" PRIu64 "\n%s %s\n",
                 s_names[LINE_DATABASE], id_text(memory->identity.database_id, database_id),
                 s_names[LINE_SYSTEM], memory->identity.system_identifier, s_names[LINE_OID],
                 memory->identity.database_oid, s_names[LINE_EPOCH], memory->epoch,
                 s_names[LINE_GENERATION], id_text(memory->generation, generation));
    errno = 0;
    if (!s_write(path_new, text, (size_t)len) || rename(path_new, path) != 0 ||
        !s_sync_folder(state_dir))
        return error_set(ret_error, ERROR_SYSTEM,
                         "cannot write %s: %s; the node needs a state_dir it can write to", path,
                         strerror(errno));
    return true;
}
