/* kern_levels.h - who fills in which entries of the table. Each of these overwrites the entries that its
 * files are better at; kern.c calls them from the lowest level to the highest. */
#ifndef PN_NN_KERN_LEVELS_H
#define PN_NN_KERN_LEVELS_H

#include "nn/kern.h"

/* Portable C: the definitions, every entry. */
void pn_kern_linear_c(struct pn_kern *k);
void pn_kern_vec_c(struct pn_kern *k);
void pn_kern_attention_c(struct pn_kern *k);

/* x86-64 */
void pn_kern_linear_avx2(struct pn_kern *k); /* gemm_u8s8, quantize_row */
void pn_kern_linear_f32_avx2(struct pn_kern *k);
void pn_kern_vec_avx2(struct pn_kern *k);
void pn_kern_attention_avx2(struct pn_kern *k);
void pn_kern_small_avx2(struct pn_kern *k);    /* small_attention */
void pn_kern_sequence_avx2(struct pn_kern *k); /* memory, lstm_cell, halves */
void pn_kern_linear_avx512(struct pn_kern *k); /* gemm_f32, quantize_row */
void pn_kern_vec_avx512(struct pn_kern *k);
void pn_kern_attention_avx512(struct pn_kern *k);
void pn_kern_small_avx512(struct pn_kern *k);
void pn_kern_sequence_avx512(struct pn_kern *k);
void pn_kern_linear_vnni(struct pn_kern *k); /* gemm_u8s8 */
void pn_kern_attention_vnni(struct pn_kern *k);

/* aarch64 */
void pn_kern_linear_neon(struct pn_kern *k);
void pn_kern_vec_neon(struct pn_kern *k);
void pn_kern_attention_neon(struct pn_kern *k);
void pn_kern_small_neon(struct pn_kern *k);
void pn_kern_sequence_neon(struct pn_kern *k);
void pn_kern_linear_dotprod(struct pn_kern *k);

#endif
