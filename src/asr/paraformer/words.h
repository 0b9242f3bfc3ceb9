/* words.h - from Paraformer's tokens to words and text (spec paraformer 3.6).
 *
 * Chinese tokens are words as they are; pieces that end in "@@" join with what follows; single letters in a
 * row become an abbreviation in capitals ("t", "v" gives "TV"). Pure. Call it with the tokens of a whole
 * utterance: a word whose pieces came in two chunks is then one word, which it is not when every chunk's
 * tokens are joined alone. */
#ifndef PN_ASR_PARAFORMER_WORDS_H
#define PN_ASR_PARAFORMER_WORDS_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

enum { PN_WORD_TOKENS_MAX = 1 << 20 };

struct pn_stamp {
    int64_t begin, end; /* milliseconds */
};

struct pn_token_word {
    struct pn_str text; /* not empty */
    struct pn_stamp at; /* zeros when there were no stamps */
    bool blank;         /* a blank goes between the word before and this one in `text` */
};

struct pn_token_words {
    const struct pn_token_word *word;
    size_t n;
    struct pn_str text;   /* for people: "hello你好", "打开TV", "play music" */
    struct pn_str spaced; /* all words, one blank between them: "hello 你 好" */
};

/* Joins tokens[n] (stamps[n] may be NULL); "<s>", "</s>", "<unk>", "<OOV>" and empty ones are left out, with
 * their stamps. An unfinished "@@" piece at the end is not a word yet and is left out. What is returned lives
 * in `a` (at most some 80 bytes a token and three times its text) and borrows nothing. -PN_ENOMEM,
 * -PN_ELIMIT. */
PN_MUST_CHECK int pn_words_of_tokens(const struct pn_str *tokens, const struct pn_stamp *stamps, size_t n,
                                     struct pn_arena *a, struct pn_token_words *ret);

#endif
