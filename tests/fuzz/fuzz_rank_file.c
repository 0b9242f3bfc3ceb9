/* fuzz_rank_file.c - hostile .tiktoken files: what is accepted can be looked up and encodes its own tokens.
 */
#include "text/bpe.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_bpe *b = NULL;
    struct pn_err err = { 0 };
    if (pn_bpe_parse((struct pn_str){ (const char *)data, size }, &b, &err) < 0) {
        if (b || !err.text[0])
            abort();
        return 0;
    }
    int32_t n = (int32_t)pn_bpe_size(b), ids[64];
    for (int32_t id = 0; id < n; id++)
        if (pn_bpe_token(b, id).len > 0 && pn_bpe_encode(b, pn_bpe_token(b, id), ids, PN_ARRAY_LEN(ids)) == 0)
            abort();
    pn_bpe_free(b);
    return 0;
}
