#include "apps/ixn-router/parts/strategies.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/buffer.h"
#include "core/base/id.h"
#include "core/wire/wire.h"

struct strategies {
    vm_t *vm;
    char *folder;
    strategy_t *items; /* sorted by name as they were found; few, so searched one by one */
    size_t len;
};

strategies_t *strategies_new(vm_t *vm, const char *folder)
{
    strategies_t *self = memory_zero(1, sizeof *self);
    self->vm = vm;
    self->folder = folder ? memory_text(folder) : NULL;
    return self;
}

void strategies_destroy(strategies_t **self_p)
{
    strategies_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->len; i++)
        vm_unload(self->vm, self->items[i].code);
    free(self->items);
    free(self->folder);
    free(self);
    *self_p = NULL;
}

size_t strategies_len(const strategies_t *self)
{
    return self->len;
}

const strategy_t *strategies_at(const strategies_t *self, size_t index)
{
    return &self->items[index];
}

static strategy_t *s_find(const strategies_t *self, const char *name)
{
    for (size_t i = 0; i < self->len; i++)
        if (self->items[i].stored == 0 && strcmp(self->items[i].name, name) == 0)
            return &self->items[i];
    return NULL;
}

const strategy_t *strategies_find(const strategies_t *self, const char *name)
{
    return s_find(self, name);
}

/* The whole file; DIR/NAME.lua in errors. */
static bool s_read(const strategies_t *self, const char *file, buffer_t *source, error_t *ret_error)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", self->folder, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0) {
        error_set(ret_error, ERROR_SYSTEM, "%s cannot be read: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return false;
    }
    if (!S_ISREG(status.st_mode)) {
        close(fd);
        return error_set(ret_error, ERROR_CONFIGURATION, "%s is not a file", path);
    }
    ssize_t got;
    do {
        got = read(fd, buffer_reserve(source, 65536), 65536);
        if (got > 0)
            source->len += (size_t)got;
    } while ((got > 0 && source->len <= STRATEGY_SIZE) || (got < 0 && errno == EINTR));
    int problem = errno;
    close(fd);
    if (got < 0)
        return error_set(ret_error, ERROR_SYSTEM, "%s cannot be read: %s", path, strerror(problem));
    if (source->len > STRATEGY_SIZE)
        return error_set(ret_error, ERROR_TOO_LARGE, "%s has more than %zu bytes", path,
                         STRATEGY_SIZE);
    return true;
}

static void s_version(const buffer_t *source, char version[STRATEGY_VERSION_SIZE])
{
    id128_t hash = id_hash(source->bytes, source->len);
    for (size_t i = 0; i < (STRATEGY_VERSION_SIZE - 1) / 2; i++)
        snprintf(version + 2 * i, 3, "%02x", hash.bytes[i]);
}

typedef enum { FILE_SAME, FILE_LOADED, FILE_BROKEN } file_result_t;

static file_result_t s_compile(strategies_t *self, const char *file, const buffer_t *source,
                               strategy_t *fresh, error_t *ret_error)
{
    s_version(source, fresh->version);
    strategy_t *known = s_find(self, fresh->name);
    if (known)
        known->found = true;
    if (known && strcmp(known->version, fresh->version) == 0)
        return FILE_SAME;
    text_t text = {source->bytes ? (const char *)source->bytes : "", source->len};
    if (!vm_load(self->vm, file, text, &fresh->code, ret_error))
        return FILE_BROKEN;
    if (known) {
        vm_unload(self->vm, known->code);
    } else {
        self->items = memory_resize(self->items, (self->len + 1) * sizeof *self->items);
        known = &self->items[self->len++];
    }
    *known = *fresh;
    return FILE_LOADED;
}

/* One file; `file` ends in ".lua". */
static file_result_t s_load_file(strategies_t *self, const char *file, strategy_t *fresh,
                                 error_t *ret_error)
{
    memset(fresh, 0, sizeof *fresh);
    fresh->found = true;
    size_t len = strlen(file) - strlen(".lua");
    snprintf(fresh->name, sizeof fresh->name, "%.*s", (int)len, file);
    strategy_t *known = s_find(self, fresh->name);
    if (known)
        known->found = true; /* it is there, even if it cannot be read at the moment */
    if (len > LIMIT_NAME || !wire_check_text("strategy", fresh->name, 1, LIMIT_NAME, ret_error)) {
        error_set(
            ret_error, ERROR_CONFIGURATION,
            "%s/%s: a strategy's name has 1 to %d bytes of UTF-8 before \".lua\", this has %zu",
            self->folder, file, LIMIT_NAME, len);
        return FILE_BROKEN;
    }
    if (!known && self->len >= STRATEGIES_LIMIT) {
        error_set(ret_error, ERROR_TOO_LARGE, "%s/%s: more than %d strategies", self->folder, file,
                  STRATEGIES_LIMIT);
        return FILE_BROKEN;
    }
    buffer_t source = {0};
    file_result_t result = FILE_BROKEN;
    if (s_read(self, file, &source, ret_error))
        result = s_compile(self, file, &source, fresh, ret_error);
    buffer_free(&source);
    return result;
}

