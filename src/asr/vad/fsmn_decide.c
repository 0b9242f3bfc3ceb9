/* fsmn_decide.c - see fsmn_decide.h. */
#include "asr/vad/fsmn_decide.h"

#include "base/attr.h"

#include <math.h>
#include <string.h>

enum change { SILENCE_TO_SPEECH, SPEECH_TO_SILENCE, SILENCE, SPEECH };

/* Silence that the window detector has already seen when it says that speech is over. */
static int window_silence_ms(const struct pn_fsmn_rules *r)
{
    return r->to_silence * PN_FSMN_FRAME_MS;
}

/* Everything that a segment's end takes back. */
static void start_over(struct pn_fsmn_decision *d)
{
    d->in_speech = d->window_speech = false;
    d->silent = d->flag_at = d->flag_sum = 0;
    d->last_speech = d->begin = 0;
    memset(d->flags, 0, sizeof(d->flags));
}

void pn_fsmn_decision_init(struct pn_fsmn_decision *d, const struct pn_fsmn_rules *rules)
{
    *d = (struct pn_fsmn_decision){ .rules = *rules };
    d->end_silence_ms = PN_MAX(rules->end_silence_ms - window_silence_ms(rules), 0);
}

/* ---- the dynamic rule (5.5) ---- */

static int silence_after(int talked_ms)
{
    static const int SILENCE_MS[] = { 2000, 1000, 800, 600, 400, 200, 100 };
    int step = talked_ms <= 0 ? 0 : (talked_ms - 1) / 10000;
    return SILENCE_MS[PN_MIN(step, (int)PN_ARRAY_LEN(SILENCE_MS) - 1)];
}

void pn_fsmn_call_begin(struct pn_fsmn_decision *d, int ms)
{
    d->told = false;
    if (!d->rules.dynamic)
        return;
    if (d->in_speech)
        d->talked_ms = PN_MIN(d->talked_ms + ms, 1000000);
    d->end_silence_ms = PN_MAX(silence_after(d->talked_ms) - window_silence_ms(&d->rules), 0);
}

void pn_fsmn_call_end(struct pn_fsmn_decision *d)
{
    if (d->told)
        d->talked_ms = 0;
}

/* ---- a frame: speech or not (5.2) ---- */

static bool is_speech(struct pn_fsmn_decision *d, double p_silence, double decibel)
{
    const struct pn_fsmn_rules *r = &d->rules;
    if (decibel < r->decibel_thres)
        return false;
    double noise = r->noise_ratio == 1 ? p_silence : pow(p_silence, r->noise_ratio);
    double snr = decibel - (d->noise_known ? d->noise_db : -100);
    if (1 - p_silence >= noise + r->speech_noise_thres && snr >= r->snr_thres)
        return true;
    d->noise_db = d->noise_known ? (decibel + d->noise_db * (r->snr_frames - 1)) / r->snr_frames : decibel;
    d->noise_known = true;
    return false;
}

/* ---- the window detector (5.3) ---- */

static enum change detect(struct pn_fsmn_decision *d, bool speech)
{
    d->flag_sum += speech - d->flags[d->flag_at];
    d->flags[d->flag_at] = speech;
    d->flag_at = (d->flag_at + 1) % d->rules.window;
    if (!d->window_speech && d->flag_sum >= d->rules.to_speech) {
        d->window_speech = true;
        return SILENCE_TO_SPEECH;
    }
    if (d->window_speech && d->flag_sum <= d->rules.to_silence) {
        d->window_speech = false;
        return SPEECH_TO_SILENCE;
    }
    return d->window_speech ? SPEECH : SILENCE;
}

/* ---- the state machine (5.4) ---- */

static void put_out(struct pn_fsmn_decision *d, int64_t f)
{
    d->buffer_from = PN_MAX(d->buffer_from, f) + 1;
    d->segment_end = f + 1;
}

