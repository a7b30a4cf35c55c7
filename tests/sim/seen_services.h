/* Seen services: what the log has of requests to application servers, what was released of them,
 * and what servers did; kept by the checker. Shares nothing with the product but the contract.
 */
#ifndef IXN_TESTS_SIM_SEEN_SERVICES_H
#define IXN_TESTS_SIM_SEEN_SERVICES_H

#include "core/wire/wire.h"
#include "tests/sim/checker.h"

typedef struct {
    char server[LIMIT_NAME + 1];
    char text[48];
} seen_outcome_t;

/* One request. */
typedef struct {
    UT_hash_handle hh; /* by index */
    uint64_t index;    /* of its token */
    uint64_t epoch;
    seen_t *interaction;
    uint64_t work_epoch; /* the token of the work that asked */
    uint64_t work_index;
    char key[LIMIT_KEY];
    size_t key_len;
    bool safe;
    size_t pool;     /* which target and service, by its number */
    usec_t deadline; /* log time */
    usec_t timeout;
    usec_t after; /* it was decided after this */
    /* where it is */
    char server[LIMIT_NAME + 1]; /* empty: it waits */
    id128_t incarnation;
    unsigned sends;
    bool forgotten; /* the log that is read again has not come to it */
    /* who was told of it, and what servers did: nothing takes that back */
    bool told;
    id128_t told_to; /* the first process */
    bool heard;
    id128_t heard_by;         /* the first process that heard of it */
    seen_outcome_t *outcomes; /* what servers did, or make up */
    size_t outcomes_len;
    /* what came of it */
    bool answered;
    char outcome[LIMIT_TEXT + 1];
    bool fault;
} seen_service_t;

typedef struct seen_services seen_services_t;

seen_services_t *seen_services_new(world_t *world);
void seen_services_destroy(seen_services_t **self_p);
/* The log is read from its beginning again; what was told and done stays. */
void seen_services_forget(seen_services_t *self);
const seen_service_t *seen_services_find(const seen_services_t *self, const Ixn__V1__Token *token);

/* Entries of the log, at `index` in `batch`. */
void seen_services_requested(seen_services_t *self, const batch_t *batch, uint64_t index,
                             seen_t *interaction, usec_t after,
                             const Ixn__V1__ServiceRequested *entry);
void seen_services_sent(seen_services_t *self, uint64_t index, const Ixn__V1__ServiceSent *entry);
void seen_services_waits(seen_services_t *self, uint64_t index, const Ixn__V1__ServiceWaits *entry);
void seen_services_answered(seen_services_t *self, uint64_t index,
                            const Ixn__V1__ServiceAnswered *entry);
/* After a batch of this epoch, which began then, at this log time: none is overdue. */
void seen_services_time(seen_services_t *self, usec_t log_time, usec_t epoch_began);

/* A node lets these go. */
void seen_services_told_request(seen_services_t *self, int node, const char *server,
                                const id128_t *incarnation, const Ixn__V1__ServiceRequest *request);
void seen_services_told_result(seen_services_t *self, int node, const char *router,
                               const Ixn__V1__ServiceResult *result);

/* A server's process begins to do it, and has done it with this outcome (a fault: its code). */
void seen_services_begun(seen_services_t *self, const char *server, const id128_t *incarnation,
                         const Ixn__V1__Token *token);
void seen_services_done(seen_services_t *self, const char *server, const Ixn__V1__Token *token,
                        const char *outcome);

#endif
