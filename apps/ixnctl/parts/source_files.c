/* Source files: see source_files.h. */
#include "apps/ixnctl/parts/source_files.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/alloc.h"

static void s_add(source_files_t *self, const char *path, uint64_t size, source_format_t format)
{
    if (self->len == self->capacity) {
        self->capacity = self->capacity ? self->capacity * 2 : 16;
        self->list = memory_resize(self->list, self->capacity * sizeof *self->list);
    }
    self->list[self->len++] = (source_file_t){memory_text(path), size, format};
    self->bytes += size;
}

static bool s_has_folder(const char *folder, const char *name)
{
    char path[4096];
    struct stat info;
    return snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path &&
           stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static bool s_is_maildir(const char *folder)
{
    return s_has_folder(folder, "cur") && s_has_folder(folder, "new");
}

static int s_by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* Marks, kept in fts_number of a folder's entry. */
enum { ORDINARY, MAILDIR, MAILDIR_MESSAGES };

static void s_enter(FTS *walk, FTSENT *entry)
{
    long parent = entry->fts_level > 0 ? entry->fts_parent->fts_number : ORDINARY;
    if (s_is_maildir(entry->fts_path))
        entry->fts_number = MAILDIR;
    else if (parent == MAILDIR && strcmp(entry->fts_name, "tmp") == 0)
        fts_set(walk, entry, FTS_SKIP);
    else if (parent == MAILDIR &&
             (strcmp(entry->fts_name, "cur") == 0 || strcmp(entry->fts_name, "new") == 0))
        entry->fts_number = MAILDIR_MESSAGES;
}

static bool s_walk(source_files_t *self, const char *path, source_format_t format,
                   error_t *ret_error)
{
    char *copy = memory_text(path);
    char *roots[] = {copy, NULL};
    FTS *walk = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, s_by_name);
    bool done = walk || error_set(ret_error, ERROR_SYSTEM, "%s: %s", path, strerror(errno));
    FTSENT *entry = NULL;
    while (done && (entry = fts_read(walk))) {
        long parent = entry->fts_level > 0 ? entry->fts_parent->fts_number : ORDINARY;
        if (entry->fts_info == FTS_D)
            s_enter(walk, entry);
        else if (entry->fts_info == FTS_F && parent == MAILDIR_MESSAGES)
            s_add(self, entry->fts_path, (uint64_t)entry->fts_statp->st_size, FORMAT_EML);
        else if (entry->fts_info == FTS_F && parent != MAILDIR)
            s_add(self, entry->fts_path, (uint64_t)entry->fts_statp->st_size,
                  format == FORMAT_MAILDIR ? FORMAT_EML : format);
        else if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR ||
                 entry->fts_info == FTS_NS)
            done = error_set(ret_error, ERROR_SYSTEM, "%s: cannot be read: %s", entry->fts_path,
                             strerror(entry->fts_errno));
    }
    if (done && errno != 0) /* fts_read sets it to 0 at the end */
        done = error_set(ret_error, ERROR_SYSTEM, "%s: %s", path, strerror(errno));
    if (walk)
        fts_close(walk);
    free(copy);
    return done;
}

static bool s_find(source_files_t *self, const char *path, source_format_t format, bool *ret_sized,
                   error_t *ret_error)
{
    struct stat info;
    if (strcmp(path, "-") == 0) {
        *ret_sized = false;
        s_add(self, path, 0, format);
        return true;
    }
    if (stat(path, &info) != 0)
        return error_set(ret_error, ERROR_SYSTEM, "%s: %s", path, strerror(errno));
    size_t before = self->len;
    if (S_ISDIR(info.st_mode)) {
        if (!s_walk(self, path, format, ret_error))
            return false;
        return self->len > before || error_set(ret_error, ERROR_INVALID_ARGUMENT,
                                               "%s: there is no file in this folder", path);
    }
    if (format == FORMAT_MAILDIR)
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "%s: is a file, but --format maildir was given; name the folder", path);
    if (access(path, R_OK) != 0)
        return error_set(ret_error, ERROR_SYSTEM, "%s: cannot be read: %s", path, strerror(errno));
    *ret_sized = *ret_sized && S_ISREG(info.st_mode);
    s_add(self, path, S_ISREG(info.st_mode) ? (uint64_t)info.st_size : 0, format);
    return true;
}

bool source_files_find(source_files_t *self, const char *const *paths, source_format_t format,
                       error_t *ret_error)
{
    bool sized = true;
    for (size_t i = 0; paths[i]; i++) {
        if (!s_find(self, paths[i], format, &sized, ret_error))
            return false;
    }
    if (!sized)
        self->bytes = 0;
    return true;
}

void source_files_free(source_files_t *self)
{
    for (size_t i = 0; i < self->len; i++)
        free(self->list[i].path);
    free(self->list);
    *self = (source_files_t){0};
}
