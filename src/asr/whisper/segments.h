/* segments.h - a window's tokens cut into segments, and where the next window begins (spec whisper 4.8). */
#ifndef PN_ASR_WHISPER_SEGMENTS_H
#define PN_ASR_WHISPER_SEGMENTS_H

#include "asr/whisper/vocab.h"
#include "base/arena.h"
#include "text/transcript.h"

#include <stdbool.h>

/* A segment that is still being worked on; memory is its window's. */
struct pn_draft {
    double start, end;     /* seconds in the recording */
    const int32_t *tokens; /* all, timestamps too */
    size_t n_tokens;
    const char *text; /* of the tokens below eot */
    struct pn_word *words;
    size_t n_words;
};

/* One window's share of the recording, in 10 ms frames. */
struct pn_span {
    int64_t seek;
    int size;
};

struct pn_slices {
    struct pn_draft *drafts;
    size_t n;
    int64_t seek;       /* where to go on */
    bool single_ending; /* the last token alone is a timestamp: nothing was left unfinished */
};

/* Cuts tokens[0..n) (without eot; copied). `keep_rest`: what follows the last complete segment becomes a
 * segment, too, and seek passes the window (batch mode), instead of being decoded again. -PN_ENOMEM. */
PN_MUST_CHECK int pn_slice(const struct pn_vocab *v, const int32_t *tokens, size_t n, struct pn_span span,
                           bool keep_rest, struct pn_arena *arena, struct pn_slices *ret);
/* Segments without length or text lose text, tokens and words but stay. */
void pn_blank_degenerate(struct pn_draft *drafts, size_t n);

/* The text of ids in the arena's memory; specials shown, timestamps not. NULL: no memory. */
const char *pn_tokens_text(const struct pn_vocab *v, const int32_t *ids, size_t n, struct pn_arena *arena);

#endif
