/* Service: a request of a router to an application server, from the entry that makes it until its
 * interaction leaves the router. And the table of all of them, a part of the state: only apply and
 * load change it.
 *
 *              requested                 sent                 answered (result, fault, deadline)
 *     (none) ───────────► WAITING ───────────────► SENT ──────────────────► ANSWERED ─► (forgotten)
 *                            ▲      server lost      │
 *                            └──────────────────────-┘
 *
 * Whatever it is, it goes when its interaction leaves the router.
 */
#ifndef IXN_CORE_SERVICE_H
#define IXN_CORE_SERVICE_H

#include <bsd/sys/tree.h>
#include <sys/queue.h>

#include "core/base/arena.h"
#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/base/limits.h"
#include "core/base/table.h"
#include "core/checkpoint.h"
#include "core/interaction.h"
#include "core/service_row.h"
#include "core/wire/entry.pb-c.h"

struct state;
struct service_queue; /* the engine's: requests that wait for the same servers */

/* An application server, by name: what was sent to it and has no answer. */
typedef struct {
    UT_hash_handle hh;
    char name[LIMIT_NAME + 1];
    uint16_t number;
    LIST_HEAD(, service) services;
    uint32_t in_flight; /* how many */
} state_server_t;

typedef struct service {
    UT_hash_handle hh; /* by token */
    service_token_t token;
    interaction_t *interaction;
    LIST_ENTRY(service) of_interaction; /* the newest first */
    LIST_ENTRY(service) of_server;      /* SENT */
    RB_ENTRY(service) due;              /* WAITING, SENT */
    uint64_t fingerprint;
    usec_t deadline; /* log time */
    usec_t asked_at;
    service_state_t state;
    service_target_t target;
    bool safe;
    uint16_t attempts;      /* servers it was sent to, that count */
    state_server_t *server; /* SENT, ANSWERED: the last one; NULL: none */
    id128_t incarnation;    /* its process */
    service_token_t sent;   /* the entry that sent it there */
    char *texts;            /* key, name, service, method, parameters, one behind the other */
    uint32_t lens[5];
    char *answer; /* ANSWERED: the result, or the fault's code and text */
    uint32_t result_len;
    uint32_t fault_len; /* 0: it has a result */
    uint32_t text_len;
    /* kept by the image */
    bool in_table;
    bool in_list[2];
    TAILQ_ENTRY(service) list[2];
    /* kept by the engine */
    struct service_queue *queue; /* WAITING: where; SENT, ANSWERED: NULL */
    RB_ENTRY(service) turn;
} service_t;

RB_HEAD(service_times, service);
TAILQ_HEAD(service_tail, service);
LIST_HEAD(service_list, service);

typedef struct {
    service_token_t token;
    uint64_t index; /* of the entry it went with */
    bool written;   /* it may have a row in the tables */
} service_gone_t;

/* Rows on their way into a checkpoint, and tokens of those that are no more: all of them, since it
 * shows only at the end of following which of them another node has written. */
typedef struct {
    service_row_t *changed;
    size_t changed_len;
    size_t changed_capacity;
    service_gone_t *gone;
    size_t gone_len;
    size_t gone_capacity;
    size_t written;           /* of `gone` */
    service_token_t *deleted; /* what is given to the image */
} service_collection_t;

typedef struct {
    service_t *by_token;
    struct service_times times;
    struct service_list dropped; /* by the entry that was applied last */
    uint32_t open;               /* WAITING, SENT */
    uint32_t kept;               /* ANSWERED */
    size_t bytes;                /* of all texts */
    state_server_t **servers;    /* by number */
    size_t servers_len;
    state_server_t *servers_by_name;
    /* Two lists take turns, as an interaction's two flags do (core/image.c): `lists[next]` has what
     * changed since an image was begun, the other what belongs to the image in work and is not
     * copied yet. */
    struct service_tail lists[2];
    uint8_t next;
} services_t;

typedef enum {
    SERVICE_KEY,
    SERVICE_NAME,
    SERVICE_SERVICE,
    SERVICE_METHOD,
    SERVICE_PARAMETERS
} service_text_t;
text_t service_text(const service_t *self, service_text_t which); /* terminated */
text_t service_result(const service_t *self);
text_t service_fault(const service_t *self); /* its code; empty: none */
text_t service_fault_text(const service_t *self);

/* ---- Reading ---- */

service_t *services_find(const struct state *state, service_token_t token);
/* Of one interaction, by the router's key; NULL: none. */
service_t *services_find_key(const interaction_t *interaction, text_t key);
service_t *services_first_due(struct state *state);
uint32_t services_open_of(const interaction_t *interaction);
bool service_is_older(const service_t *a, const service_t *b);
state_server_t *state_server(struct state *state, text_t name); /* made when new; NULL: too many */

/* ---- For the state itself ---- */

void services_init(struct state *state);
void services_free(struct state *state);
bool services_requested(struct state *state, const Ixn__V1__ServiceRequested *entry,
                        error_t *ret_error);
bool services_sent(struct state *state, const Ixn__V1__ServiceSent *entry, error_t *ret_error);
bool services_waits(struct state *state, const Ixn__V1__ServiceWaits *entry, error_t *ret_error);
bool services_answered(struct state *state, const Ixn__V1__ServiceAnswered *entry,
                       error_t *ret_error);
/* The interaction leaves its router. */
void services_leave(struct state *state, interaction_t *interaction);
void services_free_dropped(struct state *state);

/* ---- Images: core/image.c calls them beside its own (core/service_image.c) ---- */

void services_touch(struct state *state, service_t *service); /* before it changes */
void services_gone(struct state *state, service_t *service);  /* before it is dropped */
service_collection_t *image_services(const struct state *state, bool work); /* core/image.c */
arena_t *image_arena(const struct state *state); /* of the image in work */
bool image_is_following(const struct state *state);
bool services_hold_changes(const struct state *state);
void services_take_turns(struct state *state);
bool services_copy_some(struct state *state, size_t rows); /* true: all are copied */
/* The rows become the image's; the collection keeps their memory. */
void service_collection_give(service_collection_t *self, checkpoint_image_t *image);
void services_follow_begin(struct state *state);
void services_drop_work(struct state *state);
void services_merge(struct state *state); /* what is in work is in next, too */
void service_collection_join(service_collection_t *self, const service_collection_t *from);
void service_collection_keep_after(service_collection_t *self, uint64_t index);
void service_collection_free(service_collection_t *self);

#endif
