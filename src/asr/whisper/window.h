/* window.h - decoding of one window at one temperature: a group of sequences (one, best_of samples, or beams)
 * that share the window's keys and values (spec whisper 4.2 - 4.5).
 *
 * It wants decoder rows and takes their results, and never runs the decoder. A step's rows may be run in any
 * number of pieces. Buffers are kept from window to window, and are written before they are read. */
#ifndef PN_ASR_WHISPER_WINDOW_H
#define PN_ASR_WHISPER_WINDOW_H

#include "asr/whisper/beam.h"
#include "asr/whisper/decoder.h"
#include "asr/whisper/filters.h"

enum { PN_MAX_WINDOW_PROMPT = 448 };

/* Fixed for a transcription. */
struct pn_window_rules {
    struct pn_filters filters;
    int32_t nospeech;
    int n_text_ctx;
    int sample_len; /* most tokens sampled */
    int best_of;    /* at temperature > 0 */
    int beam_size;  /* at temperature 0; 0 = greedy */
    double patience;
    double length_penalty; /* NaN: by length */
    uint64_t seed;
};

struct pn_window_result {
    const struct pn_sequence *sequence; /* the window's, until it is started again */
    double avg_logprob;
    double no_speech_prob;
};

struct pn_window;

/* Borrows both. -PN_ENOMEM. */
PN_MUST_CHECK int pn_window_new(struct pn_whisper_engine *e, const struct pn_window_rules *rules,
                                struct pn_window **ret);
struct pn_window *pn_window_free(struct pn_window *w); /* accepts NULL, returns NULL */

/* Begins with prompt[0..n) (copied; sot is at sot_index), n at most PN_MAX_WINDOW_PROMPT and the text
 * context; `cross` is borrowed until the window is done. `number` tells windows apart for the random numbers.
 * -PN_ENOMEM. */
PN_MUST_CHECK int pn_window_start(struct pn_window *w, const struct pn_cross *cross, const int32_t *prompt,
                                  int n, int sot_index, double temperature, uint64_t number);
/* The same window at another temperature; of the prompt only the last row is run again. */
PN_MUST_CHECK int pn_window_restart(struct pn_window *w, double temperature);

int pn_window_n_rows(const struct pn_window *w); /* still to be given out for this step */
int pn_window_rows(struct pn_window *w, struct pn_decoder_row *rows, int cap);
/* The rows given out last have been run: filters, chooses, and sets up the next step. */
void pn_window_decoded(struct pn_window *w);
bool pn_window_is_done(const struct pn_window *w);
struct pn_window_result pn_window_result(const struct pn_window *w);

/* For a pass of another kind while no decoding is going on: a cache, and `n` rows of logits. -PN_ENOMEM. */
PN_MUST_CHECK int pn_window_lend(struct pn_window *w, int n, struct pn_self_cache **ret_cache,
                                 float **ret_logits);

#endif
