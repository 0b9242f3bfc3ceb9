/* test_audio_intake.c - live audio to samples: formats, cuts, the filter in dB, Opus by libopus's encoder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "audio/intake.h"
#include "base/splitmix.h"
#include "failing_memory.h"

#include <math.h>
#include <opus.h>
#include <stdlib.h>
#include <string.h>

#define OUT_RATE 16000
#define MAX_OUT  (1 << 18)

static const int RATES[] = {
    8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 44099, 8001, 47999
};

/* ---- helpers ---- */

static struct pn_intake *open_intake(enum pn_intake_format format, int rate)
{
    struct pn_intake *in = NULL;
    struct pn_err err = { 0 };
    assert_int_equal(pn_intake_new(format, rate, &in, &err), 0);
    return in;
}

/* Takes data[0..n) in pieces of `piece` bytes, the first one of `first`; returns the samples. */
static size_t take_all(enum pn_intake_format format, int rate, const void *data, size_t n, size_t first,
                       size_t piece, float *out)
{
    struct pn_intake *in = open_intake(format, rate);
    size_t at = 0, n_out = 0, made, take = first;
    for (; at < n; at += take, take = PN_MIN(piece, n - at)) {
        take = PN_MIN(take, n - at);
        size_t room = pn_intake_room(in, take);
        assert_true(n_out + room <= MAX_OUT);
        assert_int_equal(pn_intake_take(in, (const unsigned char *)data + at, take, out + n_out, &made), 0);
        assert_true(made <= room);
        n_out += made;
    }
    size_t room = pn_intake_room(in, 0);
    assert_int_equal(pn_intake_end(in, out + n_out, &made), 0);
    assert_true(made <= room);
    pn_intake_free(in);
    return n_out + made;
}

static size_t take_floats(int rate, const float *pcm, size_t n, float *out)
{
    return take_all(PN_INTAKE_F32LE, rate, pcm, n * sizeof(*pcm), 4096, 4096, out);
}

static void fill_sine(float *pcm, size_t n, double f, double rate, double amplitude)
{
    for (size_t i = 0; i < n; i++)
        pcm[i] = (float)(amplitude * sin(2 * M_PI * f * (double)i / rate));
}

static double decibels(double ratio)
{
    return 20 * log10(ratio + 1e-12);
}

static double rms(const float *pcm, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)pcm[i] * pcm[i];
    return sqrt(sum / (double)n);
}

/* ---- formats ---- */

static void test_names(void **state)
{
    (void)state;
    enum pn_intake_format f = PN_INTAKE_OPUS;
    assert_int_equal(pn_intake_format_parse(PN_STR("pcm_s16le"), &f), 0);
    assert_int_equal(f, PN_INTAKE_S16LE);
    assert_int_equal(pn_intake_format_parse(PN_STR("pcm_f32le"), &f), 0);
    assert_int_equal(f, PN_INTAKE_F32LE);
    assert_int_equal(pn_intake_format_parse(PN_STR("pcm_ulaw"), &f), 0);
    assert_int_equal(f, PN_INTAKE_ULAW);
    assert_int_equal(pn_intake_format_parse(PN_STR("pcm_alaw"), &f), 0);
    assert_int_equal(f, PN_INTAKE_ALAW);
    assert_int_equal(pn_intake_format_parse(PN_STR("opus"), &f), 0);
    assert_int_equal(f, PN_INTAKE_OPUS);
    assert_int_equal(pn_intake_format_parse(PN_STR("mp3"), &f), -PN_EINVAL);
    assert_int_equal(pn_intake_format_parse(PN_STR(""), &f), -PN_EINVAL);
    assert_int_equal(f, PN_INTAKE_OPUS);
}

static void test_rates_are_bounded(void **state)
{
    (void)state;
    static const int wrong[] = { 7999, 48001, 0, -16000, 1 << 30, -2147483647 - 1 };
    struct pn_intake *in = NULL;
    for (size_t i = 0; i < PN_ARRAY_LEN(wrong); i++) {
        struct pn_err err = { 0 };
        assert_int_equal(pn_intake_new(PN_INTAKE_S16LE, wrong[i], &in, &err), -PN_EINVAL);
        assert_int_equal(err.code, PN_EINVAL);
        assert_null(in);
    }
    assert_null(pn_intake_free(open_intake(PN_INTAKE_OPUS, 0)));
    assert_null(pn_intake_free(NULL));
}

