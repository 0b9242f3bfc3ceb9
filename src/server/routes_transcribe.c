/* routes_transcribe.c - POST /transcribe: a form with a recording in, {"text","language","segments"} out.
 *
 * The upload is taken on the loop thread; a job then decodes and recognises it while the request is
 * suspended; the answer is written by a job thread and posted back. The job knows the request's serial only:
 * a client that left is not missed. */
#include "server/route.h"

#include "base/clock.h"
#include "base/log.h"
#include "server/recognition_form.h"
#include "server/state.h"
#include "server/upload.h"
#include "text/format.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_ANSWER (256u << 20)

struct transcription {
    struct pn_upload *upload;
    pn_job_id job; /* 0: none runs */
};

/* From the job thread to the loop. */
struct finished {
    struct pn_message message;
    struct pn_server *server;
    uint64_t serial;
    struct pn_reply *reply;
};

static void refuse(struct pn_request *req, int code, const struct pn_err *err);

static void drop_upload(void *upload)
{
    pn_upload_free(upload);
}

void pn_transcribe_begin(struct pn_request *req)
{
    struct pn_server *s = req->server;
    const char *reason;
    struct transcription *t = pn_arena_alloc(req->arena, sizeof(*t));
    if (pn_server_admit(s, &reason) < 0 || !t) {
        req->reply = pn_server_refuse(s, t ? reason : "memory");
        return;
    }
    req->state = t;
    struct pn_upload_options opt = { .spool_dir = s->config->spool_dir,
                                     .max_bytes = s->config->max_upload_mb << 20 };
    struct pn_err err = { 0 };
    int r = pn_upload_new(pn_request_header(req, "Content-Type"), &opt, &t->upload, &err);
    if (r == 0 && pn_arena_on_reset(req->arena, drop_upload, t->upload) < 0) {
        drop_upload(t->upload);
        r = -PN_ENOMEM;
    }
    if (r == -PN_EUNSUPPORTED)
        req->reply = pn_reply_error(415, NULL, NULL, "%s", err.text);
    else if (r < 0)
        refuse(req, r, &err);
}

void pn_transcribe_body(struct pn_request *req, const char *data, size_t n)
{
    struct transcription *t = req->state;
    struct pn_err err = { 0 };
    pn_metric_add(req->server->m.upload_bytes, (double)n);
    int r = pn_upload_feed(t->upload, data, n, &err);
    if (r < 0)
        refuse(req, r, &err);
}

/* ---- results to answers ------------------------------------------------------------------------------ */

static int status_of(int code)
{
    switch ((enum pn_error)abs(code)) {
    case PN_EINVAL:
    case PN_EFORMAT:
        return 400;
    case PN_ELIMIT:
        return 413;
    case PN_EUNSUPPORTED:
    case PN_ENOTFOUND:
    case PN_ECRASH:
    case PN_ETIMEOUT:
        return 422;
    case PN_EFULL:
    case PN_ENOMEM:
    case PN_ECANCELLED:
    case PN_EAGAIN:
        return 503;
    case PN_EIO:
        return 500;
    }
    return 500;
}

static struct pn_reply *reply_for(int code, const struct pn_err *err)
{
    int status = status_of(code);
    const char *param = code == -PN_EFORMAT || code == -PN_ELIMIT || code == -PN_ECRASH ? "file" : NULL;
    struct pn_reply *r = pn_reply_error(status, param, status == 503 ? "overloaded" : NULL, "%s",
                                        err->text[0] ? err->text : pn_error_name(code));
    if (status == 503)
        pn_reply_header(r, "Retry-After", "1");
    return r;
}

static void refuse(struct pn_request *req, int code, const struct pn_err *err)
{
    req->reply = reply_for(code, err);
}

static struct pn_reply *write_answer(const struct pn_transcript *t)
{
    struct pn_buf b;
    pn_buf_init(&b, MAX_ANSWER);
    pn_format_write(PN_FORMAT_JSON, t, &b);
    return pn_reply_new(200, "application/json", &b);
}

