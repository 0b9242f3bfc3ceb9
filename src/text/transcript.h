/* transcript.h - recognised text with its times. Immutable once finished; one owner, who frees it. */
#ifndef PN_TEXT_TRANSCRIPT_H
#define PN_TEXT_TRANSCRIPT_H

#include "base/arena.h"
#include "base/attr.h"
#include "base/error.h"
#include "base/str.h"

struct pn_word {
    const char *text;  /* as spoken order, with the leading space that joins it to the text */
    double start, end; /* seconds from the start of the audio */
    double confidence; /* mean token probability, 0..1 */
};

/* The fields of Whisper's segments (spec http-apis 1.1). */
struct pn_segment {
    int id;            /* from 0 */
    int64_t seek;      /* 10 ms frames: start of the window or utterance that held it */
    double start, end; /* seconds */
    const char *text;  /* with its leading space, as Whisper has it */
    const int32_t *tokens;
    size_t n_tokens;
    double temperature;
    double avg_logprob; /* natural log */
    double compression_ratio;
    double no_speech_prob;
    double confidence; /* 0..1 */
    const struct pn_word *words;
    size_t n_words;
    bool open; /* a live stream's newest words, which may still change */
};

/* Live: one stretch of speech, as the detector cut it; everything, where nothing cuts. In time order; if one
 * is closed, all before it are. */
struct pn_sentence {
    double start, end;           /* seconds; end < 0: it goes on */
    bool heard;                  /* the first pass over it is done: its part of `live_text` is final */
    bool closed;                 /* its segments are final, if it has any */
    size_t segment, n_segments;  /* its part of `segments`, once closed */
    size_t live_start, live_end; /* its part of `live_text`, in bytes, with the blank that joins it to the one
                                    before; parts lie side by side and are final once closed */
};

struct pn_transcript {
    struct pn_arena *arena; /* holds or keeps everything below and this struct's strings */
    const char *model;      /* "sphinx" */
    const char *language;   /* ISO 639-1: "en"; "" when nothing was said and nothing was given */
    const char *task;       /* "transcribe" or "translate" */
    double duration;        /* seconds of audio */
    const char *text;       /* all segments, joined and trimmed */
    const char *full_text;  /* the decoder's whole output, untrimmed (spec whisper 4.12); "" elsewhere */
    const struct pn_segment *segments; /* in time order */
    size_t n_segments;
    /* Live: all text that was ever sure enough to be shown. It only grows, whatever is corrected later: that
     * of a later snapshot begins with it. "" elsewhere. */
    const char *live_text;
    const struct pn_sentence *sentences; /* live; also those without text */
    size_t n_sentences;
    bool word_times; /* words were asked for: writers show them */
    bool final;      /* no more will come */
};

/* An empty transcript over a fresh arena; the maker fills it, then hands it over. */
PN_MUST_CHECK int pn_transcript_new(size_t limit_bytes, struct pn_transcript **ret);
struct pn_transcript *pn_transcript_free(struct pn_transcript *t); /* accepts NULL, returns NULL */
/* What `now` adds to the live text that was shown of the same stream with `before` (NULL: nothing was). */
struct pn_str pn_transcript_news(const struct pn_transcript *before, const struct pn_transcript *now);
/* Whisper's measure: bytes of `text` / bytes of its zlib stream; 0 for the empty text. */
double pn_compression_ratio(struct pn_str text);

#endif
