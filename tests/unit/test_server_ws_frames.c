/* test_server_ws_frames.c - frames over a stream in memory: what is told and what is answered, the limits
 * over fragments, holding, floods, and writes that come to a halt anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "server/ws_frames.h"

enum { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10, FIN = 0x80 };

#define MAX_TEXT   1000
#define MAX_BINARY 2000
#define SECOND_US  1000000

/* The peer: what it sends, what it got, and how much it takes. */
struct peer {
    struct pn_ws_frames *f;
    struct pn_buf in, out, told; /* told: "t:hello;" and "b:xyz;" with "+" for a piece that is not the last */
    size_t read, room;           /* of `in`; bytes it still takes */
    bool ended, hold_at_text;
};

static ssize_t read_in(void *ctx, char *out, size_t n)
{
    struct peer *p = ctx;
    if (p->read == p->in.len)
        return p->ended ? 0 : -PN_EAGAIN;
    n = PN_MIN(n, p->in.len - p->read);
    memcpy(out, p->in.ptr + p->read, n);
    p->read += n;
    return (ssize_t)n;
}

static ssize_t write_out(void *ctx, const struct iovec *v, int n)
{
    struct peer *p = ctx;
    size_t done = 0;
    for (int i = 0; i < n; i++) {
        size_t part = PN_MIN(v[i].iov_len, p->room);
        pn_buf_append(&p->out, v[i].iov_base, part);
        p->room -= part;
        done += part;
    }
    return done > 0 ? (ssize_t)done : -PN_EAGAIN;
}

static void tell_text(void *ctx, const char *data, size_t n)
{
    struct peer *p = ctx;
    pn_buf_printf(&p->told, "t:%.*s;", (int)n, data);
    if (p->hold_at_text)
        pn_ws_frames_hold(p->f, true);
}

static void tell_binary(void *ctx, const char *data, size_t n, bool end)
{
    struct peer *p = ctx;
    pn_buf_printf(&p->told, "b:%.*s%s", (int)n, data, end ? ";" : "+");
}

static const struct pn_ws_frames_ops OPS = {
    .read = read_in, .write = write_out, .text = tell_text, .binary = tell_binary
};

static int set_up(void **state)
{
    static struct peer p;
    p = (struct peer){ .room = SIZE_MAX };
    pn_buf_init(&p.in, SIZE_MAX / 2);
    pn_buf_init(&p.out, SIZE_MAX / 2);
    pn_buf_init(&p.told, SIZE_MAX / 2);
    *state = &p;
    return pn_ws_frames_new(&OPS, MAX_TEXT, MAX_BINARY, &p, &p.f);
}

static int tear_down(void **state)
{
    struct peer *p = *state;
    pn_ws_frames_free(p->f);
    pn_buf_done(&p->in);
    pn_buf_done(&p->out);
    pn_buf_done(&p->told);
    return 0;
}

/* A masked frame; the mask is zero, so the payload stands there as it is. */
static void say(struct peer *p, int first, const void *data, size_t n)
{
    pn_buf_putc(&p->in, (char)first);
    if (n < 126) {
        pn_buf_putc(&p->in, (char)(0x80 | n));
    } else {
        pn_buf_putc(&p->in, (char)(0x80 | 126));
        pn_buf_putc(&p->in, (char)(n >> 8));
        pn_buf_putc(&p->in, (char)n);
    }
    pn_buf_append(&p->in, "\0\0\0\0", 4);
    pn_buf_append(&p->in, data, n);
}

static void says(struct peer *p, int first, const char *text)
{
    say(p, first, text, strlen(text));
}

static void assert_told(struct peer *p, const char *want)
{
    assert_string_equal(p->told.len ? p->told.ptr : "", want);
    pn_buf_clear(&p->told);
}

static void assert_out(struct peer *p, const char *want, size_t n)
{
    assert_int_equal(p->out.len, n);
    assert_memory_equal(p->out.ptr, want, n);
    pn_buf_clear(&p->out);
}

