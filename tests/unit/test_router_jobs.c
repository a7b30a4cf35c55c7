/* Jobs against a simple model: every table says the same about them, whatever happened before. */
#include "tests/unit/router_script.h"

#include <stdlib.h>

#include "apps/ixn-router/parts/jobs.h"

enum { MANY = 200, STEPS = 20000 };

static vm_t *s_vm;
static jobs_t s_jobs;
static job_t *s_model[MANY]; /* by token index; NULL: not there */
static uint64_t s_requests;

static job_t *add(uint64_t index)
{
    work_t *work = script_work("{}");
    work->token = (work_token_t){1, index};
    return jobs_add(&s_jobs, run_new(s_vm, work));
}

static void change(job_t *job)
{
    switch (random() % 5) {
    case 0:
        jobs_set_state(&s_jobs, job, JOB_SLEEPING, random() % 50);
        break;
    case 1:
        jobs_set_state(&s_jobs, job, JOB_SAVING, 0);
        break;
    case 2:
        jobs_set_state(&s_jobs, job, JOB_ENDING, 0);
        jobs_set_unsent(&s_jobs, job, random() % 2);
        break;
    case 3:
        jobs_set_request(&s_jobs, job, random() % 2 ? ++s_requests : 0);
        break;
    default:
        s_model[job->run->work->token.index] = NULL;
        jobs_remove(&s_jobs, job);
        break;
    }
}

static void check(void)
{
    size_t len = 0, waiting = 0, sleeping = 0, unsent = 0, listed = 0;
    const job_t *first = NULL;
    for (uint64_t i = 0; i < MANY; i++) {
        const job_t *job = s_model[i];
        cr_assert_eq(jobs_find_token(&s_jobs, (work_token_t){1, i}), job);
        if (!job)
            continue;
        len++;
        waiting += job->state == JOB_WAITING;
        sleeping += job->state == JOB_SLEEPING;
        unsent += job->is_unsent;
        if (job->request_id)
            cr_assert_eq(jobs_find_request(&s_jobs, job->request_id), job);
        if (job->state == JOB_SLEEPING &&
            (!first || job->wake_at < first->wake_at ||
             (job->wake_at == first->wake_at && job->number < first->number)))
            first = job;
    }
    cr_assert_eq(s_jobs.len, len);
    cr_assert_eq(s_jobs.waiting_len, waiting);
    cr_assert_eq(s_jobs.sleeping_len, sleeping);
    cr_assert_eq(jobs_first_asleep(&s_jobs), first);
    for (const job_t *job = jobs_first(&s_jobs); job; job = jobs_next(job))
        listed++;
    cr_assert_eq(listed, len);
    listed = 0;
    for (const job_t *job = s_jobs.unsent; job; job = job->next)
        listed++;
    cr_assert_eq(listed, unsent);
}

Test(router_jobs, tables_agree)
{
    s_vm = script_vm();
    srandom(1);
    for (int step = 0; step < STEPS; step++) {
        uint64_t index = (uint64_t)random() % MANY;
        if (!s_model[index]) {
            s_model[index] = add(index);
            cr_assert(s_model[index]);
        } else if (random() % 4 == 0) {
            cr_assert_null(add(index), "two jobs with one token");
        } else {
            change(s_model[index]);
        }
        if (step % 20 == 0)
            check();
    }
    jobs_clear(&s_jobs);
    cr_assert_eq(s_jobs.len, 0);
    vm_destroy(&s_vm);
}
