/* test_audio_decode_wire.c - the pipe's protocol: what a child writes is read back however it is split, and
 * nonsense is refused. */
#include "audio/decode_wire.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct bytes {
    uint8_t ptr[400000];
    size_t len;
};

static struct bytes *bytes_new(void)
{
    struct bytes *b = malloc(sizeof(*b));
    assert_non_null(b);
    b->len = 0;
    return b;
}

static void add(struct bytes *b, const void *ptr, size_t len)
{
    assert_true(b->len + len <= sizeof(b->ptr));
    memcpy(b->ptr + b->len, ptr, len);
    b->len += len;
}

static void add_head(struct bytes *b, uint32_t type, uint32_t length)
{
    uint32_t head[2] = { type, length };
    add(b, head, sizeof(head));
}

static void add_ready(struct bytes *b)
{
    uint8_t out[PN_WIRE_SMALL];
    add(b, out, pn_wire_put_ready(out, &(struct pn_sandbox_report){ .seccomp = true, .landlock_abi = 7 }));
}

static void add_info(struct bytes *b)
{
    uint8_t out[PN_WIRE_SMALL];
    struct pn_decoder_info info = { 1.5, "mov,mp4", "aac", 44100, 2 };
    add(b, out, pn_wire_put_info(out, &info));
}

static void add_pcm(struct bytes *b, size_t n, float first)
{
    uint8_t head[PN_WIRE_HEAD];
    pn_wire_put_pcm_head(head, n);
    add(b, head, sizeof(head));
    for (size_t i = 0; i < n; i++) {
        float x = first + (float)i / 65536.0f;
        add(b, &x, sizeof(x));
    }
}

static void add_end(struct bytes *b, uint64_t total)
{
    uint8_t out[PN_WIRE_SMALL];
    add(b, out, pn_wire_put_end(out, total));
}

static void add_error(struct bytes *b, int code, const char *text)
{
    uint8_t out[PN_WIRE_SMALL];
    add(b, out, pn_wire_put_error(out, code, text));
}

/* What came out of a reader. */
struct heard {
    struct pn_sandbox_report ready;
    struct pn_decoder_info info;
    struct pn_err error;
    size_t messages, samples;
    double sum;
    int result; /* 0, or the failure */
    bool ended;
    struct pn_err why;
};

static void hear(struct heard *h, const struct pn_wire_message *m)
{
    h->messages++;
    if (m->type == PN_WIRE_READY)
        h->ready = m->ready;
    if (m->type == PN_WIRE_INFO)
        h->info = m->info;
    if (m->type == PN_WIRE_ERROR)
        h->error = m->error;
    for (size_t i = 0; m->type == PN_WIRE_PCM && i < m->n; i++)
        h->sum += (double)m->pcm[i] * (double)(h->samples++ % 7 + 1);
}

/* Feeds `b` in pieces of `step` bytes; the pieces lie at the end of an allocation, so that reading over
 * shows. */
static struct heard read_all(const struct bytes *b, size_t step)
{
    struct heard h = { 0 };
    struct pn_wire_reader *r = malloc(sizeof(*r));
    assert_non_null(r);
    pn_wire_reader_init(r);
    for (size_t at = 0; at < b->len && h.result == 0; at += step) {
        size_t n = PN_MIN(step, b->len - at);
        char *piece = malloc(n);
        assert_non_null(piece);
        memcpy(piece, b->ptr + at, n);
        struct pn_str in = { piece, n };
        struct pn_wire_message m;
        int rc;
        while ((rc = pn_wire_read(r, &in, &m, &h.why)) == 1)
            hear(&h, &m);
        assert_true(rc < 0 || in.len == 0);
        h.result = rc;
        free(piece);
    }
    h.ended = pn_wire_ended(r);
    free(r);
    return h;
}

static void refuse(const struct bytes *b)
{
    struct heard h = read_all(b, b->len);
    assert_int_equal(h.result, -PN_EFORMAT);
    assert_int_equal(h.why.code, PN_EFORMAT);
    assert_true(h.why.text[0] != '\0');
    assert_int_equal(read_all(b, 1).result, -PN_EFORMAT);
}

static void test_round_trip_of_any_split(void **state)
{
    struct bytes *b = bytes_new();
    add_ready(b);
    add_info(b);
    add_pcm(b, 1, 0.25f);
    add_pcm(b, 700, -0.5f);
    add_end(b, 701);
    struct heard whole = read_all(b, b->len);
    assert_int_equal(whole.result, 0);
    assert_true(whole.ended);
    assert_int_equal(whole.messages, 5);
    assert_int_equal(whole.samples, 701);
    assert_true(whole.ready.seccomp);
    assert_int_equal(whole.ready.landlock_abi, 7);
    assert_string_equal(whole.info.format, "mov,mp4");
    assert_string_equal(whole.info.codec, "aac");
    assert_int_equal(whole.info.rate, 44100);
    assert_int_equal(whole.info.channels, 2);
    assert_true(whole.info.duration_s == 1.5);
    for (size_t step = 1; step < 200; step++) {
        struct heard h = read_all(b, step);
        assert_int_equal(h.result, 0);
        assert_true(h.ended);
        assert_int_equal(h.messages, 5);
        assert_true(h.sum == whole.sum);
    }
    free(b);
}

