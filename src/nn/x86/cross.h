/* cross.h - the int8 cross attentions, files of their own beside attention_*.c, which register them. */
#ifndef PN_NN_X86_CROSS_H
#define PN_NN_X86_CROSS_H

#include "nn/kern.h"

void pn_kern_cross_avx2(struct pn_kern *k);
void pn_kern_cross_vnni(struct pn_kern *k);

#endif
