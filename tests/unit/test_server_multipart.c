/* test_server_multipart.c - forms: parts, fields, boundaries; every split of the bytes gives the same parts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "server/multipart.h"

/* What was parsed, as text: "[name|filename|type]data". */
static int on_part(void *ctx, const struct pn_part *p, struct pn_err *err)
{
    (void)err;
    pn_buf_printf(ctx, "[%s|%s%s|%s]", p->name, p->has_filename ? "F" : "", p->filename, p->content_type);
    return 0;
}

static int on_data(void *ctx, const char *p, size_t n, struct pn_err *err)
{
    (void)err;
    pn_buf_append(ctx, p, n);
    return 0;
}

/* Feeds in pieces of `piece` bytes; the result of feed and end. */
static int parse(const char *boundary, const char *text, size_t len, size_t piece, struct pn_buf *out)
{
    struct pn_multipart m;
    pn_multipart_init(&m, boundary, &(struct pn_multipart_handler){ on_part, on_data, out });
    for (size_t i = 0; i < len; i += piece) {
        size_t n = PN_MIN(piece, len - i);
        char *exact = malloc(n); /* so that a sanitizer sees a read past the piece */
        memcpy(exact, text + i, n);
        int r = pn_multipart_feed(&m, exact, n, NULL);
        free(exact);
        if (r < 0)
            return r;
    }
    return pn_multipart_end(&m, NULL);
}

static void expect(const char *boundary, const char *text, int want_r, const char *want)
{
    for (size_t piece = 1; piece <= strlen(text); piece++) {
        struct pn_buf out;
        pn_buf_init(&out, 1 << 20);
        int r = parse(boundary, text, strlen(text), piece, &out);
        if (r != want_r)
            fail_msg("pieces of %zu: %d, not %d", piece, r, want_r);
        if (want)
            assert_string_equal(out.len ? out.ptr : "", want);
        pn_buf_done(&out);
    }
}

#define PART(name, data) "Content-Disposition: form-data; name=\"" name "\"\r\n\r\n" data

static void test_fields_and_file(void **state)
{
    (void)state;
    expect("b",
           "--b\r\n" PART("language", "en") "\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; "
                                            "filename=\"a \\\"b\\\".wav\"\r\nContent-Type: Audio/WAV; "
                                            "x=y\r\n\r\nRIFF\r\n-\r\n--\r\n--c\r\n--b--\r\n",
           0, "[language||]en[file|Fa \"b\".wav|audio/wav]RIFF\r\n-\r\n--\r\n--c");
}

static void test_preamble_padding_epilogue(void **state)
{
    (void)state;
    expect("b", "hello\r\n--b  \t\r\n" PART("x", "1") "\r\n--b-- \r\nbye --b\r\n", 0, "[x||]1");
}

static void test_empty(void **state)
{
    (void)state;
    expect("b", "--b\r\n" PART("file", "") "\r\n--b--", 0, "[file||]");
    expect("b", "--b--\r\n", 0, "");
    expect("b", "--b\r\n\r\nno headers\r\n--b--", 0, "[||]no headers");
}

static void test_unquoted_name(void **state)
{
    (void)state;
    expect("b", "--b\r\nContent-Disposition: form-data; name=file ; filename=x.wav\r\n\r\n1\r\n--b--", 0,
           "[file|Fx.wav|]1");
}

static void test_refused(void **state)
{
    (void)state;
    expect("b", "--b\r\n" PART("file", "cut off"), -PN_EFORMAT, NULL);
    expect("b", "--b\r\n" PART("file", "x") "\r\n--b\r\n", -PN_EFORMAT, NULL);
    expect("b", "no boundary at all", -PN_EFORMAT, "");
    expect("b", "--bad\r\n", -PN_EFORMAT, "");
    expect("b", "--b\r\nno colon\r\n\r\n", -PN_EFORMAT, "");
    expect("b", "--b\r\nContent-Disposition: attachment; name=\"file\"\r\n\r\nx\r\n--b--", -PN_EFORMAT, "");
}

static void test_long_header(void **state)
{
    (void)state;
    char text[2 * PN_PART_LINE_MAX];
    memset(text, 'a', sizeof(text));
    memcpy(text, "--b\r\nX: ", 8);
    for (size_t piece = 1; piece <= sizeof(text); piece = 3 * piece + 1) {
        struct pn_buf out;
        pn_buf_init(&out, 100);
        assert_int_equal(parse("b", text, sizeof(text), piece, &out), -PN_EFORMAT);
        pn_buf_done(&out);
    }
}

static void test_too_many_parts(void **state)
{
    (void)state;
    struct pn_buf text, out;
    pn_buf_init(&text, 1 << 20);
    pn_buf_init(&out, 1 << 20);
    for (int i = 0; i <= PN_MULTIPART_PARTS; i++)
        pn_buf_puts(&text, "--b\r\n" PART("x", "") "\r\n");
    assert_int_equal(parse("b", text.ptr, text.len, 100, &out), -PN_ELIMIT);
    pn_buf_done(&text);
    pn_buf_done(&out);
}

static void test_boundary(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        int r;
        const char *boundary;
    } t[] = {
        { "multipart/form-data; boundary=b", 0, "b" },
        { "Multipart/Form-Data;boundary=\"a b\"", 0, "a b" },
        { "multipart/form-data; charset=utf-8; boundary=x-1", 0, "x-1" },
        { "multipart/form-data; boundary=x-1; charset=ISO-8859-1", 0, "x-1" },
        { "multipart/form-data; BOUNDARY=------------------------1a2b", 0, "------------------------1a2b" },
        { "multipart/form-data", -PN_EFORMAT, NULL },
        { "multipart/form-data; boundary=", -PN_EFORMAT, NULL },
        { "multipart/form-data; boundary=\"open", -PN_EFORMAT, NULL },
        { "multipart/form-data; boundary=a\x01", -PN_EFORMAT, NULL },
        { "multipart/form-data; "
          "boundary=01234567890123456789012345678901234567890123456789012345678901234567890",
          -PN_EFORMAT, NULL },
        { "multipart/mixed; boundary=b", -PN_EUNSUPPORTED, NULL },
        { "application/json", -PN_EUNSUPPORTED, NULL },
        { "", -PN_EUNSUPPORTED, NULL },
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(t); i++) {
        char got[PN_BOUNDARY_MAX + 1] = "";
        assert_int_equal(pn_multipart_boundary(pn_str(t[i].type), got), t[i].r);
        if (t[i].boundary)
            assert_string_equal(got, t[i].boundary);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields_and_file), cmocka_unit_test(test_preamble_padding_epilogue),
        cmocka_unit_test(test_empty),           cmocka_unit_test(test_unquoted_name),
        cmocka_unit_test(test_refused),         cmocka_unit_test(test_long_header),
        cmocka_unit_test(test_too_many_parts),  cmocka_unit_test(test_boundary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
