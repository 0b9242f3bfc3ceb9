/* transcription.h - the loop of transcribe() as a state machine (spec whisper 4): from a clip's features to
 * its transcript, asking for encoder windows and decoder rows and never computing either itself.
 *
 * The caller asks what is wanted, encodes windows, runs rows (together with those of other transcriptions)
 * and hands the results back, until nothing is wanted. One thread at a time.
 *
 *     while ((want = pn_transcription_want(t))) {
 *         if (want & PN_WANT_ENCODER)  begin() -> encoder steps -> encoded()
 *         if (want & PN_WANT_DECODER)  rows() -> pn_decoder_run -> decoded()
 *     }
 */
#ifndef PN_ASR_WHISPER_TRANSCRIPTION_H
#define PN_ASR_WHISPER_TRANSCRIPTION_H

#include "asr/whisper/decoder.h"
#include "asr/whisper/options.h"
#include "text/transcript.h"

struct pn_transcription;

enum { PN_WANT_ENCODER = 1, PN_WANT_DECODER = 2 };

/* `features` are ended, with 480000 samples of padding, and borrowed. Options are checked and copied:
 * -PN_EINVAL, -PN_EUNSUPPORTED (a language or task that the model lacks), -PN_ENOMEM. */
PN_MUST_CHECK int pn_transcription_new(struct pn_whisper_engine *e, const struct pn_features *features,
                                       const struct pn_transcribe_options *opt, struct pn_transcription **ret,
                                       struct pn_err *err);
struct pn_transcription *pn_transcription_free(struct pn_transcription *t); /* accepts NULL, returns NULL */

/* PN_WANT_* bits; 0: done or failed. In batch mode both may be set: windows are encoded while others are
 * being decoded. */
unsigned pn_transcription_want(const struct pn_transcription *t);
/* 0 while going on and at a good end; the failure otherwise. */
int pn_transcription_status(const struct pn_transcription *t, struct pn_err *err);

/* Starts the encoder run of the next window that is wanted (language detection's silence-padded view or a
 * window's zero-filled view; one run for both when they are the same). The run is the caller's until it is
 * given to encoded() after its last step. */
PN_MUST_CHECK int pn_transcription_begin(struct pn_transcription *t, struct pn_encoder_run **ret);
void pn_transcription_encoded(struct pn_transcription *t, struct pn_encoder_run *run); /* takes the run */

/* How many rows the next decoder call wants, at most `cap` of them (a long prompt comes in pieces). */
int pn_transcription_n_rows(const struct pn_transcription *t, int cap);
/* Writes those rows; their logits buffers are the transcription's. Returns how many. */
int pn_transcription_rows(struct pn_transcription *t, struct pn_decoder_row *rows, int cap);
/* The rows of the last rows() call have been run, or failed with `r` < 0. Filters and chooses tokens. May be
 * called for different transcriptions on different threads at once. */
void pn_transcription_decoded(struct pn_transcription *t, int r);

double pn_transcription_position(const struct pn_transcription *t); /* seconds done, for progress */
/* The result so far as a new transcript; `final` when nothing is wanted any more. */
PN_MUST_CHECK int pn_transcription_result(const struct pn_transcription *t, struct pn_transcript **ret,
                                          struct pn_err *err);
/* For tests and benchmarks: probabilities of the detected language, [n_languages], or NULL. */
const float *pn_transcription_language_probs(const struct pn_transcription *t);

/* decode() of the reference: one window of features [0, 3000), zero-filled, at one temperature, no loop; the
 * transcript has one segment with all tokens. `opt` as above with exactly one temperature. */
PN_MUST_CHECK int pn_transcription_new_window(struct pn_whisper_engine *e, const struct pn_features *features,
                                              const struct pn_transcribe_options *opt,
                                              struct pn_transcription **ret, struct pn_err *err);

/* Drives `t` to its end on the calling thread: tools, tests, the library's blocking call. */
PN_MUST_CHECK int pn_transcription_run(struct pn_transcription *t, struct pn_err *err);

#endif
