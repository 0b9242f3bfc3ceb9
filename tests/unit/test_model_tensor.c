/* test_model_tensor.c - numbers of every type as f32: half precision exhaustively, the blocks against the
 * published encodings, and what may be asked of a tensor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "fixtures.h"
#include "nn/half.h"
#include "model/tensor.h"
#include "model/tensor_blocks.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* By the definition: sign, 5 bits of exponent, 10 of fraction. */
static double half_by_definition(unsigned h)
{
    int exponent = h >> 10 & 31, fraction = h & 1023;
    double v = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
    if (exponent == 31)
        v = fraction ? NAN : INFINITY;
    return h & 0x8000 ? -v : v;
}

static void test_every_half(void **state)
{
    static uint8_t bytes[2 * 65536 + 1]; /* an odd address */
    static float out[65536];
    for (unsigned i = 0; i < 65536; i++) {
        uint16_t h = (uint16_t)i;
        memcpy(bytes + 1 + 2 * i, &h, sizeof(h));
    }
    struct pn_tensor t = { .dtype = PN_DT_F16, .n_dims = 1, .dim = { 65536 }, .data = bytes + 1 };
    assert_int_equal(pn_tensor_measure(&t), 0);
    assert_int_equal(pn_tensor_f32(&t, 0, t.n, out), 0);
    for (unsigned i = 0; i < 65536; i++) {
        float want = (float)half_by_definition(i);
        assert_int_equal(isnan(out[i]) != 0, isnan(want) != 0);
        if (!isnan(want)) {
            assert_memory_equal(&out[i], &want, sizeof(want)); /* the sign of zero as well */
        }
    }
}

static void test_plain_types(void **state)
{
    const float f32[3] = { 1.5f, -0.0f, 3e38f };
    const uint16_t bf16[3] = { 0x3fc0, 0x8000, 0xff80 };
    const double f64[3] = { 1.5, 1e-300, 0.1 };
    const float WANT[3][3] = { { 1.5f, -0.0f, 3e38f }, { 1.5f, -0.0f, -INFINITY }, { 1.5f, 0.0f, 0.1f } };
    const void *const DATA[3] = { f32, bf16, f64 };
    const size_t SIZES[3] = { sizeof(f32), sizeof(bf16), sizeof(f64) };
    const enum pn_dtype TYPES[3] = { PN_DT_F32, PN_DT_BF16, PN_DT_F64 };
    for (int i = 0; i < 3; i++) {
        uint8_t odd[1 + sizeof(f64)];
        memcpy(odd + 1, DATA[i], SIZES[i]);
        struct pn_tensor t = { .dtype = TYPES[i], .n_dims = 1, .dim = { 3 }, .data = odd + 1 };
        assert_int_equal(pn_tensor_measure(&t), 0);
        assert_int_equal(t.size, SIZES[i]);
        float out[3];
        assert_int_equal(pn_tensor_f32(&t, 0, 3, out), 0);
        assert_memory_equal(out, WANT[i], sizeof(out));
        assert_int_equal(pn_tensor_f32(&t, 1, 1, out), 0);
        assert_memory_equal(out, &WANT[i][1], sizeof(out[0]));
    }
}

static void test_what_may_be_asked(void **state)
{
    uint8_t bytes[68] = { 0 };
    float out[64];
    struct pn_tensor t = { .dtype = PN_DT_Q8_0, .n_dims = 2, .dim = { 2, 32 }, .data = bytes };
    assert_int_equal(pn_tensor_measure(&t), 0);
    assert_int_equal(t.n, 64);
    assert_int_equal(t.size, 68);
    const struct {
        int64_t from, n;
        int want;
    } CASES[] = {
        { 0, 64, 0 },
        { 32, 32, 0 },
        { 64, 0, 0 },
        { 0, 31, -PN_EINVAL },
        { 1, 32, -PN_EINVAL },
        { 0, 96, -PN_EINVAL },
        { -32, 32, -PN_EINVAL },
        { 96, 0, -PN_EINVAL },
        { 0, -32, -PN_EINVAL },
        { 32, INT64_MAX, -PN_EINVAL },
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++)
        assert_int_equal(pn_tensor_f32(&t, CASES[i].from, CASES[i].n, out), CASES[i].want);
    t = (struct pn_tensor){ .dtype = PN_DT_I64, .n_dims = 1, .dim = { 8 }, .data = bytes };
    assert_int_equal(pn_tensor_measure(&t), 0);
    assert_int_equal(pn_tensor_f32(&t, 0, 8, out), -PN_EUNSUPPORTED);
}

