/* energy.c - an adaptive detector for when there is no model: speech is what stands out of the background in
 * many bands at once, lasts, and changes.
 *
 * For each frame of 10 ms: the energies of 20 mel bands, averaged over five frames, and the median and the
 * peak of the energies of its milliseconds. A frame is speech if
 *   - its bands lie above the background, on average by `threshold` times 9 dB,
 *   - they move by some decibels within the 300 ms behind it and within the 300 ms before it: hum and hiss do
 *     not, not even when they have just begun or are about to end,
 *   - it is no click, whose peak is far above a median that is the background's.
 * The background is the least energy of each band over the last 1.5 s and the 300 ms to come: decisions lag
 * by those 300 ms, so that a word that begins with the recording is seen against the pause behind it. */
#include "asr/vad/segmenter.h"
#include "asr/vad/vad_impl.h"
#include "audio/fbank.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    BANDS = 20,
    SMOOTH = 5,  /* frames averaged, the middle one is meant */
    AROUND = 30, /* frames looked at on either side */
    FEW = 10,    /* fewer on one side say nothing */
    RING = 64,   /* frames kept: both sides and the frame itself */
    PARTS = 6,   /* of the background, AROUND frames each */
    VOTERS = 11, /* frames whose majority decides */
    MILLISECOND = 16,
    FRAME_MS = PN_FBANK_WINDOW / MILLISECOND,
    HOP_MS = PN_FBANK_HOP / MILLISECOND,
    MIN_SPEECH_MS = 60,
    END_SILENCE_MS = 500,
    PAD_MS = 150,
};

/* Decibels as differences of natural logarithms of energies. */
#define DB(x) ((x)*0.2302585F)

static const float LEAST_BAND = 10;  /* log energy of a band of white noise at -76 dBFS */
static const float LEAST_MEDIAN = 2; /* and of a millisecond of it */
static const float MOST_EXCESS = DB(25), LEAST_MOVEMENT = DB(8);
static const float CLICK = DB(12), CLICK_MEDIAN = DB(4);
static const float THRESHOLD = 0.5F, THRESHOLD_SCALE = DB(9);

/* Logarithms of energies. */
struct frame {
    float band[BANDS], median, peak;
};

struct model {
    struct pn_vad_model base;
    struct pn_fbank *fbank;
};

struct stream {
    struct pn_vad base;
    struct pn_fbank_stream *fbank;
    struct pn_segmenter segmenter;
    float threshold; /* mean excess of the bands */
    int64_t rows, frames, judged, voted;
    float before;           /* last sample, for pre-emphasis */
    float energy[FRAME_MS]; /* of the last milliseconds, a ring */
    int64_t milliseconds;
    int in_millisecond;
    float sum;
    struct {
        float median, peak;
    } spread[RING];            /* of the frames of the rows, a ring */
    float row[SMOOTH][BANDS];  /* the last rows, a ring */
    struct frame frame[RING];  /* a ring */
    struct frame least[PARTS]; /* the background of each part, a ring */
    bool speech[RING];
};

static struct stream *stream_of(struct pn_vad *v)
{
    return PN_CONTAINER_OF(v, struct stream, base);
}

/* ---- measuring ---- */

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void close_millisecond(struct stream *s)
{
    float sorted[FRAME_MS];
    s->energy[s->milliseconds++ % FRAME_MS] = s->sum / MILLISECOND;
    s->sum = 0;
    s->in_millisecond = 0;
    int64_t first = s->milliseconds - FRAME_MS;
    if (first < 0 || first % HOP_MS != 0)
        return;
    memcpy(sorted, s->energy, sizeof(sorted));
    qsort(sorted, FRAME_MS, sizeof(*sorted), by_size);
    s->spread[first / HOP_MS % RING].median = fmaxf(logf(sorted[FRAME_MS / 2] + 1e-6F), LEAST_MEDIAN);
    s->spread[first / HOP_MS % RING].peak = logf(sorted[FRAME_MS - 1] + 1e-6F);
}

static void measure(struct stream *s, const float *pcm, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float x = pn_vad_sample(pcm[i]) * 32768, y = x - 0.97F * s->before;
        s->before = x;
        s->sum += y * y;
        if (++s->in_millisecond == MILLISECOND)
            close_millisecond(s);
    }
}

