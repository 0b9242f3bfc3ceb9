/* golden.h - what the files of whisper_golden share. Everything runs on one thread; files are trusted to be
 * whole, but a field that is missing or of the wrong kind fails its check and nothing more. */
#ifndef PN_TESTS_GOLDEN_H
#define PN_TESTS_GOLDEN_H

#include "asr/whisper/transcription.h"

#include <jansson.h>

/* A model opened in one precision. */
struct golden_session {
    const char *name; /* as printed */
    struct pn_pool *pool;
    struct pn_whisper *model;
    struct pn_whisper_engine *engine;
    bool strict; /* f32: stages are held to their tolerances; otherwise their differences are only shown */
    bool exact;  /* f32 from unquantised weights: everything is compared, to the stated tolerances */
};

/* One golden file, its clip and its features. */
struct golden_clip {
    const char *name;   /* "01" */
    const char *folder; /* where NAME.encoder.npy and so on may lie */
    json_t *golden;
    struct pn_features *features;
};

/* Options of one run, from its JSON. */
struct golden_options {
    struct pn_transcribe_options o;
    double clips[PN_MAX_CLIPS];
    bool window; /* decode() of one window instead of transcribe() */
};

/* False, with a line on stderr, for an option that is not known here. */
bool golden_options_read(const struct pn_vocab *v, const json_t *run, struct golden_options *ret);

struct golden_difference {
    char text[200];    /* the first thing that differs */
    bool text_differs; /* the words that were recognised */
    bool tokens_differ;
    int token; /* if so: index in the result's tokens, all segments joined */
};

/* Compares a result with run.result; ret->text is empty when all is equal or within tolerance. Times and
 * scores are compared in an exact session only. */
void golden_compare(const struct golden_session *s, const json_t *run, bool window,
                    const struct pn_transcript *got, struct golden_difference *ret);
/* True when the reference itself had a near-tie where the tokens part. */
bool golden_is_near_tie(const json_t *run, const struct golden_difference *d);

/* Encoder output, first logits, language probabilities; prints a line. Returns the number of failures. */
int golden_stages(const struct golden_session *s, const struct golden_clip *c);
/* Teacher-forced last logits of a quantised model: `golden` is the array in an .npy file. */
int golden_last_logits(const struct golden_session *s, const struct golden_clip *c, const json_t *tokens,
                       const char *npy_path);

/* Advances a transcription to its end; the result, or NULL with a line on stderr. `ret_language` (may be
 * NULL): probabilities [n_languages] if a language was detected, untouched otherwise. */
struct pn_transcript *golden_transcribe(const struct golden_session *s, const struct golden_clip *c,
                                        const struct golden_options *o, float *ret_language);

static inline double golden_number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

#endif
