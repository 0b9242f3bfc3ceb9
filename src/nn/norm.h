/* norm.h - the learned part of a layer norm. */
#ifndef PN_NN_NORM_H
#define PN_NN_NORM_H

struct pn_norm {
    const float *gamma, *beta;
};

#endif
