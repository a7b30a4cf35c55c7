#include "apps/ixnd/admin/tokens.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/id.h"
#include "core/wire/wire.h"

enum { FILE_MAX = 64 * 1024, TOKENS_MAX = 256, TOKEN_MIN = 20, TOKEN_MAX = 255, OTHERS = 0077 };

typedef struct {
    token_owner_t owner;
    char token[TOKEN_MAX + 1];
} entry_t;

struct tokens {
    char *path;
    entry_t entries[TOKENS_MAX];
    size_t len;
    struct timespec changed;
    ino_t file;
};

const char *right_name(right_t role)
{
    static const char *const names[] = {"none", "viewer", "operator", "administrator"};
    return names[role];
}

static bool s_role(text_t word, right_t *ret_role)
{
    for (right_t role = RIGHT_VIEWER; role <= RIGHT_ADMINISTRATOR; role++) {
        if (!text_equal(word, text_of(right_name(role))))
            continue;
        *ret_role = role;
        return true;
    }
    return false;
}

static text_t s_word(const char **at)
{
    const char *begin = *at + strspn(*at, " \t\r");
    size_t len = strcspn(begin, " \t\r");
    *at = begin + len;
    return (text_t){begin, len};
}

static bool s_parse_line(tokens_t *self, const char *line, unsigned number, error_t *ret_error)
{
    const char *at = line;
    text_t role = s_word(&at), name = s_word(&at), token = s_word(&at), rest = s_word(&at);
    if (role.len == 0 || role.data[0] == '#')
        return true;
    entry_t entry = {0};
    if (!s_role(role, &entry.owner.role))
        return error_set(
            ret_error, ERROR_CONFIGURATION,
            "admin.tokens %s:%u: the first word is no role; a line is ROLE NAME TOKEN, "
            "roles are viewer, operator, administrator",
            self->path, number);
    if (name.len == 0 || name.len > LIMIT_NAME || rest.len > 0)
        return error_set(
            ret_error, ERROR_CONFIGURATION,
            "admin.tokens %s:%u: needs three words, ROLE NAME TOKEN, with a name of at "
            "most %d bytes",
            self->path, number, LIMIT_NAME);
    if (token.len < TOKEN_MIN || token.len > TOKEN_MAX)
        return error_set(ret_error, ERROR_CONFIGURATION,
                         "admin.tokens %s:%u: the token has %zu characters, it needs %d … %d; make "
                         "one with `openssl rand -hex 32`",
                         self->path, number, token.len, TOKEN_MIN, TOKEN_MAX);
    if (self->len == TOKENS_MAX)
        return error_set(ret_error, ERROR_CONFIGURATION,
                         "admin.tokens %s:%u: at most %d tokens are allowed", self->path, number,
                         TOKENS_MAX);
    memcpy(entry.owner.name, name.data, name.len);
    memcpy(entry.token, token.data, token.len);
    wire_clean_text(entry.owner.name);
    self->entries[self->len++] = entry;
    return true;
}

static bool s_parse(tokens_t *self, char *text, error_t *ret_error)
{
    unsigned number = 0;
    for (char *line = strsep(&text, "\n"); line; line = strsep(&text, "\n")) {
        if (!s_parse_line(self, line, ++number, ret_error))
            return false;
    }
    return self->len > 0 || error_set(ret_error, ERROR_CONFIGURATION,
                                      "admin.tokens %s: has no token, so nobody could look; a line "
                                      "is ROLE NAME TOKEN",
                                      self->path);
}

/* Looks at the open file, so that what was checked is what is read. */
static bool s_load(tokens_t *self, int file, const struct stat *status, error_t *ret_error)
{
    if (!S_ISREG(status->st_mode) || status->st_size > FILE_MAX)
        return error_set(ret_error, ERROR_CONFIGURATION,
                         "admin.tokens %s: is no file of at most %d bytes", self->path, FILE_MAX);
    if (status->st_mode & OTHERS)
        return error_set(ret_error, ERROR_CONFIGURATION,
                         "admin.tokens %s: has mode %04o, so that others than its owner may have "
                         "read the tokens; at most 0600 is accepted: chmod 600 %s (and make new "
                         "tokens if somebody may have read them)",
                         self->path, (unsigned)(status->st_mode & 07777), self->path);
    char *text = memory_zero(FILE_MAX + 1, 1);
    ssize_t len = read(file, text, FILE_MAX);
    bool ok = len >= 0 ? s_parse(self, text, ret_error)
                       : error_set(ret_error, ERROR_SYSTEM, "admin.tokens %s: cannot be read: %s",
                                   self->path, strerror(errno));
    explicit_bzero(text, FILE_MAX);
    free(text);
    self->changed = status->st_mtim;
    self->file = status->st_ino;
    return ok;
}

static bool s_read(tokens_t *self, error_t *ret_error)
{
    int file = open(self->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat status;
    if (file < 0 || fstat(file, &status) != 0) {
        error_set(ret_error, ERROR_SYSTEM, "admin.tokens %s: cannot be opened: %s", self->path,
                  strerror(errno));
        if (file >= 0)
            close(file);
        return false;
    }
    bool ok = s_load(self, file, &status, ret_error);
    close(file);
    return ok;
}

tokens_t *tokens_new(const char *path, error_t *ret_error)
{
    tokens_t *self = memory_zero(1, sizeof *self);
    self->path = memory_text(path);
    if (!s_read(self, ret_error))
        tokens_destroy(&self);
    return self;
}

void tokens_destroy(tokens_t **self_p)
{
    tokens_t *self = *self_p;
    if (!self)
        return;
    free(self->path);
    explicit_bzero(self, sizeof *self);
    free(self);
    *self_p = NULL;
}

bool tokens_refresh(tokens_t *self, error_t *ret_error)
{
    struct stat status;
    if (stat(self->path, &status) == 0 && status.st_ino == self->file &&
        status.st_mtim.tv_sec == self->changed.tv_sec &&
        status.st_mtim.tv_nsec == self->changed.tv_nsec)
        return true;
    tokens_t *read = tokens_new(self->path, ret_error);
    if (!read) {
        self->changed = status.st_mtim; /* said once for each change */
        self->file = status.st_ino;
        return false;
    }
    memcpy(self->entries, read->entries, sizeof self->entries);
    self->len = read->len;
    self->changed = read->changed;
    self->file = read->file;
    tokens_destroy(&read);
    return true;
}

/* Both are hashed first, so that how long the comparison takes tells nothing of the token. */
bool tokens_find(const tokens_t *self, text_t token, token_owner_t *ret_owner)
{
    const id128_t asked = id_hash(token.data, token.len);
    bool found = false;
    for (size_t i = 0; i < self->len; i++) {
        const entry_t *entry = &self->entries[i];
        const id128_t known = id_hash(entry->token, strlen(entry->token));
        bool same = token.len == strlen(entry->token) && id_equal(asked, known) &&
                    memcmp(token.data, entry->token, token.len) == 0;
        if (same && !found)
            *ret_owner = entry->owner;
        found = found || same;
    }
    return found;
}
