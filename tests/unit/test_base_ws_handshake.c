/* test_base_ws_handshake.c - URLs that are taken and refused, and answers of servers, right and hostile. */
#include "base/ws_handshake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEY    "dGhlIHNhbXBsZSBub25jZQ==" /* RFC 6455 1.3 */
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define HEAD                                                                                        \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n" \
    "Sec-WebSocket-Accept: " ACCEPT "\r\n"

static void check_url(const char *text, bool tls, const char *host, int port, const char *path)
{
    struct pn_ws_url u = { 0 };
    struct pn_err err = { 0 };
    assert_int_equal(pn_ws_url_parse(pn_str(text), &u, &err), 0);
    assert_int_equal(u.tls, tls);
    assert_true(pn_str_is(u.host, host));
    assert_int_equal(u.port, port);
    assert_true(pn_str_is(u.path, path));
}

static void test_urls(void **state)
{
    (void)state;
    check_url("ws://localhost", false, "localhost", 80, "");
    check_url("WSS://example.org/ws/asr", true, "example.org", 443, "/ws/asr");
    check_url("ws://10.0.0.1:9999/ws/asr?x=1", false, "10.0.0.1", 9999, "/ws/asr?x=1");
    check_url("wss://[::1]:8443?a", true, "[::1]", 8443, "?a");
    check_url("ws://[fe80::1%25eth0]/", false, "[fe80::1%25eth0]", 80, "/");
}

static void test_urls_that_are_none(void **state)
{
    static const char *const BAD[] = { "",
                                       "ws:/x",
                                       "http://x/",
                                       "ws://",
                                       "ws://:80/",
                                       "ws://x:/",
                                       "ws://x:0/",
                                       "ws://x:65536/",
                                       "ws://x:80x/",
                                       "ws://user:secret@x/",
                                       "ws://x/#part",
                                       "ws://x/a b",
                                       "ws://x/\r\nHost: y",
                                       "ws://x\\y/",
                                       "ws://[::1/",
                                       "ws://::1]/",
                                       "ws://[]/",
                                       "ws://[::1]80/",
                                       "ws://\xe4\xbd\xa0/" };
    (void)state;
    for (size_t i = 0; i < PN_ARRAY_LEN(BAD); i++) {
        struct pn_ws_url u = { .port = 7 };
        struct pn_err err = { 0 };
        assert_int_equal(pn_ws_url_parse(pn_str(BAD[i]), &u, &err), -PN_EINVAL);
        assert_int_equal(u.port, 7);
        assert_true(err.text[0] != '\0');
    }
    char longest[PN_WS_URL_MAX + 2] = "ws://x/";
    memset(longest + 7, 'a', sizeof(longest) - 8);
    struct pn_ws_url u;
    assert_int_equal(pn_ws_url_parse(pn_str(longest), &u, NULL), -PN_EINVAL);
    longest[PN_WS_URL_MAX] = '\0';
    assert_int_equal(pn_ws_url_parse(pn_str(longest), &u, NULL), 0);
}

static void check_request(const char *url, const char *protocol, const char *first, const char *part)
{
    struct pn_ws_url u;
    struct pn_buf b;
    pn_buf_init(&b, 8192);
    assert_int_equal(pn_ws_url_parse(pn_str(url), &u, NULL), 0);
    pn_ws_request_write(&u, KEY, protocol, &b);
    assert_int_equal(b.failed, 0);
    assert_memory_equal(b.ptr, first, strlen(first));
    assert_non_null(strstr(b.ptr, part));
    assert_string_equal(b.ptr + b.len - 4, "\r\n\r\n");
    pn_buf_done(&b);
}

static void test_requests(void **state)
{
    (void)state;
    check_request("ws://h:81/p?q", "", "GET /p?q HTTP/1.1\r\nHost: h:81\r\n",
                  "\r\nSec-WebSocket-Key: " KEY "\r\n");
    check_request("wss://h?q", "chat", "GET /?q HTTP/1.1\r\nHost: h\r\n",
                  "\r\nSec-WebSocket-Protocol: chat\r\n");
    check_request("ws://[::1]:80", "", "GET / HTTP/1.1\r\nHost: [::1]\r\n", "\r\nConnection: Upgrade\r\n");
}

static void test_accept(void **state)
{
    char accept[PN_WS_ACCEPT_LEN + 1];
    (void)state;
    assert_true(pn_ws_accept_of(PN_STR(KEY), accept));
    assert_string_equal(accept, ACCEPT);
}

static int check(const char *answer, const char *protocol, int *status)
{
    struct pn_err err = { 0 };
    int r = pn_ws_answer_check(pn_str(answer), ACCEPT, protocol, status, &err);
    assert_int_equal(err.code, r < 0 ? -r : 0);
    return r;
}

