/* stream.h - what the offline and the streaming recogniser share: the recogniser itself, the owner's side of
 * a stream, and how results are told. Private to them. */
#ifndef PN_ASR_PARAFORMER_STREAM_H
#define PN_ASR_PARAFORMER_STREAM_H

#include "asr/paraformer/engine.h"
#include "asr/paraformer/heard.h"
#include "asr/pcm_inbox.h"

#include <pthread.h>

enum { PN_PF_SLICE_US = 20000 }; /* of computing in a step */

struct pn_pf_recognizer {
    struct pn_recognizer base;
    struct pn_paraformer *model;
    struct pn_pool *pool; /* borrowed */
    struct pn_pf_engine *engine;
    int max_rows;              /* of a batch: what one layer does in about 20 ms */
    struct pn_pf_item **items; /* the scheduler's thread: of the step that runs */
    struct pn_stream **some;   /* the same */
    size_t cap;                /* of both */
};

/* Embedded first in a stream of either kind. */
struct pn_pf_stream {
    struct pn_stream base;
    struct pn_pf_recognizer *recognizer;
    struct pn_pcm_inbox inbox;
    char language[16], task[16];
    bool word_times;

    /* The scheduler's thread alone: what is computed, which block is next, since when it could go on. */
    struct pn_pf_item item;
    int block;
    int64_t ready_us;

    pthread_mutex_t mu;
    struct pn_heard heard; /* guarded by mu, as all that follow */
    double position;       /* seconds recognised */
    double duration;       /* seconds heard */
    bool done;
    int error; /* -PN_E*, final */
};

/* The model becomes the recogniser's. */
PN_MUST_CHECK int pn_pf_recognizer_init(struct pn_pf_recognizer *r, struct pn_paraformer *model,
                                        struct pn_pool *pool);
void pn_pf_recognizer_free(struct pn_recognizer *r); /* as in pn_recognizer_ops, as all that follow */
int pn_pf_check(const struct pn_recognizer *r, const struct pn_recognition *want, struct pn_err *err);
int pn_pf_feed(struct pn_stream *s, const float *pcm, size_t n);
int pn_pf_finish(struct pn_stream *s);
int pn_pf_status(const struct pn_stream *s, struct pn_err *err);
int pn_pf_result(struct pn_stream *s, struct pn_transcript **ret, struct pn_err *err);
double pn_pf_position(const struct pn_stream *s);

PN_MUST_CHECK int pn_pf_stream_init(struct pn_pf_stream *s, struct pn_pf_recognizer *r,
                                    const struct pn_recognition *want, size_t inbox_samples);
void pn_pf_stream_done(struct pn_pf_stream *s);
void pn_pf_item_done(struct pn_pf_item *item); /* frees the arrays that are malloc'd, all but `history` */
void pn_pf_set_blocks(struct pn_stream *const *batch, size_t n, int block);
void pn_pf_fail(struct pn_pf_stream *s, int error);
/* Room for n pointers in r->items and r->some. -PN_ENOMEM. */
PN_MUST_CHECK int pn_pf_reserve(struct pn_pf_recognizer *r, size_t n);

static inline struct pn_pf_recognizer *pn_pf_recognizer_of(const struct pn_recognizer *r)
{
    return PN_CONTAINER_OF(r, struct pn_pf_recognizer, base);
}

static inline struct pn_pf_stream *pn_pf_stream_of(const struct pn_stream *s)
{
    return PN_CONTAINER_OF(s, struct pn_pf_stream, base);
}

/* recogniser tables */
extern const struct pn_recognizer_ops pn_pf_offline_ops, pn_pf_live_ops;

#endif
