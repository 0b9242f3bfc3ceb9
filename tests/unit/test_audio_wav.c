/* test_audio_wav.c - plain WAV files: which are taken, and that their samples, refusals and words are those
 * of the real pinna-decode (PINNA_DECODE; tests/unit/meson.build sets it), which reads every file here as
 * well. */
#include "audio/decoder.h"
#include "audio/wav.h"
#include "base/str.h"

#include <endian.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAX_FILE = 120000, N_SAMPLES = 20000, FMT_AT = 20, FMT_RATE_AT = 8, FMT_MASK_AT = 20 };

struct file {
    uint8_t bytes[MAX_FILE];
    size_t len, samples_at;
};

static struct file file; /* of the running test */

static void put(const void *bytes, size_t len)
{
    assert_true(len <= sizeof(file.bytes) - file.len);
    memcpy(file.bytes + file.len, bytes, len);
    file.len += len;
}

static void put_le(uint32_t v, size_t bytes)
{
    v = htole32(v);
    put(&v, bytes);
}

static void put_chunk(const char id[4], uint32_t told, const void *bytes, size_t len)
{
    put(id, 4);
    put_le(told, 4);
    put(bytes, len);
    if (len & 1)
        put_le(0, 1);
}

static void put_format(uint32_t len)
{
    static const uint8_t pcm[16] = { 1, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71 };
    put("fmt ", 4);
    put_le(len, 4);
    put_le(len == 40 ? 0xFFFE : 1, 2);
    put_le(1, 2);
    put_le(PN_SAMPLE_RATE, 4);
    put_le(2 * PN_SAMPLE_RATE, 4);
    put_le(2, 2);
    put_le(16, 2);
    if (len > 16)
        put_le(len - 18, 2);
    if (len == 40) {
        put_le(16, 2);
        put_le(0, 4);
        put(pcm, sizeof(pcm));
    }
}

/* Noise with the loudest samples there are. `told` < 0: the true size. */
static void put_samples(int64_t told, size_t extra)
{
    static uint8_t pcm[2 * N_SAMPLES + 1];
    uint32_t seed = 1;
    for (size_t i = 0; i < sizeof(pcm); i++)
        pcm[i] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
    memcpy(pcm, (const uint8_t[]){ 0xFF, 0x7F, 0x00, 0x80, 0x00, 0x00, 0xFF, 0xFF }, 8);
    file.samples_at = file.len + 8;
    size_t len = 2 * N_SAMPLES + extra;
    put_chunk("data", told < 0 ? (uint32_t)len : (uint32_t)told, pcm, len);
}

static void put_part(struct pn_str part)
{
    static const uint8_t list[] = "INFOISFT\6\0\0\0Pinna", zeros[70000];
    static const struct {
        const char *name;
        int64_t told;
        size_t extra;
    } data[] = { { "data", -1, 0 },
                 { "data:odd", -1, 1 },
                 { "data:0", 0, 0 },
                 { "data:pipe", 0xFFFFFFFF, 0 },
                 { "data:more", 0x7FFFF000, 0 } };
    for (size_t i = 0; i < PN_ARRAY_LEN(data); i++)
        if (pn_str_is(part, data[i].name)) {
            put_samples(data[i].told, data[i].extra);
            return;
        }
    if (pn_str_is(part, "fmt16") || pn_str_is(part, "fmt18") || pn_str_is(part, "fmt40"))
        put_format(10 * (uint32_t)(part.ptr[3] - '0') + (uint32_t)(part.ptr[4] - '0'));
    else if (pn_str_is(part, "data:none"))
        put_chunk("data", 0, "", 0);
    else if (pn_str_is(part, "LIST"))
        put_chunk("LIST", sizeof(list), list, sizeof(list));
    else if (pn_str_is(part, "LIST:short"))
        put_chunk("LIST", 2, "IN", 2);
    else if (pn_str_is(part, "JUNK:long"))
        put_chunk("JUNK", sizeof(zeros), zeros, sizeof(zeros));
    else if (pn_str_is(part, "byte"))
        put("x", 1);
    else
        put_chunk(part.ptr, 7, "unknown", 7); /* odd, so padded */
}

