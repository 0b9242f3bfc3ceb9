/* encoder.h - one 30 s window through the encoder, a slice at a time, and the keys and values that the
 * decoder reads from it.
 *
 * A run is advanced by short slices so that the scheduler can do other streams' work in between. A run and a
 * cross belong to one stream at a time; both come from free lists of the engine and are poisoned with NaN
 * there in debug builds, so that nothing of one request can reach another. */
#ifndef PN_ASR_WHISPER_ENCODER_H
#define PN_ASR_WHISPER_ENCODER_H

#include "asr/whisper/model.h"

/* Buffers shared by the streams of one model: free lists of runs, crosses and caches. Its own lock. */
struct pn_whisper_engine;

PN_MUST_CHECK int pn_whisper_engine_new(const struct pn_whisper *w, struct pn_pool *pool,
                                        struct pn_whisper_engine **ret); /* borrows both */
/* All runs, crosses and caches have been given back. */
struct pn_whisper_engine *pn_whisper_engine_free(struct pn_whisper_engine *e);
const struct pn_whisper *pn_whisper_engine_model(const struct pn_whisper_engine *e);

struct pn_encoder_run;
/* Cross-attention keys and values of one window, all layers. Counted: beams, temperatures and the alignment
 * pass of a window share it. */
struct pn_cross;

/* `n_ctx`: encoder positions, n_audio_ctx or fewer (encoder_context=auto); 2 * n_ctx mel frames are read. */
PN_MUST_CHECK int pn_encoder_run_new(struct pn_whisper_engine *e, int n_ctx, struct pn_encoder_run **ret);
struct pn_encoder_run *pn_encoder_run_free(struct pn_encoder_run *r); /* accepts NULL, returns NULL */
/* Where the caller writes the window before the first step: [2 * n_ctx][n_mels]. */
float *pn_encoder_run_mel(struct pn_encoder_run *r);
/* Does about `budget_us` of work on the engine's pool, at least one task. 1: finished, 0: more to do. Called
 * by one thread (the scheduler's). */
int pn_encoder_run_step(struct pn_encoder_run *r, int64_t budget_us);
/* The output [n_ctx][S], after the last step. */
const float *pn_encoder_run_output(const struct pn_encoder_run *r);
/* The window's keys and values, made by the last steps: the caller's reference; once only. */
struct pn_cross *pn_encoder_run_take_cross(struct pn_encoder_run *r);

struct pn_cross *pn_cross_ref(struct pn_cross *c);
struct pn_cross *pn_cross_unref(struct pn_cross *c); /* accepts NULL, returns NULL */

#endif
