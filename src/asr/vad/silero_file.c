/* silero_file.c - see silero_file.h. Numbers lie at odd addresses: everything is copied out. */
#include "asr/vad/silero_file.h"

#include "model/mapping.h"
#include "model/reader.h"
#include "nn/half.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>

enum { MAGIC = 0x67676d6c, MAX_NAME = 64, MAX_DIMS = 3, F32 = 0, F16 = 1 };

static const char TYPE[] = "silero-16k";

/* What follows the three version numbers. */
static const int32_t SHAPE[] = {
    PN_SILERO_WINDOW,
    PN_SILERO_CONTEXT,
    PN_SILERO_CONVS, /* convolutions: in, out, taps */
    129,
    128,
    3,
    128,
    64,
    3,
    64,
    64,
    3,
    64,
    128,
    3,
    PN_SILERO_HIDDEN,
    PN_SILERO_HIDDEN,
    PN_SILERO_HIDDEN,
    1,
};

struct slot {
    const char *name;
    int n_dims;
    int32_t dim[MAX_DIMS]; /* fastest first, as in the file */
    size_t offset;         /* in struct pn_silero_weights */
};

#define AT(member) offsetof(struct pn_silero_weights, member)

static const struct slot SLOTS[] = {
    { "_model.encoder.0.reparam_conv.weight", 3, { 3, 129, 128 }, AT(conv0) },
    { "_model.encoder.0.reparam_conv.bias", 1, { 128 }, AT(conv0_bias) },
    { "_model.encoder.1.reparam_conv.weight", 3, { 3, 128, 64 }, AT(conv1) },
    { "_model.encoder.1.reparam_conv.bias", 1, { 64 }, AT(conv1_bias) },
    { "_model.encoder.2.reparam_conv.weight", 3, { 3, 64, 64 }, AT(conv2) },
    { "_model.encoder.2.reparam_conv.bias", 1, { 64 }, AT(conv2_bias) },
    { "_model.encoder.3.reparam_conv.weight", 3, { 3, 64, 128 }, AT(conv3) },
    { "_model.encoder.3.reparam_conv.bias", 1, { 128 }, AT(conv3_bias) },
    { "_model.decoder.rnn.weight_ih", 2, { 128, 512 }, AT(in) },
    { "_model.decoder.rnn.weight_hh", 2, { 128, 512 }, AT(recurrent) },
    { "_model.decoder.rnn.bias_ih", 1, { 512 }, AT(in_bias) },
    { "_model.decoder.rnn.bias_hh", 1, { 512 }, AT(recurrent_bias) },
    { "_model.decoder.decoder.2.weight", 1, { 128 }, AT(head) },
    { "_model.decoder.decoder.2.bias", 0, { 0 }, AT(head_bias) },
    { "_model.stft.forward_basis_buffer", 3, { 256, 1, 258 }, AT(basis) },
};

enum { N_SLOTS = sizeof(SLOTS) / sizeof(SLOTS[0]) };

struct parse {
    struct pn_reader r;
    const char *name;
    struct pn_err *err;
    struct pn_silero_weights *w;
    bool seen[N_SLOTS];
};

static int refuse(struct parse *p, const char *what)
{
    return pn_fail(p->err, PN_EFORMAT, "%s: %s", p->name, what);
}

static int read_head(struct parse *p)
{
    uint32_t magic = 0, length = 0, version;
    struct pn_str type;
    if (!pn_read_u32(&p->r, &magic) || magic != MAGIC || !pn_read_u32(&p->r, &length) ||
        length != sizeof(TYPE) - 1 || !pn_read_bytes(&p->r, length, &type) ||
        memcmp(type.ptr, TYPE, length) != 0)
        return refuse(p, "not a ggml file of Silero VAD for 16 kHz");
    for (int i = 0; i < 3; i++)
        if (!pn_read_u32(&p->r, &version))
            return refuse(p, "ends in its head");
    for (size_t i = 0; i < PN_ARRAY_LEN(SHAPE); i++) {
        int32_t v;
        if (!pn_read_i32(&p->r, &v))
            return refuse(p, "ends in its head");
        if (v != SHAPE[i])
            return refuse(p, "a network of another shape");
    }
    return 0;
}

