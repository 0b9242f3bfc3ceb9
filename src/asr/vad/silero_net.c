/* silero_net.c - see silero_net.h. Every product is a layer of nn/linear.h: the short-time spectra are one
 * over overlapping rows of samples, a convolution is one over overlapping rows of [frame][channel], and the
 * LSTM's two are one over input and state side by side. */
#include "asr/vad/silero_net.h"

#include "asr/vad/layer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    FRAMES = 4, /* short-time spectra of a window */
    HOP = PN_SILERO_STFT / 2,
    INPUT = PN_SILERO_CONTEXT + PN_SILERO_WINDOW + PN_SILERO_CONTEXT,
};

enum layer { STFT, CONV0, CONV1, CONV2, CONV3, LSTM, N_LAYERS };

/* Outputs and inputs of each; the last convolution sees one frame between two of padding: its middle tap. */
static const struct {
    int n, k;
} SIZE[N_LAYERS] = {
    { 2 * PN_SILERO_BINS, PN_SILERO_STFT },    { 128, 3 * 129 }, { 64, 3 * 128 }, { 64, 3 * 64 }, { 128, 64 },
    { PN_SILERO_GATES, 2 * PN_SILERO_HIDDEN },
};

struct pn_silero_net {
    struct pn_vad_layer layer[N_LAYERS];
    float head[PN_SILERO_HIDDEN], head_bias;
};

/* w[out][in][tap] as [out][tap][in], the taps from `first` on. */
static void turn_taps(const float *w, int n, int in, int first, int taps, float *out)
{
    for (int o = 0; o < n; o++)
        for (int j = 0; j < taps; j++)
            for (int c = 0; c < in; c++)
                *out++ = w[(o * in + c) * PN_SILERO_TAPS + first + j];
}

/* Input weights and recurrent weights of each gate side by side; one bias, their sum. */
static void join_lstm(const struct pn_silero_weights *w, float *out, float bias[PN_SILERO_GATES])
{
    for (int g = 0; g < PN_SILERO_GATES; g++, out += 2 * PN_SILERO_HIDDEN) {
        memcpy(out, w->in[g], sizeof(w->in[g]));
        memcpy(out + PN_SILERO_HIDDEN, w->recurrent[g], sizeof(w->recurrent[g]));
        bias[g] = w->in_bias[g] + w->recurrent_bias[g];
    }
}

static int pack(struct pn_silero_net *net, enum layer l, const float *w, const float *bias)
{
    return pn_vad_layer_init(&net->layer[l], SIZE[l].n, SIZE[l].k, w, bias);
}

static int pack_conv(struct pn_silero_net *net, enum layer l, const float *w, int in, const float *bias,
                     float *turned)
{
    int taps = SIZE[l].k / in;
    turn_taps(w, SIZE[l].n, in, taps == PN_SILERO_TAPS ? 0 : 1, taps, turned);
    return pack(net, l, turned, bias);
}

static int pack_all(struct pn_silero_net *net, const struct pn_silero_weights *w)
{
    float *turned = malloc(sizeof(w->in) + sizeof(w->recurrent)), bias[PN_SILERO_GATES]; /* the largest */
    if (!turned)
        return -PN_ENOMEM;
    int r = pack(net, STFT, w->basis[0], NULL);
    if (r == 0)
        r = pack_conv(net, CONV0, w->conv0[0][0], 129, w->conv0_bias, turned);
    if (r == 0)
        r = pack_conv(net, CONV1, w->conv1[0][0], 128, w->conv1_bias, turned);
    if (r == 0)
        r = pack_conv(net, CONV2, w->conv2[0][0], 64, w->conv2_bias, turned);
    if (r == 0)
        r = pack_conv(net, CONV3, w->conv3[0][0], 64, w->conv3_bias, turned);
    if (r == 0) {
        join_lstm(w, turned, bias);
        r = pack(net, LSTM, turned, bias);
    }
    free(turned);
    return r;
}

int pn_silero_net_new(const struct pn_silero_weights *w, struct pn_silero_net **ret)
{
    struct pn_silero_net *net = calloc(1, sizeof(*net));
    if (!net || pack_all(net, w) < 0) {
        pn_silero_net_free(net);
        return -PN_ENOMEM;
    }
    memcpy(net->head, w->head, sizeof(net->head));
    net->head_bias = w->head_bias[0];
    *ret = net;
    return 0;
}

