#include "dap/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/buffer.h"

#define FILE_NAME "identity"
/* The file is its title, then these lines, in this order: name, space, value. */
enum {
    LINE_DATABASE,
    LINE_SYSTEM,
    LINE_OID,
    LINE_EPOCH,
    LINE_GENERATION,
    LINE_OWN,
    LINE_STARTED,
    LINE_PORT,
    LINE_ADDRESS,
    LINE_INDEX,
    LINE_HASH,
    LINE_PLACE_EPOCH,
    LINE_PLACE_GENERATION,
    LINE_EXACT,
    LINE_GIVEN_STARTED,
    LINE_GIVEN_PORT,
    LINE_GIVEN_ADDRESS,
    LINE_FOR_STARTED,
    LINE_FOR_PORT,
    LINES
};
/* Each version of the file continues the one before it; the last one is written. */
static const struct {
    const char *title;
    int lines;
} s_versions[] = {{"ixn identity 1", LINE_OWN},
                  {"ixn identity 2", LINE_GIVEN_STARTED},
                  {"ixn identity 3", LINES}};
enum { VERSIONS = sizeof s_versions / sizeof *s_versions };

static const char *const s_names[LINES] = {"database_id",          "system_identifier",
                                           "database_oid",         "epoch",
                                           "generation",           "own_generation",
                                           "server_started_us",    "server_port",
                                           "server_address",       "committed_index",
                                           "committed_hash",       "committed_epoch",
                                           "committed_generation", "orderly_end",
                                           "given_up_started_us",  "given_up_port",
                                           "given_up_address",     "given_up_for_started_us",
                                           "given_up_for_port"};

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

bool instance_equal(const instance_t *a, const instance_t *b)
{
    return a->started_at == b->started_at && a->port == b->port;
}

bool instance_may_follow(const instance_t *self, const instance_t *before)
{
    return self->started_at > before->started_at && self->port == before->port &&
           strcmp(self->address, before->address) == 0;
}

bool instance_is_known(const instance_t *self)
{
    return self->started_at != 0;
}