static void note_least(struct stream *s, const struct frame *f)
{
    struct frame *least = &s->least[s->frames / AROUND % PARTS];
    if (s->frames % AROUND == 0)
        *least = *f;
    for (int b = 0; b < BANDS; b++)
        least->band[b] = fminf(least->band[b], f->band[b]);
    least->median = fminf(least->median, f->median);
}

/* The mean of the rows in the ring, `n` of them, and the highest peak. */
static void add_frame(struct stream *s, int n)
{
    struct frame *f = &s->frame[s->frames % RING];
    for (int b = 0; b < BANDS; b++) {
        float sum = 0;
        for (int i = 0; i < n; i++)
            sum += s->row[i][b];
        f->band[b] = sum / (float)n;
    }
    f->median = s->spread[s->frames % RING].median;
    f->peak = f->median;
    for (int64_t row = s->rows - n; row < s->rows; row++)
        f->peak = fmaxf(f->peak, s->spread[row % RING].peak);
    note_least(s, f);
    s->frames++;
}

/* ---- judging ---- */

static void background(const struct stream *s, struct frame *ret)
{
    int64_t parts = PN_MIN((s->frames + AROUND - 1) / AROUND, (int64_t)PARTS);
    *ret = s->least[0];
    for (int i = 1; i < (int)parts; i++) {
        for (int b = 0; b < BANDS; b++)
            ret->band[b] = fminf(ret->band[b], s->least[i].band[b]);
        ret->median = fminf(ret->median, s->least[i].median);
    }
}

static float excess(const struct frame *f, const struct frame *floor)
{
    float sum = 0;
    for (int b = 0; b < BANDS; b++)
        sum += fminf(f->band[b] - floor->band[b], MOST_EXCESS);
    return sum / BANDS;
}

/* How far the bands move in frames [from, to], on average. */
static float movement(const struct stream *s, int64_t from, int64_t to)
{
    float low[BANDS], high[BANDS], sum = 0;
    memcpy(low, s->frame[from % RING].band, sizeof(low));
    memcpy(high, low, sizeof(high));
    for (int64_t t = from + 1; t <= to; t++)
        for (int b = 0; b < BANDS; b++) {
            low[b] = fminf(low[b], s->frame[t % RING].band[b]);
            high[b] = fmaxf(high[b], s->frame[t % RING].band[b]);
        }
    for (int b = 0; b < BANDS; b++)
        sum += high[b] - low[b];
    return sum / BANDS;
}

static bool is_click(const struct frame *f, const struct frame *floor)
{
    return f->peak - f->median > CLICK && f->median - floor->median < CLICK_MEDIAN;
}

static bool is_speech(const struct stream *s, int64_t t)
{
    struct frame floor;
    const struct frame *f = &s->frame[t % RING];
    background(s, &floor);
    if (excess(f, &floor) < s->threshold || is_click(f, &floor))
        return false;
    int64_t from = PN_MAX(t - AROUND, 0), to = PN_MIN(t + AROUND, s->frames - 1);
    return (t - from < FEW || movement(s, from, t) >= LEAST_MOVEMENT) &&
           (to - t < FEW || movement(s, t, to) >= LEAST_MOVEMENT);
}

/* The share of speech among the frames around `voted`, of those that were judged. */
static void vote(struct stream *s)
{
    int64_t from = PN_MAX(s->voted - VOTERS / 2, 0), to = PN_MIN(s->voted + VOTERS / 2, s->judged - 1);
    int speech = 0;
    for (int64_t t = from; t <= to; t++)
        speech += s->speech[t % RING];
    pn_segmenter_feed(&s->segmenter, (double)speech / (double)(to - from + 1),
                      s->segmenter.at + PN_FBANK_HOP);
    s->voted++;
}

/* Everything that can be said without the last `wait` frames. */
static void judge(struct stream *s, int wait)
{
    for (; s->judged < s->frames - wait; s->judged++)
        s->speech[s->judged % RING] = is_speech(s, s->judged);
    while (s->voted < s->judged - (wait ? VOTERS / 2 : 0))
        vote(s);
}

