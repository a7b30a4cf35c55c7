/* State folder: what a node keeps outside the database: a lock, which database is its own
 * (dap/identity.h), what it decided but never committed, and what it died of (apps/ixnd/crash.h).
 * One folder serves one node.
 */
#ifndef IXN_APPS_STATE_STATE_DIR_H
#define IXN_APPS_STATE_STATE_DIR_H

#include "core/base/error.h"
#include "core/batch.h"

/* Makes the folder where it is missing and locks it for the life of the process. */
bool state_dir_lock(const char *path, error_t *ret_error);

/* Writes a batch that is not part of the committed log into "tail-EPOCH-FIRST-LAST", so that people
 * can see what it was: one line of text, then the encoded ixn.v1.Batch. */
bool state_dir_save_tail(const char *path, const batch_t *batch, error_t *ret_error);

/* Writes the file `name` of the folder as a whole: a temporary file, fsync, rename, fsync of the
 * folder. Readable by its owner alone. */
bool state_dir_write(const char *path, const char *name, text_t text, error_t *ret_error);

#endif
