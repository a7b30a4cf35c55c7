/* Strategies: the files DIR/NAME.lua, and what the node stores, compiled.
 *
 * Promises: a file that cannot be read or compiled never takes the place of one that could: the
 * version loaded before stays. What changed is told to the caller, who announces it.
 */
#ifndef IXN_ROUTER_STRATEGIES_H
#define IXN_ROUTER_STRATEGIES_H

#include <stdbool.h>

#include "apps/ixn-router/parts/vm.h"
#include "core/base/error.h"
#include "core/base/id.h"
#include "core/base/limits.h"

#define STRATEGY_VERSION_SIZE 13 /* digits of the hash of the content, and the terminator */
#define STRATEGY_SIZE ((size_t)1024 * 1024) /* largest file */
#define STRATEGIES_LIMIT 1000               /* most files */

typedef struct {
    char name[LIMIT_NAME + 1];
    char version[STRATEGY_VERSION_SIZE];
    uint32_t stored; /* version in the node's store; 0: a file */
    id128_t hash;    /* of a stored one's body */
    bool dropped;    /* a stored one that no more work will come for */
    int code;        /* for run_start */
    bool found;      /* while a folder is read: the file is still there */
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

/* `folder` is copied; NULL: only what the node stores. Loads nothing yet. */
strategies_t *strategies_new(vm_t *vm, const char *folder);
void strategies_destroy(strategies_t **self_p);

/* Reads the folder again and tells each difference. Returns how many files are broken; -1 and an
 * error when the folder itself cannot be read (then nothing changes). */
int strategies_load(strategies_t *self, strategies_fn *tell, void *context, error_t *ret_error);

size_t strategies_len(const strategies_t *self);
const strategy_t *strategies_at(const strategies_t *self, size_t index);
const strategy_t *strategies_find(const strategies_t *self, const char *name); /* file, or NULL */

/* Of the node's store: that version, or NULL. */
const strategy_t *strategies_find_stored(const strategies_t *self, const char *name,
                                         uint32_t version);
/* Compiles a version; what was dropped of that name is forgotten. */
bool strategies_store(strategies_t *self, const char *name, uint32_t version, text_t body,
                      error_t *ret_error);
void strategies_drop(strategies_t *self, const char *name, uint32_t version);

#endif