static int s_is_strategy(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);
    return entry->d_name[0] != '.' && len > 4 && strcmp(entry->d_name + len - 4, ".lua") == 0;
}

static void s_unload_gone(strategies_t *self, strategies_fn *tell, void *context)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->len; i++) {
        if (self->items[i].found || self->items[i].stored) {
            self->items[kept++] = self->items[i];
            continue;
        }
        strategy_t gone = self->items[i];
        vm_unload(self->vm, gone.code);
        tell(context, STRATEGY_UNLOADED, &gone, NULL);
    }
    self->len = kept;
}

int strategies_load(strategies_t *self, strategies_fn *tell, void *context, error_t *ret_error)
{
    struct dirent **entries;
    if (!self->folder)
        return 0;
    int count = scandir(self->folder, &entries, s_is_strategy, alphasort);
    if (count < 0) {
        error_set(ret_error, ERROR_SYSTEM, "the folder %s of strategies cannot be read: %s",
                  self->folder, strerror(errno));
        return -1;
    }
    for (size_t i = 0; i < self->len; i++)
        self->items[i].found = false;
    int broken = 0;
    for (int i = 0; i < count; i++) {
        strategy_t fresh;
        error_t error = {0};
        file_result_t result = s_load_file(self, entries[i]->d_name, &fresh, &error);
        if (result == FILE_LOADED)
            tell(context, STRATEGY_LOADED, &fresh, NULL);
        else if (result == FILE_BROKEN)
            tell(context, STRATEGY_BROKEN, &fresh, &error);
        broken += result == FILE_BROKEN;
        free(entries[i]);
    }
    free(entries);
    s_unload_gone(self, tell, context);
    return broken;
}

/* ---- The node's store ---- */

static strategy_t *s_find_stored(const strategies_t *self, const char *name, uint32_t version)
{
    for (size_t i = 0; i < self->len; i++)
        if (self->items[i].stored == version && strcmp(self->items[i].name, name) == 0)
            return &self->items[i];
    return NULL;
}

const strategy_t *strategies_find_stored(const strategies_t *self, const char *name,
                                         uint32_t version)
{
    return s_find_stored(self, name, version);
}

static void s_forget_dropped(strategies_t *self, const char *name)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->len; i++) {
        bool gone = self->items[i].dropped && strcmp(self->items[i].name, name) == 0;
        if (gone)
            vm_unload(self->vm, self->items[i].code);
        else
            self->items[kept++] = self->items[i];
    }
    self->len = kept;
}

bool strategies_store(strategies_t *self, const char *name, uint32_t version, text_t body,
                      error_t *ret_error)
{
    s_forget_dropped(self, name);
    strategy_t fresh = {.stored = version, .found = true, .hash = id_hash(body.data, body.len)};
    char file[LIMIT_NAME + 8];
    if (strlen(name) > LIMIT_NAME || version == 0)
        return error_set(ret_error, ERROR_INVALID_ARGUMENT, "a strategy without name or version");
    if (self->len >= 2 * STRATEGIES_LIMIT)
        return error_set(ret_error, ERROR_TOO_LARGE, "more than %d strategies are loaded",
                         2 * STRATEGIES_LIMIT);
    snprintf(fresh.name, sizeof fresh.name, "%s", name);
    snprintf(fresh.version, sizeof fresh.version, "%u", version);
    snprintf(file, sizeof file, "%s.lua", name);
    strategy_t *known = s_find_stored(self, name, version);
    if (!vm_load(self->vm, file, body, &fresh.code, ret_error))
        return false;
    if (known) { /* the same number in another history */
        vm_unload(self->vm, known->code);
        *known = fresh;
        return true;
    }
    self->items = memory_resize(self->items, (self->len + 1) * sizeof *self->items);
    self->items[self->len++] = fresh;
    return true;
}

void strategies_drop(strategies_t *self, const char *name, uint32_t version)
{
    strategy_t *known = version ? s_find_stored(self, name, version) : NULL;
    if (known)
        known->dropped = true; /* work that has not started yet may still name it */
}
