/* layer.c - see layer.h. */
#include "asr/vad/layer.h"

#include <stdlib.h>

int pn_vad_layer_init(struct pn_vad_layer *l, int n, int k, const float *w, const float *bias)
{
    void *block = aligned_alloc(64, pn_linear_packed_size(PN_F32, n, k));
    if (!block)
        return -PN_ENOMEM;
    pn_linear_pack(PN_F32, n, k, w, bias, block);
    *l = (struct pn_vad_layer){ pn_linear_view(PN_F32, n, k, block), block };
    return 0;
}

void pn_vad_layer_done(struct pn_vad_layer *l)
{
    free(l->block);
    *l = (struct pn_vad_layer){ 0 };
}

void pn_vad_layer_run(const struct pn_vad_layer *l, int m, const float *x, size_t ldx, float *y,
                      enum pn_epilogue e)
{
    _Alignas(64) char scratch[64]; /* f32 products need no more */
    pn_linear(&l->linear, m, x, ldx, y, (size_t)l->linear.n, e, scratch);
}