static void take_row(struct stream *s)
{
    float *row = s->row[s->rows++ % SMOOTH];
    pn_fbank_stream_take(s->fbank, 1, row);
    for (int b = 0; b < BANDS; b++)
        row[b] = fmaxf(row[b], LEAST_BAND);
    if (s->rows > SMOOTH / 2)
        add_frame(s, (int)PN_MIN(s->rows, (int64_t)SMOOTH));
    judge(s, AROUND);
}

/* ---- a detector ---- */

static int feed(struct pn_vad *v, const float *pcm, size_t n)
{
    struct stream *s = stream_of(v);
    for (size_t done = 0, some; done < n; done += some) {
        some = PN_MIN((size_t)PN_FBANK_HOP, n - done);
        int r = pn_fbank_stream_feed(s->fbank, pcm + done, some);
        if (r < 0)
            return r;
        measure(s, pcm + done, some);
        while (pn_fbank_stream_ready(s->fbank) > 0)
            take_row(s);
    }
    return 0;
}

static int end(struct pn_vad *v)
{
    struct stream *s = stream_of(v);
    while (s->frames < s->rows)
        add_frame(s, (int)PN_MIN(s->rows, (int64_t)SMOOTH));
    judge(s, 0);
    pn_segmenter_end(&s->segmenter, v->fed);
    return 0;
}

static void reset(struct pn_vad *v)
{
    struct stream *s = stream_of(v),
                  fresh = { .base = s->base, .fbank = s->fbank, .threshold = s->threshold };
    struct pn_segmenter_options opt = s->segmenter.opt;
    pn_fbank_stream_reset(s->fbank);
    *s = fresh;
    pn_segmenter_init(&s->segmenter, &opt, &v->events);
}

static int64_t settled(const struct pn_vad *v)
{
    return pn_segmenter_settled(&PN_CONTAINER_OF(v, const struct stream, base)->segmenter);
}

static void free_stream(struct pn_vad *v)
{
    struct stream *s = stream_of(v);
    pn_fbank_stream_free(s->fbank);
    free(s);
}

static const struct pn_vad_ops OPS = { feed, end, reset, settled, free_stream };

static struct pn_segmenter_options rules(const struct pn_vad_options *opt)
{
    return (struct pn_segmenter_options){
        .frame = PN_FBANK_HOP,
        .threshold = 0.5,
        .silence = 0.35,
        .min_speech = pn_vad_samples(opt->min_speech_ms, MIN_SPEECH_MS),
        .min_silence = pn_vad_samples(opt->end_silence_ms, END_SILENCE_MS),
        .pad = pn_vad_samples(opt->pad_ms, PAD_MS),
        .max_speech =
            pn_segmenter_longest(opt->max_speech_ms, pn_vad_samples(opt->pad_ms, PAD_MS), PN_FBANK_HOP),
    };
}

static int new_stream(const struct pn_vad_model *m, const struct pn_vad_options *opt, struct pn_vad **ret)
{
    struct stream *s = calloc(1, sizeof(*s));
    if (!s || pn_fbank_stream_new(PN_CONTAINER_OF(m, const struct model, base)->fbank, &s->fbank) < 0) {
        free(s);
        return -PN_ENOMEM;
    }
    struct pn_segmenter_options r = rules(opt);
    s->base.ops = &OPS;
    s->threshold = (opt->threshold > 0 ? opt->threshold : THRESHOLD) * THRESHOLD_SCALE;
    pn_segmenter_init(&s->segmenter, &r, &s->base.events);
    *ret = &s->base;
    return 0;
}

static void close_model(struct pn_vad_model *m)
{
    struct model *own = PN_CONTAINER_OF(m, struct model, base);
    pn_fbank_free(own->fbank);
    free(own);
}

int pn_vad_energy_open(struct pn_vad_model **ret, struct pn_err *err)
{
    static const struct pn_fbank_options FBANK = { .n_mels = BANDS, .lfr_m = 1, .lfr_n = 1 };
    struct model *m = calloc(1, sizeof(*m));
    if (!m || pn_fbank_new(&FBANK, &m->fbank) < 0) {
        free(m);
        return pn_fail(err, PN_ENOMEM, "out of memory");
    }
    m->base = (struct pn_vad_model){ PN_VAD_ENERGY, new_stream, close_model };
    *ret = &m->base;
    return 0;
}
