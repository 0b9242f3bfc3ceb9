/* test_server_http_head.c - the guard: what passes, what is refused and with which status, and that the split
 * of the bytes does not matter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/http_head.h"

#define HOST "Host: x\r\n"

struct sample {
    int status;
    const char *head;
};

static const struct sample SAMPLES[] = {
    { 200, "GET / HTTP/1.1\r\n" HOST "\r\n" },
    { 200, "GET / HTTP/1.0\r\n\r\n" },
    { 200, "OPTIONS * HTTP/1.1\r\n" HOST "\r\n" },
    { 200, "POST /transcribe?language=en HTTP/1.1\r\n" HOST
           "Content-Length: 5\r\nX: \t a b \xc3\xa9 \r\n\r\nxxxxx" },
    { 200, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:Chunked\r\n\r\n" },
    { 0, "" },
    { 0, "GET / HT" },
    { 0, "GET / HTTP/1.1\r\n" HOST "\r" },
    { 400, "\x16\x03\x01\x02\n" },
    { 400, "GET /\r\n\r\n" },
    { 400, "GET  / HTTP/1.1\r\n" HOST "\r\n" },
    { 400, "GET / HTTP/1.1\n" HOST "\n" },
    { 400, "GET http://x/ HTTP/1.1\r\n" HOST "\r\n" },
    { 400, "G@T / HTTP/1.1\r\n" HOST "\r\n" },
    { 400, "GET / http/1.1\r\n" HOST "\r\n" },
    { 400, "GET /\x01 HTTP/1.1\r\n" HOST "\r\n" },
    { 400, "GET /hea%00lth HTTP/1.1\r\n" HOST "\r\n" },
    { 505, "GET / HTTP/2.0\r\n" HOST "\r\n" },
    { 505, "GET / HTTP/1.2\r\n" HOST "\r\n" },
    { 505, "GET / HTTP/9.9\r\n" HOST "\r\n" },
    { 400, "GET / HTTP/1.1\r\n\r\n" },
    { 400, "GET / HTTP/1.1\r\n" HOST HOST "\r\n" },
    { 400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n" },
    { 400, "GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n" },
    { 400, "GET / HTTP/1.1\r\n" HOST "X : a\r\n\r\n" },
    { 400, "GET / HTTP/1.1\r\n" HOST "X\r\n\r\n" },
    { 400, "GET / HTTP/1.1\r\n" HOST ": a\r\n\r\n" },
    { 400, "GET / HTTP/1.1\r\n" HOST "X: a\x01\r\n\r\n" },
    { 400, "POST / HTTP/1.1\r\n" HOST "Content-Length: -5\r\n\r\n" },
    { 400, "POST / HTTP/1.1\r\n" HOST "Content-Length: +5\r\n\r\n" },
    { 400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 12abc\r\n\r\n" },
    { 400, "POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n" },
    { 400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 5, 5\r\n\r\n" },
    { 400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n" },
    { 400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n 6\r\n\r\n" },
    { 413, "POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551621\r\n\r\n" },
    { 400, "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" },
    { 400, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n" },
    { 400, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n" },
    { 400, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" },
    { 400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" },
};

static void test_samples(void **state)
{
    (void)state;
    for (size_t i = 0; i < PN_ARRAY_LEN(SAMPLES); i++) {
        struct pn_head v = pn_http_head_check(SAMPLES[i].head, strlen(SAMPLES[i].head));
        if (v.status != SAMPLES[i].status)
            fail_msg("sample %zu: %d (%s), not %d: %s", i, v.status, v.why, SAMPLES[i].status,
                     SAMPLES[i].head);
    }
}

/* A verdict comes at the first byte that decides it and stays. */
static void test_growing(void **state)
{
    (void)state;
    for (size_t i = 0; i < PN_ARRAY_LEN(SAMPLES); i++) {
        size_t len = strlen(SAMPLES[i].head);
        int seen = 0;
        for (size_t n = 0; n <= len; n++) {
            int status = pn_http_head_check(SAMPLES[i].head, n).status;
            assert_true(seen == 0 || status == seen);
            seen = status;
        }
        assert_int_equal(seen, SAMPLES[i].status);
    }
}

static void test_framing(void **state)
{
    (void)state;
    static const char head[] = "POST / HTTP/1.1\r\n" HOST "content-length: 0012\r\n\r\nGET";
    struct pn_head v = pn_http_head_check(head, sizeof(head) - 1);
    assert_int_equal(v.len, sizeof(head) - 1 - 3);
    assert_int_equal(v.content_length, 12);
    assert_false(v.chunked);
    static const char chunked[] = "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n";
    v = pn_http_head_check(chunked, sizeof(chunked) - 1);
    assert_int_equal(v.content_length, -1);
    assert_true(v.chunked);
}

static void test_nul_in_header(void **state)
{
    (void)state;
    static const char head[] = "GET / HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n";
    assert_int_equal(pn_http_head_check(head, sizeof(head) - 1).status, 400);
}

static void test_too_large(void **state)
{
    (void)state;
    char *head = malloc(PN_HEAD_MAX_BYTES + 1);
    int n = snprintf(head, PN_HEAD_MAX_BYTES, "GET / HTTP/1.1\r\n" HOST "X: ");
    memset(head + n, 'a', (size_t)(PN_HEAD_MAX_BYTES + 1 - n));
    assert_int_equal(pn_http_head_check(head, PN_HEAD_MAX_BYTES - 1).status, 0);
    assert_int_equal(pn_http_head_check(head, PN_HEAD_MAX_BYTES).status, 431);
    assert_int_equal(pn_http_head_check(head, PN_HEAD_MAX_BYTES + 1).status, 431);
    free(head);
}

static void test_too_many(void **state)
{
    (void)state;
    char head[PN_HEAD_MAX_BYTES];
    size_t n = (size_t)snprintf(head, sizeof(head), "GET / HTTP/1.1\r\n" HOST);
    for (int i = 0; i < PN_HEAD_MAX_HEADERS; i++)
        n += (size_t)snprintf(head + n, sizeof(head) - n, "H%d: v\r\n", i);
    assert_int_equal(pn_http_head_check(head, n).status, 431);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),   cmocka_unit_test(test_framing),
        cmocka_unit_test(test_growing),   cmocka_unit_test(test_nul_in_header),
        cmocka_unit_test(test_too_large), cmocka_unit_test(test_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
