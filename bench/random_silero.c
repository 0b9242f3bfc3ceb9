/* random_silero.c - see random_silero.h. Every tensor is f32, scaled so that sums stay near one. */
#include "random_silero.h"

#include "base/splitmix.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char TYPE[] = "silero-16k";
static const int32_t HEAD[] = { 6, 2,  0,  512, 64, 4,   129, 128, 3,   128, 64,
                                3, 64, 64, 3,   64, 128, 3,   128, 128, 128, 1 };

static const struct {
    const char *name;
    int n_dims;
    int32_t dim[3]; /* fastest first */
    int fan_in;
} TENSORS[] = {
    { "encoder.0.reparam_conv.weight", 3, { 3, 129, 128 }, 387 },
    { "encoder.0.reparam_conv.bias", 1, { 128 }, 1 },
    { "encoder.1.reparam_conv.weight", 3, { 3, 128, 64 }, 384 },
    { "encoder.1.reparam_conv.bias", 1, { 64 }, 1 },
    { "encoder.2.reparam_conv.weight", 3, { 3, 64, 64 }, 192 },
    { "encoder.2.reparam_conv.bias", 1, { 64 }, 1 },
    { "encoder.3.reparam_conv.weight", 3, { 3, 64, 128 }, 64 },
    { "encoder.3.reparam_conv.bias", 1, { 128 }, 1 },
    { "decoder.rnn.weight_ih", 2, { 128, 512 }, 32 },
    { "decoder.rnn.weight_hh", 2, { 128, 512 }, 128 },
    { "decoder.rnn.bias_ih", 1, { 512 }, 4 },
    { "decoder.rnn.bias_hh", 1, { 512 }, 4 },
    { "decoder.decoder.2.weight", 1, { 128 }, 4 },
    { "decoder.decoder.2.bias", 0, { 0 }, 4 },
    { "stft.forward_basis_buffer", 3, { 256, 1, 258 }, 64 },
};

static void write_ints(FILE *f, const int32_t *v, size_t n)
{
    (void)fwrite(v, sizeof(*v), n, f);
}

static void write_tensor(FILE *f, size_t i, uint64_t *seed)
{
    static const char PREFIX[] = "_model.";
    int n_dims = TENSORS[i].n_dims, n = 1;
    int32_t head[3] = { n_dims, (int32_t)(strlen(PREFIX) + strlen(TENSORS[i].name)), 0 };
    write_ints(f, head, 3);
    write_ints(f, TENSORS[i].dim, (size_t)n_dims);
    (void)fputs(PREFIX, f);
    (void)fputs(TENSORS[i].name, f);
    for (int d = 0; d < n_dims; d++)
        n *= TENSORS[i].dim[d];
    for (int k = 0; k < n; k++) {
        float v = ((float)(pn_splitmix64(seed) >> 40) * 0x1p-23F - 1) * sqrtf(3 / (float)TENSORS[i].fan_in);
        (void)fwrite(&v, sizeof(v), 1, f);
    }
}

int pn_random_silero_write(const char *path, uint64_t seed, struct pn_err *err)
{
    FILE *f = fopen(path, "wbe");
    if (!f)
        return pn_fail_errno(err, "%s", path);
    const int32_t start[] = { 0x67676d6c, sizeof(TYPE) - 1 };
    write_ints(f, start, 2);
    (void)fputs(TYPE, f);
    write_ints(f, HEAD, PN_ARRAY_LEN(HEAD));
    for (size_t i = 0; i < PN_ARRAY_LEN(TENSORS); i++)
        write_tensor(f, i, &seed);
    int failed = ferror(f);
    failed |= fclose(f);
    return failed ? pn_fail_errno(err, "%s", path) : 0;
}
