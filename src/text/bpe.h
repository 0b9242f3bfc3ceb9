/* bpe.h - byte-level byte-pair encoding: bytes to token ids and back (spec whisper 3).
 *
 * Rank = id. A vocabulary may have gaps and empty tokens; missing single bytes make encoding of text with
 * them fail, decoding never fails. Immutable after new; any thread. */
#ifndef PN_TEXT_BPE_H
#define PN_TEXT_BPE_H

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

struct pn_bpe;

/* tokens[i] are the bytes of id i (copied); empty ones are gaps. -PN_EFORMAT when two ids have the same
 * bytes. */
PN_MUST_CHECK int pn_bpe_new(const struct pn_str *tokens, size_t n, struct pn_bpe **ret, struct pn_err *err);
/* From the text of a .tiktoken rank file; ranks may have gaps. -PN_EFORMAT with the line number. */
PN_MUST_CHECK int pn_bpe_parse(struct pn_str rank_file, struct pn_bpe **ret, struct pn_err *err);
struct pn_bpe *pn_bpe_free(struct pn_bpe *b); /* accepts NULL, returns NULL */

size_t pn_bpe_size(const struct pn_bpe *b); /* highest id + 1, the empty last one of multilingual counted */
struct pn_str pn_bpe_token(const struct pn_bpe *b, int32_t id); /* bytes; empty for gaps and ids outside */
/* Encodes UTF-8 text as plain text: "<|...|>" has no special meaning. Malformed bytes are encoded as single
 * bytes. Appends at most `cap` ids; returns how many there are in all (may exceed cap), or -PN_ENOMEM,
 * -PN_EUNSUPPORTED (a byte that the vocabulary lacks). */
PN_MUST_CHECK int pn_bpe_encode(const struct pn_bpe *b, struct pn_str text, int32_t *ids, size_t cap);
/* Appends the bytes as UTF-8, malformed parts as U+FFFD by the maximal-subpart rule. */
void pn_utf8_append_lossy(struct pn_buf *out, struct pn_str bytes);

#endif
