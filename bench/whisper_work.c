/* whisper_work.c - operation counts by the sizes of the model; one multiply-add is two operations. */
#include "whisper_work.h"

#include "nn/attention.h"

#include <math.h>

static double linear_gops(const struct pn_whisper *w, const struct bench_machine *p)
{
    return w->precision == PN_INT8 ? p->int8_gops : p->f32_gflops;
}

/* int8 attention multiplies 16-bit numbers, which instructions hold half as many of. */
static double attention_gops(const struct pn_whisper *w, const struct bench_machine *p)
{
    return w->precision == PN_INT8 ? fmax(p->int8_gops / 2, p->f32_gflops) : p->f32_gflops;
}

double pn_encoder_limit_ms(const struct pn_whisper *w, const struct bench_machine *p, int threads)
{
    const struct pn_whisper_dims *d = &w->dims;
    double t = d->n_audio_ctx, s = d->n_audio_state;
    double linear = 2 * t * s * s * (12.0 * d->n_audio_layer + 2.0 * d->n_text_layer);
    double conv = 2 * (2 * t * s * 3 * d->n_mels + t * s * 3 * s);
    double attention = 2 * 2 * t * t * s * d->n_audio_layer;
    return (linear / linear_gops(w, p) + conv / p->f32_gflops + attention / attention_gops(w, p)) / 1e6 /
           threads;
}

double pn_decoder_limit_ms(const struct pn_whisper *w, const struct bench_machine *p, int batch, int threads)
{
    const struct pn_whisper_dims *d = &w->dims;
    double s = d->n_text_state, width = w->precision == PN_INT8 ? 1 : 4;
    double weights = s * (12 * s * d->n_text_layer + 2 * s * d->n_text_layer + d->n_vocab);
    double cross = (double)d->n_text_layer * d->n_text_head *
                   (double)pn_cross_packed_size(w->precision, d->n_audio_ctx, PN_WHISPER_HEAD);
    double read = (weights * width / batch + cross) / p->read_gbps;
    double compute =
        2 * weights / linear_gops(w, p) + 4.0 * d->n_audio_ctx * s * d->n_text_layer / attention_gops(w, p);
    return (read > compute ? read : compute) / 1e6 / threads;
}
