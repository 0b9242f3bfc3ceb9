/* paraformer_capture.c - see paraformer_capture.h. */
#include "paraformer_capture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct capture capture;

int __real_pn_pf_predict(struct pn_pf_engine *e, struct pn_pf_item *const *item, int n);
int __real_pn_pf_decode(struct pn_pf_engine *e, struct pn_pf_item *const *item, int n, int *block,
                        int64_t budget_us);
int __real_pn_pf_output(struct pn_pf_engine *e, struct pn_pf_item *const *item, int n);
int __wrap_pn_pf_predict(struct pn_pf_engine *e, struct pn_pf_item *const *item, int n);
int __wrap_pn_pf_decode(struct pn_pf_engine *e, struct pn_pf_item *const *item, int n, int *block,
                        int64_t budget_us);
int __wrap_pn_pf_output(struct pn_pf_engine *e, struct pn_pf_item *const *item, int n);

static void append(struct capture_rows *r, const float *x, size_t rows, size_t width, size_t ld)
{
    float *more = reallocarray(r->at, (r->rows + rows) * width + 1, sizeof(*more));
    if (!more)
        abort();
    r->at = more;
    r->width = width;
    for (size_t i = 0; i < rows; i++)
        memcpy(r->at + (r->rows + i) * width, x + i * ld, width * sizeof(*x));
    r->rows += rows;
}

void capture_clear(void)
{
    free(capture.encoder.at);
    free(capture.alpha.at);
    free(capture.embeds.at);
    free(capture.logprob.at);
    capture = (struct capture){ 0 };
}

int __wrap_pn_pf_predict(struct pn_pf_engine *e, struct pn_pf_item *const *item, int n)
{
    const struct pn_sanm *m = &pn_pf_engine_model(e)->encoder;
    size_t rows = (size_t)item[0]->rows;
    append(&capture.encoder, item[0]->x, rows, (size_t)m->size, (size_t)pn_sanm_ld(m));
    int r = __real_pn_pf_predict(e, item, n);
    append(&capture.alpha, item[0]->alpha, rows, 1, 1);
    if (capture.n_chunks < PN_ARRAY_LEN(capture.chunk))
        capture.chunk[capture.n_chunks++].rows = (int)rows;
    return r;
}

int __wrap_pn_pf_decode(struct pn_pf_engine *e, struct pn_pf_item *const *item, int n, int *block,
                        int64_t budget_us)
{
    size_t size = (size_t)pn_pf_engine_model(e)->encoder.size;
    if (*block == 0)
        append(&capture.embeds, item[0]->y, (size_t)item[0]->tokens, size, size);
    return __real_pn_pf_decode(e, item, n, block, budget_us);
}

static void log_softmax(float *x, size_t n)
{
    double max = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        max = fmax(max, (double)x[i]);
    for (size_t i = 0; i < n; i++)
        sum += exp((double)x[i] - max);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)((double)x[i] - max - log(sum));
}

int __wrap_pn_pf_output(struct pn_pf_engine *e, struct pn_pf_item *const *item, int n)
{
    size_t n_vocab = (size_t)pn_pf_engine_model(e)->dims.n_vocab, tokens = (size_t)item[0]->tokens;
    float *logits = calloc(tokens * n_vocab + 1, sizeof(*logits));
    if (!logits)
        abort();
    item[0]->logits = logits;
    int r = __real_pn_pf_output(e, item, n);
    item[0]->logits = NULL;
    for (size_t i = 0; i < tokens; i++)
        log_softmax(logits + i * n_vocab, n_vocab);
    append(&capture.logprob, logits, tokens, n_vocab, n_vocab);
    free(logits);
    if (capture.n_chunks > 0)
        capture.chunk[capture.n_chunks - 1].tokens = (int)tokens;
    for (size_t i = 0; i < tokens && capture.n_ids < PN_ARRAY_LEN(capture.ids); i++)
        capture.ids[capture.n_ids++] = item[0]->ids[i];
    return r;
}
