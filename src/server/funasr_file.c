/* funasr_file.c - see funasr_file.h. While the job runs, the file belongs to it: the job's last act is to
 * post it to the loop, where it is freed, whether or not anybody still waits for it. */
#include "server/funasr_file.h"

#include "base/file.h"
#include "server/loop.h"

#include <stdlib.h>
#include <unistd.h>

struct pn_funasr_file {
    struct pn_message message;
    struct pn_server *server;
    int fd; /* -1 once the job has it */
    int64_t size;
    pn_job_id job;             /* 0: none was begun */
    pn_funasr_file_done *done; /* NULL: nobody waits */
    void *ctx;
    struct pn_job_result result;
};

static void file_free(struct pn_funasr_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    free(f);
}

int pn_funasr_file_new(struct pn_server *s, struct pn_funasr_file **ret, struct pn_err *err)
{
    const char *reason;
    if (pn_server_admit(s, &reason) < 0) {
        pn_metric_add(s->m.refused, 1, reason);
        return pn_fail(err, PN_EFULL, "no room for new work now (%s); try again", reason);
    }
    struct pn_funasr_file *f = calloc(1, sizeof(*f));
    if (!f)
        return pn_fail(err, PN_ENOMEM, "no memory for another file");
    f->server = s;
    f->fd = pn_file_spool(s->config->spool_dir, err);
    if (f->fd < 0) {
        free(f);
        return -PN_EIO;
    }
    *ret = f;
    return 0;
}

int pn_funasr_file_feed(struct pn_funasr_file *f, const char *data, size_t n, struct pn_err *err)
{
    int64_t most = f->server->config->max_upload_mb << 20;
    f->size += (int64_t)n;
    if (f->size > most)
        return pn_fail(err, PN_ELIMIT, "the file is longer than %lld bytes", (long long)most);
    if (pn_write_all(f->fd, (struct pn_str){ data, n }) < 0)
        return pn_fail_errno(err, "cannot keep the file");
    pn_metric_add(f->server->m.upload_bytes, (double)n);
    return 0;
}

static void deliver(struct pn_message *m)
{
    struct pn_funasr_file *f = PN_CONTAINER_OF(m, struct pn_funasr_file, message);
    if (f->done)
        f->done(f->ctx, &f->result);
    else
        pn_transcript_free(f->result.transcript);
    file_free(f);
}

/* Job thread. */
static void on_done(void *ctx, pn_job_id id, struct pn_job_result *result)
{
    struct pn_funasr_file *f = ctx;
    (void)id;
    pn_server_count_job(f->server, result);
    f->result = *result;
    f->message.deliver = deliver;
    pn_loop_post(f->server->loop, &f->message);
}

int pn_funasr_file_finish(struct pn_funasr_file *f, struct pn_str model, const struct pn_recognition *want,
                          pn_funasr_file_done *done, void *ctx, struct pn_err *err)
{
    if (f->size == 0)
        return pn_fail(err, PN_EFORMAT, "the file is empty");
    f->done = done;
    f->ctx = ctx;
    struct pn_job_request job = {
        .fd = f->fd, .models = f->server->models, .model = model, .want = *want, .done = on_done, .ctx = f
    };
    int r = pn_transcriber_submit(f->server->transcriber, &job, &f->job, err);
    if (r == 0)
        f->fd = -1;
    return r;
}

struct pn_funasr_file *pn_funasr_file_cancel(struct pn_funasr_file *f)
{
    if (!f)
        return NULL;
    f->done = NULL;
    if (f->job)
        pn_transcriber_cancel(f->server->transcriber, f->job);
    else
        file_free(f);
    return NULL;
}
