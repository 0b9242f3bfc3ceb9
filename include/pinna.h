/* pinna.h - speech to text for C programs: the recogniser of the program `pinna` as a library.
 *
 * Samples are 32-bit floats in -1..1, mono, 16000 a second. Strings are UTF-8. A model may be used by any
 * number of threads at once; a stream and a result belong to one thread at a time.
 *
 * Functions that return int give 0 or a count on success and a negative pinna_error_code on failure; what
 * they return through `ret_` pointers is then left as it was.
 *
 * Structs that begin with `size` grow in later versions: set it to sizeof(the struct) and zero the rest, as
 * in
 *
 *     struct pinna_options o = { .size = sizeof(o), .language = "en" };
 *
 * Zero is every field's default. A program that sets a field that the library is too old to know gets
 * PINNA_EUNSUPPORTED. */
#ifndef PINNA_H
#define PINNA_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PINNA_SAMPLE_RATE 16000

enum pinna_error_code {
    PINNA_ENOMEM = 1,        /* no memory */
    PINNA_EINVAL = 2,        /* a value that cannot be right */
    PINNA_EIO = 3,           /* the operating system said no */
    PINNA_EFORMAT = 4,       /* a model's file is damaged or of another kind */
    PINNA_ELIMIT = 5,        /* larger or longer than can be */
    PINNA_EFULL = 6,         /* all streams of the model are open */
    PINNA_ECANCELLED = 9,    /* the stream was finished before */
    PINNA_ENOTFOUND = 10,    /* no such model; the text says how to get it */
    PINNA_EUNSUPPORTED = 11, /* the model or this version cannot do it */
};

/* Why a call failed; every parameter of this type may be NULL. */
struct pinna_error {
    int code;       /* of enum pinna_error_code */
    char text[256]; /* one line */
};

const char *pinna_version(void); /* "0.1.0" */

/* ---- models ---- */

struct pinna_model;

enum pinna_precision { PINNA_INT8, PINNA_F32 };

struct pinna_model_options {
    size_t size;
    int precision;         /* enum pinna_precision */
    int threads;           /* that compute; 0: as many as the process has cores */
    int max_streams;       /* open at once; 0: 16 */
    const char *model_dir; /* where models lie; NULL: the usual places */
    const char *cache_dir; /* for packed weights that cannot lie beside their source; NULL: nowhere */
    /* Called while the model is packed, which happens once for each model on a machine; 0..1. May be NULL. */
    void (*progress)(void *ctx, double fraction);
    void *ctx;
    /* How audio is cut: "auto" (NULL: the best that is here), "fsmn", "silero", "energy", "off", or a path.
     */
    const char *vad;
    /* For models whose text has no marks: "auto" (NULL: ct-punc, if it is here), "off", a name or a path. */
    const char *punctuation;
    /* Corrects the sentences of a model that gives results while audio comes: NULL or "off": nobody; "auto":
     * paraformer-zh, if it is here and the model a Chinese one; else a name or a path. */
    const char *final_model;
};

/* Loads a model: a name ("base", "sphinx"; `pinna models` lists them) or the path of a checkpoint file or
 * folder. `opt` may be NULL. Nothing is downloaded. */
int pinna_model_open(const char *name, const struct pinna_model_options *opt, struct pinna_model **ret_model,
                     struct pinna_error *err);
/* No stream and no pinna_transcribe() of it is left. NULL is fine. */
void pinna_model_close(struct pinna_model *m);
const char *pinna_model_name(const struct pinna_model *m); /* "base"; lives as long as the model */

/* ---- recognition ---- */

