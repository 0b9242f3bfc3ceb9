/* fuzz_http_head.c - the guard over raw heads: no read past the end, and a verdict that is once reached does
 * not change with more bytes. */
#include "server/http_head.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *exact = malloc(size ? size : 1);
    memcpy(exact, data, size);
    int whole = pn_http_head_check(exact, size).status, seen = 0;
    for (size_t n = 0; n < size; n = 2 * n + 1) {
        int status = pn_http_head_check(exact, n).status;
        if (seen != 0 && status != seen)
            abort();
        seen = status;
    }
    if (seen != 0 && whole != seen)
        abort();
    free(exact);
    return 0;
}
