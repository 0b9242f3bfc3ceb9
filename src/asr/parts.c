/* parts.c - see parts.h. */
#include "asr/parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t MAX_VALUES = (int64_t)1 << 32;

void pn_parts_done(struct pn_parts *p)
{
    free(p->part);
    free(p->source);
    *p = (struct pn_parts){ 0 };
}

int pn_parts_check(const struct pn_parts *p)
{
    return p->failed;
}

/* `cap` entries of `size` become more. */
static void *grow(struct pn_parts *p, void *array, size_t *cap, size_t size)
{
    size_t more = *cap ? 2 * *cap : 64;
    void *larger = reallocarray(array, more, size);
    if (larger)
        *cap = more;
    else
        p->failed = -PN_ENOMEM;
    return larger;
}

/* "" when it does not fit. */
static void put_name(struct pn_parts *p, char to[PN_PART_NAME], const char *name, const char *tail)
{
    int n = snprintf(to, PN_PART_NAME, "%s%s%s", p->prefix, name, tail);
    if (n >= 0 && n < PN_PART_NAME)
        return;
    to[0] = 0;
    if (!p->failed)
        p->failed = -PN_ELIMIT;
}

void pn_parts_prefix(struct pn_parts *p, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(p->prefix, sizeof(p->prefix), fmt, args);
    va_end(args);
    if ((n < 0 || (size_t)n >= sizeof(p->prefix)) && !p->failed)
        p->failed = -PN_ELIMIT;
}

static void add(struct pn_parts *p, const struct pn_part *part, const char *name)
{
    if (p->failed)
        return;
    if (p->n == p->cap) {
        struct pn_part *larger = grow(p, p->part, &p->cap, sizeof(*larger));
        if (!larger)
            return;
        p->part = larger;
    }
    struct pn_part *to = &p->part[p->n++];
    *to = *part;
    to->first = p->n_sources;
    put_name(p, to->name, name, "");
}

/* Room for one more source of the newest part; NULL after a failure. */
static struct pn_part_source *add_source(struct pn_parts *p)
{
    if (p->failed)
        return NULL;
    if (p->n_sources == p->cap_sources) {
        struct pn_part_source *larger = grow(p, p->source, &p->cap_sources, sizeof(*larger));
        if (!larger)
            return NULL;
        p->source = larger;
    }
    p->part[p->n - 1].n_sources++;
    struct pn_part_source *s = &p->source[p->n_sources++];
    *s = (struct pn_part_source){ 0 };
    return s;
}

void pn_parts_source(struct pn_parts *p, const char *weight, const char *bias, const char *more_bias)
{
    struct pn_part_source *s = add_source(p);
    if (!s)
        return;
    put_name(p, s->weight, weight, "");
    if (bias)
        put_name(p, s->bias, bias, "");
    if (more_bias)
        put_name(p, s->more_bias, more_bias, "");
}

void pn_parts_owner(struct pn_parts *p, const char *owner, bool bias)
{
    struct pn_part_source *s = add_source(p);
    if (!s)
        return;
    put_name(p, s->weight, owner, ".weight");
    if (bias)
        put_name(p, s->bias, owner, ".bias");
}

void pn_parts_stack(struct pn_parts *p, enum pn_precision q, int n, int k, const char *name,
                    struct pn_linear *to)
{
    add(p,
        &(struct pn_part){ .kind = PN_PART_LINEAR, .precision = q, .n = n, .k = k, .taps = 1, .linear = to },
        name);
}

void pn_parts_linear(struct pn_parts *p, enum pn_precision q, int n, int k, const char *owner, bool bias,
                     struct pn_linear *to)
{
    pn_parts_stack(p, q, n, k, owner, to);
    pn_parts_owner(p, owner, bias);
}

/* Sizes come from files: a product that is too large makes a part that is out of range. */
static int product(int a, int b)
{
    int n;
    return __builtin_mul_overflow(a, b, &n) ? 0 : n;
}

void pn_parts_conv(struct pn_parts *p, enum pn_precision q, int outputs, int channels, int taps,
                   const char *owner, struct pn_linear *to)
{
    add(p,
        &(struct pn_part){ .kind = PN_PART_CONV,
                           .precision = q,
                           .n = outputs,
                           .k = product(taps, channels),
                           .taps = taps,
                           .linear = to },
        owner);
    pn_parts_owner(p, owner, true);
}

void pn_parts_transposed(struct pn_parts *p, enum pn_precision q, int channels, int outputs, int taps,
                         const char *owner, struct pn_linear *to)
{
    add(p,
        &(struct pn_part){ .kind = PN_PART_TRANSPOSED,
                           .precision = q,
                           .n = product(taps, outputs),
                           .k = channels,
                           .taps = taps,
                           .linear = to },
        owner);
    pn_parts_owner(p, owner, true);
}

static void add_values(struct pn_parts *p, enum pn_part_kind kind, int n, int k, const char *tensor,
                       const float **to)
{
    add(p, &(struct pn_part){ .kind = kind, .precision = PN_F32, .n = n, .k = k, .taps = 1, .values = to },
        tensor);
    pn_parts_source(p, tensor, NULL, NULL);
}

void pn_parts_values(struct pn_parts *p, int n, int k, const char *tensor, const float **to)
{
    add_values(p, PN_PART_VALUES, n, k, tensor, to);
}

void pn_parts_turned(struct pn_parts *p, int n, int k, const char *tensor, const float **to)
{
    add_values(p, PN_PART_TURNED, n, k, tensor, to);
}

void pn_parts_norm(struct pn_parts *p, int n, const char *owner, struct pn_norm *to)
{
    char name[PN_PART_NAME];
    (void)snprintf(name, sizeof(name), "%s.weight", owner);
    pn_parts_values(p, 1, n, name, &to->gamma);
    (void)snprintf(name, sizeof(name), "%s.bias", owner);
    pn_parts_values(p, 1, n, name, &to->beta);
}

size_t pn_part_size(const struct pn_part *p)
{
    if (p->linear)
        return pn_linear_packed_size(p->precision, p->n, p->k);
    if (p->n < 1 || p->k < 1 || (int64_t)p->n * p->k > MAX_VALUES)
        return 0;
    return (size_t)p->n * (size_t)p->k * sizeof(float);
}