/* The close frame that must be the last thing written. */
static void assert_closed(struct peer *p, int code)
{
    assert_true(p->out.len >= 4);
    for (size_t i = 0; i + 4 <= p->out.len; i++)
        if (p->out.ptr[i] == (char)(FIN | CLOSE) && i + 2 + (size_t)p->out.ptr[i + 1] == p->out.len) {
            assert_int_equal((unsigned char)p->out.ptr[i + 2] << 8 | (unsigned char)p->out.ptr[i + 3], code);
            return;
        }
    fail_msg("no close frame at the end");
}

static void test_messages(void **state)
{
    struct peer *p = *state;
    says(p, FIN | TEXT, "hello");
    says(p, TEXT, "in ");
    says(p, FIN | PING, "?");
    says(p, CONTINUATION, "");
    says(p, FIN | CONTINUATION, "pieces");
    says(p, BINARY, "ab");
    says(p, FIN | CONTINUATION, "c");
    says(p, FIN | BINARY, "");
    assert_true(pn_ws_frames_run(p->f, 0));
    assert_told(p, "t:hello;t:in pieces;b:ab+b:c+b:;b:;");
    assert_out(p, "\x8a\x01?", 3);
    assert_int_equal(pn_ws_frames_send(p->f, true, "yes", 3), 0);
    assert_int_equal(pn_ws_frames_send(p->f, false, "", 0), 0);
    assert_true(pn_ws_frames_run(p->f, 0));
    assert_out(p, "\x81\x03yes\x82\x00", 7);
}

static void test_limits_hold_for_all_fragments(void **state)
{
    struct peer *p = *state;
    char data[MAX_BINARY] = { 0 };
    memset(data, 'x', sizeof(data));
    say(p, FIN | TEXT, data, MAX_TEXT);
    say(p, TEXT, data, MAX_TEXT - 1);
    say(p, CONTINUATION, data, 1);
    assert_true(pn_ws_frames_run(p->f, 0));
    assert_int_equal(p->told.len, MAX_TEXT + 3);
    say(p, FIN | CONTINUATION, data, 1);
    assert_false(pn_ws_frames_run(p->f, 0));
    assert_int_equal(p->told.len, MAX_TEXT + 3);
    assert_closed(p, 1009);
}

static void test_too_long_in_one(void **state)
{
    struct peer *p = *state;
    char data[MAX_BINARY + 1] = { 0 };
    say(p, FIN | BINARY, data, sizeof(data));
    assert_false(pn_ws_frames_run(p->f, 0));
    assert_told(p, "");
    assert_closed(p, 1009);
}

static void test_text_must_be_utf8(void **state)
{
    struct peer *p = *state;
    says(p, TEXT, "\xe5\xa5"); /* may go on */
    assert_true(pn_ws_frames_run(p->f, 0));
    says(p, FIN | CONTINUATION, "a");
    assert_false(pn_ws_frames_run(p->f, 0));
    assert_told(p, "");
    assert_closed(p, 1007);
}

static void test_holding(void **state)
{
    struct peer *p = *state;
    char big[900];
    memset(big, '.', sizeof(big));
    p->hold_at_text = true;
    says(p, FIN | TEXT, "one");
    for (int i = 0; i < 20; i++) /* more than is read at once */
        say(p, FIN | BINARY, big, sizeof(big));
    says(p, FIN | CLOSE, "\x03\xe8");
    assert_true(pn_ws_frames_run(p->f, 0));
    size_t read = p->read;
    assert_true(read < p->in.len);
    assert_false(pn_ws_frames_wants_read(p->f));
    assert_true(pn_ws_frames_run(p->f, 0));
    assert_int_equal(p->read, read);
    pn_ws_frames_hold(p->f, false);
    assert_false(pn_ws_frames_run(p->f, 0));
    assert_int_equal(p->read, p->in.len);
    assert_out(p, "\x88\x02\x03\xe8", 4);
}

static void test_closing_ends_a_hold_and_all_messages(void **state)
{
    struct peer *p = *state;
    pn_ws_frames_hold(p->f, true);
    says(p, FIN | TEXT, "too late");
    says(p, FIN | CLOSE, "\x03\xe9");
    pn_ws_frames_close(p->f, 1001, "bye");
    pn_ws_frames_close(p->f, 1011, "the first counts");
    assert_true(pn_ws_frames_closing(p->f));
    assert_int_equal(pn_ws_frames_send(p->f, true, "x", 1), -PN_ECANCELLED);
    assert_false(pn_ws_frames_run(p->f, 0));
    assert_told(p, "");
    assert_out(p,
               "\x88\x05\x03\xe9"
               "bye",
               7);
}

