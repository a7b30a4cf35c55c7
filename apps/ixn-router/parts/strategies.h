/* Strategies: the files DIR/NAME.lua, compiled.
 *
 * Promises: a file that cannot be read or compiled never takes the place of one that could: the
 * version loaded before stays. What changed is told to the caller, who announces it.
 */
#ifndef IXN_ROUTER_STRATEGIES_H
#define IXN_ROUTER_STRATEGIES_H

#include <stdbool.h>

#include "apps/ixn-router/parts/vm.h"
#include "core/base/error.h"
#include "core/base/limits.h"

#define STRATEGY_VERSION_SIZE 13 /* digits of the hash of the content, and the terminator */
#define STRATEGY_SIZE ((size_t)1024 * 1024) /* largest file */
#define STRATEGIES_LIMIT 1000               /* most files */

typedef struct {
    char name[LIMIT_NAME + 1];
    char version[STRATEGY_VERSION_SIZE];
    int code;   /* for run_start */
    bool found; /* while a folder is read: the file is still there */
} strategy_t;

typedef struct strategies strategies_t;

typedef enum {
    STRATEGY_LOADED,   /* new, or with new content */
    STRATEGY_UNLOADED, /* its file is gone */
    STRATEGY_BROKEN,   /* the file is not taken; `error` says why; an older version stays */
} strategy_event_t;

/* `strategy` is valid during the call; for BROKEN only its name counts. */
typedef void strategies_fn(void *context, strategy_event_t event, const strategy_t *strategy,
                           const error_t *error);

/* `folder` is copied. Loads nothing yet. */
strategies_t *strategies_new(vm_t *vm, const char *folder);
void strategies_destroy(strategies_t **self_p);

/* Reads the folder again and tells each difference. Returns how many files are broken; -1 and an
 * error when the folder itself cannot be read (then nothing changes). */
int strategies_load(strategies_t *self, strategies_fn *tell, void *context, error_t *ret_error);

size_t strategies_len(const strategies_t *self);
const strategy_t *strategies_at(const strategies_t *self, size_t index);
const strategy_t *strategies_find(const strategies_t *self, const char *name); /* NULL: none */

#endif