/* Loop thread. */
static void deliver(struct pn_message *m)
{
    struct finished *f = PN_CONTAINER_OF(m, struct finished, message);
    struct pn_request *req = pn_request_find(f->server, f->serial);
    if (req) {
        struct transcription *t = req->state;
        t->job = 0;
        req->reply = f->reply;
        pn_request_resume(req);
    } else {
        pn_reply_free(f->reply);
    }
    free(f);
}

/* Job thread. */
static void on_done(void *ctx, pn_job_id id, struct pn_job_result *res)
{
    struct finished *f = ctx;
    pn_server_count_job(f->server, res);
    f->reply = res->code == 0 ? write_answer(res->transcript) : reply_for(res->code, &res->err);
    pn_log(res->code == 0 ? PN_INFO : PN_WARN, "transcription", F_I64("job", id),
           F_CSTR("result", pn_error_name(res->code)), F_CSTR("error", res->err.text),
           F_F64("audio_s", res->audio_s), F_F64("waited_s", res->waited_s), F_F64("ran_s", res->ran_s));
    pn_transcript_free(res->transcript);
    f->message.deliver = deliver;
    pn_loop_post(f->server->loop, &f->message);
}

/* ---- the request ------------------------------------------------------------------------------------- */

/* The form wins over the query; clients of the replaced API use the query. */
static struct pn_str parameter(struct pn_request *req, const char *name)
{
    struct transcription *t = req->state;
    struct pn_str v = pn_upload_field(t->upload, name);
    return v.len ? v : pn_str_trim(pn_request_query(req, name));
}

static bool check_file(struct pn_request *req)
{
    struct transcription *t = req->state;
    struct pn_err err = { 0 };
    int r = pn_upload_end(t->upload, &err);
    if (r < 0)
        refuse(req, r, &err);
    else if (!pn_upload_has_file(t->upload))
        req->reply = pn_reply_error(400, "file", NULL, "the form has no part named 'file'");
    else if (pn_upload_size(t->upload) == 0)
        req->reply = pn_reply_error(400, "file", NULL, "the file is empty");
    return !req->reply;
}

static void submit(struct pn_request *req, const struct pn_recognition *want, struct pn_str model)
{
    struct pn_server *s = req->server;
    struct transcription *t = req->state;
    struct pn_err err = { 0 };
    struct finished *f = calloc(1, sizeof(*f));
    if (!f) {
        refuse(req, -PN_ENOMEM, &err);
        return;
    }
    *f = (struct finished){ .server = s, .serial = req->serial };
    struct pn_job_request job = { .fd = pn_upload_take_fd(t->upload),
                                  .raw_pcm = pn_upload_is_pcm(t->upload),
                                  .models = s->models,
                                  .model = model,
                                  .want = *want,
                                  .done = on_done,
                                  .ctx = f };
    int r = pn_transcriber_submit(s->transcriber, &job, &t->job, &err);
    if (r == 0) {
        pn_log(PN_INFO, "upload", F_CSTR("id", req->id), F_I64("job", t->job),
               F_I64("bytes", pn_upload_size(t->upload)), F_CSTR("name", pn_upload_filename(t->upload)),
               F_CSTR("sha256", pn_upload_sha256(t->upload)));
        pn_request_suspend(req);
        return;
    }
    close(job.fd);
    free(f);
    if (r == -PN_EFULL)
        req->reply = pn_server_refuse(s, "queue");
    else if (r == -PN_EUNSUPPORTED) /* the model says no to one of the two */
        req->reply = pn_reply_error(422, strcmp(want->task, "translate") == 0 ? "task" : "language", NULL,
                                    "%s", err.text);
    else if (r == -PN_ENOTFOUND)
        req->reply = pn_reply_error(404, "model", "model_not_found", "%s", err.text);
    else
        refuse(req, r, &err);
}

void pn_transcribe_handle(struct pn_request *req)
{
    struct pn_recognition want;
    struct pn_str model;
    if (check_file(req) && pn_recognition_form(req, parameter, &want, &model))
        submit(req, &want, model);
}

void pn_transcribe_done(struct pn_request *req)
{
    struct transcription *t = req->state;
    if (t && t->job)
        pn_transcriber_cancel(req->server->transcriber, t->job);
}
