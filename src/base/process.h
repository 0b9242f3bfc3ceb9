/* process.h - what this process and machine use: memory and CPU, read from /proc. */
#ifndef PN_BASE_PROCESS_H
#define PN_BASE_PROCESS_H

#include <stdint.h>

struct pn_process_sample {
    int64_t at_us;         /* when it was taken */
    int64_t rss_bytes;     /* of this process */
    int64_t cpu_us;        /* user + system, of this process */
    double cpu_percent;    /* of the whole machine since the sample before, 0..100 */
    double memory_percent; /* of the machine's memory, in use, 0..100 */
    int open_fds;
    double machine_busy, machine_total; /* jiffies, for the next cpu_percent */
};

/* Takes a sample into *s, which holds the previous one (all zero at first). What cannot be read stays 0. */
void pn_process_sample(struct pn_process_sample *s);

#endif
