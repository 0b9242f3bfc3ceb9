/* random_folder.h - what lies beside the weights in a ModelScope folder: config.yaml, configuration.json,
 * tokens.json, am.mvn, seg_dict. */
#ifndef PN_BENCH_RANDOM_FOLDER_H
#define PN_BENCH_RANDOM_FOLDER_H

#include "random_paraformer.h"

enum { PN_RANDOM_INPUT = 560, PN_RANDOM_VAD_INPUT = 400 }; /* values of a feature row */

/* Those of them that the kind has; the folder is there. */
PN_MUST_CHECK int pn_random_folder_texts(const char *folder, const struct pn_random_sizes *sizes,
                                         uint64_t seed, struct pn_err *err);

#endif
