/* test_base_ws_client.c - the client against servers of a few bytes each: a thread takes one connection,
 * answers what its script says, keeps what it hears. */
#include "base/ws_client.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/ws_handshake.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define UPGRADE                                                                         \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
    "Sec-WebSocket-Accept: %s\r\n\r\n"

struct script {
    const char *answer;   /* with the accept in the place of %s */
    struct pn_str frames; /* sent behind it, in the same write */
    bool hang_up;         /* then, instead of reading until the client does */
    struct pn_buf heard;  /* everything after the handshake */
    int listener, port;
    pthread_t thread;
};

struct heard {
    struct pn_ws_client *client;
    struct pn_buf text; /* "text:hello\n" */
};

/* ---- the server ---- */

static void write_whole(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        p += sent;
        n -= (size_t)sent;
    }
}

static void answer(struct script *s, int fd)
{
    char head[4096] = "", accept_value[PN_WS_ACCEPT_LEN + 1] = "";
    size_t n = 0;
    ssize_t got;
    while (!strstr(head, "\r\n\r\n") && (got = read(fd, head + n, sizeof(head) - 1 - n)) > 0)
        head[n += (size_t)got] = '\0';
    const char *key = strstr(head, "Sec-WebSocket-Key: ");
    if (key && !pn_ws_accept_of((struct pn_str){ key + 19, PN_WS_KEY_LEN }, accept_value))
        return;
    struct pn_buf out;
    pn_buf_init(&out, (size_t)8 << 20);
    const char *hole = strstr(s->answer, "%s");
    if (hole) {
        pn_buf_append(&out, s->answer, (size_t)(hole - s->answer));
        pn_buf_puts(&out, accept_value);
    }
    pn_buf_puts(&out, hole ? hole + 2 : s->answer);
    pn_buf_str(&out, s->frames);
    write_whole(fd, out.ptr, out.len);
    pn_buf_done(&out);
}

static void *serve(void *arg)
{
    struct script *s = arg;
    int fd = accept(s->listener, NULL, NULL);
    if (fd < 0)
        return NULL;
    answer(s, fd);
    char piece[4096];
    for (ssize_t n; !s->hang_up && (n = read(fd, piece, sizeof(piece))) > 0;)
        pn_buf_append(&s->heard, piece, (size_t)n);
    shutdown(fd, SHUT_WR);
    close(fd);
    return NULL;
}

static void start(struct script *s)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(a);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(s->listener >= 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(s->listener, 1), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&a, &len), 0);
    s->port = ntohs(a.sin_port);
    pn_buf_init(&s->heard, (size_t)8 << 20);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void stop(struct script *s)
{
    pthread_join(s->thread, NULL);
    close(s->listener);
    pn_buf_done(&s->heard);
}

/* ---- the client ---- */

static void on_message(void *ctx, bool text, struct pn_str data)
{
    struct heard *h = ctx;
    pn_buf_puts(&h->text, text ? "text:" : "binary:");
    pn_buf_str(&h->text, data);
    pn_buf_putc(&h->text, '\n');
}

static int open_client(struct script *s, struct heard *h, const char *protocol, struct pn_err *err)
{
    char url[64];
    snprintf(url, sizeof(url), "ws://127.0.0.1:%d/x", s->port);
    struct pn_ws_client_options opt = { .url = url,
                                        .protocol = protocol,
                                        .timeout_ms = 30000,
                                        .stop_fd = -1,
                                        .max_message = 65536,
                                        .message = on_message,
                                        .ctx = h };
    pn_buf_init(&h->text, (size_t)1 << 20);
    return pn_ws_client_open(&opt, &h->client, err);
}

/* Until it ends, or `n` bytes of messages are there. */
static int run_client(struct heard *h, size_t n, struct pn_err *err)
{
    int r;
    while ((r = pn_ws_client_run(h->client, err)) == 0 && h->text.len < n) {
        struct pollfd p = { pn_ws_client_fd(h->client), pn_ws_client_events(h->client), 0 };
        poll(&p, 1, 1000);
    }
    return r;
}

static void done(struct script *s, struct heard *h)
{
    pn_ws_client_free(h->client);
    stop(s);
    pn_buf_done(&h->text);
}

/* ---- tests ---- */

static void test_messages_that_came_with_the_handshake(void **state)
{
    struct script s = { .answer = UPGRADE,
                        .frames = PN_STR("\x81\x05hello\x02\x01"
                                         "a\x89\x02hi\x80\x01z") };
    struct heard h = { 0 };
    (void)state;
    start(&s);
    assert_int_equal(open_client(&s, &h, "", NULL), 0);
    assert_int_equal(run_client(&h, 21, NULL), 0);
    assert_string_equal(h.text.ptr, "text:hello\nbinary:az\n");
    done(&s, &h);
}

