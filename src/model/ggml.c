/* ggml.c - whisper.cpp's .bin: header, mel filters, vocabulary, then tensors to the end of the file. Little
 * endian, nothing aligned, no table: one walk over the file, which touches the data only to step over it. */
#include "model/checkpoint_impl.h"
#include "model/reader.h"
#include "model/vocabulary.h"

static const char *const HEADER[] = { "n_vocab",       "n_audio_ctx", "n_audio_state", "n_audio_head",
                                      "n_audio_layer", "n_text_ctx",  "n_text_state",  "n_text_head",
                                      "n_text_layer",  "n_mels",      "ftype" };

/* ggml's numbers for types of tensors; what is not here is not supported. */
static const struct {
    int32_t number;
    bool known;
    enum pn_dtype dtype;
    const char *name;
} TYPES[] = {
    { 0, true, PN_DT_F32, "f32" },   { 1, true, PN_DT_F16, "f16" },   { 2, true, PN_DT_Q4_0, "q4_0" },
    { 3, true, PN_DT_Q4_1, "q4_1" }, { 6, true, PN_DT_Q5_0, "q5_0" }, { 7, true, PN_DT_Q5_1, "q5_1" },
    { 8, true, PN_DT_Q8_0, "q8_0" }, { 9, false, 0, "q8_1" },         { 10, false, 0, "q2_k" },
    { 11, false, 0, "q3_k" },        { 12, false, 0, "q4_k" },        { 13, false, 0, "q5_k" },
    { 14, false, 0, "q6_k" },        { 15, false, 0, "q8_k" },        { 30, true, PN_DT_BF16, "bf16" },
};

/* Kinds of files: a header's ftype is one of these + 1000 x version of the quantisation. */
enum { FTYPE_F16 = 1, QUANT_VERSION = 2, QUANT_FACTOR = 1000 };

struct ggml {
    struct pn_checkpoint *c;
    struct pn_reader in;
    struct pn_err *err;
};

static int bad(struct ggml *g, size_t at, const char *what)
{
    return pn_fail(g->err, PN_EFORMAT, "the ggml file is damaged at byte %zu: %s", at, what);
}

static int check_ftype(struct ggml *g, int32_t ftype)
{
    int32_t kind = ftype % QUANT_FACTOR, version = ftype / QUANT_FACTOR;
    if (ftype < 0)
        return bad(g, g->in.pos - sizeof(ftype), "a negative file type");
    if (kind > FTYPE_F16 && version != QUANT_VERSION)
        return pn_fail(g->err, PN_EUNSUPPORTED,
                       "quantisation version %d (byte %zu) is not supported, only version %d", version,
                       g->in.pos - sizeof(ftype), QUANT_VERSION);
    return 0; /* the tensors say themselves which type they have */
}

static int read_header(struct ggml *g)
{
    struct pn_str magic;
    if (!pn_read_bytes(&g->in, 4, &magic))
        return bad(g, g->in.pos, "it is cut off");
    int r = 0;
    int32_t v = 0;
    for (size_t i = 0; i < PN_ARRAY_LEN(HEADER) && r == 0; i++) {
        if (!pn_read_i32(&g->in, &v))
            return bad(g, g->in.pos, "it is cut off");
        r = pn_checkpoint_add_int(g->c, pn_str(HEADER[i]), v, g->err);
    }
    return r < 0 ? r : check_ftype(g, v);
}

/* The filters are known by formula; they are stepped over. */
static int skip_filters(struct ggml *g)
{
    size_t at = g->in.pos;
    int32_t n_mel, n_bins;
    struct pn_str filters;
    if (!pn_read_i32(&g->in, &n_mel) || !pn_read_i32(&g->in, &n_bins))
        return bad(g, at, "it is cut off");
    if (n_mel < 0 || n_bins < 0 || n_mel > 1024 || n_bins > 65536 ||
        !pn_read_bytes(&g->in, (uint64_t)n_mel * (uint64_t)n_bins * sizeof(float), &filters))
        return bad(g, at, "impossible mel filters");
    return 0;
}

