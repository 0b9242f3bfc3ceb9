/* api_result.c - results of the public library, and its structs that carry their size. */
#include "cli/api.h"

#include <pinna.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* ---- structs that grow ---- */

static size_t size_of(const void *s)
{
    size_t size;
    memcpy(&size, s, sizeof(size));
    return size;
}

/* Bytes that this version does not know must say nothing. */
static bool rest_is_zero(const char *bytes, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (bytes[i])
            return false;
    return true;
}

int pn_api_read(const void *from, void *to, size_t size, struct pn_err *err)
{
    enum { LARGEST = 4096 }; /* no struct of ours will ever be larger: a size that was never set */
    memset(to, 0, size);
    if (!from)
        return 0;
    size_t theirs = size_of(from);
    if (theirs < sizeof(size_t) || theirs > LARGEST)
        return pn_fail(err, PN_EINVAL, "the options' size is not set");
    if (theirs > size && !rest_is_zero(from, size, theirs))
        return pn_fail(err, PN_EUNSUPPORTED, "an option that version %s does not know", PINNA_VERSION);
    memcpy(to, from, PN_MIN(theirs, size));
    return 0;
}

int pn_api_write(const void *from, size_t size, void *to)
{
    size_t theirs = size_of(to);
    if (theirs < sizeof(size_t))
        return -PN_EINVAL;
    size_t n = PN_MIN(theirs, size);
    memcpy((char *)to + sizeof(size_t), (const char *)from + sizeof(size_t), n - sizeof(size_t));
    return 0;
}

/* ---- results ---- */

int pn_api_result(struct pn_transcript *t, struct pinna_result **ret, struct pn_err *err)
{
    struct pinna_result *r = malloc(sizeof(*r));
    if (!r) {
        pn_transcript_free(t);
        return pn_fail(err, PN_ENOMEM, "no memory for the result");
    }
    r->transcript = t;
    *ret = r;
    return 0;
}

void pinna_result_free(struct pinna_result *r)
{
    if (r)
        pn_transcript_free(r->transcript);
    free(r);
}

const char *pinna_result_text(const struct pinna_result *r)
{
    return r->transcript->text;
}

const char *pinna_result_language(const struct pinna_result *r)
{
    return r->transcript->language;
}

const char *pinna_result_model(const struct pinna_result *r)
{
    return r->transcript->model;
}

double pinna_result_duration(const struct pinna_result *r)
{
    return r->transcript->duration;
}

int pinna_result_is_final(const struct pinna_result *r)
{
    return r->transcript->final;
}

size_t pinna_result_segments(const struct pinna_result *r)
{
    return r->transcript->n_segments;
}

const char *pinna_result_live_text(const struct pinna_result *r)
{
    return r->transcript->live_text;
}

int pinna_result_segment(const struct pinna_result *r, size_t i, struct pinna_segment *ret)
{
    if (i >= r->transcript->n_segments)
        return -PN_EINVAL;
    const struct pn_segment *s = &r->transcript->segments[i];
    struct pinna_segment out = { .start = s->start,
                                 .end = s->end,
                                 .text = s->text,
                                 .tokens = s->tokens,
                                 .n_tokens = s->n_tokens,
                                 .n_words = s->n_words,
                                 .temperature = s->temperature,
                                 .avg_logprob = s->avg_logprob,
                                 .compression_ratio = s->compression_ratio,
                                 .no_speech_prob = s->no_speech_prob,
                                 .confidence = s->confidence,
                                 .open = s->open };
    return pn_api_write(&out, sizeof(out), ret);
}

int pinna_result_word(const struct pinna_result *r, size_t segment, size_t i, struct pinna_word *ret)
{
    if (segment >= r->transcript->n_segments || i >= r->transcript->segments[segment].n_words)
        return -PN_EINVAL;
    const struct pn_word *w = &r->transcript->segments[segment].words[i];
    struct pinna_word out = {
        .start = w->start, .end = w->end, .text = w->text, .confidence = w->confidence
    };
    return pn_api_write(&out, sizeof(out), ret);
}
