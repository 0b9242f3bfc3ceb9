/* fuzz_cmvn.c - am.mvn, any bytes: what is accepted is two lists of as many finite numbers. */
#include "model/cmvn.h"

#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_err err = { 0 };
    struct pn_cmvn c = { 0 };
    int r = pn_cmvn_parse((struct pn_str){ (const char *)data, size }, "am.mvn", &c, &err);
    check(r == 0 ? c.n > 0 && err.code == 0 : c.n == 0 && err.code == -r && err.text[0]);
    for (size_t i = 0; i < c.n; i++)
        check(isfinite(c.shift[i]) && isfinite(c.scale[i]));
    pn_cmvn_done(&c);
    return 0;
}
