/* batch.h - which streams the next step is for. A pure function, apart from the scheduler's threads. */
#ifndef PN_ASR_BATCH_H
#define PN_ASR_BATCH_H

#include "asr/recognizer.h"

struct pn_candidate {
    const struct pn_recognizer *recognizer;
    struct pn_work work;
    bool live;
    int rank; /* of files: the lower go first */
};

/* A file's rank by how much is left of it: files that differ little are equal, so that they go in the order
 * of their deadlines and the first is not held up by those that came later. */
int pn_batch_rank(double seconds_left);
/* Chooses among `n` candidates; those with phase 0 are never chosen. The first is the most urgent of all:
 * live before files, what is optional behind what is not, lower ranks, then the oldest deadline, then the
 * order given. The others share its recogniser and phase and follow in the same order, until `max_streams`
 * are taken or the next one would go over `row_budget` (the first always fits). Writes indices into `chosen`
 * (room for max_streams), most urgent first; returns how many, 0 when nobody has work. */
size_t pn_batch_choose(const struct pn_candidate *c, size_t n, size_t max_streams, int row_budget,
                       size_t *chosen);

#endif
