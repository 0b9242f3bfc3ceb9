/* fuzz_ggml.c - whisper.cpp's .bin files, any bytes. */
#include "fuzz_checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_str file = { (const char *)data, size };
    struct pn_err err = { 0 };
    struct pn_checkpoint *c = NULL;
    check(pn_checkpoint_new(&c, &err) == 0);
    int r = pn_ggml_read(c, file, &err);
    check_checkpoint(c, file, r, &err);
    return 0;
}