static void voice_between(struct pn_fsmn_decision *d, int64_t from, int64_t to)
{
    for (int64_t f = from; f <= to; f++) {
        d->last_speech = f;
        put_out(d, f);
    }
}

static int latency(const struct pn_fsmn_rules *r)
{
    return r->window + (r->extend ? r->look_back : 0);
}

static enum pn_fsmn_change start(struct pn_fsmn_decision *d, int64_t *ret_ms)
{
    int64_t f = PN_MAX(d->buffer_from, d->frame - latency(&d->rules));
    d->begin = f;
    d->in_speech = true;
    d->told = true;
    put_out(d, f);
    voice_between(d, f + 1, d->frame);
    *ret_ms = f * PN_FSMN_FRAME_MS;
    return PN_FSMN_START;
}

static enum pn_fsmn_change end(struct pn_fsmn_decision *d, int64_t f, int64_t *ret_ms)
{
    voice_between(d, d->last_speech + 1, f - 1);
    put_out(d, f);
    start_over(d);
    d->told = true;
    *ret_ms = d->segment_end * PN_FSMN_FRAME_MS;
    return PN_FSMN_END;
}

static bool too_long(const struct pn_fsmn_decision *d)
{
    return d->frame - d->begin + 1 > d->rules.max_speech_ms / PN_FSMN_FRAME_MS;
}

static enum pn_fsmn_change go_on(struct pn_fsmn_decision *d, bool last, int64_t *ret_ms)
{
    if (too_long(d) || last)
        return end(d, d->frame, ret_ms);
    voice_between(d, d->frame, d->frame);
    return PN_FSMN_NOTHING;
}

static enum pn_fsmn_change be_silent(struct pn_fsmn_decision *d, bool last, int64_t *ret_ms)
{
    const struct pn_fsmn_rules *r = &d->rules;
    if (d->silent * PN_FSMN_FRAME_MS >= d->end_silence_ms) {
        int back = d->end_silence_ms / PN_FSMN_FRAME_MS;
        if (r->extend)
            back = PN_MAX(back - r->look_ahead - 1, 0);
        return end(d, d->frame - back, ret_ms);
    }
    if (too_long(d) || last)
        return end(d, d->frame, ret_ms);
    if (r->extend && d->silent <= r->look_ahead)
        voice_between(d, d->frame, d->frame);
    return PN_FSMN_NOTHING;
}

static enum pn_fsmn_change move(struct pn_fsmn_decision *d, enum change change, bool last, int64_t *ret_ms)
{
    d->silent = change == SILENCE ? d->silent + 1 : 0;
    switch (change) {
    case SILENCE_TO_SPEECH:
        if (!d->in_speech)
            return start(d, ret_ms);
        voice_between(d, d->last_speech + 1, d->frame - 1);
        return go_on(d, last, ret_ms);
    case SPEECH_TO_SILENCE:
    case SPEECH:
        return d->in_speech ? go_on(d, last, ret_ms) : PN_FSMN_NOTHING;
    case SILENCE:
        if (d->in_speech)
            return be_silent(d, last, ret_ms);
        d->buffer_from = PN_MAX(d->buffer_from, d->frame - latency(&d->rules));
        return PN_FSMN_NOTHING;
    }
    PN_UNREACHABLE();
}

enum pn_fsmn_change pn_fsmn_frame(struct pn_fsmn_decision *d, double p_silence, double decibel, bool last,
                                  int64_t *ret_ms)
{
    enum change change = detect(d, is_speech(d, p_silence, decibel));
    enum pn_fsmn_change r = move(d, change, last, ret_ms);
    d->frame++;
    return r;
}

int64_t pn_fsmn_settled_ms(const struct pn_fsmn_decision *d)
{
    if (d->in_speech)
        return d->segment_end * PN_FSMN_FRAME_MS;
    return PN_MAX(d->buffer_from, d->frame - latency(&d->rules)) * PN_FSMN_FRAME_MS;
}
