/* ffmpeg_resample.c - see ffmpeg_resample.h. One thread of pinna-decode.
 *
 * Mixing to mono weighs channels as the usual matrix does, scaled so that it cannot clip; that is what
 * FFmpeg does for 16-bit output, which the models were trained on. Blocks are filled up to PN_WIRE_PCM_MAX
 * before they go out. */
#include "audio/ffmpeg_resample.h"
#include "audio/decode_wire.h"

#include <libavutil/channel_layout.h>
#include <libavutil/frame.h>
#include <libavutil/opt.h>
#include <libswresample/swresample.h>
#include <stdlib.h>

/* Rates beyond these are noise in a header. 64 channels is the library's own limit. */
enum { MIN_RATE = 1000, MAX_RATE = 768000, MAX_CHANNELS = 64 };

struct pn_resampler {
    const struct pn_decode_sink *sink;
    struct SwrContext *swr; /* for the source format below; NULL before the first frame */
    AVChannelLayout layout;
    int rate, format;
    int64_t max_samples, samples; /* given out */
    size_t fill;                  /* samples in block */
    float block[PN_WIRE_PCM_MAX];
};

int pn_resampler_new(const struct pn_decode_sink *sink, int64_t max_samples, struct pn_resampler **ret)
{
    struct pn_resampler *r = calloc(1, sizeof(*r));
    if (!r)
        return -PN_ENOMEM;
    r->sink = sink;
    r->max_samples = max_samples;
    *ret = r;
    return 0;
}

struct pn_resampler *pn_resampler_free(struct pn_resampler *r)
{
    if (r) {
        swr_free(&r->swr);
        av_channel_layout_uninit(&r->layout);
        free(r);
    }
    return NULL;
}

int64_t pn_resampler_samples(const struct pn_resampler *r)
{
    return r->samples;
}

/* NaN becomes silence; nothing leaves [-1,1]. */
static void tame(float *pcm, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float x = pcm[i];
        pcm[i] = x >= 1.0f ? 1.0f : x >= -1.0f ? x : x < -1.0f ? -1.0f : 0.0f;
    }
}

static int put_block(struct pn_resampler *r, struct pn_err *err)
{
    if (r->samples + (int64_t)r->fill > r->max_samples)
        return pn_fail(err, PN_ELIMIT, "more than %.0f seconds of audio",
                       (double)r->max_samples / PN_SAMPLE_RATE);
    tame(r->block, r->fill);
    int rc = r->sink->pcm(r->sink->ctx, r->block, r->fill);
    r->samples += (int64_t)r->fill;
    r->fill = 0;
    return rc;
}

/* Feeds `n` samples a channel and takes all that is ready. data NULL: the tail of the filter. */
static int convert(struct pn_resampler *r, const uint8_t **data, int n, struct pn_err *err)
{
    for (;;) {
        uint8_t *out = (uint8_t *)(r->block + r->fill);
        int got = swr_convert(r->swr, &out, (int)(PN_WIRE_PCM_MAX - r->fill), data, n);
        if (got < 0)
            return pn_fail(err, got == AVERROR(ENOMEM) ? PN_ELIMIT : PN_EFORMAT,
                           "the audio cannot be resampled");
        n = 0; /* taken; what did not fit comes with the next calls */
        r->fill += (size_t)got;
        if (r->fill < PN_WIRE_PCM_MAX)
            return 0;
        int rc = put_block(r, err);
        if (rc < 0)
            return rc;
    }
}

/* Every channel with the same weight, where the file does not say what the channels are. */
static int mix_evenly(struct SwrContext *swr, int channels)
{
    double weights[MAX_CHANNELS];
    for (int i = 0; i < channels; i++)
        weights[i] = 1.0 / channels;
    return swr_set_matrix(swr, weights, channels);
}

static int configure(struct SwrContext *swr, const AVChannelLayout *layout, int rate, int format)
{
    AVChannelLayout in = { 0 }, mono = AV_CHANNEL_LAYOUT_MONO;
    if (layout->order == AV_CHANNEL_ORDER_UNSPEC)
        av_channel_layout_default(&in, layout->nb_channels);
    int av = in.nb_channels > 0 ? 0 : av_channel_layout_copy(&in, layout);
    if (av >= 0)
        av = av_opt_set_chlayout(swr, "in_chlayout", &in, 0);
    if (av >= 0)
        av = av_opt_set_chlayout(swr, "out_chlayout", &mono, 0);
    av_channel_layout_uninit(&in);
    if (av < 0 || (av = av_opt_set_int(swr, "in_sample_rate", rate, 0)) < 0 ||
        (av = av_opt_set_int(swr, "out_sample_rate", PN_SAMPLE_RATE, 0)) < 0 ||
        (av = av_opt_set_sample_fmt(swr, "in_sample_fmt", (enum AVSampleFormat)format, 0)) < 0 ||
        (av = av_opt_set_sample_fmt(swr, "out_sample_fmt", AV_SAMPLE_FMT_FLT, 0)) < 0 ||
        (av = av_opt_set_double(swr, "rematrix_maxval", 1.0, 0)) < 0)
        return av;
    av = swr_init(swr);
    if (av >= 0)
        return 0;
    av = mix_evenly(swr, layout->nb_channels);
    return av < 0 ? av : swr_init(swr);
}

/* Ends the old source format, if there was one, and starts that of `frame`. */
static int restart(struct pn_resampler *r, const AVFrame *frame, struct pn_err *err)
{
    int rc = r->swr ? convert(r, NULL, 0, err) : 0;
    if (rc < 0)
        return rc;
    swr_free(&r->swr);
    r->swr = swr_alloc();
    r->rate = frame->sample_rate;
    r->format = frame->format;
    int av = r->swr ? av_channel_layout_copy(&r->layout, &frame->ch_layout) : AVERROR(ENOMEM);
    if (av >= 0)
        av = configure(r->swr, &r->layout, r->rate, r->format);
    if (av >= 0)
        return 0;
    return pn_fail(err, av == AVERROR(ENOMEM) ? PN_ELIMIT : PN_EFORMAT,
                   "audio of %d Hz with %d channels cannot be resampled", frame->sample_rate,
                   frame->ch_layout.nb_channels);
}

static bool same_source(const struct pn_resampler *r, const AVFrame *frame)
{
    return r->swr && r->rate == frame->sample_rate && r->format == frame->format &&
           av_channel_layout_compare(&r->layout, &frame->ch_layout) == 0;
}

int pn_resampler_frame(struct pn_resampler *r, const struct AVFrame *frame, struct pn_err *err)
{
    int channels = frame->ch_layout.nb_channels;
    if (frame->nb_samples <= 0)
        return 0;
    if (frame->sample_rate < MIN_RATE || frame->sample_rate > MAX_RATE)
        return pn_fail(err, PN_EFORMAT, "audio of %d Hz; %d to %d are read", frame->sample_rate, MIN_RATE,
                       MAX_RATE);
    if (channels < 1 || channels > MAX_CHANNELS)
        return pn_fail(err, PN_ELIMIT, "audio with %d channels; %d are allowed", channels, MAX_CHANNELS);
    int rc = same_source(r, frame) ? 0 : restart(r, frame, err);
    return rc < 0 ? rc : convert(r, (const uint8_t **)frame->extended_data, frame->nb_samples, err);
}

int pn_resampler_flush(struct pn_resampler *r, struct pn_err *err)
{
    int rc = r->swr ? convert(r, NULL, 0, err) : 0;
    return rc < 0 || r->fill == 0 ? rc : put_block(r, err);
}