static void test_largest_pcm(void **state)
{
    struct bytes *b = bytes_new();
    add_ready(b);
    add_info(b);
    add_pcm(b, PN_WIRE_PCM_MAX, 0);
    add_pcm(b, PN_WIRE_PCM_MAX, -1);
    add_end(b, 2 * PN_WIRE_PCM_MAX);
    struct heard h = read_all(b, 65536);
    assert_int_equal(h.result, 0);
    assert_int_equal(h.samples, 2 * PN_WIRE_PCM_MAX);
    free(b);
}

static void test_errors_come_through(void **state)
{
    struct bytes *b = bytes_new();
    add_ready(b);
    add_error(b, -PN_ELIMIT, "too long");
    struct heard h = read_all(b, 3);
    assert_int_equal(h.result, 0);
    assert_true(h.ended);
    assert_int_equal(h.error.code, PN_ELIMIT);
    assert_string_equal(h.error.text, "too long");
    b->len = 0;
    add_error(b, PN_EIO, "cannot limit memory");
    assert_int_equal(read_all(b, 1).error.code, PN_EIO);
    free(b);
}

/* The writer never says what the reader refuses. */
static void test_writer_cleans(void **state)
{
    char text[400];
    memset(text, 0x80, sizeof(text));
    text[0] = '\n';
    text[sizeof(text) - 1] = '\0';
    struct bytes *b = bytes_new();
    struct pn_decoder_info info = { NAN, "a\x01", "0123456789012345678901234567890", -5, 1 << 30 };
    uint8_t out[PN_WIRE_SMALL];
    add_ready(b);
    add(b, out, pn_wire_put_info(out, &info));
    add_error(b, PN_EFORMAT, text);
    struct heard h = read_all(b, 11);
    assert_int_equal(h.result, 0);
    assert_int_equal(strlen(h.error.text), PN_WIRE_TEXT_MAX);
    assert_string_equal(h.info.format, "a?");
    assert_int_equal(strlen(h.info.codec), 31);
    assert_true(h.info.duration_s == -1.0);
    assert_int_equal(h.info.rate, 0);
    assert_int_equal(h.info.channels, 65535);
    b->len = 0;
    add_error(b, PN_EFORMAT, "");
    assert_string_equal(read_all(b, 1).error.text, "?");
    free(b);
}

static void test_unknown_types_and_order(void **state)
{
    static const uint32_t types[] = { 0, 6, 7, 0x80000001u, 0xffffffffu };
    struct bytes *b = bytes_new();
    for (size_t i = 0; i < PN_ARRAY_LEN(types); i++) {
        b->len = 0;
        add_ready(b);
        add_head(b, types[i], 8);
        refuse(b);
    }
    b->len = 0;
    add_info(b); /* before READY */
    refuse(b);
    b->len = 0;
    add_ready(b);
    add_pcm(b, 1, 0); /* before INFO */
    refuse(b);
    b->len = 0;
    add_ready(b);
    add_end(b, 0); /* before INFO */
    refuse(b);
    b->len = 0;
    add_ready(b);
    add_ready(b);
    refuse(b);
    b->len = 0;
    add_ready(b);
    add_info(b);
    add_info(b);
    refuse(b);
    free(b);
}

static void test_lengths(void **state)
{
    static const struct {
        uint32_t type, length;
    } wrong[] = {
        { PN_WIRE_READY, 7 },
        { PN_WIRE_READY, 9 },
        { PN_WIRE_READY, 0xffffffffu },
    };
    static const struct {
        uint32_t type, length;
    } wrong_later[] = {
        { PN_WIRE_PCM, 0 },           { PN_WIRE_PCM, 3 },
        { PN_WIRE_PCM, 6 },           { PN_WIRE_PCM, PN_WIRE_PCM_MAX * 4 + 4 },
        { PN_WIRE_PCM, 0xfffffffcu }, { PN_WIRE_END, 4 },
        { PN_WIRE_END, 16 },          { PN_WIRE_ERROR, 4 },
        { PN_WIRE_ERROR, 0 },         { PN_WIRE_ERROR, 4 + PN_WIRE_TEXT_MAX + 1 },
    };
    struct bytes *b = bytes_new();
    for (size_t i = 0; i < PN_ARRAY_LEN(wrong); i++) {
        b->len = 0;
        add_head(b, wrong[i].type, wrong[i].length);
        refuse(b);
    }
    for (size_t i = 0; i < PN_ARRAY_LEN(wrong_later); i++) {
        b->len = 0;
        add_ready(b);
        add_info(b);
        add_head(b, wrong_later[i].type, wrong_later[i].length);
        refuse(b); /* by the head alone: nothing is waited for */
    }
    free(b);
}