struct pinna_options {
    size_t size;
    const char *language; /* "en", "zh", "english"; NULL or "": found out */
    const char *task;     /* "transcribe" (NULL) or "translate" (to English) */
    const char *prompt;   /* text that precedes the audio: names, spelling; NULL: none */
    double temperature;   /* 0..1: where it begins; rises by itself when a result is poor */
    int beam_size;        /* alternatives kept while searching at temperature 0; 0: the best only */
    int best_of;          /* samples to choose from at temperatures above 0; 0: one */
    int word_timestamps;  /* words with their times */
    int batch;            /* cut at pauses, pieces together: faster for long audio, without context */
    int auto_context;     /* compute only what short audio needs: faster, a little less exact */
    const char *hotwords; /* likely words, blanks between, each with ":WEIGHT" behind it or not; NULL: none */
    int vad;              /* cut at pauses, leave out what is no speech */
    int no_punctuation;   /* leave the text of models without punctuation as it is */
    int itn;              /* numbers, dates, times and amounts with digits */
};

struct pinna_result;

/* Recognises `n` samples and waits for the result, which the caller frees. Waits for a free stream, too.
 * `opt` may be NULL. */
int pinna_transcribe(struct pinna_model *m, const struct pinna_options *opt, const float *pcm, size_t n,
                     struct pinna_result **ret_result, struct pinna_error *err);

/* ---- streams: audio as it comes ---- */

struct pinna_stream;

/* PINNA_EFULL when max_streams are open. */
int pinna_stream_open(struct pinna_model *m, const struct pinna_options *opt,
                      struct pinna_stream **ret_stream, struct pinna_error *err);
/* At any moment; what was not recognised is dropped. NULL is fine. */
void pinna_stream_close(struct pinna_stream *s);
/* Copies samples in. When the stream's inbox is full, waits up to timeout_ms (negative: as long as it takes)
 * for room. Returns how many of the n were taken. */
int64_t pinna_stream_feed(struct pinna_stream *s, const float *pcm, size_t n, int timeout_ms);
int pinna_stream_finish(struct pinna_stream *s); /* no more audio will come */
/* Waits up to timeout_ms (negative: as long as it takes; 0: only looks) for the final result, which comes
 * after pinna_stream_finish(). 1: *ret_result is final. 0: *ret_result is what is recognised so far, NULL
 * when that is nothing. The caller frees it. */
int pinna_stream_result(struct pinna_stream *s, int timeout_ms, struct pinna_result **ret_result);
double pinna_stream_position(const struct pinna_stream *s);   /* seconds of audio recognised so far */
const char *pinna_stream_error(const struct pinna_stream *s); /* of its last call that failed; "" if none */

/* ---- results: immutable; strings live as long as the result ---- */

void pinna_result_free(struct pinna_result *r); /* NULL is fine */
const char *pinna_result_text(const struct pinna_result *r);
const char *pinna_result_language(const struct pinna_result *r); /* "en"; "" when nothing was said */
const char *pinna_result_model(const struct pinna_result *r);
double pinna_result_duration(const struct pinna_result *r); /* seconds of audio */
int pinna_result_is_final(const struct pinna_result *r);
size_t pinna_result_segments(const struct pinna_result *r); /* how many */
/* Of a stream: all text that was ever sure enough to be shown. That of a later result begins with that of an
 * earlier one, whatever was corrected in between. "" of pinna_transcribe(). */
const char *pinna_result_live_text(const struct pinna_result *r);

struct pinna_segment {
    size_t size;
    double start, end; /* seconds from the start of the audio */
    const char *text;  /* with its leading space */
    const int32_t *tokens;
    size_t n_tokens;
    size_t n_words; /* without word_timestamps a model may give none */
    double temperature;
    double avg_logprob; /* natural logarithm */
    double compression_ratio;
    double no_speech_prob; /* 0..1, as the next one */
    double confidence;
    int open; /* of a stream: what it says may still change; the last segment only */
};

struct pinna_word {
    size_t size;
    double start, end; /* seconds from the start of the audio */
    const char *text;  /* with its leading space */
    double confidence; /* 0..1 */
};

/* Fill *ret, whose `size` is set. PINNA_EINVAL: there is no such segment or word. */
int pinna_result_segment(const struct pinna_result *r, size_t i, struct pinna_segment *ret);
int pinna_result_word(const struct pinna_result *r, size_t segment, size_t i, struct pinna_word *ret);

#ifdef __cplusplus
}
#endif

#endif
