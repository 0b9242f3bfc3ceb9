/* test_text_itn.c - inverse text normalisation: the pairs of tests/data/itn, numbers that the test speaks
 * itself, bytes that are no text, limits and no memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/error.h"
#include "base/splitmix.h"
#include "fixtures.h"
#include "text/itn/itn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long fail_at = -1; /* this allocation of ours fails; below 0: none */

void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t n, size_t size);

static bool fails(void)
{
    return fail_at >= 0 && fail_at-- == 0;
}

void *__wrap_realloc(void *p, size_t n)
{
    return fails() ? NULL : __real_realloc(p, n);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
    return fails() ? NULL : __real_reallocarray(p, n, size);
}

enum { MAX_TEXT = 1 << 22 };

/* The written form, to be freed with pn_buf_done(). */
static struct pn_buf written(struct pn_str text, const char *language)
{
    struct pn_buf out;
    pn_buf_init(&out, MAX_TEXT);
    assert_int_equal(pn_itn(text, language, &out), 0);
    return out;
}

/* Of what failed the beginning is enough. */
static int shown(struct pn_str s)
{
    return (int)PN_MIN(s.len, (size_t)300);
}

static void check(struct pn_str text, const char *language, struct pn_str want)
{
    struct pn_buf out = written(text, language);
    if (!pn_str_eq((struct pn_str){ out.ptr, out.len }, want))
        fail_msg("%s: '%.*s' became '%.*s', not '%.*s'", language, shown(text), text.ptr,
                 shown((struct pn_str){ out.ptr, out.len }), out.ptr, shown(want), want.ptr);
    pn_buf_done(&out);
}

/* Each pair, then what was written once more, alone and with the other language's rules. */
static int check_pairs(const char *name, const char *language)
{
    char path[PN_FIXTURE_PATH];
    struct pn_buf file;
    int n = 0;
    assert_true(pn_fixture_data(name, path) && pn_fixture_read(path, &file));
    for (const char *p = file.ptr, *end; (end = strchr(p, '\n')); p = end + 1, n++) {
        const char *tab = memchr(p, '\t', (size_t)(end - p));
        assert_non_null(tab);
        struct pn_str said = { p, (size_t)(tab - p) }, want = { tab + 1, (size_t)(end - tab - 1) };
        check(said, language, want);
        check(want, language, want);
        check(said, "", want);
    }
    pn_buf_done(&file);
    return n;
}

static void test_pairs(void **state)
{
    int zh = check_pairs("itn/zh.tsv", "zh"), en = check_pairs("itn/en.tsv", "en");
    assert_true(zh >= 150 && en >= 150);
}

static void test_languages_keep_apart(void **state)
{
    struct pn_str both = PN_STR("二十三 and twenty three");
    check(both, "zh", PN_STR("23 and twenty three"));
    check(both, "en", PN_STR("二十三 and 23"));
    check(both, "", PN_STR("23 and 23"));
    check(both, "de", both);
    check(both, "yue", both);
}

static void test_appends(void **state)
{
    struct pn_buf out;
    pn_buf_init(&out, 100);
    pn_buf_puts(&out, "3");
    assert_int_equal(pn_itn(PN_STR("二十三"), "zh", &out), 0);
    assert_string_equal(out.ptr, "323");
    assert_int_equal(pn_itn((struct pn_str){ NULL, 0 }, "", &out), 0);
    assert_int_equal(out.len, 3);
    pn_buf_done(&out);
}

static void test_other_bytes_stay(void **state)
{
    static const char BROKEN[] = "\xe4\xba\x00twenty\xff three \xe4\xba\x8c\xe5\x8d\x81\xe4\xba\xed\xa0\x80";
    static const char WANT[] = "\xe4\xba\x00"
                               "20\xff three 20\xe4\xba\xed\xa0\x80";
    check((struct pn_str){ BROKEN, sizeof(BROKEN) - 1 }, "", (struct pn_str){ WANT, sizeof(WANT) - 1 });
    char all[256];
    for (int i = 0; i < 256; i++)
        all[i] = (char)(unsigned char)i;
    check((struct pn_str){ all, sizeof(all) }, "", (struct pn_str){ all, sizeof(all) });
}

static const char *const ZH_DIGITS[] = { "零", "一", "二", "三", "四", "五", "六", "七", "八", "九" };