/* What a masked frame of less than 126 bytes holds. */
static void unmask(const char *frame, char *out)
{
    size_t n = frame[1] & 0x7f;
    for (size_t i = 0; i < n; i++)
        out[i] = (char)(frame[6 + i] ^ frame[2 + i % 4]);
    out[n] = '\0';
}

static void test_what_is_sent_is_masked_and_pings_are_answered(void **state)
{
    struct script s = { .answer = UPGRADE, .frames = PN_STR("\x89\x03you") };
    struct heard h = { 0 };
    char got[128];
    (void)state;
    start(&s);
    assert_int_equal(open_client(&s, &h, "", NULL), 0);
    struct pollfd p = { pn_ws_client_fd(h.client), POLLIN, 0 };
    poll(&p, 1, 100); /* or it came with the handshake */
    assert_int_equal(pn_ws_client_run(h.client, NULL), 0);
    assert_int_equal(pn_ws_client_send(h.client, true, PN_STR("hello")), 0);
    assert_int_equal(pn_ws_client_send(h.client, false, PN_STR("\1\2\3")), 0);
    assert_true(pn_ws_client_waiting(h.client) > 0);
    while (pn_ws_client_waiting(h.client) > 0)
        assert_int_equal(pn_ws_client_run(h.client, NULL), 0);
    pn_ws_client_free(h.client);
    h.client = NULL;
    pthread_join(s.thread, NULL);
    assert_int_equal(s.heard.len, 9 + 11 + 9);
    assert_memory_equal(s.heard.ptr, "\x8a\x83", 2);
    unmask(s.heard.ptr, got);
    assert_string_equal(got, "you");
    assert_memory_equal(s.heard.ptr + 9, "\x81\x85", 2);
    unmask(s.heard.ptr + 9, got);
    assert_string_equal(got, "hello");
    assert_memory_equal(s.heard.ptr + 20, "\x82\x83", 2);
    close(s.listener);
    pn_buf_done(&s.heard);
    pn_buf_done(&h.text);
}

static void test_the_server_says_good_bye(void **state)
{
    struct script s = { .answer = UPGRADE,
                        .frames = PN_STR("\x81\x01x\x88\x06\x03\xf0"
                                         "full") };
    struct heard h = { 0 };
    (void)state;
    start(&s);
    assert_int_equal(open_client(&s, &h, "", NULL), 0);
    assert_int_equal(run_client(&h, SIZE_MAX, NULL), 1);
    assert_int_equal(pn_ws_client_close_code(h.client), 1008);
    assert_string_equal(pn_ws_client_close_reason(h.client), "full");
    assert_string_equal(h.text.ptr, "text:x\n");
    assert_int_equal(pn_ws_client_send(h.client, true, PN_STR("late")), -PN_ECANCELLED);
    done(&s, &h);
}

static void test_we_say_good_bye(void **state)
{
    struct script s = { .answer = UPGRADE };
    struct heard h = { 0 };
    (void)state;
    start(&s);
    assert_int_equal(open_client(&s, &h, "", NULL), 0);
    pn_ws_client_close(h.client, 1000);
    assert_int_equal(pn_ws_client_run(h.client, NULL), 0); /* the answer is not there yet */
    done(&s, &h);
}

static int end_of(const char *frames, size_t n, struct pn_err *err)
{
    struct script s = { .answer = UPGRADE, .frames = { frames, n }, .hang_up = true };
    struct heard h = { 0 };
    start(&s);
    assert_int_equal(open_client(&s, &h, "", err), 0);
    int r = run_client(&h, SIZE_MAX, err);
    assert_int_equal(err->code, -r);
    done(&s, &h);
    return r;
}

static void test_the_connection_is_lost(void **state)
{
    struct pn_err err = { 0 };
    (void)state;
    assert_int_equal(end_of("\x81\x05hel", 5, &err), -PN_EIO);
    assert_string_equal(err.text, "the connection was lost");
}

static void test_hostile_frames(void **state)
{
    static const struct pn_str BAD[] = {
        { "\xc1\x01x", 3 },                                  /* a reserved bit */
        { "\x83\x01x", 3 },                                  /* a reserved opcode */
        { "\x81\x81\x01\x02\x03\x04x", 7 },                  /* masked: only clients do that */
        { "\x81\x02\xff\xff", 4 },                           /* no UTF-8 */
        { "\x80\x01x", 3 },                                  /* continues nothing */
        { "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x01x", 11 }, /* 65537 bytes: more than we take */
        { "\x82\x7f\x40\x00\x00\x00\x00\x00\x00\x00x", 11 }, /* 2^62 bytes */
        { "\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", 10 },  /* more than there can be */
        { "\x89\x7e\x00\x7e", 4 },                           /* a long ping */
        { "\x09\x00", 2 },                                   /* a ping in pieces */
    };
    (void)state;
    for (size_t i = 0; i < PN_ARRAY_LEN(BAD); i++) {
        struct pn_err err = { 0 };
        assert_int_equal(end_of(BAD[i].ptr, BAD[i].len, &err), -PN_EFORMAT);
    }
}

