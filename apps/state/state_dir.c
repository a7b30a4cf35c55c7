#include "apps/state/state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"

bool state_dir_lock(const char *path, error_t *ret_error)
{
    if (mkdir(path, 0750) != 0 && errno != EEXIST)
        return error_set(ret_error, ERROR_SYSTEM, "cannot make state_dir %s: %s", path,
                         strerror(errno));
    char name[CONFIG_PATH_SIZE + 16];
    snprintf(name, sizeof name, "%s/lock", path);
    int file = open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0640);
    if (file < 0)
        return error_set(ret_error, ERROR_SYSTEM,
                         "cannot open %s: %s; the node needs a state_dir it can write to", name,
                         strerror(errno));
    if (flock(file, LOCK_EX | LOCK_NB) != 0) {
        close(file);
        return error_set(ret_error, ERROR_SYSTEM,
                         "%s is locked: another ixnd runs with this state_dir; give each node its "
                         "own",
                         name);
    }
    return true; /* the lock lives as long as the process */
}

bool state_dir_save_tail(const char *path, const batch_t *batch, error_t *ret_error)
{
    char name[CONFIG_PATH_SIZE + 80];
    char previous[ID_TEXT_SIZE];
    char hash[ID_TEXT_SIZE];
    snprintf(name, sizeof name, "%s/tail-%" PRIu64 "-%" PRIu64 "-%" PRIu64, path, batch->epoch,
             batch->first, batch->last);
    FILE *file = fopen(name, "we");
    if (!file)
        return error_set(ret_error, ERROR_SYSTEM, "cannot write %s: %s", name, strerror(errno));
    fprintf(file,
            "ixn tail 1: epoch %" PRIu64 " first %" PRIu64 " last %" PRIu64
            " previous %s hash %s bytes %zu\n",
            batch->epoch, batch->first, batch->last, id_text(batch->previous, previous),
            id_text(batch->hash, hash), batch->entries.len);
    bool written = fwrite(batch->entries.data, 1, batch->entries.len, file) == batch->entries.len;
    written = fflush(file) == 0 && fsync(fileno(file)) == 0 && written;
    int reason = errno;
    if (fclose(file) != 0 || !written)
        return error_set(ret_error, ERROR_SYSTEM, "cannot write %s: %s", name, strerror(reason));
    return true;
}

static bool s_sync_folder(const char *path)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool done = folder >= 0 && fsync(folder) == 0;
    int failure = errno;
    if (folder >= 0)
        close(folder);
    errno = failure;
    return done;
}

static bool s_write(const char *path, text_t text)
{
    unlink(path); /* of an earlier try; perhaps with other permissions */
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0)
        return false;
    errno = 0;
    bool done = write(file, text.data, text.len) == (ssize_t)text.len && fsync(file) == 0;
    int failure = errno;
    done = close(file) == 0 && done;
    errno = failure;
    return done;
}

bool state_dir_write(const char *path, const char *name, text_t text, error_t *ret_error)
{
    char file[CONFIG_PATH_SIZE + 80];
    char file_new[CONFIG_PATH_SIZE + 80];
    snprintf(file, sizeof file, "%s/%s", path, name);
    snprintf(file_new, sizeof file_new, "%s/%s.new", path, name);
    return (s_write(file_new, text) && rename(file_new, file) == 0 && s_sync_folder(path)) ||
           error_set(ret_error, ERROR_SYSTEM,
                     "cannot write %s: %s; the node needs a state_dir it can write to", file,
                     strerror(errno ? errno : ENOSPC));
}
