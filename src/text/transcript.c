/* transcript.c - making and freeing transcripts, and Whisper's measure of how repetitive a text is. A
 * transcript is an arena that holds its own struct; whoever owns the pointer frees it. */
#include "text/transcript.h"

#include <zlib.h>

int pn_transcript_new(size_t limit_bytes, struct pn_transcript **ret)
{
    struct pn_arena *arena = NULL;
    int r = pn_arena_new(limit_bytes, &arena);
    if (r < 0)
        return r;
    struct pn_transcript *t = pn_arena_alloc(arena, sizeof(*t));
    if (!t) {
        pn_arena_free(arena);
        return -PN_ENOMEM;
    }
    *t = (struct pn_transcript){
        .arena = arena, .model = "", .language = "", .task = "", .text = "", .full_text = "", .live_text = ""
    };
    *ret = t;
    return 0;
}

struct pn_transcript *pn_transcript_free(struct pn_transcript *t)
{
    if (t)
        pn_arena_free(t->arena);
    return NULL;
}

struct pn_str pn_transcript_news(const struct pn_transcript *before, const struct pn_transcript *now)
{
    struct pn_str all = pn_str(now->live_text);
    size_t shown = before ? PN_MIN(pn_str(before->live_text).len, all.len) : 0;
    return (struct pn_str){ all.ptr + shown, all.len - shown };
}

double pn_compression_ratio(struct pn_str text)
{
    /* Level 6 and the zlib frame: thresholds such as Whisper's 2.4 were chosen for exactly that length. */
    z_stream z = { 0 };
    if (text.len == 0 || text.len > UINT32_MAX || deflateInit(&z, 6) != Z_OK)
        return 0;
    z.next_in = (Bytef *)(uintptr_t)text.ptr; /* zlib's type lacks const; it does not write there */
    z.avail_in = (uInt)text.len;
    unsigned char sink[4096];
    int r;
    do {
        z.next_out = sink;
        z.avail_out = sizeof(sink);
        r = deflate(&z, Z_FINISH);
    } while (r == Z_OK);
    double packed = (double)z.total_out;
    deflateEnd(&z);
    return r == Z_STREAM_END ? (double)text.len / packed : 0;
}
