/* fsmn_model.c - see fsmn_model.h. */
#include "asr/vad/fsmn_model.h"

#include <stdlib.h>
#include <string.h>

static int read_int(const struct pn_funasr *m, const char *key, int64_t min, int64_t max, int fallback,
                    int *ret, struct pn_err *err)
{
    int64_t v = fallback;
    int r = pn_funasr_int(m, key, min, max, fallback, &v, err);
    if (r == 0)
        *ret = (int)v;
    return r;
}

static int read_rules(const struct pn_funasr *m, struct pn_fsmn_rules *ret, struct pn_err *err)
{
    int window = 200, to_speech = 150, to_silence = 150, back = 200, ahead = 100, extend = 1;
    const struct {
        const char *key;
        int min, max, *to;
    } TIMES[] = {
        { "model_conf.window_size_ms", 10, PN_FSMN_MAX_WINDOW * PN_FSMN_FRAME_MS, &window },
        { "model_conf.sil_to_speech_time_thres", 10, 1280, &to_speech },
        { "model_conf.speech_to_sil_time_thres", 0, 1280, &to_silence },
        { "model_conf.lookback_time_start_point", 0, 10000, &back },
        { "model_conf.lookahead_time_end_point", 0, 10000, &ahead },
        { "model_conf.do_extend", 0, 1, &extend },
        { "model_conf.max_end_silence_time", 0, 60000, &ret->end_silence_ms },
        { "model_conf.max_single_segment_time", 100, 60000, &ret->max_speech_ms },
        { "model_conf.noise_frame_num_used_for_snr", 1, 100000, &ret->snr_frames },
    };
    const struct {
        const char *key;
        double *to;
    } REALS[] = {
        { "model_conf.speech_noise_thres", &ret->speech_noise_thres },
        { "model_conf.speech_2_noise_ratio", &ret->noise_ratio },
        { "model_conf.decibel_thres", &ret->decibel_thres },
        { "model_conf.snr_thres", &ret->snr_thres },
    };
    int r = 0;
    for (size_t i = 0; r == 0 && i < PN_ARRAY_LEN(TIMES); i++)
        r = read_int(m, TIMES[i].key, TIMES[i].min, TIMES[i].max, *TIMES[i].to, TIMES[i].to, err);
    for (size_t i = 0; r == 0 && i < PN_ARRAY_LEN(REALS); i++)
        r = pn_funasr_real(m, REALS[i].key, -1000, 1000, *REALS[i].to, REALS[i].to, err);
    ret->window = window / PN_FSMN_FRAME_MS;
    ret->to_speech = PN_MIN(to_speech / PN_FSMN_FRAME_MS, ret->window);
    ret->to_silence = PN_MIN(to_silence / PN_FSMN_FRAME_MS, ret->window - 1);
    ret->look_back = back / PN_FSMN_FRAME_MS;
    ret->look_ahead = ahead / PN_FSMN_FRAME_MS;
    ret->extend = extend != 0;
    return r;
}

/* Frames of 25 ms every 10 ms at 16 kHz, a row for each. */
static int check_frames(const struct pn_funasr *m, struct pn_err *err)
{
    static const struct {
        const char *key;
        int want;
    } FIXED[] = {
        { "frontend_conf.fs", 16000 },        { "frontend_conf.frame_length", 25 },
        { "frontend_conf.frame_shift", 10 },  { "frontend_conf.lfr_n", 1 },
        { "model_conf.sample_rate", 16000 },  { "model_conf.frame_in_ms", 10 },
        { "model_conf.frame_length_ms", 25 },
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(FIXED); i++) {
        int v = 0, r = read_int(m, FIXED[i].key, 1, 1000000, FIXED[i].want, &v, err);
        if (r < 0)
            return r;
        if (v != FIXED[i].want)
            return pn_fail(err, PN_EUNSUPPORTED, "config.yaml: %s is %d, not %d", FIXED[i].key, v,
                           FIXED[i].want);
    }
    return 0;
}

static int open_fbank(const struct pn_funasr *m, struct pn_fbank **ret, struct pn_err *err)
{
    size_t n_shift = 0, n_scale = 0;
    struct pn_fbank_options opt = { .lfr_n = 1,
                                    .shift = pn_funasr_cmvn_shift(m, &n_shift),
                                    .scale = pn_funasr_cmvn_scale(m, &n_scale) };
    int r = check_frames(m, err);
    if (r == 0)
        r = read_int(m, "frontend_conf.n_mels", 1, 128, 80, &opt.n_mels, err);
    if (r == 0)
        r = read_int(m, "frontend_conf.lfr_m", 1, 16, 5, &opt.lfr_m, err);
    if (r < 0)
        return r;
    size_t width = (size_t)opt.n_mels * (size_t)opt.lfr_m;
    if (n_shift != width || n_scale != width)
        return pn_fail(err, PN_EFORMAT, "am.mvn: %zu and %zu values for rows of %zu", n_shift, n_scale,
                       width);
    opt.povey = strcmp(pn_funasr_str(m, "frontend_conf.window", "hamming"), "povey") == 0;
    r = pn_fbank_new(&opt, ret);
    return r < 0 ? pn_fail(err, (enum pn_error) - r, "%s", pn_error_name(r)) : 0;
}

static int fill(struct pn_fsmn_model *m, const struct pn_funasr *folder, struct pn_err *err)
{
    m->rules = (struct pn_fsmn_rules){ .end_silence_ms = 800,
                                       .max_speech_ms = 60000,
                                       .snr_frames = 100,
                                       .speech_noise_thres = 0.6,
                                       .noise_ratio = 1,
                                       .decibel_thres = -100,
                                       .snr_thres = -100 };
    if (strcmp(pn_funasr_class(folder), "FsmnVADStreaming") != 0)
        return pn_fail(err, PN_EUNSUPPORTED, "a model of class %.40s finds no speech",
                       pn_funasr_class(folder));
    int r = read_rules(folder, &m->rules, err);
    if (r == 0)
        r = open_fbank(folder, &m->fbank, err);
    if (r == 0)
        r = pn_fsmn_net_new(folder, pn_fbank_width(m->fbank), &m->net, err);
    return r;
}

struct pn_fsmn_model *pn_fsmn_model_close(struct pn_fsmn_model *m)
{
    if (m) {
        pn_fsmn_net_free(m->net);
        pn_fbank_free(m->fbank);
    }
    free(m);
    return NULL;
}

int pn_fsmn_model_open(const char *folder, struct pn_fsmn_model **ret, struct pn_err *err)
{
    struct pn_funasr *files = NULL;
    int r = pn_funasr_open(folder, &files, err);
    if (r < 0)
        return r;
    struct pn_fsmn_model *m = calloc(1, sizeof(*m));
    r = m ? fill(m, files, err) : pn_fail(err, PN_ENOMEM, "%s: out of memory", folder);
    pn_funasr_close(files);
    if (r < 0)
        m = pn_fsmn_model_close(m);
    else
        *ret = m;
    return r;
}
