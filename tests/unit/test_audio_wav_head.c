/* test_audio_wav_head.c - headers of WAV files as they come through a pipe: usual, unusual, damaged. */
#include "audio/wav_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define RIFF  "RIFF\x24\x00\x00\x00WAVE"
#define PLAIN "fmt \x10\x00\x00\x00\x01\x00\x01\x00\x80\x3e\x00\x00\x00\x7d\x00\x00\x02\x00\x10\x00"
#define DATA  "data\x08\x00\x00\x00"

#define S(literal) ((struct pn_str){ literal, sizeof(literal) - 1 })

static void check(struct pn_str bytes, int at, enum pn_intake_format format, int rate, int channels,
                  int64_t len)
{
    struct pn_wav_head h = { 0 };
    struct pn_err err = { 0 };
    assert_int_equal(pn_wav_head(bytes, &h, &err), at);
    assert_int_equal(h.format, format);
    assert_int_equal(h.rate, rate);
    assert_int_equal(h.channels, channels);
    assert_int_equal(h.len, len);
}

static void test_usual(void **state)
{
    (void)state;
    check(S(RIFF PLAIN DATA "samples"), 44, PN_INTAKE_S16LE, 16000, 1, 8);
    check(S(RIFF PLAIN "data\x00\x00\x00\x00"), 44, PN_INTAKE_S16LE, 16000, 1, -1);
    check(S(RIFF PLAIN "data\xff\xff\xff\xff"), 44, PN_INTAKE_S16LE, 16000, 1, -1);
    check(S(RIFF "LIST\x03\x00\x00\x00"
                 "abc\x00" PLAIN DATA),
          56, PN_INTAKE_S16LE, 16000, 1, 8);
}

static void test_other_samples(void **state)
{
    (void)state;
    check(S(RIFF
            "fmt "
            "\x12\x00\x00\x00\x03\x00\x02\x00\x80\xbb\x00\x00\x00\xdc\x05\x00\x08\x00\x20\x00\x00\x00" DATA),
          46, PN_INTAKE_F32LE, 48000, 2, 8);
    check(S(RIFF "fmt \x10\x00\x00\x00\x07\x00\x01\x00\x40\x1f\x00\x00\x40\x1f\x00\x00\x01\x00\x08\x00" DATA),
          44, PN_INTAKE_ULAW, 8000, 1, 8);
    check(S(RIFF "fmt \x10\x00\x00\x00\x06\x00\x01\x00\x40\x1f\x00\x00\x40\x1f\x00\x00\x01\x00\x08\x00" DATA),
          44, PN_INTAKE_ALAW, 8000, 1, 8);
    check(S(RIFF
            "fmt "
            "\x28\x00\x00\x00\xfe\xff\x01\x00\x80\x3e\x00\x00\x00\x7d\x00\x00\x02\x00\x10\x00\x16\x00\x10\x00"
            "\x04\x00\x00\x00\x01\x00\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71" DATA),
          68, PN_INTAKE_S16LE, 16000, 1, 8);
}

/* However it is cut, the answer is "more" until the head is whole. */
static void test_pieces(void **state)
{
    static const char WHOLE[] = RIFF PLAIN DATA;
    struct pn_wav_head h = { .rate = 7 };
    (void)state;
    for (size_t n = 0; n < 44; n++)
        assert_int_equal(pn_wav_head((struct pn_str){ WHOLE, n }, &h, NULL), 0);
    assert_int_equal(pn_wav_head((struct pn_str){ NULL, 0 }, &h, NULL), 0);
    assert_int_equal(h.rate, 7);
    assert_int_equal(pn_wav_head((struct pn_str){ WHOLE, 44 }, &h, NULL), 44);
}

static void test_refused(void **state)
{
    static const struct {
        struct pn_str bytes;
        int code;
    } BAD[] = {
        { { "R\0", 2 }, -PN_ENOTFOUND },
        { { "\0\0\0\0", 4 }, -PN_ENOTFOUND },
        { { "RIFX\0\0\0\0WAVE", 12 }, -PN_ENOTFOUND },
        { { "RIFF\0\0\0\0AVI ", 12 }, -PN_ENOTFOUND },
        { { RIFF DATA, 20 }, -PN_EFORMAT },
        { { RIFF "fmt \x02\x00\x00\x00\x01\x00" DATA, 30 }, -PN_EFORMAT },
        { { RIFF "fmt \x10\x00\x00\x00\x01\x00\x01\x00\x80\x3e\x00\x00\x00\x7d\x00\x00\x02\x00\x18\x00", 36 },
          -PN_EUNSUPPORTED }, /* 24 bits */
        { { RIFF "fmt \x10\x00\x00\x00\x01\x00\x00\x00\x80\x3e\x00\x00\x00\x7d\x00\x00\x02\x00\x10\x00", 36 },
          -PN_EUNSUPPORTED }, /* no channel */
        { { RIFF "fmt \x10\x00\x00\x00\x01\x00\x21\x00\x80\x3e\x00\x00\x00\x7d\x00\x00\x02\x00\x10\x00", 36 },
          -PN_EUNSUPPORTED }, /* 33 of them */
        { { RIFF "fmt \x10\x00\x00\x00\x01\x00\x01\x00\x01\x00\x00\x00\x00\x7d\x00\x00\x02\x00\x10\x00", 36 },
          -PN_EUNSUPPORTED }, /* 1 Hz */
        { { RIFF "fmt \x10\x00\x00\x00\x07\x00\x02\x00\x40\x1f\x00\x00\x40\x1f\x00\x00\x01\x00\x08\x00", 36 },
          -PN_EUNSUPPORTED }, /* G.711 in stereo */
        { { RIFF "LIST\xff\xff\xff\xff", 20 }, -PN_ELIMIT },
    };
    (void)state;
    for (size_t i = 0; i < PN_ARRAY_LEN(BAD); i++) {
        struct pn_wav_head h = { .rate = 7 };
        struct pn_err err = { 0 };
        assert_int_equal(pn_wav_head(BAD[i].bytes, &h, &err), BAD[i].code);
        assert_int_equal(h.rate, 7);
        assert_int_equal(err.code, BAD[i].code == -PN_ENOTFOUND ? 0 : -BAD[i].code);
    }
}

static void test_an_endless_head(void **state)
{
    static char bytes[PN_WAV_HEAD_MAX] = RIFF;
    struct pn_wav_head h;
    (void)state;
    for (size_t at = 12; at + 8 <= sizeof(bytes); at += 8)
        memcpy(bytes + at, "junk\0\0\0\0", 8);
    assert_int_equal(pn_wav_head((struct pn_str){ bytes, sizeof(bytes) - 1 }, &h, NULL), 0);
    assert_int_equal(pn_wav_head((struct pn_str){ bytes, sizeof(bytes) }, &h, NULL), -PN_ELIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usual),   cmocka_unit_test(test_other_samples),   cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_an_endless_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
