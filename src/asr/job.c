/* job.c - the state machine of one job; see job.h.
 *
 * Every state is safe to turn at any moment: a turn tries, and if nothing moved it stays. So a thread need
 * not know why it woke. Whatever way a job ends, its child is dead and its stream is closed before it is
 * ENDED. */
#include "asr/job.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SLOT_RETRY_MS = 50,    /* other users of the scheduler tell nobody when they leave */
    STALL_CHECK_MS = 1000, /* the decoder finds out that its child hangs when it is asked */
    PROGRESS_MS = 100
};

int pn_job_new(const struct pn_job_request *req, struct pn_job **ret, struct pn_err *err)
{
    struct pn_job *j = calloc(1, sizeof(*j));
    if (!j)
        return pn_fail(err, PN_ENOMEM, "no memory for another job");
    j->req = *req;
    if (pn_str_copy(j->language, sizeof(j->language), pn_str(req->want.language)) < 0 ||
        pn_str_copy(j->task, sizeof(j->task), pn_str(req->want.task)) < 0) {
        free(j);
        return pn_fail(err, PN_EINVAL, "language or task is too long");
    }
    if (pn_str_copy(j->model, sizeof(j->model), req->model) < 0) {
        free(j);
        return pn_fail(err, PN_ENOTFOUND, "no model has a name so long");
    }
    j->prompt = strdup(req->want.prompt ? req->want.prompt : "");
    j->hotwords = strdup(req->want.hotwords ? req->want.hotwords : "");
    if (!j->prompt || !j->hotwords) {
        free(j->prompt);
        free(j->hotwords);
        free(j);
        return pn_fail(err, PN_ENOMEM, "no memory for another job");
    }
    j->req.want.language = j->language;
    j->req.want.task = j->task;
    j->req.want.prompt = j->prompt;
    j->req.want.hotwords = j->hotwords;
    j->req.model = pn_str(j->model);
    j->recognizer = req->recognizer;
    *ret = j;
    return 0;
}

void pn_job_drop(struct pn_job *j)
{
    if (j->recognizer && !j->req.recognizer)
        pn_models_release(j->req.models, j->recognizer);
    free(j->prompt);
    free(j->hotwords);
    free(j);
}

struct pn_job *pn_job_free(struct pn_job *j)
{
    if (j) {
        close(j->req.fd);
        pn_job_drop(j);
    }
    return NULL;
}

static void release(struct pn_job *j, const struct pn_transcriber_options *opt)
{
    if (j->decoder)
        j->result.audio_s = (double)pn_decoder_samples(j->decoder) / PN_SAMPLE_RATE;
    j->decoder = pn_decoder_close(j->decoder);
    if (j->stream)
        pn_scheduler_close(opt->scheduler, j->stream);
    j->stream = NULL;
}

static void end(struct pn_job *j, const struct pn_transcriber_options *opt, int code)
{
    if (code < 0 && j->result.err.code == 0) /* a cause that came without words */
        pn_fail(&j->result.err, (enum pn_error) - code, "%s", pn_error_name(code));
    j->result.code = code;
    release(j, opt);
    j->state = PN_JOB_ENDED;
}

static void open_both(struct pn_job *j, const struct pn_transcriber_options *opt, void (*moved)(void *),
                      void *ctx)
{
    int r = 0;
    if (!j->recognizer)
        r = pn_models_acquire(j->req.models, j->req.model, &j->recognizer, &j->result.err);
    if (r == 0)
        r = pn_scheduler_open(opt->scheduler, j->recognizer, &j->req.want, moved, ctx, &j->stream,
                              &j->result.err);
    if (r == -PN_EFULL || r == -PN_EAGAIN) {
        j->result.err = (struct pn_err){ 0 };
        return; /* another turn, another try */
    }
    if (r == 0)
        r = (j->req.raw_pcm ? pn_decoder_open_pcm : pn_decoder_open)(opt->decoders, j->req.fd, &j->decoder,
                                                                     &j->result.err);
    if (r < 0) {
        end(j, opt, r);
        return;
    }
    j->state = PN_JOB_READING;
    j->again = true;
}