struct pn_silero_net *pn_silero_net_free(struct pn_silero_net *n)
{
    for (int l = 0; n && l < N_LAYERS; l++)
        pn_vad_layer_done(&n->layer[l]);
    free(n);
    return NULL;
}

static void lay_out(struct pn_silero_state *s, const float *window, bool mirror, float x[INPUT])
{
    float *middle = x + PN_SILERO_CONTEXT, *right = middle + PN_SILERO_WINDOW;
    memcpy(x, s->context, sizeof(s->context));
    memcpy(middle, window, PN_SILERO_WINDOW * sizeof(*x));
    for (int i = 0; i < PN_SILERO_CONTEXT; i++) {
        right[i] = window[PN_SILERO_WINDOW - 2 - i];
        if (mirror)
            middle[-1 - i] = window[1 + i];
    }
    memcpy(s->context, right - PN_SILERO_CONTEXT, sizeof(s->context));
}

/* magnitude[frame][bin] */
static void spectra(const struct pn_silero_net *net, const float x[INPUT], float *magnitude)
{
    float parts[FRAMES][2 * PN_SILERO_BINS];
    pn_vad_layer_run(&net->layer[STFT], FRAMES, x, HOP, parts[0], PN_STORE);
    for (int t = 0; t < FRAMES; t++)
        for (int k = 0; k < PN_SILERO_BINS; k++) {
            float re = parts[t][k], im = parts[t][PN_SILERO_BINS + k];
            *magnitude++ = sqrtf(re * re + im * im);
        }
}

static void lstm(const struct pn_silero_net *net, struct pn_silero_state *s, const float *in, float *gates)
{
    enum { H = PN_SILERO_HIDDEN };
    float both[2 * H];
    memcpy(both, in, H * sizeof(*both));
    memcpy(both + H, s->h, sizeof(s->h));
    pn_vad_layer_run(&net->layer[LSTM], 1, both, 2 * H, gates, PN_STORE);
    pn_kern()->lstm_cell(H, gates, s->c, s->h);
}

static float head(const struct pn_silero_net *net, const float h[PN_SILERO_HIDDEN])
{
    float sum = net->head_bias;
    for (int i = 0; i < PN_SILERO_HIDDEN; i++)
        sum += net->head[i] * (h[i] > 0 ? h[i] : 0);
    return 1 / (1 + expf(-sum));
}

float pn_silero_step(const struct pn_silero_net *n, struct pn_silero_state *s,
                     const float window[PN_SILERO_WINDOW], bool mirror, struct pn_silero_trace *trace)
{
    /* Each with the frames of zeros that the next convolution sees around it. */
    float x[INPUT], magnitude[FRAMES + 2][129] = { 0 }, a[FRAMES + 1][128] = { 0 }, b[3][64] = { 0 }, c[64],
                                       d[128], gates[PN_SILERO_GATES];
    lay_out(s, window, mirror, x);
    spectra(n, x, magnitude[1]);
    pn_vad_layer_run(&n->layer[CONV0], 4, magnitude[0], 129, a[1], PN_RELU);
    pn_vad_layer_run(&n->layer[CONV1], 2, a[0], 2 * 128, b[1], PN_RELU);
    pn_vad_layer_run(&n->layer[CONV2], 1, b[0], 64, c, PN_RELU);
    pn_vad_layer_run(&n->layer[CONV3], 1, c, 64, d, PN_RELU);
    lstm(n, s, d, gates);
    if (trace) {
        memcpy(trace->x, x, sizeof(trace->x));
        memcpy(trace->magnitude, magnitude[1], sizeof(trace->magnitude));
        memcpy(trace->conv0, a[1], sizeof(trace->conv0));
        memcpy(trace->conv1, b[1], sizeof(trace->conv1));
        memcpy(trace->conv2, c, sizeof(trace->conv2));
        memcpy(trace->conv3, d, sizeof(trace->conv3));
        memcpy(trace->gates, gates, sizeof(trace->gates));
    }
    return head(n, s->h);
}
