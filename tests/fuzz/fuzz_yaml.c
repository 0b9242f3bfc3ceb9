/* fuzz_yaml.c - the parser of configuration files, any bytes. What it reports is what it promised to report.
 */
#include "base/yaml.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static int on_scalar(void *ctx, struct pn_str key, struct pn_str value, int line, struct pn_err *err)
{
    size_t *n = ctx;
    check(key.len > 0 && key.len < 256 && !memchr(key.ptr, 0, key.len));
    check(line >= 1 && (value.ptr || value.len == 0));
    if (++*n % 7 == 0) /* now and then the receiver has had enough */
        return pn_fail(err, PN_EINVAL, "c.yaml:%d: enough", line);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_err err = { 0 };
    size_t n = 0;
    int r = pn_yaml_parse((struct pn_str){ (const char *)data, size }, "c.yaml", on_scalar, &n, &err);
    check(r == 0 ? err.code == 0 : err.code == -r && strncmp(err.text, "c.yaml", 6) == 0);
    check(n <= 1024);
    return 0;
}