/* The pongs that it is made to queue are bounded, and it goes on when they can be written. */
static void test_a_flood_of_pings(void **state)
{
    enum { PINGS = 200000 };
    struct script s = { .answer = UPGRADE };
    struct heard h = { 0 };
    struct pn_buf flood;
    (void)state;
    pn_buf_init(&flood, (size_t)8 << 20);
    for (int i = 0; i < PINGS; i++)
        pn_buf_append(&flood,
                      "\x89\x08"
                      "01234567",
                      10);
    pn_buf_append(&flood,
                  "\x81\x03"
                  "end",
                  5);
    s.frames = (struct pn_str){ flood.ptr, flood.len };
    start(&s);
    assert_int_equal(open_client(&s, &h, "", NULL), 0);
    int r = 0;
    while (r == 0 && h.text.len == 0) {
        struct pollfd p = { pn_ws_client_fd(h.client), pn_ws_client_events(h.client), 0 };
        poll(&p, 1, 1000);
        r = pn_ws_client_run(h.client, NULL);
        assert_true(pn_ws_client_waiting(h.client) < PN_WS_CLIENT_QUEUE + 65536);
    }
    assert_int_equal(r, 0);
    assert_string_equal(h.text.ptr, "text:end\n");
    done(&s, &h);
    pn_buf_done(&flood);
}

static void test_answers_that_are_no_handshake(void **state)
{
    static const struct {
        const char *answer;
        int code;
    } BAD[] = { { "HTTP/1.1 404 Not Found\r\n\r\n", -PN_EUNSUPPORTED },
                { "220 mail.example.org\r\n\r\n", -PN_EFORMAT },
                { "HTTP/1.1 101 Sw", -PN_EIO },
                { "", -PN_EIO },
                { "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
                  -PN_EFORMAT } };
    (void)state;
    for (size_t i = 0; i < PN_ARRAY_LEN(BAD); i++) {
        struct script s = { .answer = BAD[i].answer, .hang_up = true };
        struct heard h = { 0 };
        struct pn_err err = { 0 };
        start(&s);
        assert_int_equal(open_client(&s, &h, "", &err), BAD[i].code);
        assert_int_equal(err.code, -BAD[i].code);
        assert_null(h.client);
        done(&s, &h);
    }
}

static void test_nobody_listens(void **state)
{
    struct script s = { .answer = "" };
    struct heard h = { 0 };
    struct pn_err err = { 0 };
    (void)state;
    start(&s);
    shutdown(s.listener, SHUT_RDWR);
    pthread_join(s.thread, NULL);
    close(s.listener);
    assert_int_equal(open_client(&s, &h, "", &err), -PN_EIO);
    assert_non_null(strstr(err.text, "cannot connect to 127.0.0.1: "));
    pn_buf_done(&s.heard);
    pn_buf_done(&h.text);
}

/* A server that says nothing is given up when we are told to. */
static void test_opening_is_interrupted(void **state)
{
    struct script s = { .answer = "" };
    int stop_pipe[2];
    struct pn_err err = { 0 };
    struct pn_ws_client *c = NULL;
    char url[64];
    (void)state;
    start(&s);
    assert_int_equal(pipe(stop_pipe), 0);
    assert_int_equal(write(stop_pipe[1], "x", 1), 1);
    snprintf(url, sizeof(url), "ws://127.0.0.1:%d/", s.port);
    struct pn_ws_client_options opt = { .url = url, .timeout_ms = 600000, .stop_fd = stop_pipe[0] };
    assert_int_equal(pn_ws_client_open(&opt, &c, &err), -PN_ECANCELLED);
    opt.stop_fd = -1;
    opt.url = "http://x/";
    assert_int_equal(pn_ws_client_open(&opt, &c, NULL), -PN_EINVAL);
    close(stop_pipe[0]);
    close(stop_pipe[1]);
    shutdown(s.listener, SHUT_RDWR); /* if it never got so far as to connect */
    stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_that_came_with_the_handshake),
        cmocka_unit_test(test_what_is_sent_is_masked_and_pings_are_answered),
        cmocka_unit_test(test_the_server_says_good_bye),
        cmocka_unit_test(test_we_say_good_bye),
        cmocka_unit_test(test_the_connection_is_lost),
        cmocka_unit_test(test_hostile_frames),
        cmocka_unit_test(test_a_flood_of_pings),
        cmocka_unit_test(test_answers_that_are_no_handshake),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_opening_is_interrupted),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