static void test_integers_and_floats(void **state)
{
    (void)state;
    static const unsigned char s16[] = { 0, 0, 1, 0, 0xff, 0xff, 0xff, 0x7f, 0x00, 0x80, 0x55 };
    float out[64];
    assert_int_equal(take_all(PN_INTAKE_S16LE, OUT_RATE, s16, sizeof(s16), 64, 64, out), 5);
    static const float want[] = { 0, 1 / 32768.0f, -1 / 32768.0f, 32767 / 32768.0f, -1 };
    assert_memory_equal(out, want, sizeof(want));

    float f32[] = { 0.25f, -0.0f, 1.5f, -1e30f, INFINITY, -INFINITY, NAN, 1e-40f };
    assert_int_equal(take_all(PN_INTAKE_F32LE, OUT_RATE, f32, sizeof(f32), 5, 3, out), 8);
    static const float clean[] = { 0.25f, -0.0f, 1, -1, 1, -1, 0, 1e-40f };
    for (size_t i = 0; i < PN_ARRAY_LEN(clean); i++)
        assert_true(out[i] == clean[i]);
}

/* G.711 as its tables have it: the value in the middle of the interval that the code stands for. */
static int table_value(bool a_law, unsigned code)
{
    unsigned bits = a_law ? code ^ 0x55 : code ^ 0xff;
    bool positive = a_law == (bits >= 128);
    int segment = (int)(bits & 0x7f) / 16, step = (int)(bits & 0x7f) % 16;
    double value;
    if (a_law)
        value = segment == 0 ? 16 * step + 8 : ldexp(16 * step + 8 + 256, segment - 1);
    else
        value = ldexp(step + 16.5, segment + 3) - 132;
    return (int)(positive ? value : -value);
}

static void check_g711(enum pn_intake_format format, bool a_law)
{
    unsigned char codes[256];
    float out[256];
    for (int i = 0; i < 256; i++)
        codes[i] = (unsigned char)i;
    assert_int_equal(take_all(format, OUT_RATE, codes, 256, 1, 7, out), 256);
    for (unsigned i = 0; i < 256; i++)
        assert_int_equal(lrintf(out[i] * 32768), table_value(a_law, i));
}

static void test_g711(void **state)
{
    (void)state;
    assert_int_equal(table_value(false, 0x80), 32124); /* the recommendation's own figures, times 4 */
    assert_int_equal(table_value(false, 0xff), 0);
    assert_int_equal(table_value(true, 0xaa), 32256); /* times 8 */
    assert_int_equal(table_value(true, 0x55), -8);
    check_g711(PN_INTAKE_ULAW, false);
    check_g711(PN_INTAKE_ALAW, true);
}

/* ---- cuts ---- */

static void check_cut(enum pn_intake_format format, int rate, const void *data, size_t n, size_t first,
                      size_t piece)
{
    static float whole[MAX_OUT], cut[MAX_OUT];
    size_t n_whole = take_all(format, rate, data, n, n, n, whole);
    assert_int_equal(take_all(format, rate, data, n, first, piece, cut), n_whole);
    assert_memory_equal(cut, whole, n_whole * sizeof(*cut));
}

static void test_cuts_change_nothing(void **state)
{
    (void)state;
    static unsigned char data[20001];
    uint64_t seed = 7;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)pn_splitmix64(&seed);
    for (size_t at = 1; at < 301; at++) {
        check_cut(PN_INTAKE_F32LE, OUT_RATE, data, 301, at, 301);
        check_cut(PN_INTAKE_S16LE, 48000, data, 301, at, 301);
    }
    for (size_t i = 0; i < PN_ARRAY_LEN(RATES); i++)
        for (int format = PN_INTAKE_S16LE; format <= PN_INTAKE_ALAW; format++) {
            check_cut((enum pn_intake_format)format, RATES[i], data, 3001, 1, 1);
            check_cut((enum pn_intake_format)format, RATES[i], data, sizeof(data), 777, 1001);
        }
}

static void test_lengths(void **state)
{
    (void)state;
    static unsigned char silence[1000];
    static float out[MAX_OUT];
    for (size_t i = 0; i < PN_ARRAY_LEN(RATES); i++)
        for (size_t n = 0; n < sizeof(silence); n += n < 20 ? 1 : 97) {
            size_t want = (n * OUT_RATE + (size_t)RATES[i] - 1) / (size_t)RATES[i];
            assert_int_equal(take_all(PN_INTAKE_ULAW, RATES[i], silence, n, 50, 50, out), want);
        }
}

