/* digest.c - two multiplicative lanes over 8-byte words, and the finaliser of MurmurHash3 (public domain). */
#include "model/digest.h"

#include <string.h>

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdu;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
    return x ^ x >> 33;
}

static void add_word(struct pn_digest *d, uint64_t w)
{
    d->a = (d->a ^ w) * 0x9e3779b97f4a7c15u;
    d->a ^= d->a >> 32;
    d->b = (d->b + w + (d->a << 1)) * 0xd6e8feb86659fd93u;
    d->b ^= d->b >> 29;
}

void pn_digest_init(struct pn_digest *d)
{
    *d = (struct pn_digest){ 0x243f6a8885a308d3u, 0x13198a2e03707344u }; /* digits of pi */
}

void pn_digest_add(struct pn_digest *d, struct pn_str piece)
{
    uint64_t w = 0;
    size_t i = 0;
    for (; i + sizeof(w) <= piece.len; i += sizeof(w)) {
        memcpy(&w, piece.ptr + i, sizeof(w));
        add_word(d, w);
    }
    w = 0;
    if (i < piece.len)
        memcpy(&w, piece.ptr + i, piece.len - i);
    add_word(d, w);
    add_word(d, piece.len);
}

void pn_digest_done(const struct pn_digest *d, uint8_t ret_hash[16])
{
    uint64_t out[2] = { mix(d->a + mix(d->b)), mix(d->b ^ mix(d->a ^ 0x5851f42d4c957f2du)) };
    memcpy(ret_hash, out, sizeof(out));
}
