/* onednn.c - the same products by oneDNN: u8 x s8 with a scale per column, or f32, into f32, with bias. */
#include "kernels.h"
#include "timing.h"

#ifdef PN_HAVE_ONEDNN
#include <oneapi/dnnl/dnnl.h>
#include <oneapi/dnnl/dnnl_version.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bench_onednn {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t primitive;
    dnnl_memory_t src, bias, dst;
    dnnl_memory_t *weights; /* [copies] */
    void **weight_bytes;
    int copies;
};

const char *bench_onednn_version(void)
{
    static char text[32];
    const dnnl_version_t *v = dnnl_version();
    snprintf(text, sizeof(text), "%d.%d.%d", v->major, v->minor, v->patch);
    return text;
}

static void must(dnnl_status_t s)
{
    if (s != dnnl_success) {
        fprintf(stderr, "oneDNN: status %d\n", (int)s);
        exit(1);
    }
}

static dnnl_memory_t memory(struct bench_onednn *d, const dnnl_memory_desc_t *desc, void *bytes)
{
    dnnl_memory_t mem;
    must(dnnl_memory_create(&mem, desc, d->engine, bytes));
    return mem;
}

static dnnl_memory_desc_t desc_2d(int rows, int cols, dnnl_data_type_t type, dnnl_format_tag_t tag)
{
    dnnl_memory_desc_t desc;
    dnnl_dims_t dims = { rows, cols };
    must(dnnl_memory_desc_init_by_tag(&desc, 2, dims, type, tag));
    return desc;
}

/* Weights of random bytes or numbers in the layout that the primitive asked for. */
static void fill_weights(struct bench_onednn *d, enum pn_precision p, struct bench_shape s,
                         const dnnl_memory_desc_t *packed)
{
    dnnl_memory_desc_t plain = desc_2d(s.n, s.k, p == PN_INT8 ? dnnl_s8 : dnnl_f32, dnnl_ab);
    size_t size = dnnl_memory_desc_get_size(&plain);
    char *w = calloc(1, size);
    for (size_t i = 0; w && i < (size_t)s.n * (size_t)s.k; i++) {
        if (p == PN_INT8)
            w[i] = (char)(i * 2654435761u >> 24);
        else
            ((float *)(void *)w)[i] = (float)(i % 255) / 255.0f - 0.5f;
    }
    dnnl_memory_t from = memory(d, &plain, w);
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t reorder;
    must(dnnl_reorder_primitive_desc_create(&pd, &plain, d->engine, packed, d->engine, NULL));
    must(dnnl_primitive_create(&reorder, pd));
    for (int i = 0; i < d->copies; i++) {
        d->weight_bytes[i] = bench_alloc(dnnl_memory_desc_get_size(packed));
        d->weights[i] = memory(d, packed, d->weight_bytes[i]);
        dnnl_exec_arg_t args[] = { { DNNL_ARG_FROM, from }, { DNNL_ARG_TO, d->weights[i] } };
        must(dnnl_primitive_execute(reorder, d->stream, 2, args));
    }
    must(dnnl_stream_wait(d->stream));
    dnnl_primitive_destroy(reorder);
    dnnl_primitive_desc_destroy(pd);
    dnnl_memory_destroy(from);
    free(w);
}

