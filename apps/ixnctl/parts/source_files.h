/* Source files: the files behind the paths that the operator named.
 *
 * A Maildir is a folder with `cur` and `new`: what is in these two are messages, `tmp` and other
 * files of its own are left out; folders in it (Maildir++) are looked into. In any other folder
 * every file counts.
 */
#ifndef IXNCTL_SOURCE_FILES_H
#define IXNCTL_SOURCE_FILES_H

#include "apps/ixnctl/parts/source.h"

typedef struct {
    char *path;
    uint64_t size;
    source_format_t format; /* FORMAT_AUTO: its first bytes say */
} source_file_t;

typedef struct {
    source_file_t *list; /* sorted by path within each folder */
    size_t len;
    size_t capacity;
    uint64_t bytes; /* of all; 0 when one is not a regular file */
} source_files_t;

/* `self` is `{0}`; free it in any case. `paths` end with NULL. */
bool source_files_find(source_files_t *self, const char *const *paths, source_format_t format,
                       error_t *ret_error);
void source_files_free(source_files_t *self);

#endif
