/* fuzz_ws_frames.c - the frames of a WebSocket over a stream in memory that stutters in both directions, with
 * answers, holds and closes in between: messages keep their limits and are text if they say so, nothing is
 * told once we close, and what we write is whole, unmasked frames. The input begins with eight bytes that set
 * the stutter and what the protocol does. */
#include "base/buf.h"
#include "base/str.h"
#include "server/ws_frames.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TEXT   4096
#define MAX_BINARY 8192
#define MAX_RUNS   4096

struct peer {
    struct pn_ws_frames *f;
    const uint8_t *in;
    size_t left, read_piece, write_piece;
    unsigned deeds; /* bits of what the protocol does: 1 echo, 2 hold, 4 close at text, 8 close at binary */
    size_t binary_bytes;
    bool over;
    struct pn_buf out;
};

static ssize_t read_in(void *ctx, char *out, size_t n)
{
    struct peer *p = ctx;
    n = PN_MIN(PN_MIN(n, p->read_piece), p->left);
    if (p->left == 0)
        return 0;
    if (n == 0)
        return -PN_EAGAIN;
    memcpy(out, p->in, n);
    p->in += n;
    p->left -= n;
    return (ssize_t)n;
}

static ssize_t write_out(void *ctx, const struct iovec *v, int n)
{
    struct peer *p = ctx;
    size_t room = p->write_piece, done = 0;
    for (int i = 0; i < n; i++) {
        size_t part = PN_MIN(room - done, v[i].iov_len);
        pn_buf_append(&p->out, v[i].iov_base, part);
        done += part;
    }
    return done > 0 ? (ssize_t)done : -PN_EAGAIN;
}

static void react(struct peer *p, unsigned close_bit, bool text, const char *data, size_t n)
{
    if (p->over)
        abort();
    if ((p->deeds & 1) && pn_ws_frames_send(p->f, text, data, n) < 0)
        p->deeds |= close_bit;
    if (p->deeds & 2)
        pn_ws_frames_hold(p->f, true);
    if (p->deeds & close_bit) {
        pn_ws_frames_close(p->f, 1000, "enough");
        p->over = true;
    }
}

static void tell_text(void *ctx, const char *data, size_t n)
{
    struct pn_str rest = { data, n };
    for (size_t k; rest.len; rest = (struct pn_str){ rest.ptr + k, rest.len - k })
        if ((k = pn_utf8_next(rest, NULL)) == 0)
            abort();
    if (n > MAX_TEXT)
        abort();
    react(ctx, 4, true, data, n);
}

static void tell_binary(void *ctx, const char *data, size_t n, bool end)
{
    struct peer *p = ctx;
    if ((p->binary_bytes += n) > MAX_BINARY)
        abort();
    if (end)
        p->binary_bytes = 0;
    react(p, 8, false, data, n);
}

/* Frames of a server: no mask, no reserved bits, only known opcodes; the last one may be cut off. */
static void check_out(const struct pn_buf *out)
{
    size_t at = 0;
    while (out->len - at >= 2) {
        const uint8_t *h = (const uint8_t *)out->ptr + at;
        size_t n = h[1], head = 2;
        if ((h[0] & 0x70) || (h[1] & 0x80) || ((h[0] & 15) > 2 && (h[0] & 15) < 8) || (h[0] & 15) > 10)
            abort();
        if (n == 126 && out->len - at >= 4) {
            head = 4;
            n = (size_t)h[2] << 8 | h[3];
        } else if (n >= 126) {
            return; /* an echo is never that long */
        }
        if (out->len - at < head + n)
            return;
        at += head + n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct pn_ws_frames_ops ops = {
        .read = read_in, .write = write_out, .text = tell_text, .binary = tell_binary
    };
    if (size < 8)
        return 0;
    struct peer p = { .in = data + 8,
                      .left = size - 8,
                      .read_piece = 1 + data[0] % 64 * 16,
                      .write_piece = 1 + data[1] * 8,
                      .deeds = data[2] & 15 };
    pn_buf_init(&p.out, 1 << 24);
    if (pn_ws_frames_new(&ops, MAX_TEXT, MAX_BINARY, &p, &p.f) < 0)
        return 0;
    int64_t now_us = 0;
    for (int i = 0; i < MAX_RUNS && pn_ws_frames_run(p.f, now_us); i++) {
        now_us += data[3] * 10000;
        pn_ws_frames_hold(p.f, false);
        if (i % 16 == data[4])
            pn_ws_frames_ping(p.f);
        if (i == data[5]) {
            pn_ws_frames_close(p.f, 1001, "bye");
            p.over = true;
        }
    }
    check_out(&p.out);
    pn_ws_frames_free(p.f);
    pn_buf_done(&p.out);
    return 0;
}