static dnnl_primitive_desc_t inner_product(struct bench_onednn *d, enum pn_precision p, struct bench_shape s,
                                           int m)
{
    dnnl_memory_desc_t src = desc_2d(m, s.k, p == PN_INT8 ? dnnl_u8 : dnnl_f32, dnnl_ab);
    dnnl_memory_desc_t w = desc_2d(s.n, s.k, p == PN_INT8 ? dnnl_s8 : dnnl_f32, dnnl_format_tag_any);
    dnnl_memory_desc_t dst = desc_2d(m, s.n, dnnl_f32, dnnl_ab);
    dnnl_memory_desc_t bias;
    dnnl_dims_t n = { s.n };
    must(dnnl_memory_desc_init_by_tag(&bias, 1, n, dnnl_f32, dnnl_a));
    dnnl_inner_product_desc_t desc;
    must(dnnl_inner_product_forward_desc_init(&desc, dnnl_forward_inference, &src, &w, &bias, &dst));
    dnnl_primitive_attr_t attr;
    must(dnnl_primitive_attr_create(&attr));
    float *scales = calloc((size_t)s.n, sizeof(float));
    for (int i = 0; scales && i < s.n; i++)
        scales[i] = 0.001f * (float)(1 + i % 7);
    if (p == PN_INT8)
        must(dnnl_primitive_attr_set_output_scales(attr, s.n, 1 << 1, scales));
    dnnl_primitive_desc_t pd;
    must(dnnl_primitive_desc_create(&pd, &desc, attr, d->engine, NULL));
    dnnl_primitive_attr_destroy(attr);
    free(scales);
    return pd;
}

/* Memory that oneDNN allocates itself and that is set to zero bytes: activations, bias, result. */
static dnnl_memory_t zeros(struct bench_onednn *d, const dnnl_memory_desc_t *desc)
{
    dnnl_memory_t mem = memory(d, desc, DNNL_MEMORY_ALLOCATE);
    void *bytes;
    must(dnnl_memory_get_data_handle(mem, &bytes));
    memset(bytes, 0, dnnl_memory_desc_get_size(desc));
    return mem;
}

struct bench_onednn *bench_onednn_new(enum pn_precision p, struct bench_shape s, int m, int copies)
{
    omp_set_num_threads(1);
    struct bench_onednn *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    d->copies = copies;
    d->weights = calloc((size_t)copies, sizeof(*d->weights));
    d->weight_bytes = calloc((size_t)copies, sizeof(*d->weight_bytes));
    must(dnnl_engine_create(&d->engine, dnnl_cpu, 0));
    must(dnnl_stream_create(&d->stream, d->engine, dnnl_stream_default_flags));
    dnnl_primitive_desc_t pd = inner_product(d, p, s, m);
    must(dnnl_primitive_create(&d->primitive, pd));
    d->src = zeros(d, dnnl_primitive_desc_query_md(pd, dnnl_query_src_md, 0));
    d->bias = zeros(d, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 1));
    d->dst = zeros(d, dnnl_primitive_desc_query_md(pd, dnnl_query_dst_md, 0));
    fill_weights(d, p, s, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0));
    dnnl_primitive_desc_destroy(pd);
    return d;
}

void bench_onednn_run(void *onednn, int i)
{
    struct bench_onednn *d = onednn;
    dnnl_exec_arg_t args[] = {
        { DNNL_ARG_SRC, d->src },
        { DNNL_ARG_WEIGHTS, d->weights[i] },
        { DNNL_ARG_BIAS, d->bias },
        { DNNL_ARG_DST, d->dst },
    };
    must(dnnl_primitive_execute(d->primitive, d->stream, 4, args));
    must(dnnl_stream_wait(d->stream));
}

void bench_onednn_free(struct bench_onednn *d)
{
    if (!d)
        return;
    for (int i = 0; i < d->copies; i++) {
        dnnl_memory_destroy(d->weights[i]);
        free(d->weight_bytes[i]);
    }
    dnnl_memory_destroy(d->src);
    dnnl_memory_destroy(d->bias);
    dnnl_memory_destroy(d->dst);
    dnnl_primitive_destroy(d->primitive);
    dnnl_stream_destroy(d->stream);
    dnnl_engine_destroy(d->engine);
    free(d->weights);
    free(d->weight_bytes);
    free(d);
}

#else

const char *bench_onednn_version(void)
{
    return NULL;
}

struct bench_onednn *bench_onednn_new(enum pn_precision p, struct bench_shape s, int m, int copies)
{
    return NULL;
}

void bench_onednn_run(void *onednn, int i)
{
}

void bench_onednn_free(struct bench_onednn *d)
{
}

#endif
