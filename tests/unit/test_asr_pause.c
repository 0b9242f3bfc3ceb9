/* test_asr_pause.c - where recordings are cut, and what is not worth decoding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "asr/vad/pause.h"
#include "base/attr.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { RATE = 16000, SECONDS = 40 };
static float pcm[SECONDS * RATE];
static uint32_t seed;

static float noise(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (float)(seed >> 8) / (float)(1u << 23) - 1.0f;
}

/* Noise of a level, in dB under full scale, from `from_s` to `to_s`. */
static void fill(double from_s, double to_s, double db)
{
    float level = (float)pow(10, db / 20) * 1.7f;
    for (size_t i = (size_t)(from_s * RATE); i < (size_t)(to_s * RATE); i++)
        pcm[i] = noise() * level;
}

/* Syllables: loud and less loud, five a second. */
static void babble(double from_s, double to_s)
{
    for (double t = from_s; t < to_s; t += 0.2) {
        fill(t, PN_MIN(t + 0.12, to_s), -15);
        fill(PN_MIN(t + 0.12, to_s), PN_MIN(t + 0.2, to_s), -24);
    }
}

static double cut(double n_s, double from_s)
{
    size_t at = pn_pause_cut(pcm, (size_t)(n_s * RATE), (size_t)(from_s * RATE));
    assert_int_equal(at % PN_PAUSE_FRAME, 0);
    assert_in_range(at, (size_t)(from_s * RATE), (size_t)(n_s * RATE));
    return (double)at / RATE;
}

static void test_cuts_in_the_middle_of_the_longest_pause(void **state)
{
    babble(0, 30);
    fill(18, 18.4, -60);
    fill(22, 23, -60);
    fill(27, 27.3, -60);
    assert_true(fabs(cut(30, 15) - 22.5) < 0.06);
    assert_true(fabs(cut(30, 24) - 27.15) < 0.06);
    assert_true(fabs(cut(22, 15) - 18.2) < 0.06);
}

static void test_level_and_background_do_not_matter(void **state)
{
    babble(0, 30);
    fill(20, 20.5, -50);
    for (size_t i = 0; i < 30 * RATE; i++)
        pcm[i] *= 0.01f; /* 40 dB less */
    assert_true(fabs(cut(30, 15) - 20.25) < 0.06);
    babble(0, 30);
    fill(20, 20.5, -35); /* a loud room */
    assert_true(fabs(cut(30, 15) - 20.25) < 0.06);
}

static void test_without_a_pause_the_quietest_place(void **state)
{
    fill(0, 30, -15);
    fill(25.0, 25.1, -30); /* too short for a pause */
    assert_true(fabs(cut(30, 15) - 25.05) < 0.15);
}

static void test_extremes(void **state)
{
    memset(pcm, 0, sizeof(pcm));
    assert_true(cut(30, 15) > 15.0);
    fill(0, 40, 0);
    assert_true(cut(40, 0) >= 10.0);                  /* the last 30 s of it */
    assert_int_equal(pn_pause_cut(pcm, 100, 0), 100); /* less than a frame */
    assert_int_equal(pn_pause_cut(pcm, 0, 0), 0);
    assert_int_equal(pn_pause_cut(pcm, 400, 400), 400);
    assert_int_equal(pn_pause_cut(pcm, 160, 0) % PN_PAUSE_FRAME, 0);
    assert_int_not_equal(pn_pause_cut(pcm, 160, 0), 0);
    for (size_t i = 0; i < 30 * RATE; i++)
        pcm[i] = i % 2 ? NAN : INFINITY;
    cut(30, 15);
}

static void test_pause_only(void **state)
{
    const size_t n = 10 * RATE;
    memset(pcm, 0, sizeof(pcm));
    assert_true(pn_pause_only(pcm, n));
    fill(0, 10, -70);
    assert_true(pn_pause_only(pcm, n));
    fill(0, 10, -20);
    assert_true(pn_pause_only(pcm, n)); /* hiss */
    for (size_t i = 0; i < n; i++)
        pcm[i] = 0.5f * sinf((float)i * 0.17f);
    assert_true(pn_pause_only(pcm, n)); /* hum */
    babble(0, 10);
    assert_false(pn_pause_only(pcm, n));
    memset(pcm, 0, sizeof(pcm));
    fill(5, 5.3, -40); /* one quiet word in ten seconds */
    assert_false(pn_pause_only(pcm, n));
    fill(0, 0.5, -20);
    assert_false(pn_pause_only(pcm, RATE / 2)); /* half a second may be one vowel */
    assert_true(pn_pause_only(pcm, RATE / 20));
    assert_true(pn_pause_only(pcm, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts_in_the_middle_of_the_longest_pause),
        cmocka_unit_test(test_level_and_background_do_not_matter),
        cmocka_unit_test(test_without_a_pause_the_quietest_place),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_pause_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
