/* fuzz_ws_client.c - URLs and answers to the handshake: slices stay inside, a URL that is taken makes a
 * request of one line and its headers, and a verdict on an answer does not change with more bytes. */
#include "base/ws_handshake.h"

#include <stdlib.h>
#include <string.h>

#define KEY    "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

static void check_url(struct pn_str text)
{
    struct pn_ws_url u;
    struct pn_buf b;
    if (pn_ws_url_parse(text, &u, NULL) < 0)
        return;
    if (u.host.ptr < text.ptr || u.host.ptr + u.host.len > text.ptr + text.len || u.port < 1 ||
        u.path.ptr + u.path.len != text.ptr + text.len)
        abort();
    pn_buf_init(&b, 8192);
    pn_ws_request_write(&u, KEY, "", &b);
    int n_lines = 0;
    for (size_t i = 0; i < b.len; i++)
        n_lines += b.ptr[i] == '\n';
    if (b.failed || n_lines != 8)
        abort();
    pn_buf_done(&b);
}

static void check_answer(struct pn_str bytes, const char *protocol)
{
    int status = 0, seen = 0;
    for (size_t n = 0; n < bytes.len; n = 2 * n + 1) {
        int r = pn_ws_answer_check((struct pn_str){ bytes.ptr, n }, ACCEPT, protocol, &status, NULL);
        if (r > (int)n || (seen != 0 && r != seen))
            abort();
        seen = r;
    }
    int whole = pn_ws_answer_check(bytes, ACCEPT, protocol, &status, NULL);
    if (whole > (int)bytes.len || (seen != 0 && whole != seen))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *exact = malloc(size ? size : 1);
    memcpy(exact, data, size);
    struct pn_str s = { exact, size };
    check_url(s);
    check_answer(s, "");
    check_answer(s, "chat");
    free(exact);
    return 0;
}
