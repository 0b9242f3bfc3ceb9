/* vocab.h - Whisper's token ids around a BPE vocabulary (spec whisper 3.4 - 3.7). Immutable; any thread. */
#ifndef PN_ASR_WHISPER_VOCAB_H
#define PN_ASR_WHISPER_VOCAB_H

#include "base/arena.h"
#include "text/bpe.h"

#include <stdbool.h>

enum { PN_VOCAB_MIN = 51864, PN_VOCAB_MAX = 51866 }; /* ids of the published shapes */

struct pn_vocab {
    struct pn_bpe *bpe; /* owned */
    int n_vocab;        /* PN_VOCAB_MIN .. PN_VOCAB_MAX */
    bool multilingual;  /* n_vocab >= 51865 */
    int n_languages;
    /* Special ids, from n_vocab alone: the rank file may have gaps. */
    int32_t eot, sot, first_language, translate, transcribe, startoflm, startofprev, nospeech, notimestamps,
        timestamp_begin;
    const int32_t *non_speech; /* the table of 3.6, without the six control ids; ascending */
    size_t n_non_speech;
};

/* Takes `bpe` in any case. -PN_EUNSUPPORTED when n_vocab is not one of Whisper's shapes, -PN_EFORMAT when
 * `bpe` has more tokens than such a model's text. */
PN_MUST_CHECK int pn_vocab_new(struct pn_bpe *bpe, int n_vocab, struct pn_vocab **ret, struct pn_err *err);
struct pn_vocab *pn_vocab_free(struct pn_vocab *v); /* accepts NULL, returns NULL */

/* Token of a language code ("en"), or -PN_EUNSUPPORTED: this vocabulary has no such language. */
PN_MUST_CHECK int pn_vocab_language(const struct pn_vocab *v, const char *code);
const char *pn_vocab_language_code(const struct pn_vocab *v, int32_t id); /* NULL: not a language token */

/* Appends the text of ids: specials as "<|name|>", ids >= timestamp_begin dropped or, with `timestamps`,
 * shown as
 * "<|1.08|>"; malformed UTF-8 as U+FFFD. */
void pn_vocab_decode(const struct pn_vocab *v, const int32_t *ids, size_t n, bool timestamps,
                     struct pn_buf *out);
/* Encodes " " + trimmed text as a prompt; returns the number of ids (all of them; at most cap written). */
PN_MUST_CHECK int pn_vocab_encode_prompt(const struct pn_vocab *v, struct pn_str text, int32_t *ids,
                                         size_t cap);

/* Word w covers ids [start[w], start[w + 1]) and has the bytes text[w]. */
struct pn_word_split {
    size_t n;                /* words */
    const size_t *start;     /* [n + 1] */
    const char *const *text; /* [n], with leading space */
};
/* Splits text tokens (with a final eot if given) into words for `language` ("" for .en models); memory is the
 * arena's. */
PN_MUST_CHECK int pn_vocab_split(const struct pn_vocab *v, const char *language, const int32_t *ids, size_t n,
                                 struct pn_arena *arena, struct pn_word_split *ret);

#endif
