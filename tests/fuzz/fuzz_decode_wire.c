/* fuzz_decode_wire.c - the reader of the decode child's pipe: any bytes, in any pieces.
 *
 * The first byte chooses the pieces. What comes out must not depend on them, and what was promised of a
 * message (decode_wire.h) must hold for every one that is given out. */
#include "audio/decode_wire.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    size_t messages, samples;
    uint64_t digest;
    int result;
    bool ended;
};

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void mix(struct outcome *o, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    for (size_t i = 0; i < len; i++)
        o->digest = (o->digest ^ p[i]) * 1099511628211u; /* FNV-1a */
}

static void check(struct outcome *o, const struct pn_wire_message *m)
{
    require(o->messages++ > 0 || m->type == PN_WIRE_READY || m->type == PN_WIRE_ERROR);
    mix(o, &m->type, sizeof(m->type));
    switch (m->type) {
    case PN_WIRE_READY:
        require(m->ready.landlock_abi >= 0);
        break;
    case PN_WIRE_INFO:
        require(m->info.duration_s == -1.0 || m->info.duration_s >= 0);
        require(m->info.rate >= 0 && m->info.channels >= 0);
        mix(o, m->info.format, strlen(m->info.format));
        mix(o, m->info.codec, strlen(m->info.codec));
        break;
    case PN_WIRE_PCM:
        require(m->n > 0 && m->n <= PN_WIRE_PCM_MAX);
        for (size_t i = 0; i < m->n; i++)
            require(m->pcm[i] >= -1.0f && m->pcm[i] <= 1.0f);
        mix(o, m->pcm, m->n * sizeof(float));
        o->samples += m->n;
        break;
    case PN_WIRE_END:
        break;
    case PN_WIRE_ERROR:
        require(m->error.code > 0 && strlen(m->error.text) > 0);
        mix(o, m->error.text, strlen(m->error.text));
        break;
    }
}

/* Pieces of `step` bytes, each in memory of its own so that reading over its end is seen. */
static struct outcome parse(const uint8_t *data, size_t size, size_t step)
{
    static struct pn_wire_reader reader;
    struct outcome o = { 0 };
    pn_wire_reader_init(&reader);
    for (size_t at = 0; at < size && o.result == 0; at += step) {
        size_t n = size - at < step ? size - at : step;
        char *piece = malloc(n);
        require(piece != NULL);
        memcpy(piece, data + at, n);
        struct pn_str in = { piece, n };
        struct pn_wire_message m;
        while ((o.result = pn_wire_read(&reader, &in, &m, NULL)) == 1)
            check(&o, &m);
        require(o.result < 0 || in.len == 0);
        free(piece);
    }
    o.ended = pn_wire_ended(&reader);
    require(!o.ended || o.messages > 0);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct outcome whole = parse(data + 1, size - 1, size - 1);
    struct outcome pieces = parse(data + 1, size - 1, (size_t)data[0] % 97 + 1);
    require(whole.result == pieces.result && whole.ended == pieces.ended);
    require(whole.messages == pieces.messages && whole.samples == pieces.samples);
    require(whole.digest == pieces.digest);
    return 0;
}