/* A file of the chunks that `parts` names. */
static void make(const char *parts)
{
    file.len = 0;
    put("RIFF", 4);
    put_le(0, 4); /* nobody looks at it */
    put("WAVE", 4);
    for (const char *p = parts; *p; p += *p == ' ') {
        size_t len = strcspn(p, " ");
        put_part((struct pn_str){ p, len });
        p += len;
    }
}

static int file_fd(void)
{
    int fd = memfd_create("clip", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, file.bytes, file.len), file.len);
    return fd;
}

static bool taken(size_t len, struct pn_wav *ret)
{
    int fd = file_fd();
    bool yes = pn_wav_find(fd, (int64_t)len, ret);
    close(fd);
    return yes;
}

static const char *program(void)
{
    const char *path = getenv("PINNA_DECODE");
    return path ? path : "build/pinna-decode";
}

/* What the program by itself makes of the file: bytes read of its samples, or what it said. */
static size_t by_program(int fd, int max_seconds, void *ret, size_t cap)
{
    char command[4200];
    snprintf(command, sizeof(command), "'%s' --max-seconds %d /proc/%d/fd/%d 2>&1", program(), max_seconds,
             (int)getpid(), fd);
    FILE *p = popen(command, "re");
    assert_non_null(p);
    size_t n = fread(ret, 1, cap, p);
    pclose(p);
    return n;
}

static struct pn_decoder_pool *pool_of(int64_t max_samples)
{
    struct pn_decoder_options opt = { program(), max_samples, 1024, 60, 60 };
    struct pn_decoder_pool *p = NULL;
    struct pn_err err = { 0 };
    if (pn_decoder_pool_new(&opt, &p, &err) < 0)
        fail_msg("no pool with %s: %s", opt.program, err.text);
    return p;
}

/* The decoder for `file`, which must need no child. */
static struct pn_decoder *open_here(struct pn_decoder_pool *p)
{
    struct pn_decoder *d = NULL;
    struct pn_err err = { 0 };
    int fd = file_fd();
    assert_int_equal(pn_decoder_open(p, fd, &d, &err), 0);
    close(fd); /* stays the caller's */
    assert_int_equal(pn_decoder_pid(d), 0);
    assert_int_equal(pn_decoder_fd(d), -1);
    return d;
}

/* To the end: samples, or -PN_E*. */
static ssize_t drain(struct pn_decoder *d, float *pcm, size_t cap, struct pn_err *err)
{
    size_t n = 0;
    for (;;) {
        ssize_t r = pn_decoder_read(d, pcm + n, PN_MIN(cap - n, (size_t)3001), err);
        if (r <= 0)
            return r < 0 ? r : (ssize_t)n;
        n += (size_t)r;
    }
}

static const struct {
    const char *parts;
    bool taken, told;
} LAYOUTS[] = {
    { "fmt16 data", true, true },
    { "fmt18 data", true, true },
    { "fmt40 data", true, true },
    { "LIST fmt16 data", true, true },
    { "JUNK fmt16 fact LIST data", true, true },
    { "fmt16 data fact", true, true },
    { "fmt16 data LIST", true, true },
    { "fmt40 PEAK data LIST what", true, true },
    { "fmt16 data:odd", true, true },
    { "fmt16 data:0", true, false },
    { "fmt16 data:pipe", true, false },
    { "fmt18 LIST data:more", true, false },
    { "fmt16 data:0 LIST", true, false }, /* all of it is samples then */
    { "fmt16 JUNK:long data", false, false },
    { "JUNK:long fmt16 data", false, false },
    { "data fmt16", false, false },
    { "data", false, false },
    { "fmt16", false, false },
    { "fmt16 data:none", false, false },
    { "fmt16 fmt16 data", false, false },
    { "fmt16 data data", false, false },
    { "fmt16 data LIST data", false, false },
    { "fmt16 data fmt18", false, false },
    { "fmt16 data byte", false, false },
    { "fmt16 data:odd LIST", false, false },
    { "fmt16 fact data:0", false, false },
    { "fmt16 fact data:more", false, false },
    { "LIST:short fmt16 data", false, false },
    { "fmt16 data LIST:short", false, false },
    { "bext fmt16 data", false, false },
    { "ds64 fmt16 data", false, false },
    { "fmt16 data bext", false, false },
    { "fmt16 SMV0 data", false, false },
    { "XMA2 fmt16 data", false, false },
};

