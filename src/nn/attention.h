/* attention.h - softmax(q k^T / sqrt(d)) v for one head, in the four shapes that speech models have.
 *
 * attention: many queries over one window (encoder); compute bound, so packed as narrow as the CPU multiplies
 * well. cross: few queries (one to a handful of beams) over a window that was packed once and is read at
 * every token; memory bound, so packed small (int8: s8 with a scale per position and head). self: one query
 * over the f32 cache of its own sequence. small: few queries over rows that change from call to call, as when
 * a stream attends to what it remembers and what is new; nothing is packed. All run on the calling thread;
 * softmax is f32.
 *
 * Head widths d are 1..128, for `cross` multiples of 16. Packed rows are padded to 16 numbers, so other
 * widths cost what the next multiple does, and a copy. */
#ifndef PN_NN_ATTENTION_H
#define PN_NN_ATTENTION_H

#include "nn/kern.h"
#include "nn/precision.h"

/* n: positions, at most 2^16. Sizes are multiples of 64. */
size_t pn_attention_packed_size(enum pn_precision p, int n, int d);
size_t pn_attention_scratch(enum pn_precision p, int m, int n, int d);
/* k[n][ldk], v[n][ldv] -> packed (private layout, 64-byte aligned; valid for this process's pn_kern() only).
 */
void pn_attention_pack(enum pn_precision p, int n, int d, const float *k, size_t ldk, const float *v,
                       size_t ldv, void *packed);
void pn_attention(enum pn_precision p, const struct pn_attend *a);

size_t pn_cross_packed_size(enum pn_precision p, int n, int d);
size_t pn_cross_scratch(enum pn_precision p, int m, int n, int d);
void pn_cross_pack(enum pn_precision p, int n, int d, const float *k, size_t ldk, const float *v, size_t ldv,
                   void *packed);
void pn_cross_attention(enum pn_precision p, const struct pn_attend *a);

/* a->m is 1, a->packed is unused; k[n][ldkv], v[n][ldkv]; scratch: n floats when d is a multiple of 16,
 * else pn_small_attention_scratch(n) bytes. */
void pn_self_attention(const struct pn_attend *a, const float *k, const float *v, size_t ldkv);

/* n: positions of both spans together; for any number of queries. */
size_t pn_small_attention_scratch(int n);
void pn_small_attention(const struct pn_small_attend *a);

#endif
