/* vad.c - see vad.h: which detector a path is, the checks that all share, and the way to the detector. */
#include "asr/vad/vad_impl.h"

#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>

static const char *const NAMES[] = {
    [PN_VAD_ENERGY] = "energy",
    [PN_VAD_SILERO] = "silero",
    [PN_VAD_FSMN] = "fsmn",
};

int pn_vad_model_open(const char *path, struct pn_vad_model **ret, struct pn_err *err)
{
    struct stat st;
    if (!path)
        return pn_vad_energy_open(ret, err);
    if (stat(path, &st) < 0)
        return pn_fail(err, PN_ENOTFOUND, "%s: no such file or folder", path);
    return S_ISDIR(st.st_mode) ? pn_vad_fsmn_open(path, ret, err) : pn_vad_silero_open(path, ret, err);
}

struct pn_vad_model *pn_vad_model_close(struct pn_vad_model *m)
{
    if (m)
        m->close(m);
    return NULL;
}

enum pn_vad_kind pn_vad_model_kind(const struct pn_vad_model *m)
{
    return m->kind;
}

const char *pn_vad_model_name(const struct pn_vad_model *m)
{
    return NAMES[m->kind];
}

enum { MOST_MS = 60000, MOST_PAD_MS = 10000 };

int pn_vad_check(const struct pn_vad_options *opt, struct pn_err *err)
{
    const struct {
        const char *name;
        int ms, most;
    } times[] = { { "shortest speech", opt->min_speech_ms, MOST_MS },
                  { "silence at the end", opt->end_silence_ms, MOST_MS },
                  { "longest speech", opt->max_speech_ms, MOST_MS },
                  { "padding", opt->pad_ms, MOST_PAD_MS } };
    if (!(opt->threshold >= 0 && opt->threshold <= 1)) /* also of NaN */
        return pn_fail(err, PN_EINVAL, "voice detection: the threshold must be from 0 to 1");
    for (size_t i = 0; i < PN_ARRAY_LEN(times); i++)
        if (times[i].ms < 0 || times[i].ms > times[i].most)
            return pn_fail(err, PN_EINVAL, "voice detection: the %s must be from 0 to %d ms", times[i].name,
                           times[i].most);
    return 0;
}

int pn_vad_new(const struct pn_vad_model *m, const struct pn_vad_options *opt, struct pn_vad **ret)
{
    static const struct pn_vad_options DEFAULTS = { 0 };
    if (!opt)
        opt = &DEFAULTS;
    int r = pn_vad_check(opt, NULL);
    return r < 0 ? r : m->new_stream(m, opt, ret);
}

struct pn_vad *pn_vad_free(struct pn_vad *v)
{
    if (v) {
        pn_vad_events_done(&v->events);
        v->ops->free(v);
    }
    return NULL;
}

void pn_vad_reset(struct pn_vad *v)
{
    pn_vad_events_done(&v->events);
    v->fed = 0;
    v->ended = false;
    v->ops->reset(v);
}

int pn_vad_feed(struct pn_vad *v, const float *pcm, size_t n)
{
    if (v->ended)
        return -PN_EINVAL;
    v->fed += (int64_t)n;
    int r = v->ops->feed(v, pcm, n);
    return r < 0 ? r : v->events.failed ? -PN_ENOMEM : 0;
}

int pn_vad_end(struct pn_vad *v)
{
    if (v->ended)
        return -PN_EINVAL;
    v->ended = true;
    int r = v->ops->end(v);
    return r < 0 ? r : v->events.failed ? -PN_ENOMEM : 0;
}

bool pn_vad_next(struct pn_vad *v, struct pn_vad_event *ret)
{
    return pn_vad_events_take(&v->events, ret);
}

int64_t pn_vad_settled(const struct pn_vad *v)
{
    int64_t settled = v->ended ? v->fed : v->ops->settled(v);
    return PN_MIN(PN_MAX(settled, v->events.last), v->fed);
}