static void test_layouts(void **state)
{
    for (size_t i = 0; i < PN_ARRAY_LEN(LAYOUTS); i++) {
        struct pn_wav wav = { -1, -1, false };
        make(LAYOUTS[i].parts);
        if (taken(file.len, &wav) != LAYOUTS[i].taken)
            fail_msg("\"%s\" is wrongly taken or refused", LAYOUTS[i].parts);
        assert_int_equal(wav.pos, LAYOUTS[i].taken ? (int64_t)file.samples_at : -1);
        assert_int_equal(wav.told, LAYOUTS[i].told);
        if (LAYOUTS[i].told)
            assert_int_equal(wav.len, 2 * N_SAMPLES);
        else if (LAYOUTS[i].taken)
            assert_int_equal(wav.len, (file.len - file.samples_at) & ~(size_t)1);
    }
}

/* The walk ends somewhere, before the samples as behind them. */
static void test_many_chunks(void **state)
{
    struct pn_wav wav;
    for (size_t n = 0; n < 64; n++) {
        make("fmt16");
        for (size_t i = 0; i < n; i++)
            put_part(PN_STR("what"));
        put_part(PN_STR("data"));
        assert_int_equal(taken(file.len, &wav), n <= 30);
        make("fmt16 data");
        for (size_t i = 0; i < n; i++)
            put_part(PN_STR("what"));
        assert_int_equal(taken(file.len, &wav), n <= 30);
    }
}

static void test_same_samples_as_a_child(void **state)
{
    static float here[N_SAMPLES + 100], there[N_SAMPLES + 100];
    struct pn_decoder_pool *p = pool_of(60 * PN_SAMPLE_RATE);
    for (size_t i = 0; i < PN_ARRAY_LEN(LAYOUTS); i++) {
        if (!LAYOUTS[i].taken)
            continue;
        make(LAYOUTS[i].parts);
        struct pn_decoder *d = open_here(p);
        ssize_t n = drain(d, here, PN_ARRAY_LEN(here), NULL);
        assert_true(n >= N_SAMPLES);
        assert_int_equal(pn_decoder_samples(d), n);
        assert_null(pn_decoder_close(d));
        int fd = file_fd();
        assert_int_equal(by_program(fd, 60, there, sizeof(there)), (size_t)n * sizeof(float));
        assert_memory_equal(here, there, (size_t)n * sizeof(float));
        close(fd);
    }
    pn_decoder_pool_free(p);
}

/* Every bit of the format counts but those of the rate in bytes; the speaker may be the centre or unknown. */
static void test_format_bits(void **state)
{
    static const char *const parts[] = { "fmt16 data", "fmt18 data", "fmt40 data" };
    static const size_t lens[] = { 16, 18, 40 };
    struct pn_wav wav;
    for (size_t i = 0; i < PN_ARRAY_LEN(parts); i++) {
        make(parts[i]);
        for (size_t bit = 0; bit < 8 * lens[i]; bit++) {
            bool free_rate = bit / 32 == FMT_RATE_AT / 4, center = bit == 8 * FMT_MASK_AT + 2;
            uint8_t *at = &file.bytes[FMT_AT + bit / 8];
            *at ^= (uint8_t)(1u << bit % 8);
            if (taken(file.len, &wav) != (free_rate || center))
                fail_msg("bit %zu of a format of %zu bytes", bit, lens[i]);
            *at ^= (uint8_t)(1u << bit % 8);
        }
    }
}

static void test_other_names(void **state)
{
    static const char *const heads[] = { "RF64....WAVE", "RIFX....WAVE", "BW64....WAVE", "RIFF....AVI ",
                                         "riff....WAVE" };
    struct pn_wav wav;
    for (size_t i = 0; i < PN_ARRAY_LEN(heads); i++) {
        make("fmt16 data");
        memcpy(file.bytes, heads[i], 12);
        assert_false(taken(file.len, &wav));
    }
}

