/* network_open.c - see network.h: the sizes of a network, and its weights out of the packed file. */
#include "asr/punctuation/network.h"

#include <string.h>

/* Raise LAYOUT whenever what a section holds changes. */
enum { LAYOUT = 2 };

static int read_class(const struct pn_funasr *f, bool *ret_causal, struct pn_err *err)
{
    const char *class = pn_funasr_class(f), *encoder = pn_funasr_str(f, "encoder", "SANMEncoder");
    if (strcmp(class, "CTTransformer") != 0 && strcmp(class, "CTTransformerStreaming") != 0)
        return pn_fail(err, PN_EUNSUPPORTED, "a model of class %.40s does not punctuate", class);
    *ret_causal = strcmp(encoder, "SANMVadEncoder") == 0;
    if (!*ret_causal && strcmp(encoder, "SANMEncoder") != 0)
        return pn_fail(err, PN_EUNSUPPORTED, "an encoder of class %.40s is not known", encoder);
    return 0;
}

static enum pn_mark mark_of(const char *class)
{
    for (int m = PN_MARK_NONE; m <= PN_MARK_PAUSE; m++)
        if (m != PN_MARK_NONE && pn_str_is(pn_mark_text((enum pn_mark)m), class))
            return (enum pn_mark)m;
    return PN_MARK_NONE; /* "_", "<unk>" */
}

static int read_classes(const struct pn_funasr *f, struct pn_mark_network *n, struct pn_err *err)
{
    static const char LIST[] = "model_conf.punc_list";
    size_t classes = pn_funasr_list(f, LIST);
    if (classes < 1 || classes > PN_MARK_CLASSES)
        return pn_fail(err, PN_EFORMAT, "config.yaml: %s has %zu items, not 1 to %d", LIST, classes,
                       (int)PN_MARK_CLASSES);
    n->n_classes = (int)classes;
    for (size_t i = 0; i < classes; i++)
        n->mark[i] = (uint8_t)mark_of(pn_funasr_item(f, LIST, i));
    return 0;
}

static int read_embedding(const struct pn_funasr *f, const struct pn_mark_network *n, enum pn_precision p,
                          const struct pn_tensor **ret_tensor, struct pn_mark_embedding *ret,
                          struct pn_err *err)
{
    const struct pn_tensor *t = NULL;
    const int64_t dim[] = { (int64_t)pn_funasr_n_tokens(f), n->encoder.in };
    int r = pn_funasr_tensor_of(f, "embed.weight", 2, dim, &t, err);
    if (r == 0 && dim[0] < 1)
        r = pn_fail(err, PN_EFORMAT, "the model knows no words");
    if (r == 0) {
        *ret_tensor = t;
        *ret = (struct pn_mark_embedding){ p, (size_t)dim[0], (size_t)dim[1], NULL };
    }
    return r;
}

/* What the sections beside the parts need. */
struct opening {
    struct pn_mark_network *n;
    const struct pn_tensor *embedding;
};

static int add_embedding(void *model, struct pn_packed_writer *out, struct pn_err *err)
{
    const struct opening *o = model;
    return pn_mark_embedding_add(&o->n->embedding, o->embedding, out, err);
}

static int bind_embedding(void *model, const struct pn_packed *packed, struct pn_err *err)
{
    struct opening *o = model;
    return pn_mark_embedding_bind(&o->n->embedding, packed, err);
}

static int load(const struct pn_funasr *f, const struct pn_punctuation_options *opt, struct opening *o,
                struct pn_err *err)
{
    struct pn_parts parts = { 0 };
    const struct pn_pack_job job = {
        .key = { "punctuation", pn_precision_name(opt->precision), LAYOUT, pn_funasr_id(f) },
        .parts = &parts,
        .find = pn_find_funasr_tensor,
        .from = f,
        .add = add_embedding,
        .bind = bind_embedding,
        .model = o,
        .path = opt->path,
        .cache_dir = opt->cache_dir ? opt->cache_dir : "",
        .no_packed_file = opt->no_packed_file,
        .pool = opt->pool,
        .progress = opt->progress,
        .ctx = opt->ctx,
    };
    pn_sanm_parts(&o->n->encoder, &parts);
    pn_parts_prefix(&parts, "%s", "");
    pn_parts_linear(&parts, PN_F32, o->n->n_classes, o->n->encoder.size, "decoder", true, &o->n->output);
    int r = pn_pack_open(&job, &o->n->packed, err);
    pn_parts_done(&parts);
    return r;
}

int pn_mark_network_open(const struct pn_funasr *f, const struct pn_punctuation_options *opt,
                         struct pn_mark_network *ret, struct pn_err *err)
{
    struct pn_mark_network n = { 0 };
    struct opening o = { .n = &n };
    int r = read_class(f, &n.causal, err);
    if (r == 0)
        r = read_classes(f, &n, err);
    if (r == 0)
        r = pn_sanm_measure(f, opt->precision, &n.encoder, err);
    if (r == 0)
        r = read_embedding(f, &n, opt->precision, &o.embedding, &n.embedding, err);
    if (r == 0)
        r = load(f, opt, &o, err);
    if (r < 0)
        pn_mark_network_close(&n);
    else
        *ret = n;
    return r;
}

void pn_mark_network_close(struct pn_mark_network *n)
{
    pn_sanm_done(&n->encoder);
    pn_packed_close(n->packed);
    *n = (struct pn_mark_network){ 0 };
}