static void test_answers(void **state)
{
    int status = 0;
    (void)state;
    assert_int_equal(check(HEAD "\r\n", "", &status), sizeof(HEAD "\r\n") - 1);
    assert_int_equal(status, 101);
    assert_int_equal(check(HEAD "\r\n\x81\x01x", "", &status), sizeof(HEAD "\r\n") - 1);
    assert_int_equal(check(HEAD "Sec-WebSocket-Protocol: chat\r\n\r\n", "chat", &status),
                     sizeof(HEAD "Sec-WebSocket-Protocol: chat\r\n\r\n") - 1);
}

static void test_a_part_of_an_answer_is_none(void **state)
{
    static const char WHOLE[] = HEAD "\r\n";
    int status = 7;
    (void)state;
    for (size_t n = 0; n + 1 < sizeof(WHOLE); n++)
        assert_int_equal(pn_ws_answer_check((struct pn_str){ WHOLE, n }, ACCEPT, "", &status, NULL), 0);
    assert_int_equal(pn_ws_answer_check((struct pn_str){ NULL, 0 }, ACCEPT, "", &status, NULL), 0);
    assert_int_equal(status, 7);
}

static void test_other_statuses(void **state)
{
    int status = 0;
    struct pn_err err = { 0 };
    (void)state;
    assert_int_equal(pn_ws_answer_check(PN_STR("HTTP/1.1 404 Not Found\r\n\r\n"), ACCEPT, "", &status, &err),
                     -PN_EUNSUPPORTED);
    assert_int_equal(status, 404);
    assert_string_equal(err.text, "the server answers 404 Not Found");
    err = (struct pn_err){ 0 };
    assert_int_equal(pn_ws_answer_check(PN_STR("HTTP/1.0 503 \x1b[2J\r\n\r\n"), ACCEPT, "", &status, &err),
                     -PN_EUNSUPPORTED);
    assert_string_equal(err.text, "the server answers 503");
    assert_int_equal(check("HTTP/1.1 200\r\n\r\n", "", &status), -PN_EUNSUPPORTED);
}

static void test_hostile_answers(void **state)
{
    static const char *const BAD[] = {
        "SSH-2.0-OpenSSH\r\n\r\n",
        "\r\n\r\n",
        "HTTP/1.1 \r\n\r\n",
        "HTTP/1.1 1012 x\r\n\r\n",
        "HTTP/2 101 x\r\n\r\n",
        "HTTP/1.1 101 x\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " ACCEPT "\r\n\r\n",
        "HTTP/1.1 101 x\r\nConnection: upgrade\r\nSec-WebSocket-Accept: " ACCEPT "\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: h2c\r\nConnection: upgrade\r\nSec-WebSocket-Accept: " ACCEPT "\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgraded\r\nSec-WebSocket-Accept: " ACCEPT
        "\r\n\r\n",
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
        "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        HEAD "Sec-WebSocket-Accept: " ACCEPT "\r\n\r\n",
        HEAD "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
        HEAD "Sec-WebSocket-Protocol: chat\r\n\r\n",
        HEAD "no header\r\n\r\n",
        HEAD ": x\r\n\r\n",
    };
    (void)state;
    for (size_t i = 0; i < PN_ARRAY_LEN(BAD); i++) {
        int status = 7;
        assert_int_equal(check(BAD[i], "", &status), -PN_EFORMAT);
        assert_int_equal(status, 7);
    }
    int status = 0;
    assert_int_equal(check(HEAD "\r\n", "chat", &status), -PN_EFORMAT);
    assert_int_equal(check(HEAD "Sec-WebSocket-Protocol: other\r\n\r\n", "chat", &status), -PN_EFORMAT);
}

static void test_endless_answers(void **state)
{
    struct pn_buf b;
    int status = 0;
    (void)state;
    pn_buf_init(&b, (size_t)1 << 20);
    pn_buf_puts(&b, HEAD);
    for (int i = 0; i < 101; i++)
        pn_buf_puts(&b, "X: y\r\n");
    pn_buf_puts(&b, "\r\n");
    assert_int_equal(check(b.ptr, "", &status), -PN_ELIMIT);
    pn_buf_clear(&b);
    while (b.len < PN_WS_HEAD_MAX)
        pn_buf_putc(&b, 'x');
    assert_int_equal(check(b.ptr, "", &status), -PN_ELIMIT);
    pn_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_urls_that_are_none),
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_accept),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_a_part_of_an_answer_is_none),
        cmocka_unit_test(test_other_statuses),
        cmocka_unit_test(test_hostile_answers),
        cmocka_unit_test(test_endless_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
