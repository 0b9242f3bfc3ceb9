/* fuzz_json.c - the JSON writer with hostile strings and numbers; jansson reads back what was written.
 *
 * The input is a program: a byte chooses what is written, the bytes behind it are its argument. */
#include "base/json.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OUTPUT_MAX ((size_t)1 << 20)

struct input {
    const uint8_t *at;
    size_t left;
};

static void check(bool ok)
{
    if (!ok)
        abort();
}

static uint8_t take_byte(struct input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->at++;
}

static struct pn_str take_str(struct input *in)
{
    size_t wanted = take_byte(in), n = PN_MIN(wanted, in->left);
    struct pn_str s = { (const char *)in->at, n };
    in->at += n;
    in->left -= n;
    return s;
}

static uint64_t take_bits(struct input *in)
{
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | take_byte(in);
    return bits;
}

static double take_f64(struct input *in)
{
    uint64_t bits = take_bits(in);
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

static bool is_utf8(struct pn_str s)
{
    while (s.len > 0) {
        size_t n = pn_utf8_next(s, NULL);
        if (n == 0)
            return false;
        s = (struct pn_str){ s.ptr + n, s.len - n };
    }
    return true;
}

static json_t *read_back(const struct pn_buf *b)
{
    json_error_t e;
    json_t *v = json_loadb(b->ptr, b->len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
    check(v != NULL && !memchr(b->ptr, '\n', b->len));
    return v;
}

static void check_str(struct pn_buf *b, struct pn_str s)
{
    struct pn_json j;
    pn_json_init(&j, b);
    pn_json_str(&j, s);
    json_t *v = read_back(b);
    struct pn_str back = { json_string_value(v), json_string_length(v) };
    if (is_utf8(s))
        check(pn_str_eq(back, s));
    else
        check(is_utf8(back));
    json_decref(v);
}

static void check_f64(struct pn_buf *b, double d)
{
    struct pn_json j;
    pn_json_init(&j, b);
    pn_json_f64(&j, d);
    json_t *v = read_back(b);
    check(isfinite(d) ? json_is_real(v) && json_real_value(v) == d : json_is_null(v));
    json_decref(v);
}

static void check_fixed(struct pn_buf *b, double d, int decimals)
{
    struct pn_json j;
    pn_json_init(&j, b);
    pn_json_fixed(&j, d, decimals);
    json_t *v = read_back(b);
    /* Half a unit of the last place, and what a double of that size cannot tell apart. */
    double allowed = 0.5 * pow(10, -PN_MAX(0, PN_MIN(decimals, 17))) + fabs(d) * 1e-15;
    check(isfinite(d) ? json_is_real(v) && fabs(json_real_value(v) - d) <= allowed : json_is_null(v));
    json_decref(v);
}

static void check_i64(struct pn_buf *b, int64_t i)
{
    struct pn_json j;
    pn_json_init(&j, b);
    pn_json_i64(&j, i);
    json_t *v = read_back(b);
    check(json_is_integer(v) && json_integer_value(v) == i);
    json_decref(v);
}

/* One value of each kind alone, checked for what it says. */
static void check_scalars(struct input in)
{
    struct pn_buf b;
    pn_buf_init(&b, OUTPUT_MAX);
    check_str(&b, take_str(&in));
    pn_buf_clear(&b);
    check_f64(&b, take_f64(&in));
    pn_buf_clear(&b);
    check_fixed(&b, take_f64(&in), (int8_t)take_byte(&in));
    pn_buf_clear(&b);
    check_i64(&b, (int64_t)take_bits(&in));
    pn_buf_done(&b);
}

static void write_scalar(struct pn_json *j, struct input *in, uint8_t kind)
{
    switch (kind % 6) {
    case 0:
        pn_json_str(j, take_str(in));
        return;
    case 1:
        pn_json_i64(j, (int64_t)take_bits(in));
        return;
    case 2:
        pn_json_f64(j, take_f64(in));
        return;
    case 3:
        pn_json_fixed(j, take_f64(in), take_byte(in) % 20);
        return;
    case 4:
        pn_json_bool(j, take_byte(in) & 1);
        return;
    default:
        pn_json_cstr(j, NULL);
    }
}

static void write_key(struct pn_json *j, struct input *in)
{
    char key[256];
    struct pn_str s = take_str(in);
    if (pn_str_copy(key, sizeof(key), s) < 0)
        key[0] = 0; /* it held a NUL */
    pn_json_key(j, key);
}

/* What is open at each depth, so that the writer is only asked for what it allows. */
static void write_document(struct pn_json *j, struct input *in)
{
    bool object[32];
    unsigned depth = 0;
    pn_json_begin_array(j);
    object[depth++] = false;
    while (in->left > 0) {
        uint8_t what = take_byte(in);
        if (what < 40 && depth > 1) {
            if (object[--depth])
                pn_json_end_object(j);
            else
                pn_json_end_array(j);
            continue;
        }
        if (object[depth - 1])
            write_key(j, in);
        if (what >= 200 && depth < 31) {
            object[depth] = what & 1;
            if (object[depth++])
                pn_json_begin_object(j);
            else
                pn_json_begin_array(j);
        } else {
            write_scalar(j, in, what);
        }
    }
    while (depth-- > 0) {
        if (object[depth])
            pn_json_end_object(j);
        else
            pn_json_end_array(j);
    }
}

static void check_document(struct input in, size_t max)
{
    struct pn_buf b;
    struct pn_json j;
    pn_buf_init(&b, max);
    pn_json_init(&j, &b);
    write_document(&j, &in);
    if (!b.failed)
        json_decref(read_back(&b));
    check(b.len <= max);
    pn_buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { data, size };
    check_scalars(in);
    check_document(in, OUTPUT_MAX);
    check_document(in, 64); /* a writer that runs into the limit */
    return 0;
}