/* ---- the filter ---- */

/* The largest difference in dB between what a sine became and what it is, in the middle of a second. */
static double error_of_sine(int rate, double f)
{
    static float in[48000], out[MAX_OUT], want[OUT_RATE];
    fill_sine(in, (size_t)rate, f, rate, 0.5);
    assert_int_equal(take_floats(rate, in, (size_t)rate, out), OUT_RATE);
    fill_sine(want, OUT_RATE, f, OUT_RATE, 0.5);
    double worst = 0;
    for (size_t i = 1000; i < OUT_RATE - 1000; i++)
        worst = fmax(worst, fabs((double)out[i] - want[i]));
    return decibels(worst / 0.5);
}

/* Same amplitude, no delay, no images: the output is the sine itself. */
static void test_what_passes(void **state)
{
    (void)state;
    for (size_t i = 0; i < PN_ARRAY_LEN(RATES); i++) {
        double top = 0.42 * PN_MIN(RATES[i], OUT_RATE);
        for (double f = 50; f <= top; f += (top - 50) / 12) {
            double error = error_of_sine(RATES[i], f);
            if (error > -58)
                print_error("%d Hz, a sine of %.0f Hz: %.1f dB\n", RATES[i], f, error);
            assert_true(error <= -58);
        }
    }
}

static void test_what_does_not(void **state)
{
    (void)state;
    static float in[48000], out[MAX_OUT];
    for (size_t i = 0; i < PN_ARRAY_LEN(RATES); i++)
        for (double f = 0.525 * OUT_RATE; f < 0.49 * RATES[i]; f += 0.06 * RATES[i]) {
            fill_sine(in, (size_t)RATES[i], f, RATES[i], 1);
            size_t n = take_floats(RATES[i], in, (size_t)RATES[i], out);
            double level = decibels(rms(out + 1000, n - 2000) * sqrt(2));
            if (level > -85)
                print_error("%d Hz, a sine of %.0f Hz: %.1f dB are left\n", RATES[i], f, level);
            assert_true(level <= -85);
        }
}

/* Full scale noise rings over; samples stay samples. */
static void test_loud(void **state)
{
    (void)state;
    static float in[20000], out[MAX_OUT];
    uint64_t seed = 3;
    for (size_t i = 0; i < PN_ARRAY_LEN(in); i++)
        in[i] = pn_splitmix64(&seed) & 1 ? 1 : -1;
    for (size_t i = 0; i < PN_ARRAY_LEN(RATES); i++) {
        size_t n = take_floats(RATES[i], in, PN_ARRAY_LEN(in), out);
        for (size_t k = 0; k < n; k++)
            assert_true(out[k] >= -1 && out[k] <= 1);
    }
}

/* ---- Opus ---- */

struct packet {
    unsigned char data[1500];
    size_t n;
};

enum { PACKET = 320, N_PACKETS = 100 };

static OpusEncoder *open_encoder(int channels, int application)
{
    int error;
    OpusEncoder *e = opus_encoder_create(OUT_RATE, channels, application, &error);
    assert_int_equal(error, OPUS_OK);
    return e;
}

static void encode(OpusEncoder *e, const float *pcm, int samples, struct packet *p)
{
    int n = opus_encode_float(e, pcm, samples, p->data, (opus_int32)sizeof(p->data));
    assert_true(n > 0);
    p->n = (size_t)n;
}

static size_t take_packet(struct pn_intake *in, const struct packet *p, float *out)
{
    size_t made = 0;
    assert_int_equal(pn_intake_take(in, p->data, p->n, out, &made), 0);
    assert_true(made <= pn_intake_room(in, p->n) + OUT_RATE);
    return made;
}

/* How well `out` is `want`, at the best delay within 30 ms, in dB. */
static double likeness(const float *want, const float *out, size_t n)
{
    double best = -100;
    for (size_t delay = 0; delay < 480; delay++) {
        double noise = 0, signal = 0;
        for (size_t i = 0; i + delay < n; i++) {
            double d = (double)out[i + delay] - want[i];
            noise += d * d;
            signal += (double)want[i] * want[i];
        }
        best = fmax(best, 10 * log10(signal / (noise + 1e-9)));
    }
    return best;
}

