/* transcribe_run.c - several files at once, their transcripts in order.
 *
 * The main thread submits, waits, prints. Job threads report into a file's fields: progress under `mu`, the
 * result by posting the file to the inbox, after which it is the main thread's again.
 * Bound: results that wait for an earlier file are at most a few times the files that run at once. */
#include "cli/transcribe_run.h"

#include "base/clock.h"
#include "base/inbox.h"
#include "base/json.h"
#include "cli/progress.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { AHEAD = 4, REDRAW_MS = 100 };

enum file_state { FILE_WAITING, FILE_RUNNING, FILE_DONE };

struct file {
    struct pn_message done; /* first: posted by the job thread */
    struct pn_run *run;
    const char *name;
    enum file_state state;
    int64_t started_us;
    double position_s, duration_s; /* guarded by run->mu */
    struct pn_job_result result;
};

struct pn_run {
    struct pn_run_options opt;
    struct pn_output output;
    struct pn_progress progress;
    struct pn_inbox *inbox;
    pthread_mutex_t mu;
    struct file *files;
    size_t n, next_submit, next_print, n_running;
    bool failed;        /* some file */
    bool output_broken; /* standard output takes nothing any more: the rest is pointless */
};

/* ---- job threads ---- */

static void on_progress(void *ctx, pn_job_id id, double position_s, double duration_s)
{
    (void)id;
    struct file *f = ctx;
    pthread_mutex_lock(&f->run->mu);
    f->position_s = position_s;
    f->duration_s = duration_s;
    pthread_mutex_unlock(&f->run->mu);
}

static void on_done(void *ctx, pn_job_id id, struct pn_job_result *result)
{
    (void)id;
    struct file *f = ctx;
    f->result = *result;
    pn_inbox_post(f->run->inbox, &f->done);
}

/* ---- main thread ---- */

static void deliver_done(struct pn_message *m)
{
    struct file *f = PN_CONTAINER_OF(m, struct file, done);
    f->state = FILE_DONE;
    f->run->n_running--;
}

static int submit(struct pn_run *run, struct file *f)
{
    struct pn_err *err = &f->result.err;
    struct pn_job_request req = { .raw_pcm = run->opt.raw_pcm,
                                  .recognizer = run->opt.recognizer,
                                  .want = run->opt.want,
                                  .done = on_done,
                                  .progress = on_progress,
                                  .ctx = f };
    pn_job_id id;
    int r = pn_input_open(f->name, run->opt.spool_dir, run->opt.signal_fd, &req.fd, err);
    if (r < 0)
        return r;
    f->started_us = pn_now_us();
    r = pn_transcriber_submit(run->opt.transcriber, &req, &id, err);
    if (r < 0)
        close(req.fd);
    return r;
}

/* -PN_ECANCELLED if a signal came while standard input was copied. */
static int submit_more(struct pn_run *run)
{
    while (run->next_submit < run->n && run->n_running < run->opt.concurrent &&
           run->next_submit - run->next_print < AHEAD * run->opt.concurrent) {
        struct file *f = &run->files[run->next_submit++];
        int r = submit(run, f);
        if (r == -PN_ECANCELLED)
            return r;
        if (r < 0) /* else the result is the job thread's by now */
            f->result.code = r;
        f->state = r == 0 ? FILE_RUNNING : FILE_DONE;
        run->n_running += r == 0;
    }
    return 0;
}

/* One line; the name cannot write to the terminal. */
static void complain(struct pn_run *run, const struct file *f, const struct pn_err *err)
{
    struct pn_buf line;
    pn_buf_init(&line, (size_t)1 << 16);
    pn_buf_puts(&line, "pinna: ");
    pn_json_escape(&line, pn_str(f->name));
    pn_buf_printf(&line, ": %s\n", err->text);
    fwrite(line.ptr, 1, line.len, stderr);
    pn_buf_done(&line);
    run->failed = true;
}

static void print_file(struct pn_run *run, struct file *f)
{
    struct pn_err err = f->result.err;
    pn_progress_clear(&run->progress);
    int r = f->result.code;
    if (r == 0) {
        err = (struct pn_err){ 0 };
        r = pn_output_write(&run->output, f->name, f->result.transcript, &err);
        run->output_broken = r < 0 && run->output.dir[0] == '\0';
    }
    if (r < 0)
        complain(run, f, &err);
    f->result.transcript = pn_transcript_free(f->result.transcript);
}

static void print_finished(struct pn_run *run)
{
    while (run->next_print < run->n && run->files[run->next_print].state == FILE_DONE && !run->output_broken)
        print_file(run, &run->files[run->next_print++]);
}

/* The line tells of the file whose text comes next. */
static void draw_progress(struct pn_run *run)
{
    struct file *f = &run->files[run->next_print];
    if (f->state != FILE_RUNNING)
        return;
    struct pn_progress_view view = { .name = f->name, .file = run->next_print + 1, .n_files = run->n };
    pthread_mutex_lock(&run->mu);
    view.position_s = f->position_s;
    view.duration_s = f->duration_s;
    pthread_mutex_unlock(&run->mu);
    view.elapsed_s = (double)(pn_now_us() - f->started_us) / 1e6;
    pn_progress_draw(&run->progress, &view);
}

/* Until a job reports, the line is due, or a signal came (-PN_ECANCELLED). */
static int wait_for_news(struct pn_run *run)
{
    struct pollfd fds[] = { { .fd = pn_inbox_fd(run->inbox), .events = POLLIN },
                            { .fd = run->opt.signal_fd, .events = POLLIN } };
    poll(fds, PN_ARRAY_LEN(fds), run->progress.on ? REDRAW_MS : -1);
    if (fds[1].revents)
        return -PN_ECANCELLED;
    pn_inbox_run(run->inbox);
    return 0;
}

int pn_run_all(struct pn_run *run)
{
    int r = 0;
    for (;;) {
        r = submit_more(run);
        print_finished(run);
        if (r < 0 || run->output_broken || run->next_print == run->n)
            break;
        if (run->files[run->next_print].state == FILE_WAITING)
            continue; /* printing made room for more */
        draw_progress(run);
        r = wait_for_news(run);
        if (r < 0)
            break;
    }
    pn_progress_clear(&run->progress);
    return r < 0 ? r : run->failed;
}

/* ---- life ---- */

int pn_run_new(const struct pn_run_options *opt, struct pn_run **ret, struct pn_err *err)
{
    struct pn_run *run = calloc(1, sizeof(*run));
    if (!run)
        return pn_fail(err, PN_ENOMEM, "no memory");
    run->opt = *opt;
    run->output = opt->output;
    run->n = opt->output.n_files;
    pthread_mutex_init(&run->mu, NULL);
    pn_progress_init(&run->progress);
    run->files = calloc(run->n, sizeof(*run->files));
    int r = run->files ? pn_inbox_new(&run->inbox, err) : pn_fail(err, PN_ENOMEM, "no memory");
    for (size_t i = 0; r == 0 && i < run->n; i++)
        run->files[i] = (struct file){
            .done.deliver = deliver_done, .run = run, .name = opt->names[i], .duration_s = -1
        };
    if (r < 0)
        run = pn_run_free(run);
    else
        *ret = run;
    return r;
}

struct pn_run *pn_run_free(struct pn_run *run)
{
    if (!run)
        return NULL;
    pn_inbox_free(run->inbox);
    for (size_t i = 0; run->files && i < run->n; i++)
        pn_transcript_free(run->files[i].result.transcript);
    pthread_mutex_destroy(&run->mu);
    free(run->files);
    free(run);
    return NULL;
}