/* Whoever explains why and then closes is heard, also by a slow reader. */
static void test_a_close_waits_for_the_messages_before_it(void **state)
{
    struct peer *p = *state;
    assert_int_equal(pn_ws_frames_send(p->f, true, "why", 3), 0);
    pn_ws_frames_close(p->f, 1013, "later");
    for (p->room = 1; p->out.len < 5; p->room = 1)
        assert_true(pn_ws_frames_run(p->f, 0));
    p->room = SIZE_MAX;
    assert_true(pn_ws_frames_run(p->f, 0));
    assert_out(p,
               "\x81\x03why"
               "\x88\x07\x03\xf5later",
               14);
}

static void test_a_long_reason_is_cut_between_characters(void **state)
{
    struct peer *p = *state;
    char reason[200] = "";
    for (int i = 0; i < 50; i++)
        memcpy(reason + 3 * i, "\xe5\xa5\xbd", 4);
    pn_ws_frames_close(p->f, 1008, reason);
    assert_true(pn_ws_frames_run(p->f, 0));
    assert_int_equal(p->out.len, 2 + 2 + 123);
    pn_ws_frames_free(p->f);
    assert_int_equal(pn_ws_frames_new(&OPS, MAX_TEXT, MAX_BINARY, p, &p->f), 0);
    pn_buf_clear(&p->out);
    reason[0] = 'x'; /* and two stray bytes */
    memmove(reason + 1, reason + 3, sizeof(reason) - 3);
    pn_ws_frames_close(p->f, 1008, reason);
    assert_true(pn_ws_frames_run(p->f, 0));
    assert_int_equal(p->out.len, 2 + 2 + 121);
}

static void flood(struct peer *p, int first, int n)
{
    for (int i = 0; i < n; i++)
        says(p, first, "");
}

static void test_floods_are_ended(void **state)
{
    static const int kinds[] = { FIN | PING, FIN | PONG, FIN | TEXT, FIN | BINARY };
    struct peer *p = *state;
    for (size_t i = 0; i < PN_ARRAY_LEN(kinds); i++) {
        flood(p, kinds[i], PN_WS_IDLE_FRAMES);
        assert_true(pn_ws_frames_run(p->f, SECOND_US));
        flood(p, kinds[i], PN_WS_IDLE_FRAMES);
        assert_true(pn_ws_frames_run(p->f, 2 * SECOND_US));
        flood(p, kinds[i], 1);
        assert_false(pn_ws_frames_run(p->f, 2 * SECOND_US));
        assert_closed(p, 1008);
        assert_int_equal(tear_down(state) + set_up(state), 0);
    }
}

static void test_empty_fragments_are_ended(void **state)
{
    struct peer *p = *state;
    says(p, TEXT, "a");
    flood(p, CONTINUATION, PN_WS_IDLE_FRAMES + 1);
    assert_false(pn_ws_frames_run(p->f, SECOND_US));
    assert_closed(p, 1008);
    assert_told(p, "");
}

/* Empty pongs are no bytes, but they are memory. */
static void test_pings_of_who_reads_nothing(void **state)
{
    struct peer *p = *state;
    p->room = 0;
    flood(p, FIN | PING, 100000);
    int seconds = 0;
    while (pn_ws_frames_wants_read(p->f) && seconds < 1000) {
        p->in.len = PN_MIN(p->in.len, p->read + (PN_WS_IDLE_FRAMES - 30) * 6);
        assert_true(pn_ws_frames_run(p->f, ++seconds * (int64_t)SECOND_US));
        flood(p, FIN | PING, 1000);
    }
    assert_true(seconds <= PN_WS_QUEUE_FRAMES / (PN_WS_IDLE_FRAMES - 30) + 1);
    p->room = SIZE_MAX;
    p->in.len = p->read;
    assert_true(pn_ws_frames_run(p->f, 0));
    assert_true(pn_ws_frames_wants_read(p->f));
}

