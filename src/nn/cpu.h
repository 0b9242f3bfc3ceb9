/* cpu.h - which instructions the kernels may use. */
#ifndef PN_NN_CPU_H
#define PN_NN_CPU_H

#include "base/attr.h"
#include "base/error.h"
#include "base/str.h"

enum {
    PN_CPU_AVX2 = 1 << 0,    /* with FMA and F16C */
    PN_CPU_AVX512 = 1 << 1,  /* F, BW, DQ, VL */
    PN_CPU_VNNI = 1 << 2,    /* AVX-512 VNNI */
    PN_CPU_FP16 = 1 << 3,    /* AVX-512 FP16 */
    PN_CPU_NEON = 1 << 4,    /* aarch64's base */
    PN_CPU_DOTPROD = 1 << 5, /* SDOT */
};

/* What CPU and operating system (XCR0) offer; a level never without those below it. */
unsigned pn_cpu_detect(void);
/* A level by name, with all below it: "c" (nothing), "avx2", "avx512", "vnni", "fp16", "neon", "dotprod";
 * "" or "auto" gives all bits. -PN_EINVAL with the known names in the text. */
PN_MUST_CHECK int pn_cpu_parse(struct pn_str name, unsigned *ret, struct pn_err *err);
const char *pn_cpu_name(unsigned cpu); /* the highest level in it: "vnni"; "c" for 0 */

#endif