/* Offers the samples in `pcm` to the stream. */
static void feed(struct pn_job *j, const struct pn_transcriber_options *opt)
{
    int r = pn_scheduler_feed(opt->scheduler, j->stream, j->pcm, j->n_pcm);
    if (r == 0) {
        j->n_pcm = 0;
        j->state = PN_JOB_READING;
        j->again = true;
    } else if (r == -PN_EFULL) {
        j->state = PN_JOB_BLOCKED;
    } else {
        end(j, opt, r);
    }
}

static void read_samples(struct pn_job *j, const struct pn_transcriber_options *opt)
{
    j->again = false;
    ssize_t n = pn_decoder_read(j->decoder, j->pcm, PN_JOB_SLICE, &j->result.err);
    if (n > 0) {
        j->n_pcm = (size_t)n;
        feed(j, opt);
    } else if (n == -PN_EAGAIN) {
        j->result.err = (struct pn_err){ 0 };
    } else if (n < 0) {
        end(j, opt, (int)n);
    } else {
        int r = pn_scheduler_finish(opt->scheduler, j->stream);
        if (r < 0)
            end(j, opt, r);
        else
            j->state = PN_JOB_DRAINING;
    }
}

/* Takes the result if it is there; a stream may fail long before its audio ends. */
static void look_for_result(struct pn_job *j, const struct pn_transcriber_options *opt)
{
    const struct pn_recognizer_ops *ops = j->recognizer->ops;
    int r = ops->status(j->stream, &j->result.err);
    if (r == 1)
        r = ops->result(j->stream, &j->result.transcript, &j->result.err);
    else if (r == 0)
        return;
    end(j, opt, r);
}

static void say_progress(struct pn_job *j)
{
    if (!j->req.progress || !j->stream)
        return;
    double position = j->recognizer->ops->position(j->stream);
    const struct pn_decoder_info *info = pn_decoder_info(j->decoder);
    double duration = info ? info->duration_s : -1;
    if (j->state == PN_JOB_DRAINING) /* better than the container's word */
        duration = (double)pn_decoder_samples(j->decoder) / PN_SAMPLE_RATE;
    bool news = position > j->said_position || duration != j->said_duration || j->said_us == 0;
    int64_t now = pn_now_us();
    j->unsaid = news && j->said_us != 0 && now - j->said_us < PROGRESS_MS * 1000;
    if (!news || j->unsaid)
        return;
    j->said_position = position;
    j->said_duration = duration;
    j->said_us = now;
    j->req.progress(j->req.ctx, j->id, position, duration);
}

static void turn_state(struct pn_job *j, const struct pn_transcriber_options *opt, void (*moved)(void *),
                       void *ctx)
{
    switch (j->state) {
    case PN_JOB_OPENING:
        open_both(j, opt, moved, ctx);
        return;
    case PN_JOB_READING:
        read_samples(j, opt);
        return;
    case PN_JOB_BLOCKED:
        feed(j, opt);
        return;
    case PN_JOB_DRAINING:
    case PN_JOB_ENDED:
        return;
    }
    PN_UNREACHABLE();
}

void pn_job_turn(struct pn_job *j, const struct pn_transcriber_options *opt, void (*moved)(void *ctx),
                 void *ctx)
{
    if (j->state != PN_JOB_ENDED && atomic_load_explicit(&j->cancelled, memory_order_acquire)) {
        j->result.err = (struct pn_err){ 0 };
        end(j, opt, -PN_ECANCELLED);
        return;
    }
    turn_state(j, opt, moved, ctx);
    if (j->stream)
        look_for_result(j, opt);
    say_progress(j);
}

int pn_job_patience_ms(const struct pn_job *j)
{
    int ms = -1;
    switch (j->state) {
    case PN_JOB_OPENING:
        ms = SLOT_RETRY_MS;
        break;
    case PN_JOB_READING:
        ms = j->again ? 0 : STALL_CHECK_MS;
        break;
    case PN_JOB_BLOCKED:
    case PN_JOB_DRAINING:
        break;
    case PN_JOB_ENDED:
        ms = 0;
        break;
    }
    return j->unsaid && (ms < 0 || ms > PROGRESS_MS) ? PROGRESS_MS : ms;
}

int pn_job_poll_fd(const struct pn_job *j)
{
    return j->state == PN_JOB_READING && !j->again ? pn_decoder_fd(j->decoder) : -1;
}
