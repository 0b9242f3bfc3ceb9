/* fuzz_silero.c - the reader of Silero's ggml file: whatever the bytes, it says yes or why not. */
#include "asr/vad/silero_file.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pn_silero_weights weights;
    struct pn_err err = { 0 };
    int r = pn_silero_parse((struct pn_str){ (const char *)data, size }, "fuzz", &weights, &err);
    if ((r == 0) != (err.text[0] == 0) || (r != 0 && r != -PN_EFORMAT))
        abort();
    return 0;
}