static void test_one_run_reads_so_much_and_no_more(void **state)
{
    struct peer *p = *state;
    char data[MAX_BINARY] = { 0 };
    while (p->in.len < 2 * PN_WS_RUN_BYTES)
        say(p, FIN | BINARY, data, sizeof(data));
    assert_true(pn_ws_frames_run(p->f, 0));
    assert_int_equal(p->read, PN_WS_RUN_BYTES);
    assert_true(pn_ws_frames_wants_read(p->f));
}

static void test_a_slow_reader_fills_the_queue(void **state)
{
    struct peer *p = *state;
    static char data[70000];
    int r = 0, n = 0;
    p->room = 0;
    while (n < 1000 && (r = pn_ws_frames_send(p->f, false, data, sizeof(data))) == 0)
        n++;
    assert_int_equal(r, -PN_EFULL);
    assert_in_range(n, 2 * PN_WS_QUEUE_MAX / (int)sizeof(data), 2 * PN_WS_QUEUE_MAX / (int)sizeof(data) + 1);
    assert_true(pn_ws_frames_run(p->f, 0));
    assert_false(pn_ws_frames_wants_read(p->f));
    p->room = SIZE_MAX;
    assert_true(pn_ws_frames_run(p->f, 0));
    assert_int_equal(p->out.len, (size_t)n * (sizeof(data) + 10));
}

/* Whatever the lengths of the writes, the bytes are the same. */
static void test_writes_in_pieces(void **state)
{
    struct peer *p = *state;
    static char data[300];
    memset(data, 'd', sizeof(data));
    for (size_t piece = 1; piece < 320; piece += piece < 12 ? 1 : 43) {
        pn_buf_clear(&p->out);
        assert_int_equal(pn_ws_frames_send(p->f, true, data, sizeof(data)), 0);
        assert_int_equal(pn_ws_frames_send(p->f, true, "", 0), 0);
        for (p->room = 0; pn_ws_frames_wants_write(p->f); p->room = piece)
            assert_true(pn_ws_frames_run(p->f, 0));
        assert_int_equal(p->out.len, 4 + sizeof(data) + 2);
        assert_memory_equal(p->out.ptr, "\x81\x7e\x01\x2c", 4);
        assert_memory_equal(p->out.ptr + 4, data, sizeof(data));
        assert_memory_equal(p->out.ptr + 4 + sizeof(data), "\x81\x00", 2);
    }
}

static void test_an_error_inside_a_frame_of_ours_is_not_told(void **state)
{
    struct peer *p = *state;
    assert_int_equal(pn_ws_frames_send(p->f, true, "hello", 5), 0);
    p->room = 3;
    assert_true(pn_ws_frames_run(p->f, 0));
    p->room = SIZE_MAX;
    says(p, PING, "a control frame in fragments");
    assert_false(pn_ws_frames_run(p->f, 0));
    assert_out(p, "\x81\x05h", 3);
}

static void test_the_end_of_the_stream(void **state)
{
    struct peer *p = *state;
    says(p, TEXT, "unfinis");
    p->ended = true;
    assert_false(pn_ws_frames_run(p->f, 0));
    assert_told(p, "");
    assert_int_equal(p->out.len, 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_messages),
        CASE(test_limits_hold_for_all_fragments),
        CASE(test_too_long_in_one),
        CASE(test_text_must_be_utf8),
        CASE(test_holding),
        CASE(test_closing_ends_a_hold_and_all_messages),
        CASE(test_a_close_waits_for_the_messages_before_it),
        CASE(test_a_long_reason_is_cut_between_characters),
        CASE(test_floods_are_ended),
        CASE(test_empty_fragments_are_ended),
        CASE(test_pings_of_who_reads_nothing),
        CASE(test_one_run_reads_so_much_and_no_more),
        CASE(test_a_slow_reader_fills_the_queue),
        CASE(test_writes_in_pieces),
        CASE(test_an_error_inside_a_frame_of_ours_is_not_told),
        CASE(test_the_end_of_the_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
