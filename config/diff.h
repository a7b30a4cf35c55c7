/* Diff: what differs between two configurations, key by key, in the order of the schema. Items of a
 * list are the same where their names are (those of queues in their tenant).
 */
#ifndef IXN_CONFIG_DIFF_H
#define IXN_CONFIG_DIFF_H

#include "config/schema.h"

typedef enum { DIFF_CHANGED, DIFF_ADDED, DIFF_REMOVED, DIFF_ORDER } diff_kind_t;

/* One difference; texts are valid during the call. Secrets are hidden in them. */
typedef struct {
    diff_kind_t kind;
    schema_reload_t reload;
    schema_section_id_t section;
    size_t key;       /* CHANGED: in the section's keys */
    const char *path; /* "routing.timeout", "queues[inbound].strategy", "database.daps[main]" */
    const char *old;  /* "" where there was nothing */
    const char *new;
    bool secret; /* what differs is a part that is not shown */
} diff_t;

typedef void diff_fn(void *context, const diff_t *diff);

/* Calls `on_diff` for each; returns how many there are. */
size_t diff_configurations(const config_t *old, const config_t *new, diff_fn *on_diff,
                           void *context);

/* Copies the value of every key whose change waits for the next start from `old` into `new`, and
 * whether its section is there. So `new` is what may be in force while the process runs. */
void diff_keep_until_restart(const config_t *old, config_t *new);

#endif
