/* Jobs: every piece of work that the router holds, from the Route to the answer to its result, and
 * the tables to find one: by token, by the request it waits for, by the time it wakes.
 *
 * Promises: each of these costs about the same with ten jobs and with a hundred thousand.
 */
#ifndef IXN_ROUTER_JOBS_H
#define IXN_ROUTER_JOBS_H

#include <bsd/sys/tree.h>

#include "apps/ixn-router/parts/run.h"
#include "core/base/table.h"

typedef enum {
    JOB_WAITING,  /* not started */
    JOB_SLEEPING, /* the script sleeps until wake_at */
    JOB_SAVING,   /* its changes are with the node */
    JOB_CALLING,  /* its call is with the node, or with an application server */
    JOB_ENDING,   /* its result is with the node */
} job_state_t;

typedef struct job {
    run_t *run;
    job_state_t state;
    bool blameless;      /* ENDING with RouteFailed: counts against nothing */
    bool is_unsent;      /* the client did not take the request; to be tried again */
    uint64_t request_id; /* that it waits for; 0: none */
    usec_t wake_at;
    uint64_t number; /* in the order of arrival */
    UT_hash_handle by_token;
    UT_hash_handle by_request;
    RB_ENTRY(job) by_time;
    struct job *prev, *next; /* in waiting or unsent; a job is never in both */
} job_t;

RB_HEAD(job_times, job);

typedef struct {
    job_t *tokens;
    job_t *requests;
    struct job_times times;
    job_t *waiting; /* oldest first */
    job_t *unsent;
    size_t len;
    size_t waiting_len;
    size_t sleeping_len;
    uint64_t last_number;
} jobs_t;

/* Takes `run`; the job waits. NULL (and `run` is destroyed) when there is one with that token. */
job_t *jobs_add(jobs_t *self, run_t *run);
void jobs_remove(jobs_t *self, job_t *job); /* destroys it */
void jobs_clear(jobs_t *self);

job_t *jobs_find_token(const jobs_t *self, work_token_t token);
job_t *jobs_find_request(const jobs_t *self, uint64_t request_id);
job_t *jobs_first_asleep(const jobs_t *self); /* the one to wake first, or NULL */
job_t *jobs_first(const jobs_t *self);        /* any order; NULL: none */
job_t *jobs_next(const job_t *job);

/* The only ways to change these fields: the tables follow. */
void jobs_set_state(jobs_t *self, job_t *job, job_state_t state, usec_t wake_at);
void jobs_set_request(jobs_t *self, job_t *job, uint64_t request_id);
void jobs_set_unsent(jobs_t *self, job_t *job, bool is_unsent);

#endif