static int read_vocabulary(struct ggml *g)
{
    size_t at = g->in.pos;
    int32_t n;
    if (!pn_read_i32(&g->in, &n))
        return bad(g, at, "it is cut off");
    if (n < 0 || (size_t)n > (g->in.end - g->in.pos) / sizeof(uint32_t))
        return bad(g, at, "an impossible number of tokens");
    int r = pn_checkpoint_make_tokens(g->c, (size_t)n, g->err);
    for (int32_t i = 0; i < n && r == 0; i++) {
        at = g->in.pos;
        uint32_t len;
        if (!pn_read_u32(&g->in, &len) || !pn_read_bytes(&g->in, len, &g->c->tokens[i]))
            r = bad(g, at, "a token that is longer than the file");
        else if (pn_vocabulary_is_special(g->c->tokens[i]))
            g->c->tokens[i].len = 0;
    }
    return r;
}

static int find_type(struct ggml *g, size_t at, int32_t number, struct pn_str name, enum pn_dtype *ret)
{
    const char *type = NULL;
    for (size_t i = 0; i < PN_ARRAY_LEN(TYPES); i++) {
        if (TYPES[i].number != number)
            continue;
        if (!TYPES[i].known) {
            type = TYPES[i].name;
            break;
        }
        *ret = TYPES[i].dtype;
        return 0;
    }
    return pn_fail(g->err, PN_EUNSUPPORTED,
                   "tensor '%.*s' (byte %zu) has type %d%s%s%s, which is not supported",
                   (int)PN_MIN(name.len, 80u), name.ptr, at, number, type ? " (" : "", type ? type : "",
                   type ? ")" : "");
}

/* n_dims, length of the name, type, sizes with the fastest first, name, data. */
static int read_tensor(struct ggml *g)
{
    size_t at = g->in.pos;
    int32_t n_dims, name_len, type, dims[PN_MAX_DIMS];
    if (!pn_read_i32(&g->in, &n_dims) || !pn_read_i32(&g->in, &name_len) || !pn_read_i32(&g->in, &type))
        return bad(g, at, "it is cut off");
    if (n_dims < 0 || n_dims > PN_MAX_DIMS || name_len < 0 || name_len > PN_CHECKPOINT_MAX_NAME)
        return bad(g, at, "an impossible tensor");
    struct pn_tensor t = { .n_dims = n_dims }, *added;
    struct pn_str data;
    if (!pn_read_into(&g->in, dims, (size_t)n_dims * sizeof(dims[0])) ||
        !pn_read_bytes(&g->in, (uint64_t)name_len, &t.name))
        return bad(g, at, "it is cut off");
    for (int i = 0; i < n_dims; i++)
        t.dim[i] = dims[n_dims - 1 - i];
    int r = find_type(g, at, type, t.name, &t.dtype);
    if (r == 0)
        r = pn_checkpoint_add(g->c, t, at, &added, g->err);
    if (r < 0)
        return r;
    if (!pn_read_bytes(&g->in, added->size, &data))
        return bad(g, at, "a tensor that reaches past the end of the file");
    added->data = data.ptr;
    pn_digest_add(&g->c->digest, (struct pn_str){ (const char *)g->in.base + at,
                                                  (size_t)(data.ptr - (const char *)g->in.base) - at });
    return 0;
}

int pn_ggml_read(struct pn_checkpoint *c, struct pn_str file, struct pn_err *err)
{
    struct ggml g = { c, { (const uint8_t *)file.ptr, 0, file.len }, err };
    c->kind = PN_CHECKPOINT_GGML;
    int r = read_header(&g);
    if (r == 0)
        r = skip_filters(&g);
    if (r == 0)
        r = read_vocabulary(&g);
    if (r < 0)
        return r;
    pn_digest_add(&c->digest, (struct pn_str){ file.ptr, g.in.pos });
    if (g.in.pos == g.in.end)
        return pn_fail(err, PN_EFORMAT,
                       "the ggml file holds no weights: it ends after the vocabulary (byte %zu)", g.in.pos);
    while (r == 0 && g.in.pos < g.in.end)
        r = read_tensor(&g);
    return r;
}
