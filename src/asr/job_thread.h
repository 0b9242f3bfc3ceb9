/* job_thread.h - a thread that turns many jobs, sleeping in poll between turns. Private to the transcriber.
 */
#ifndef PN_ASR_JOB_THREAD_H
#define PN_ASR_JOB_THREAD_H

#include "asr/job.h"

struct pn_job_thread;

struct pn_job_thread_options {
    struct pn_transcriber_options transcriber;
    /* Called by the thread for every job that ended, in its own time; takes the job. */
    void (*ended)(void *ctx, struct pn_job_thread *thread, struct pn_job *job);
    void *ctx;
};

PN_MUST_CHECK int pn_job_thread_new(const struct pn_job_thread_options *opt, struct pn_job_thread **ret,
                                    struct pn_err *err);
/* Waits until its jobs have ended: cancel them before. Accepts NULL. */
struct pn_job_thread *pn_job_thread_free(struct pn_job_thread *t);
void pn_job_thread_add(struct pn_job_thread *t, struct pn_job *job); /* any thread */
void pn_job_thread_wake(struct pn_job_thread *t);                    /* any thread, under any lock */
int pn_job_thread_load(struct pn_job_thread *t);                     /* jobs it has; any thread */

#endif
