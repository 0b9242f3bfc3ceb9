/* fuzz_wav_head.c - WAV headers in pieces: a verdict that is once reached does not change with more bytes,
 * and what is taken is inside the limits. */
#include "audio/wav_head.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *exact = malloc(size ? size : 1);
    memcpy(exact, data, size);
    struct pn_wav_head h = { 0 };
    int seen = 0;
    for (size_t n = 0; n < size; n = 2 * n + 1) {
        int r = pn_wav_head((struct pn_str){ exact, n }, &h, NULL);
        if (r > (int)n || (seen != 0 && r != seen))
            abort();
        seen = r;
    }
    int whole = pn_wav_head((struct pn_str){ exact, size }, &h, NULL);
    if (whole > (int)size || (seen != 0 && whole != seen))
        abort();
    if (whole > 0 && (h.rate < PN_INTAKE_MIN_RATE || h.rate > PN_INTAKE_MAX_RATE || h.channels < 1 ||
                      h.channels > PN_WAV_CHANNELS_MAX || h.len == 0))
        abort();
    free(exact);
    return 0;
}