static void test_impossible_sizes(void **state)
{
    const struct {
        enum pn_dtype dtype;
        int n_dims;
        int64_t dim[4];
        int64_t n; /* -1: refused */
    } CASES[] = {
        { PN_DT_F32, 0, { 0 }, 1 },
        { PN_DT_F32, 1, { 0 }, 0 },
        { PN_DT_F32, 1, { -1 }, -1 },
        { PN_DT_F32, 2, { -2, -3 }, -1 },
        { PN_DT_F32, 2, { 0, -3 }, -1 },
        { PN_DT_F32, 5, { 1, 1, 1, 1 }, -1 },
        { PN_DT_F32, -1, { 1 }, -1 },
        { PN_DT_F32, 2, { (int64_t)1 << 32, (int64_t)1 << 32 }, -1 },
        { PN_DT_F32, 1, { INT64_MAX }, -1 },
        { PN_DT_F32, 1, { (int64_t)1 << 38 }, (int64_t)1 << 38 },
        { PN_DT_F32, 1, { ((int64_t)1 << 38) + 1 }, -1 },
        { PN_DT_I8, 1, { (int64_t)1 << 40 }, (int64_t)1 << 40 },
        { PN_DT_Q4_0, 0, { 0 }, -1 },
        { PN_DT_Q4_0, 1, { 33 }, -1 },
        { PN_DT_Q4_0, 2, { 32, 16 }, -1 },
        { PN_DT_Q4_0, 2, { 3, 64 }, 192 },
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        struct pn_tensor t = { .dtype = CASES[i].dtype, .n_dims = CASES[i].n_dims, .n = 7 };
        memcpy(t.dim, CASES[i].dim, sizeof(t.dim));
        assert_int_equal(pn_tensor_measure(&t), CASES[i].n < 0 ? -PN_EFORMAT : 0);
        assert_int_equal(t.n, CASES[i].n < 0 ? 7 : CASES[i].n);
    }
}

/* One block of each type by hand: d = 2, m = -1, nibbles (and bytes) that count, high bits of odd elements.
 */
static void test_blocks_by_hand(void **state)
{
    const struct {
        enum pn_dtype dtype;
        int zero, fifth;
        float m;
    } CASES[] = { { PN_DT_Q4_0, 8, 0, 0 },
                  { PN_DT_Q4_1, 0, 0, -1 },
                  { PN_DT_Q5_0, 16, 16, 0 },
                  { PN_DT_Q5_1, 0, 16, -1 } };
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        uint8_t b[24] = { 0x00, 0x40 }, *p = b + 2; /* f16 2.0 */
        if (CASES[i].m < 0) {
            *p++ = 0x00;
            *p++ = 0xbc; /* f16 -1.0 */
        }
        if (CASES[i].fifth) {
            memset(p, 0xaa, 4);
            p += 4;
        }
        for (int j = 0; j < 16; j++)
            *p++ = (uint8_t)(j | (15 - j) << 4);
        assert_int_equal(p - b, pn_block_size(CASES[i].dtype));
        float out[PN_BLOCK];
        pn_blocks_f32(CASES[i].dtype, b, 1, out);
        for (int j = 0; j < PN_BLOCK; j++) {
            int n = (j < 16 ? j : 31 - j) + (j % 2 ? CASES[i].fifth : 0);
            assert_true(out[j] == (float)(n - CASES[i].zero) * 2 + CASES[i].m);
        }
    }
}

static int hex(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

static void check_published(json_t *j, enum pn_dtype dtype)
{
    const char *text = json_string_value(json_object_get(j, "blocks_hex"));
    json_t *want = json_object_get(j, "dequantised");
    assert_non_null(text);
    size_t size = strlen(text) / 2, n = json_array_size(want);
    assert_int_equal(n, 256);
    uint8_t *blocks = malloc(size);
    float *out = calloc(n, sizeof(*out));
    assert_true(blocks && out);
    for (size_t i = 0; i < size; i++)
        blocks[i] = (uint8_t)(hex(text[2 * i]) << 4 | hex(text[2 * i + 1]));
    struct pn_tensor t = { .dtype = dtype, .n_dims = 2, .dim = { 8, 32 }, .data = blocks };
    assert_int_equal(pn_tensor_measure(&t), 0);
    assert_int_equal(t.size, size);
    assert_int_equal(pn_tensor_f32(&t, 0, t.n, out), 0);
    for (size_t i = 0; i < n; i++)
        assert_true(fabs((double)out[i] - json_number_value(json_array_get(want, i))) <= 1e-6);
    free(out);
    free(blocks);
}

static void test_published_blocks(void **state)
{
    char path[PN_FIXTURE_PATH];
    PN_SHARED_OR_SKIP("whisper/micro/golden/quant_blocks.json", path);
    json_t *j = json_load_file(path, 0, NULL);
    assert_non_null(j);
    check_published(json_object_get(j, "q4_0"), PN_DT_Q4_0);
    check_published(json_object_get(j, "q5_0"), PN_DT_Q5_0);
    check_published(json_object_get(j, "q5_1"), PN_DT_Q5_1);
    check_published(json_object_get(j, "q8_0"), PN_DT_Q8_0);
    json_decref(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_half),        cmocka_unit_test(test_plain_types),
        cmocka_unit_test(test_what_may_be_asked), cmocka_unit_test(test_impossible_sizes),
        cmocka_unit_test(test_blocks_by_hand),    cmocka_unit_test(test_published_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