const char *instance_text(const instance_t *self, char text[INSTANCE_TEXT_SIZE])
{
    time_t seconds = (time_t)(self->started_at / USEC_PER_SECOND);
    struct tm calendar = {0};
    char date[32];
    gmtime_r(&seconds, &calendar);
    strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", &calendar);
    snprintf(text, INSTANCE_TEXT_SIZE, "started %s.%06" PRId64 " UTC at %s%s%" PRIu32, date,
             self->started_at % USEC_PER_SECOND, self->address, self->address[0] ? ":" : "port ",
             self->port);
    return text;
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

static bool s_read_address(const char *text, instance_t *instance)
{
    snprintf(instance->address, sizeof instance->address, "%s", strcmp(text, "-") == 0 ? "" : text);
    return text[0] && strspn(text, "0123456789abcdef.:-/") == strlen(text) &&
           strlen(text) < INSTANCE_ADDRESS_SIZE;
}

static bool s_read_value(int line, const char *text, identity_memory_t *memory)
{
    uint64_t number = 0;
    static const uint64_t most[LINES] = {
        [LINE_SYSTEM] = UINT64_MAX,       [LINE_OID] = UINT32_MAX,
        [LINE_EPOCH] = INT64_MAX,         [LINE_STARTED] = INT64_MAX,
        [LINE_PORT] = UINT16_MAX,         [LINE_INDEX] = INT64_MAX,
        [LINE_PLACE_EPOCH] = INT64_MAX,   [LINE_EXACT] = 1,
        [LINE_GIVEN_STARTED] = INT64_MAX, [LINE_GIVEN_PORT] = UINT16_MAX,
        [LINE_FOR_STARTED] = INT64_MAX,   [LINE_FOR_PORT] = UINT16_MAX};
    if (most[line] && !s_number(text, most[line], &number))
        return false;
    switch (line) {
    case LINE_DATABASE:
        return id_parse(text, &memory->identity.database_id);
    case LINE_SYSTEM:
        memory->identity.system_identifier = number;
        return true;
    case LINE_OID:
        memory->identity.database_oid = (uint32_t)number;
        return true;
    case LINE_EPOCH:
        memory->epoch = number;
        return true;
    case LINE_GENERATION:
        return id_parse(text, &memory->generation);
    case LINE_OWN:
        return id_parse(text, &memory->own_generation);
    case LINE_STARTED:
        memory->instance.started_at = (usec_t)number;
        return true;
    case LINE_PORT:
        memory->instance.port = (uint32_t)number;
        return true;
    case LINE_ADDRESS:
        return s_read_address(text, &memory->instance);
    case LINE_INDEX:
        memory->place.index = number;
        return true;
    case LINE_HASH:
        return id_parse(text, &memory->place.hash);
    case LINE_PLACE_EPOCH:
        memory->place.epoch = number;
        return true;
    case LINE_PLACE_GENERATION:
        return id_parse(text, &memory->place.generation);
    case LINE_EXACT:
        memory->exact = number == 1;
        return true;
    case LINE_GIVEN_STARTED:
        memory->given_up.started_at = (usec_t)number;
        return true;
    case LINE_GIVEN_PORT:
        memory->given_up.port = (uint32_t)number;
        return true;
    case LINE_GIVEN_ADDRESS:
        return s_read_address(text, &memory->given_up);
    case LINE_FOR_STARTED:
        memory->given_up_for.started_at = (usec_t)number;
        return true;
    default:
        memory->given_up_for.port = (uint32_t)number;
        return true;
    }
}

/* Number of the version that the file's first line names; none: the last one, which it has to be.
 */
static int s_version_of(const char *text)
{
    int version = 0;
    size_t len = strcspn(text, "\n");
    while (version < VERSIONS - 1 &&
           (strncmp(text, s_versions[version].title, len) != 0 || s_versions[version].title[len]))
        version++;
    return version;
}

/* `text` is cut into lines in place. */
static memory_result_t s_parse(const char *path, char *text, identity_memory_t *ret_memory,
                               error_t *ret_error)
{
    identity_memory_t memory = {0};
    char *rest = text;
    int version = s_version_of(text);
    int lines = s_versions[version].lines;
    for (int i = -1; i < lines; i++) {
        char what[80];
        char *line = rest;
        char *end = strchr(rest, '\n');
        if (!end)
            return s_broken(ret_error, path, i + 2, "the line is missing or not complete");
        *end = 0;
        rest = end + 1;
        const char *name = i >= 0 ? s_names[i] : s_versions[version].title;
        size_t len = strlen(name);
        snprintf(what, sizeof what, "expected \"%s%s", name, i < 0 ? "\"" : " …\"");
        if (strncmp(line, name, len) != 0 || line[len] != (i < 0 ? 0 : ' '))
            return s_broken(ret_error, path, i + 2, what);
        snprintf(what, sizeof what, "the value of %s makes no sense", name);
        if (i >= 0 && !s_read_value(i, line + len + 1, &memory))
            return s_broken(ret_error, path, i + 2, what);
    }
    if (*rest)
        return s_broken(ret_error, path, lines + 2, "there is more than expected");
    *ret_memory = memory;
    return MEMORY_READ;
}

memory_result_t identity_recall(const char *state_dir, identity_memory_t *ret_memory,
                                error_t *ret_error)
{
    char path[PATH_MAX];
    char text[2048];
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

static void s_print_instance(const instance_t *instance, int line, bool address, buffer_t *out)
{
    buffer_printf(out, "%s %" PRId64 "\n", s_names[line], instance->started_at);
    buffer_printf(out, "%s %" PRIu32 "\n", s_names[line + 1], instance->port);
    if (address)
        buffer_printf(out, "%s %s\n", s_names[line + 2],
                      instance->address[0] ? instance->address : "-");
}

static void s_print(const identity_memory_t *memory, buffer_t *out)
{
    char id[ID_TEXT_SIZE];
    const place_t *place = &memory->place;
    buffer_printf(out, "%s\n", s_versions[VERSIONS - 1].title);
    buffer_printf(out, "%s %s\n", s_names[LINE_DATABASE],
                  id_text(memory->identity.database_id, id));
    buffer_printf(out, "%s %" PRIu64 "\n", s_names[LINE_SYSTEM],
                  memory->identity.system_identifier);
    buffer_printf(out, "%s %" PRIu32 "\n", s_names[LINE_OID], memory->identity.database_oid);
    buffer_printf(out, "%s %" PRIu64 "\n", s_names[LINE_EPOCH], memory->epoch);
    buffer_printf(out, "%s %s\n", s_names[LINE_GENERATION], id_text(memory->generation, id));
    buffer_printf(out, "%s %s\n", s_names[LINE_OWN], id_text(memory->own_generation, id));
    s_print_instance(&memory->instance, LINE_STARTED, true, out);
    buffer_printf(out, "%s %" PRIu64 "\n", s_names[LINE_INDEX], place->index);
    buffer_printf(out, "%s %s\n", s_names[LINE_HASH], id_text(place->hash, id));
    buffer_printf(out, "%s %" PRIu64 "\n", s_names[LINE_PLACE_EPOCH], place->epoch);
    buffer_printf(out, "%s %s\n", s_names[LINE_PLACE_GENERATION], id_text(place->generation, id));
    buffer_printf(out, "%s %d\n", s_names[LINE_EXACT], memory->exact);
    s_print_instance(&memory->given_up, LINE_GIVEN_STARTED, true, out);
    s_print_instance(&memory->given_up_for, LINE_FOR_STARTED, false, out);
}

bool identity_remember(const char *state_dir, const identity_memory_t *memory, error_t *ret_error)
{
    char path[PATH_MAX];
    char path_new[PATH_MAX];
    buffer_t text = {0};
    snprintf(path, sizeof path, "%s/" FILE_NAME, state_dir);
    snprintf(path_new, sizeof path_new, "%s/" FILE_NAME ".new", state_dir);
    s_print(memory, &text);
    errno = 0;
    bool done = s_write(path_new, (const char *)text.bytes, text.len) &&
                rename(path_new, path) == 0 && s_sync_folder(state_dir);
    buffer_free(&text);
    return done || error_set(ret_error, ERROR_SYSTEM,
                             "cannot write %s: %s; the node needs a state_dir it can write to",
                             path, strerror(errno));
}
