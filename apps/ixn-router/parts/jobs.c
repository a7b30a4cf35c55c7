#include "apps/ixn-router/parts/jobs.h"

#include <stdlib.h>
#include <utlist.h>

#include "core/base/alloc.h"
#include "core/base/check.h"

static int s_compare(const job_t *a, const job_t *b)
{
    if (a->wake_at != b->wake_at)
        return a->wake_at < b->wake_at ? -1 : 1;
    return a->number < b->number ? -1 : a->number > b->number;
}

RB_GENERATE_INTERNAL(job_times, job, by_time, s_compare, static __attribute__((unused)))

job_t *jobs_find_token(const jobs_t *self, work_token_t token)
{
    job_t *job;
    HASH_FIND(by_token, self->tokens, &token, sizeof token, job);
    return job;
}

job_t *jobs_find_request(const jobs_t *self, uint64_t request_id)
{
    job_t *job;
    HASH_FIND(by_request, self->requests, &request_id, sizeof request_id, job);
    return job;
}

job_t *jobs_first_asleep(const jobs_t *self)
{
    return RB_MIN(job_times, (struct job_times *)(uintptr_t)&self->times);
}

job_t *jobs_first(const jobs_t *self)
{
    return self->tokens;
}

job_t *jobs_next(const job_t *job)
{
    return job->by_token.next;
}

job_t *jobs_add(jobs_t *self, run_t *run)
{
    if (jobs_find_token(self, run->work->token)) {
        run_destroy(&run);
        return NULL;
    }
    job_t *job = memory_zero(1, sizeof *job);
    job->run = run;
    job->number = ++self->last_number;
    HASH_ADD_KEYPTR(by_token, self->tokens, &run->work->token, sizeof run->work->token, job);
    DL_APPEND(self->waiting, job);
    self->waiting_len++;
    self->len++;
    return job;
}

/* Out of the table that the state puts it in. */
static void s_leave_state(jobs_t *self, job_t *job)
{
    if (job->state == JOB_WAITING) {
        DL_DELETE(self->waiting, job);
        self->waiting_len--;
    } else if (job->state == JOB_SLEEPING) {
        RB_REMOVE(job_times, &self->times, job);
        self->sleeping_len--;
    }
}

void jobs_set_state(jobs_t *self, job_t *job, job_state_t state, usec_t wake_at)
{
    CHECK(state != JOB_WAITING);
    s_leave_state(self, job);
    job->state = state;
    job->wake_at = wake_at;
    if (state == JOB_SLEEPING) {
        RB_INSERT(job_times, &self->times, job);
        self->sleeping_len++;
    }
}

void jobs_set_request(jobs_t *self, job_t *job, uint64_t request_id)
{
    if (job->request_id != 0)
        HASH_DELETE(by_request, self->requests, job);
    job->request_id = request_id;
    if (request_id != 0)
        HASH_ADD(by_request, self->requests, request_id, sizeof job->request_id, job);
}

void jobs_set_unsent(jobs_t *self, job_t *job, bool is_unsent)
{
    if (job->is_unsent == is_unsent)
        return;
    CHECK(job->state != JOB_WAITING); /* the lists share their links */
    job->is_unsent = is_unsent;
    if (is_unsent)
        DL_APPEND(self->unsent, job);
    else
        DL_DELETE(self->unsent, job);
}

void jobs_remove(jobs_t *self, job_t *job)
{
    jobs_set_unsent(self, job, false);
    jobs_set_request(self, job, 0);
    s_leave_state(self, job);
    HASH_DELETE(by_token, self->tokens, job);
    run_destroy(&job->run);
    free(job);
    self->len--;
}

void jobs_clear(jobs_t *self)
{
    while (self->tokens)
        jobs_remove(self, self->tokens);
}