/* A number below 10^4 as it is said; `inside`: something precedes it, so a missing thousand is a zero. */
static void speak_zh_section(unsigned v, bool inside, struct pn_buf *out)
{
    static const char *const SCALES[] = { "千", "百", "十", "" };
    unsigned unit = 1000;
    bool zero = false;
    for (int i = 0; i < 4; i++, unit /= 10) {
        unsigned digit = v / unit % 10;
        if (digit == 0) {
            zero = true;
            continue;
        }
        if (zero && inside)
            pn_buf_puts(out, ZH_DIGITS[0]);
        if (digit > 1 || unit != 10 || inside)
            pn_buf_puts(out, ZH_DIGITS[digit]);
        pn_buf_puts(out, SCALES[i]);
        inside = true;
        zero = false;
    }
}

static void speak_zh(uint64_t v, struct pn_buf *out)
{
    static const struct {
        uint64_t value;
        const char *name;
    } SCALES[] = { { 100000000, "亿" }, { 10000, "万" }, { 1, "" } };
    bool inside = false;
    if (v >= 1000000000000) {
        speak_zh(v / 100000000, out);
        pn_buf_puts(out, "亿");
        v %= 100000000;
        inside = true;
    }
    for (size_t i = 0; i < PN_ARRAY_LEN(SCALES); i++) {
        unsigned section = (unsigned)(v / SCALES[i].value);
        v %= SCALES[i].value;
        if (section == 0)
            continue;
        speak_zh_section(section, inside, out);
        pn_buf_puts(out, SCALES[i].name);
        inside = true;
    }
    if (!inside)
        pn_buf_puts(out, ZH_DIGITS[0]);
}

static const char *const EN_SMALL[] = { "zero",    "one",     "two",       "three",    "four",
                                        "five",    "six",     "seven",     "eight",    "nine",
                                        "ten",     "eleven",  "twelve",    "thirteen", "fourteen",
                                        "fifteen", "sixteen", "seventeen", "eighteen", "nineteen" };
static const char *const EN_TENS[] = { "",      "",      "twenty",  "thirty", "forty",
                                       "fifty", "sixty", "seventy", "eighty", "ninety" };

static void speak_en_group(unsigned v, bool with_and, struct pn_buf *out)
{
    if (v >= 100) {
        pn_buf_printf(out, "%s hundred", EN_SMALL[v / 100]);
        if (v % 100 > 0)
            pn_buf_puts(out, with_and ? " and " : " ");
    }
    v %= 100;
    if (v >= 20)
        pn_buf_printf(out, "%s%s%s", EN_TENS[v / 10], v % 10 ? "-" : "", v % 10 ? EN_SMALL[v % 10] : "");
    else if (v > 0)
        pn_buf_puts(out, EN_SMALL[v]);
}

static void speak_en(uint64_t v, bool with_and, struct pn_buf *out)
{
    static const char *const SCALES[] = { " trillion", " billion", " million", " thousand", "" };
    uint64_t unit = 1000000000000;
    if (v == 0)
        pn_buf_puts(out, EN_SMALL[0]);
    for (size_t i = 0; i < PN_ARRAY_LEN(SCALES); i++, unit /= 1000) {
        unsigned group = (unsigned)(v / unit % 1000);
        if (group == 0)
            continue;
        if (out->len > 0)
            pn_buf_puts(out, " ");
        speak_en_group(group, with_and, out);
        pn_buf_puts(out, SCALES[i]);
    }
}

/* "12", "1.5亿", "2.25 million" as a number. */
static uint64_t read_back(const char *s)
{
    static const struct {
        const char *name;
        uint64_t value;
    } SUFFIXES[] = { { "", 1 },
                     { "万", 10000 },
                     { "亿", 100000000 },
                     { "万亿", 1000000000000 },
                     { " million", 1000000 },
                     { " billion", 1000000000 },
                     { " trillion", 1000000000000 } };
    char *end;
    uint64_t v = strtoull(s, &end, 10), decimals = 1, fraction = 0;
    if (*end == '.')
        for (end++; *end >= '0' && *end <= '9'; end++, decimals *= 10)
            fraction = fraction * 10 + (uint64_t)(*end - '0');
    for (size_t i = 0; i < PN_ARRAY_LEN(SUFFIXES); i++)
        if (strcmp(end, SUFFIXES[i].name) == 0)
            return v * SUFFIXES[i].value + fraction * (SUFFIXES[i].value / decimals);
    fail_msg("'%s' is no number", s);
    return 0;
}

