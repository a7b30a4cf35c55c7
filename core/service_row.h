/* Service row: the public shape of a request to an application server, as it goes into
 * `ixn.service_request` and comes back.
 */
#ifndef IXN_CORE_SERVICE_ROW_H
#define IXN_CORE_SERVICE_ROW_H

#include <stdbool.h>

#include "core/base/id.h"
#include "core/base/types.h"

/* Epoch and index of an entry. Without holes: it is hashed. */
typedef struct {
    uint64_t epoch;
    uint64_t index;
} service_token_t;

typedef enum {
    SERVICE_WAITING = 1, /* for a server */
    SERVICE_SENT = 2,
    SERVICE_ANSWERED = 3,
} service_state_t;

/* The numbers are those of ServiceTarget in core/wire/entry.proto. */
typedef enum {
    SERVICE_BY_TYPE = 1,
    SERVICE_BY_SERVER = 2,
    SERVICE_BY_CLUSTER = 3,
} service_target_t;

/* Texts in the tables. NULL / false for anything else. */
const char *service_state_name(service_state_t state);
bool service_state_parse(text_t name, service_state_t *ret_state);
const char *service_target_name(service_target_t target);
bool service_target_parse(text_t name, service_target_t *ret_target);

/* All text belongs to whoever made the row. Times `…_at` are wall microseconds. */
typedef struct {
    service_token_t token;
    id128_t interaction_id;
    service_state_t state;
    service_target_t target;
    text_t name; /* of the type, the server or the cluster */
    text_t service;
    text_t method;
    text_t key;        /* of the call: bytes */
    text_t parameters; /* a JSON object */
    uint64_t fingerprint;
    bool safe;
    uint32_t attempts;
    text_t server; /* that it was sent to last; empty: none */
    id128_t incarnation;
    service_token_t sent; /* the entry that sent it there */
    usec_t deadline;      /* log time */
    usec_t asked_at;
    text_t result; /* answered: a JSON object; empty: a fault */
    text_t fault;  /* answered: its code */
    text_t fault_text;
} service_row_t;

#endif
