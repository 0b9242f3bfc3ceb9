/* fuzz_punctuation.c - marks for any bytes, by a network that thinks at random: nothing of the text but white
 * space is lost, and a stream's words come out once.
 *
 * The first byte says whether there is a dictionary; texts of a stream are separated by zeros. */
#include "asr/punctuation/rules.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static int64_t id_of(const void *ctx, struct pn_str word)
{
    (void)ctx;
    check(word.len > 0);
    uint32_t h = 7;
    for (size_t i = 0; i < word.len; i++)
        h = h * 31 + (unsigned char)word.ptr[i];
    return h % 16;
}

static int judge(void *ctx, const int32_t *ids, size_t n, size_t n_cached, uint8_t *marks)
{
    (void)ctx;
    (void)n_cached;
    check(n > 0 && n <= PN_MARK_WORDS_MAX + PN_MARK_STEP);
    for (size_t i = 0; i < n; i++)
        marks[i] = ids[i] < PN_MARK_PAUSE ? (uint8_t)(ids[i] + 1) : PN_MARK_NONE;
    return 0;
}

static const float LOG_P[16] = { -1, -2, 1, -4, 1, -3, 1, -1, -7, 1, 1, -2, -1, 1, 1, -1 };

/* The bytes that neither a mark nor white space is made of, in lower case. */
static uint64_t fingerprint(struct pn_str s, size_t *ret_n)
{
    uint64_t h = 0;
    *ret_n = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c < '0' || c >= 0x80 || c == '?')
            continue;
        h = h * 1099511628211U + (c >= 'A' && c <= 'Z' ? c + 32U : c);
        ++*ret_n;
    }
    return h;
}

static void check_same(struct pn_str a, struct pn_str b)
{
    size_t n_a, n_b;
    check(fingerprint(a, &n_a) == fingerprint(b, &n_b) && n_a == n_b);
}

static void check_offline(const struct pn_mark_model *m, struct pn_str text)
{
    struct pn_buf out, marks;
    pn_buf_init(&out, (size_t)64 << 20);
    pn_buf_init(&marks, (size_t)64 << 20);
    check(pn_mark_text_offline(m, text, &out, &marks) == 0);
    check_same(text, (struct pn_str){ out.ptr, out.len });
    check(marks.len <= text.len);
    pn_buf_done(&out);
    pn_buf_done(&marks);
}

static void check_streaming(const struct pn_mark_model *m, struct pn_str text)
{
    struct pn_buf out, cache;
    struct pn_str all = text;
    pn_buf_init(&out, (size_t)64 << 20);
    pn_buf_init(&cache, (size_t)4 << 20);
    while (text.len > 0) {
        size_t n = strnlen(text.ptr, text.len);
        check(pn_mark_text_streaming(m, &cache, (struct pn_str){ text.ptr, n }, &out) == 0);
        n = PN_MIN(n + 1, text.len);
        text = (struct pn_str){ text.ptr + n, text.len - n };
    }
    check_same(all, (struct pn_str){ out.ptr, out.len });
    pn_buf_done(&out);
    pn_buf_done(&cache);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const struct pn_mark_model m = { { NULL, id_of, 0, data[0] & 1 ? LOG_P : NULL, -5 }, NULL, judge };
    struct pn_str text = { (const char *)data + 1, size - 1 };
    check_offline(&m, text);
    check_streaming(&m, text);
    return 0;
}