/* However short the file is: nothing outside of it, and nothing without a sample. */
static void test_cut(void **state)
{
    static const char *const parts[] = { "fmt16 data", "LIST fmt40 fact data", "fmt16 data:pipe" };
    for (size_t i = 0; i < PN_ARRAY_LEN(parts); i++) {
        make(parts[i]);
        size_t counted = strstr(parts[i], "fact") ? file.len : file.samples_at + 2;
        for (size_t len = 0; len <= file.len; len += len < 300 ? 1 : 1237) {
            struct pn_wav wav = { 0 };
            assert_int_equal(taken(len, &wav), len >= counted);
            assert_true(wav.pos + wav.len <= (int64_t)len);
        }
    }
}

static void test_info(void **state)
{
    static float pcm[N_SAMPLES + 1];
    struct pn_decoder_pool *p = pool_of(60 * PN_SAMPLE_RATE);
    make("fmt16 data");
    struct pn_decoder *d = open_here(p);
    const struct pn_decoder_info *info = pn_decoder_info(d);
    assert_non_null(info);
    assert_true(info->duration_s == (double)N_SAMPLES / PN_SAMPLE_RATE);
    assert_string_equal(info->format, "wav");
    assert_string_equal(info->codec, "pcm_s16le");
    assert_int_equal(info->rate, PN_SAMPLE_RATE);
    assert_int_equal(info->channels, 1);
    assert_int_equal(drain(d, pcm, PN_ARRAY_LEN(pcm), NULL), N_SAMPLES);
    assert_int_equal(pn_decoder_read(d, pcm, 1, NULL), 0); /* the end stays the end */
    pn_decoder_close(d);
    pn_decoder_pool_free(p);
}

/* Refused with the words of a child: by the header's word before a sample, or when so much has been read. */
static void test_too_long(void **state)
{
    static float pcm[N_SAMPLES];
    struct pn_decoder_pool *p = pool_of(PN_SAMPLE_RATE);
    static const char *const parts[] = { "fmt16 data", "fmt16 data:0", "fmt16 data:more" };
    for (size_t i = 0; i < PN_ARRAY_LEN(parts); i++) {
        static char said[MAX_FILE];
        struct pn_err err = { 0 }, again = { 0 };
        make(parts[i]);
        struct pn_decoder *d = open_here(p);
        assert_int_equal(pn_decoder_info(d) != NULL, i > 0);
        assert_int_equal(drain(d, pcm, N_SAMPLES, &err), -PN_ELIMIT);
        assert_int_equal(pn_decoder_read(d, pcm, 1, &again), -PN_ELIMIT);
        assert_string_equal(err.text, again.text);
        assert_true(i == 0 ? pn_decoder_samples(d) == 0 : pn_decoder_samples(d) <= PN_SAMPLE_RATE);
        pn_decoder_close(d);
        int fd = file_fd();
        size_t n = by_program(fd, 1, said, sizeof(said));
        assert_non_null(memmem(said, n, err.text, strlen(err.text)));
        close(fd);
    }
    pn_decoder_pool_free(p);
}

/* Exactly as long as allowed. */
static void test_longest(void **state)
{
    static float pcm[N_SAMPLES + 1];
    struct pn_decoder_pool *p = pool_of(N_SAMPLES);
    static const char *const parts[] = { "fmt16 data", "fmt16 data:0", "fmt16 data:odd" };
    for (size_t i = 0; i < PN_ARRAY_LEN(parts); i++) {
        make(parts[i]);
        struct pn_decoder *d = open_here(p);
        assert_int_equal(drain(d, pcm, PN_ARRAY_LEN(pcm), NULL), N_SAMPLES);
        pn_decoder_close(d);
    }
    pn_decoder_pool_free(p);
}

/* A descriptor that cannot be read is not taken: a child says what is wrong. */
static void test_unreadable(void **state)
{
    char path[40];
    struct pn_wav wav;
    make("fmt16 data");
    int fd = file_fd();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int deaf = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(deaf >= 0);
    assert_false(pn_wav_find(deaf, (int64_t)file.len, &wav));
    close(deaf);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_many_chunks),
        cmocka_unit_test(test_same_samples_as_a_child),
        cmocka_unit_test(test_format_bits),
        cmocka_unit_test(test_other_names),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_longest),
        cmocka_unit_test(test_unreadable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