/* Something like a voice: a few harmonics that come and go. */
static void fill_voice(float *pcm, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double t = (double)i / OUT_RATE, v = 0;
        for (int h = 1; h <= 8; h++)
            v += sin(2 * M_PI * 150 * h * t) / h;
        pcm[i] = (float)(0.2 * v * (0.6 + 0.4 * sin(2 * M_PI * 3 * t)));
    }
}

static void test_opus_there_and_back(void **state)
{
    (void)state;
    static float voice[N_PACKETS * PACKET], out[N_PACKETS * PACKET + OUT_RATE];
    struct packet p;
    fill_voice(voice, PN_ARRAY_LEN(voice));
    OpusEncoder *e = open_encoder(1, OPUS_APPLICATION_AUDIO);
    opus_encoder_ctl(e, OPUS_SET_BITRATE(64000));
    struct pn_intake *in = open_intake(PN_INTAKE_OPUS, 48000);
    size_t n = 0, made;
    for (int i = 0; i < N_PACKETS; i++) {
        encode(e, voice + i * PACKET, PACKET, &p);
        assert_int_equal(take_packet(in, &p, out + n), PACKET);
        n += PACKET;
    }
    assert_int_equal(pn_intake_end(in, out + n, &made), 0);
    assert_int_equal(made, 0);
    assert_true(likeness(voice, out, n) > 20);
    pn_intake_free(in);
    opus_encoder_destroy(e);
}

static void test_opus_stereo_becomes_mono(void **state)
{
    (void)state;
    static float both[N_PACKETS * PACKET * 2], voice[N_PACKETS * PACKET], out[N_PACKETS * PACKET + OUT_RATE];
    struct packet p;
    fill_voice(voice, PN_ARRAY_LEN(voice));
    for (size_t i = 0; i < PN_ARRAY_LEN(voice); i++)
        both[2 * i] = both[2 * i + 1] = voice[i];
    OpusEncoder *e = open_encoder(2, OPUS_APPLICATION_AUDIO);
    opus_encoder_ctl(e, OPUS_SET_FORCE_CHANNELS(2));
    opus_encoder_ctl(e, OPUS_SET_BITRATE(64000));
    struct pn_intake *in = open_intake(PN_INTAKE_OPUS, 16000);
    for (int i = 0; i < N_PACKETS; i++) {
        encode(e, both + i * PACKET * 2, PACKET, &p);
        assert_int_equal(opus_packet_get_nb_channels(p.data), 2);
        assert_int_equal(take_packet(in, &p, out + i * PACKET), PACKET);
    }
    assert_true(likeness(voice, out, PN_ARRAY_LEN(voice)) > 20);
    pn_intake_free(in);
    opus_encoder_destroy(e);
}

static void test_opus_packets_of_all_lengths(void **state)
{
    (void)state;
    static const int lengths[] = { 40, 80, 160, 320, 640, 960, 1280, 1600, 1920 };
    static float voice[1920], out[1920 + OUT_RATE];
    struct packet p;
    fill_voice(voice, 1920);
    OpusEncoder *e = open_encoder(1, OPUS_APPLICATION_VOIP);
    struct pn_intake *in = open_intake(PN_INTAKE_OPUS, 16000);
    for (size_t i = 0; i < PN_ARRAY_LEN(lengths); i++) {
        encode(e, voice, lengths[i], &p);
        assert_int_equal(take_packet(in, &p, out), lengths[i]);
    }
    pn_intake_free(in);
    opus_encoder_destroy(e);
}

/* Every fifth packet is damaged. Returns how well the rest and what was made up sound. */
static double likeness_with_losses(bool with_copies)
{
    static float voice[N_PACKETS * PACKET], out[N_PACKETS * PACKET + OUT_RATE];
    struct packet p;
    fill_voice(voice, PN_ARRAY_LEN(voice));
    OpusEncoder *e = open_encoder(1, OPUS_APPLICATION_VOIP);
    opus_encoder_ctl(e, OPUS_SET_BITRATE(32000));
    opus_encoder_ctl(e, OPUS_SET_SIGNAL(OPUS_SIGNAL_VOICE));
    opus_encoder_ctl(e, OPUS_SET_INBAND_FEC(with_copies));
    opus_encoder_ctl(e, OPUS_SET_PACKET_LOSS_PERC(with_copies ? 20 : 0));
    struct pn_intake *in = open_intake(PN_INTAKE_OPUS, 16000);
    static const unsigned char damaged[] = { 0x0b, 0xff, 0xff }; /* says 63 frames */
    size_t n = 0, made;
    for (int i = 0; i < N_PACKETS; i++) {
        encode(e, voice + i * PACKET, PACKET, &p);
        made = 12345;
        if (i % 5 != 4) {
            n += take_packet(in, &p, out + n);
            continue;
        }
        assert_int_equal(pn_intake_take(in, damaged, sizeof(damaged), out + n, &made), -PN_EFORMAT);
        assert_int_equal(made, 12345);
    }
    assert_int_equal(n, (N_PACKETS - 1) * PACKET); /* the last one is still missing */
    assert_int_equal(pn_intake_end(in, out + n, &made), 0);
    assert_int_equal(made, PACKET);
    pn_intake_free(in);
    opus_encoder_destroy(e);
    return likeness(voice, out, n);
}