static int find_slot(struct pn_str name)
{
    for (int i = 0; i < N_SLOTS; i++)
        if (name.len == strlen(SLOTS[i].name) && memcmp(name.ptr, SLOTS[i].name, name.len) == 0)
            return i;
    return -1;
}

static size_t elements(const struct slot *slot)
{
    size_t n = 1;
    for (int i = 0; i < slot->n_dims; i++)
        n *= (size_t)slot->dim[i];
    return n;
}

static int read_values(struct parse *p, const struct slot *slot, bool half)
{
    size_t n = elements(slot);
    float *out = (float *)((char *)p->w + slot->offset);
    struct pn_str bytes;
    if (!pn_read_bytes(&p->r, n * (half ? sizeof(uint16_t) : sizeof(float)), &bytes))
        return refuse(p, "ends within a tensor");
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        if (half) {
            memcpy(&h, bytes.ptr + i * sizeof(h), sizeof(h));
            out[i] = pn_f32_of_f16(h);
        } else {
            memcpy(&out[i], bytes.ptr + i * sizeof(*out), sizeof(*out));
        }
        if (!isfinite(out[i]))
            return refuse(p, "a weight that is no number");
    }
    return 0;
}

static int read_record(struct parse *p)
{
    int32_t n_dims, name_len, type, dim[MAX_DIMS] = { 0 };
    struct pn_str name;
    if (!pn_read_i32(&p->r, &n_dims) || !pn_read_i32(&p->r, &name_len) || !pn_read_i32(&p->r, &type))
        return refuse(p, "ends within a tensor's head");
    if (n_dims < 0 || n_dims > MAX_DIMS || name_len < 0 || name_len > MAX_NAME ||
        (type != F32 && type != F16))
        return refuse(p, "a tensor's head is damaged");
    if (!pn_read_into(&p->r, dim, (size_t)n_dims * sizeof(*dim)) ||
        !pn_read_bytes(&p->r, (uint64_t)name_len, &name))
        return refuse(p, "ends within a tensor's head");
    int i = find_slot(name);
    if (i < 0 || p->seen[i])
        return refuse(p, "a tensor that does not belong here");
    if (n_dims != SLOTS[i].n_dims || memcmp(dim, SLOTS[i].dim, sizeof(dim)) != 0)
        return refuse(p, "a tensor of another shape");
    p->seen[i] = true;
    return read_values(p, &SLOTS[i], type == F16);
}

int pn_silero_parse(struct pn_str file, const char *name, struct pn_silero_weights *ret, struct pn_err *err)
{
    struct parse p = { { (const uint8_t *)file.ptr, 0, file.len }, name, err, ret, { false } };
    int r = read_head(&p);
    while (r == 0 && p.r.pos < p.r.end)
        r = read_record(&p);
    for (int i = 0; r == 0 && i < N_SLOTS; i++)
        if (!p.seen[i])
            r = pn_fail(err, PN_EFORMAT, "%s: no tensor %s", name, SLOTS[i].name);
    return r;
}

int pn_silero_read(const char *path, struct pn_silero_weights **ret, struct pn_err *err)
{
    struct pn_mapping map = { 0 };
    int r = pn_mapping_open(path, &map, err);
    if (r < 0)
        return r;
    struct pn_silero_weights *w = calloc(1, sizeof(*w));
    r = w ? pn_silero_parse((struct pn_str){ (const char *)map.ptr, map.size }, path, w, err)
          : pn_fail(err, PN_ENOMEM, "%s: out of memory", path);
    pn_mapping_close(&map);
    if (r < 0) {
        free(w);
        return r;
    }
    *ret = w;
    return 0;
}