static void check_alone(const struct pn_buf *spoken, const char *language, uint64_t v)
{
    struct pn_buf out = written((struct pn_str){ spoken->ptr, spoken->len }, language);
    if (read_back(out.ptr) != v)
        fail_msg("%llu, '%s', became '%s'", (unsigned long long)v, spoken->ptr, out.ptr);
    pn_buf_done(&out);
}

/* As a percentage each number is written with digits, small ones, too. */
static void check_spoken(uint64_t v)
{
    struct pn_buf spoken;
    char want[32];
    snprintf(want, sizeof(want), "%llu%%", (unsigned long long)v);
    pn_buf_init(&spoken, 1000);
    pn_buf_puts(&spoken, "百分之");
    speak_zh(v, &spoken);
    check((struct pn_str){ spoken.ptr, spoken.len }, "zh", pn_str(want));
    pn_buf_clear(&spoken);
    speak_zh(v, &spoken);
    if (v > 11)
        check_alone(&spoken, "zh", v);
    for (int with_and = 0; with_and < 2; with_and++) {
        pn_buf_clear(&spoken);
        speak_en(v, with_and, &spoken);
        if (v >= 10)
            check_alone(&spoken, "en", v);
        pn_buf_puts(&spoken, " percent");
        check((struct pn_str){ spoken.ptr, spoken.len }, "en", pn_str(want));
    }
    pn_buf_done(&spoken);
}

static void test_spoken_numbers(void **state)
{
    uint64_t seed = 1;
    for (uint64_t v = 0; v <= 20000; v++)
        check_spoken(v);
    for (int i = 0; i < 5000; i++)
        check_spoken(pn_splitmix64(&seed) % 1000000000000);
    for (uint64_t round = 10; round < 1000000000000000; round *= 10)
        for (uint64_t k = 1; k < 10; k++)
            check_spoken(k * round);
}

/* `n` times `part`, as one text. */
static struct pn_buf repeated(const char *part, size_t n)
{
    struct pn_buf text;
    pn_buf_init(&text, MAX_TEXT);
    for (size_t i = 0; i < n; i++)
        pn_buf_puts(&text, part);
    assert_int_equal(text.failed, 0);
    return text;
}

static void check_repeated(const char *part, const char *want_part)
{
    struct pn_buf text = repeated(part, 100000), want = repeated(want_part, 100000);
    check((struct pn_str){ text.ptr, text.len }, "", (struct pn_str){ want.ptr, want.len });
    pn_buf_done(&text);
    pn_buf_done(&want);
}

/* Were the time not linear in the text, this would not end within the test's. */
static void test_long_runs(void **state)
{
    check_repeated("一", "1");
    check_repeated("十", "十");
    check_repeated("一万", "一万");
    check_repeated("点", "点");
    check_repeated("三点四十 ", "3:40 ");
    check_repeated("二十，", "20，");
    check_repeated("分之", "分之");
    check_repeated("twenty ", "twenty ");
    check_repeated("one hundred and ", "100 and ");
    check_repeated("a ", "a ");
    check_repeated("point ", "point ");
    check_repeated("five hundred five ", "five hundred five ");
    check_repeated("ten, ", "10, ");
    check_repeated("x", "x");
    check_repeated("\xe4", "\xe4");
}

static void test_limit_takes_back(void **state)
{
    struct pn_buf out;
    pn_buf_init(&out, 5);
    pn_buf_puts(&out, "ab");
    assert_int_equal(pn_itn(PN_STR("二十三四五六"), "zh", &out), -PN_ELIMIT);
    assert_int_equal(out.len, 2);
    pn_buf_done(&out);
}

static void test_no_memory(void **state)
{
    struct pn_buf text = repeated("三点半到四点二十 three thirty p m, ", 40);
    for (long n = 0; n >= 0; n++) {
        struct pn_buf out;
        pn_buf_init(&out, MAX_TEXT);
        fail_at = n;
        int r = pn_itn((struct pn_str){ text.ptr, text.len }, "", &out);
        bool used = fail_at < 0;
        fail_at = -1;
        assert_int_equal(r, used ? -PN_ENOMEM : 0);
        assert_true(r == 0 || out.len == 0);
        pn_buf_done(&out);
        if (!used) {
            assert_true(n > 4);
            break;
        }
    }
    pn_buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_languages_keep_apart),
        cmocka_unit_test(test_appends),
        cmocka_unit_test(test_other_bytes_stay),
        cmocka_unit_test(test_spoken_numbers),
        cmocka_unit_test(test_long_runs),
        cmocka_unit_test(test_limit_takes_back),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
