/* checkpoint_case.c - see checkpoint_case.h. */
#include "checkpoint_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static char folder[PN_FIXTURE_PATH];
struct pn_err checkpoint_case_err;

int checkpoint_case_set_up(void **state)
{
    memset(&checkpoint_case_err, 0, sizeof(checkpoint_case_err));
    return pn_fixture_temp_dir(folder) ? 0 : -1;
}

int checkpoint_case_tear_down(void **state)
{
    pn_fixture_remove_dir(folder);
    return 0;
}

void checkpoint_case_path(const char *name, char path[PN_FIXTURE_PATH])
{
    assert_true(snprintf(path, PN_FIXTURE_PATH, "%.900s/%s", folder, name) < PN_FIXTURE_PATH);
}

void checkpoint_case_put(const char *name, struct pn_str bytes)
{
    char path[PN_FIXTURE_PATH];
    checkpoint_case_path(name, path);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes.len ? bytes.ptr : "", 1, bytes.len, f), bytes.len);
    fclose(f);
}

struct pn_str checkpoint_case_safetensors(struct pn_buf *b, const char *header, size_t n)
{
    uint64_t len = strlen(header);
    pn_buf_init(b, 1 << 20);
    pn_buf_append(b, &len, sizeof(len));
    pn_buf_puts(b, header);
    for (size_t i = 0; i < n; i++)
        pn_buf_putc(b, (char)i);
    return (struct pn_str){ b->ptr, b->len };
}

void checkpoint_case_put_safetensors(const char *name, const char *header, size_t n)
{
    struct pn_buf b;
    checkpoint_case_put(name, checkpoint_case_safetensors(&b, header, n));
    pn_buf_done(&b);
}

int checkpoint_case_open(const char *name, struct pn_checkpoint **ret)
{
    char path[PN_FIXTURE_PATH];
    checkpoint_case_path(name, path);
    memset(&checkpoint_case_err, 0, sizeof(checkpoint_case_err));
    *ret = NULL;
    int r = pn_checkpoint_open(path, ret, &checkpoint_case_err);
    assert_int_equal(checkpoint_case_err.code, -r);
    assert_true(r < 0 ? !*ret : *ret != NULL);
    return r;
}
