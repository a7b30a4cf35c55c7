/* Pair view: what the nodes of a pair say about themselves and each other, put side by side, and
 * what follows from it: who serves, who could take over, whether all is well.
 */
#ifndef IXNCTL_PAIR_VIEW_H
#define IXNCTL_PAIR_VIEW_H

#include <jansson.h>

#include "apps/ixnctl/parts/table.h"
#include "core/base/error.h"
#include "core/wire/client.pb-c.h"

#define PAIR_VIEW_NODES 9 /* as many as a command line may name, and one that they name */
#define PAIR_VIEW_NONE SIZE_MAX

typedef struct {
    const char *endpoint;
    const Ixn__V1__PairStatus *status; /* NULL: no answer; `own` is always there */
    error_t error;                     /* then: why */
} pair_view_node_t;

typedef struct {
    pair_view_node_t nodes[PAIR_VIEW_NODES];
    size_t len;
    bool whole; /* both nodes are in it, as far as anybody knows */
} pair_view_t;

/* How a check of the pair ends: `ixnctl pair status` exits with it. */
typedef enum {
    PAIR_VERDICT_READY = 0,     /* one serves and the other could take over now; or one is alone by
                                   configuration */
    PAIR_VERDICT_NOT_READY = 1, /* one serves, but nobody could take over */
    PAIR_VERDICT_DOWN = 4,      /* some answer, but nobody serves */
} pair_verdict_t;

#define PAIR_VIEW_REASON 400

bool pair_view_serves(const Ixn__V1__PairNode *node);
/* The number of the node that serves; of several (only one of them can still commit) the one with
 * the highest epoch. Or PAIR_VIEW_NONE. */
size_t pair_view_primary(const pair_view_t *self);
/* The number of the node that does not serve and is best fit to; or PAIR_VIEW_NONE. */
size_t pair_view_backup(const pair_view_t *self);
/* What any node says last about the one of that name; NULL: nothing. */
const Ixn__V1__PairNode *pair_view_find(const pair_view_t *self, const char *name);

pair_verdict_t pair_view_verdict(const pair_view_t *self, char reason[PAIR_VIEW_REASON]);
/* What a reason ends with as a sentence. */
const char *pair_view_full_stop(const char *reason);

/* How far a node is behind the one that serves, in the view of the one whose status it is; false:
 * it is not behind anybody. `node` is of that status. */
bool pair_view_lag(const Ixn__V1__PairStatus *status, const Ixn__V1__PairNode *node,
                   uint64_t *ret_lag);
/* The same in bytes; false: nobody knows, or it is not behind anybody. */
bool pair_view_lag_bytes(const Ixn__V1__PairStatus *status, const Ixn__V1__PairNode *node,
                         uint64_t *ret_lag);
/* Both for people, as "1,234 (56.7 KiB)"; "": it is not behind anybody. */
#define PAIR_VIEW_LAG 80
const char *pair_view_lag_text(const Ixn__V1__PairStatus *status, const Ixn__V1__PairNode *node,
                               char text[PAIR_VIEW_LAG]);
/* "proven", "not now" …, also of a node of an older version. */
const char *pair_view_dap_verdict(const Ixn__V1__PairDap *dap);

/* Appends tables and sentences for people; an object for programs. */
void pair_view_print(const pair_view_t *self, table_style_t style, buffer_t *out);
json_t *pair_view_json(const pair_view_t *self);

#endif
