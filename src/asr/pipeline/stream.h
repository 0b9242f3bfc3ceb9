/* stream.h - one stream of the pipeline, as the files of this folder share it.
 *
 * Its audio becomes utterances (a segment of a file, a sentence of a microphone), a list in time order. Each
 * goes through its states, with an inner stream while something recognises it, until its texts are final;
 * then its segments are appended to the published results and it is freed.
 *
 * Threads: owners call feed, finish, status, result, position and touch the inbox and `published` only; all
 * else is the scheduler's thread's alone, inner streams too, except a direct one's inbox. Lock order:
 * published.mu is taken last and never held while an inner stream is called. */
#ifndef PN_ASR_PIPELINE_STREAM_H
#define PN_ASR_PIPELINE_STREAM_H

#include "asr/pcm_inbox.h"
#include "asr/pipeline/agreement.h"
#include "asr/pipeline/cutter.h"
#include "asr/pipeline/pipeline.h"
#include "asr/pipeline/published.h"
#include "audio/decoder.h"

#include <stdatomic.h>

enum pn_pipeline_phase {
    PN_PHASE_LISTEN = 1,    /* takes samples from the inbox, cuts, feeds */
    PN_PHASE_TEND,          /* an inner stream moved by itself */
    PN_PHASE_WRITE,         /* punctuation and numbers */
    PN_PHASE_FIRST = 0x100, /* of the wrapped recogniser, from here on */
    PN_PHASE_SECOND = 0x200 /* of the second one */
};

enum {
    PN_PIPELINE_TOGETHER = 8,                  /* inner streams of one stream at once */
    PN_PIPELINE_PIECE = 2 * PN_SAMPLE_RATE,    /* samples in one LISTEN step */
    PN_PIPELINE_SEGMENT = 30 * PN_SAMPLE_RATE, /* the longest segment */
    PN_PIPELINE_SENTENCE = 60 * PN_SAMPLE_RATE /* what a second pass can be given */
};

struct pn_pipeline {
    struct pn_recognizer base;
    struct pn_recognizer *first; /* owned */
    struct pn_pipeline_parts parts;
    float piece[PN_PIPELINE_PIECE]; /* the scheduler's thread alone */
};

enum pn_route {
    PN_ROUTE_DIRECT,   /* one inner stream, fed by the owner */
    PN_ROUTE_SEGMENTS, /* an inner stream for each segment, when it has ended */
    PN_ROUTE_STREAMED, /* an inner stream while somebody speaks, fed as audio comes */
    PN_ROUTE_REPEATED  /* inner streams for the open segment, again and again */
};

/* What a stream does; chosen when it is opened. */
struct pn_plan {
    enum pn_route route;
    enum pn_cut cut;
    int64_t limit;    /* samples of a segment; 0: none */
    bool short_whole; /* audio that ends before `limit` is one segment */
    bool join;        /* short segments share an inner stream */
    bool second, punctuation, itn;
    bool through; /* nothing is between the owner and the direct stream */
};

struct pn_span {
    int64_t start, end; /* samples of the stream */
};

enum pn_utterance_state {
    PN_UTTERANCE_OPEN,    /* speech goes on; an inner stream hears it, or its beginning (a draft) */
    PN_UTTERANCE_JOINING, /* other segments may join it */
    PN_UTTERANCE_WAITING, /* complete: wants an inner stream */
    PN_UTTERANCE_RUNNING, /* the first recogniser's inner stream has all of it, or gets the rest */
    PN_UTTERANCE_SECOND,  /* the second one's */
    PN_UTTERANCE_HEARD,   /* `heard` is final; what is left is how it is written */
    PN_UTTERANCE_WRITTEN
};

/* One segment of `heard` on its way to its written text. */
struct pn_line {
    struct pn_str raw;      /* of heard's arena */
    size_t n_words, n_done; /* words for punctuation (spec paraformer 6.2); those with a mark */
    unsigned char *marks;   /* enum pn_mark of each */
    char *text;             /* owned; NULL: as heard */
};

struct pn_utterance {
    struct pn_utterance *next;
    enum pn_utterance_state state;
    struct pn_span *spans; /* what it holds of the stream, in time order; the open one has not ended */
    size_t n_spans;
    /* The spans in a row, from sample pcm_from of them on, once they have ended; NULL: the only one is still
     * in the track. */
    float *pcm;
    size_t pcm_from;

    struct pn_stream *inner;
    size_t n_fed, n_to_feed; /* samples, from the utterance's beginning */
    bool whole;              /* n_to_feed is all: then the inner stream is finished */
    bool finished;
    bool no_second; /* it is too long for that */
    bool bare;      /* whoever heard it last gives no punctuation */

    struct pn_transcript *heard;
    struct pn_line *lines; /* one for each of heard's segments, once it is final */
    bool settled;          /* its segments are made: these */
    size_t segment, n_segments;

    /* Live. */
    struct pn_buf shown;           /* its text so far */
    bool shown_anew;               /* it is not in the live text yet */
    double confidence;             /* of that, 0..1 */
    double partial_s;              /* seconds that made the text that is shown */
    size_t sentence;               /* its number in what is published */
    size_t live_at, live_end;      /* its part of the live text */
    bool in_live;                  /* they are known */
    struct pn_agreement agreement; /* of its drafts */
    size_t n_drafted;              /* samples that the last draft had */
    int64_t rest_until_us;         /* no other draft before */
    int64_t heard_us;              /* when its inner stream began */
    int64_t due_us;                /* since when all that the inner stream is to hear is there */
};

struct pn_pipeline_stream {
    struct pn_stream base;
    struct pn_pipeline *pipeline;
    struct pn_arena *arena; /* strings of want */
    struct pn_recognition want;
    struct pn_chunking chunking; /* of want, as the next one */
    struct pn_vad_options vad_options;
    struct pn_plan plan;
    struct pn_pcm_inbox inbox;  /* not of a direct stream */
    _Atomic int64_t waiting_us; /* since when the inbox has samples; 0: it was emptied */
    struct pn_stream *direct;   /* the inner stream of the only utterance, if there is something between */

    /* The scheduler's thread alone. */
    struct pn_track track;
    struct pn_cutter cutter;
    bool cutting;          /* the cutter is made */
    bool heard_all;        /* the audio has ended, and all of it is in utterances */
    int64_t segment_start; /* of the open segment */
    struct pn_utterance *first, *last;
    const char *language;                           /* found by the first recogniser; arena's */
    struct pn_stream *chosen[PN_PIPELINE_TOGETHER]; /* by next, for the step */
    size_t n_chosen;
    bool sentence_begins; /* the next word that is written is the first of a sentence */
    int64_t write_us;     /* since when there is something to write */
    bool failed;

    struct pn_published published;
};

static inline struct pn_pipeline *pn_pipeline_of(const struct pn_recognizer *r)
{
    return PN_CONTAINER_OF(r, struct pn_pipeline, base);
}

static inline struct pn_pipeline_stream *pn_pipeline_stream_of(const struct pn_stream *s)
{
    return PN_CONTAINER_OF(s, struct pn_pipeline_stream, base);
}

static inline const struct pn_recognizer_ops *pn_ops(const struct pn_stream *inner)
{
    return inner->recognizer->ops;
}

#endif
