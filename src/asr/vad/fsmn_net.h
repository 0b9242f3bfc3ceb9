/* fsmn_net.h - FSMN-VAD's network (spec paraformer 5.1): the probability of silence of each frame, from rows
 * of stacked filter bank values. The network is immutable and shared; a memory belongs to one stream. */
#ifndef PN_ASR_VAD_FSMN_NET_H
#define PN_ASR_VAD_FSMN_NET_H

#include "model/funasr.h"

enum { PN_FSMN_BATCH = 6 /* rows at a time: 60 ms */ };

struct pn_fsmn_net;
struct pn_fsmn_memory; /* what each layer remembers of the rows before, and room to compute in */

/* Sizes and weights from the folder; `width` is that of a row. -PN_EFORMAT, -PN_EUNSUPPORTED, -PN_ENOMEM. */
PN_MUST_CHECK int pn_fsmn_net_new(const struct pn_funasr *m, int width, struct pn_fsmn_net **ret,
                                  struct pn_err *err);
struct pn_fsmn_net *pn_fsmn_net_free(struct pn_fsmn_net *n);
PN_MUST_CHECK int pn_fsmn_memory_new(const struct pn_fsmn_net *n,
                                     struct pn_fsmn_memory **ret); /* -PN_ENOMEM */
struct pn_fsmn_memory *pn_fsmn_memory_free(struct pn_fsmn_memory *m);
/* The next m rows (1..PN_FSMN_BATCH) x[m][width]; p_silence[m]. A row's result depends on the rows before it
 * alone, not on how many come at once. */
void pn_fsmn_run(const struct pn_fsmn_net *n, struct pn_fsmn_memory *memory, int m, const float *x,
                 float *p_silence);

#endif