static void test_samples(void **state)
{
    static const float wrong[] = { NAN, -NAN, INFINITY, -INFINITY, 1.0001f, -1.0001f, 3e38f };
    struct bytes *b = bytes_new();
    for (size_t i = 0; i < PN_ARRAY_LEN(wrong); i++) {
        b->len = 0;
        add_ready(b);
        add_info(b);
        add_pcm(b, 9, 0);
        memcpy(b->ptr + b->len - 4 * (i % 9 + 1), &wrong[i], 4);
        refuse(b);
    }
    free(b);
}

static void test_totals_and_the_end(void **state)
{
    struct bytes *b = bytes_new();
    add_ready(b);
    add_info(b);
    add_pcm(b, 5, 0);
    size_t here = b->len;
    static const uint64_t wrong[] = { 0, 4, 6, UINT64_MAX };
    for (size_t i = 0; i < PN_ARRAY_LEN(wrong); i++) {
        b->len = here;
        add_end(b, wrong[i]);
        refuse(b);
    }
    b->len = here;
    add_end(b, 5);
    size_t done = b->len;
    add(b, "\0", 1);
    refuse(b);
    b->len = done;
    add_pcm(b, 1, 0);
    refuse(b);
    b->len = here;
    add_error(b, PN_EFORMAT, "x");
    add_end(b, 5);
    refuse(b);
    b->len = here;
    assert_false(read_all(b, 4).ended);
    free(b);
}

static void test_info_fields(void **state)
{
    static const struct {
        size_t at, len;
        const char *bytes;
    } wrong[] = {
        { 0, 8, "\0\0\0\0\0\0\xf8\x7f" },               /* duration NaN */
        { 0, 8, "\0\0\0\0\0\0\xf0\x7f" },               /* infinite */
        { 0, 8, "\0\0\0\0\0\0\0\xc0" },                 /* -2 */
        { 8, 4, "\xff\xff\xff\xff" },                   /* rate -1 */
        { 12, 4, "\0\0\0\x7f" },                        /* two thousand million channels */
        { 16, 1, "\x80" },                              /* format */
        { 47, 1, "x" },                                 /* bytes behind its NUL */
        { 48, 32, "01234567890123456789012345678901" }, /* codec without a NUL */
    };
    struct bytes *b = bytes_new();
    for (size_t i = 0; i < PN_ARRAY_LEN(wrong); i++) {
        b->len = 0;
        add_ready(b);
        size_t head = b->len;
        add_info(b);
        memcpy(b->ptr + head + PN_WIRE_HEAD + wrong[i].at, wrong[i].bytes, wrong[i].len);
        refuse(b);
    }
    b->len = 0;
    add_head(b, PN_WIRE_READY, 8);
    add(b, "\2\0\0\0\7\0\0\0", 8);
    refuse(b);
    free(b);
}

static void add_raw_error(struct bytes *b, uint32_t code, const char *text)
{
    b->len = 0;
    add_ready(b);
    add_head(b, PN_WIRE_ERROR, (uint32_t)(4 + strlen(text)));
    add(b, &code, sizeof(code));
    add(b, text, strlen(text));
}

static void test_error_text(void **state)
{
    static const char *const wrong[] = {
        "\xff",       "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\xc3", "\xe2\x82",
        "two\nlines", "\x1b[2J",  "\xc2\x9b",     "\x7f"
    };
    struct bytes *b = bytes_new();
    for (size_t i = 0; i < PN_ARRAY_LEN(wrong); i++) {
        add_raw_error(b, PN_EFORMAT, wrong[i]);
        refuse(b);
    }
    add_raw_error(b, PN_ENOMEM, "a code that no child says");
    refuse(b);
    add_raw_error(b, 0, "no error");
    refuse(b);
    add_raw_error(b, PN_EFORMAT, "\xe4\xb8\xad\xc3\xa9\xf0\x9f\x8e\xa4");
    struct heard h = read_all(b, 1);
    assert_int_equal(h.result, 0);
    assert_string_equal(h.error.text, "\xe4\xb8\xad\xc3\xa9\xf0\x9f\x8e\xa4");
    free(b);
}

static void test_failure_is_sticky(void **state)
{
    struct pn_wire_reader *r = malloc(sizeof(*r));
    struct pn_wire_message m;
    assert_non_null(r);
    pn_wire_reader_init(r);
    struct pn_str bad = { "\xff\xff\xff\xff\0\0\0\0", 8 }, none = { NULL, 0 };
    assert_int_equal(pn_wire_read(r, &none, &m, NULL), 0);
    assert_int_equal(pn_wire_read(r, &bad, &m, NULL), -PN_EFORMAT);
    assert_int_equal(pn_wire_read(r, &none, &m, NULL), -PN_EFORMAT);
    assert_false(pn_wire_ended(r));
    free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip_of_any_split),
        cmocka_unit_test(test_largest_pcm),
        cmocka_unit_test(test_errors_come_through),
        cmocka_unit_test(test_writer_cleans),
        cmocka_unit_test(test_unknown_types_and_order),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_totals_and_the_end),
        cmocka_unit_test(test_info_fields),
        cmocka_unit_test(test_error_text),
        cmocka_unit_test(test_failure_is_sticky),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
