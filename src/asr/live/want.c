/* want.c - see want.h. */
#include "asr/live/want.h"

#include "asr/vad/vad.h"

#include <stdlib.h>
#include <string.h>

#define MAX_STRINGS ((size_t)64 << 10)

struct want_copy {
    struct pn_recognition want;
    struct pn_chunking chunking;
    struct pn_vad_options vad;
    char strings[];
};

static const char *copy_string(char **at, const char *s)
{
    char *copy = *at;
    size_t n = pn_str(s).len;
    if (n)
        memcpy(copy, s, n);
    copy[n] = '\0';
    *at += n + 1;
    return copy;
}

int pn_want_copy(const struct pn_recognition *want, struct pn_recognition **ret)
{
    const char *strings[] = { want->language, want->task, want->prompt, want->hotwords };
    size_t n = 0;
    for (size_t i = 0; i < PN_ARRAY_LEN(strings); i++)
        n += pn_str(strings[i]).len + 1;
    if (n > MAX_STRINGS)
        return -PN_ELIMIT;
    struct want_copy *c = malloc(sizeof(*c) + n);
    if (!c)
        return -PN_ENOMEM;
    c->want = *want;
    char *at = c->strings;
    c->want.language = copy_string(&at, want->language);
    c->want.task = copy_string(&at, want->task);
    c->want.prompt = copy_string(&at, want->prompt);
    c->want.hotwords = copy_string(&at, want->hotwords);
    if (want->chunking) {
        c->chunking = *want->chunking;
        c->want.chunking = &c->chunking;
    }
    if (want->vad_options) {
        c->vad = *want->vad_options;
        c->want.vad_options = &c->vad;
    }
    *ret = &c->want;
    return 0;
}