static void test_opus_losses_are_made_up(void **state)
{
    (void)state;
    double without = likeness_with_losses(false), with = likeness_with_losses(true);
    assert_true(without > 3);
    assert_true(with > without);
}

static void test_opus_garbage(void **state)
{
    (void)state;
    static unsigned char packet[70000];
    static float out[1 << 16];
    uint64_t seed = 11;
    for (size_t i = 0; i < sizeof(packet); i++)
        packet[i] = (unsigned char)pn_splitmix64(&seed);
    struct pn_intake *in = open_intake(PN_INTAKE_OPUS, 16000);
    size_t made = 0, n_bad = 0;
    for (int i = 0; i < 3000; i++) {
        size_t n = i % 100 == 0 ? sizeof(packet) : (size_t)(pn_splitmix64(&seed) % 400);
        packet[0] = (unsigned char)i;
        packet[1] = (unsigned char)pn_splitmix64(&seed);
        size_t room = pn_intake_room(in, n);
        assert_true(room <= PN_ARRAY_LEN(out));
        int r = pn_intake_take(in, packet, n, out, &made);
        assert_true(r == 0 || r == -PN_EFORMAT);
        n_bad += r < 0;
        assert_true(r < 0 || made <= room);
        for (size_t k = 0; r == 0 && k < made; k++)
            assert_true(out[k] >= -1 && out[k] <= 1);
    }
    assert_true(n_bad > 100);
    assert_int_equal(pn_intake_take(in, packet, 0, out, &made), 0);
    assert_int_equal(made, 0);
    pn_intake_free(in);
}

/* ---- memory ---- */

static void test_without_memory(void **state)
{
    (void)state;
    static const unsigned char data[3000];
    static float out[MAX_OUT];
    for (int format = PN_INTAKE_S16LE; format <= PN_INTAKE_OPUS; format++)
        for (long at = 0;; at++) {
            struct pn_intake *in = NULL;
            struct pn_err err = { 0 };
            size_t made = 0;
            pn_fail_allocation = at;
            int r = pn_intake_new((enum pn_intake_format)format, 44100, &in, &err);
            int taken = r == 0 ? pn_intake_take(in, data, sizeof(data), out, &made) : 0;
            bool failed = pn_fail_allocation < 0;
            pn_fail_allocation = -1;
            assert_true(r == 0 || (r == -PN_ENOMEM && !in && err.code == PN_ENOMEM));
            assert_true(taken == 0 || taken == -PN_ENOMEM || taken == -PN_EFORMAT);
            pn_intake_free(in);
            if (!failed)
                break;
        }
}

static const struct CMUnitTest TESTS[] = {
    cmocka_unit_test(test_names),
    cmocka_unit_test(test_rates_are_bounded),
    cmocka_unit_test(test_integers_and_floats),
    cmocka_unit_test(test_g711),
    cmocka_unit_test(test_cuts_change_nothing),
    cmocka_unit_test(test_lengths),
    cmocka_unit_test(test_what_passes),
    cmocka_unit_test(test_what_does_not),
    cmocka_unit_test(test_loud),
    cmocka_unit_test(test_opus_there_and_back),
    cmocka_unit_test(test_opus_stereo_becomes_mono),
    cmocka_unit_test(test_opus_packets_of_all_lengths),
    cmocka_unit_test(test_opus_losses_are_made_up),
    cmocka_unit_test(test_opus_garbage),
    cmocka_unit_test(test_without_memory),
};

int main(void)
{
    return cmocka_run_group_tests(TESTS, NULL, NULL);
}
