/* fuzz_safetensors.c - safetensors files and, for inputs that begin with a brace, the vocabularies of the
 * same folder. */
#include "fuzz_checkpoint.h"

#include "model/safetensors.h"
#include "model/vocabulary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_vocabulary(struct pn_str json, bool tokenizer)
{
    struct pn_err err = { 0 };
    struct pn_checkpoint *c = NULL;
    check(pn_checkpoint_new(&c, &err) == 0);
    struct pn_str none = { 0 };
    int r = pn_vocabulary_read(c, tokenizer ? none : json, json, &err);
    check(r == 0 ? err.code == 0 : err.code == -r && err.text[0]);
    for (size_t i = 0; r == 0 && i < pn_checkpoint_n_tokens(c); i++)
        check(pn_checkpoint_token(c, i).len <= json.len);
    pn_checkpoint_close(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_str file = { (const char *)data, size };
    if (size > 0 && data[0] == '{') {
        read_vocabulary(file, false);
        read_vocabulary(file, true);
        return 0;
    }
    struct pn_err err = { 0 };
    struct pn_checkpoint *c = NULL;
    check(pn_checkpoint_new(&c, &err) == 0);
    int r = pn_safetensors_read(c, file, "fuzz", &err);
    check_checkpoint(c, file, r, &err);
    return 0;
}
