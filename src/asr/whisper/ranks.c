/* ranks.c - where a model's vocabulary comes from. OpenAI's files carry none: it is a rank file beside them.
 */
#include "asr/whisper/ranks.h"

#include "base/file.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { RANK_FILE_MAX = 16 << 20, MULTILINGUAL_VOCAB = 51865, MAX_TOKENS = 1 << 20 };

/* Text tokens end where the special ids begin. */
static size_t n_text_tokens(int n_vocab)
{
    return n_vocab >= MULTILINGUAL_VOCAB ? 50257 : 50256;
}

/* Older converters store the first special as if it were text, so what lies past the text is dropped. */
static int from_checkpoint(const struct pn_checkpoint *c, int n_vocab, struct pn_bpe **ret,
                           struct pn_err *err)
{
    size_t n = PN_MIN(pn_checkpoint_n_tokens(c), n_text_tokens(n_vocab));
    struct pn_str *tokens = calloc(n, sizeof(*tokens));
    if (!tokens)
        return pn_fail(err, PN_ENOMEM, "no memory for the vocabulary");
    for (size_t i = 0; i < n; i++)
        tokens[i] = pn_checkpoint_token(c, i);
    int r = pn_bpe_new(tokens, n, ret, err);
    free(tokens);
    return r;
}

static int parse_file(const char *path, int n_vocab, struct pn_bpe **ret, struct pn_err *err)
{
    struct pn_buf text;
    struct pn_bpe *bpe = NULL;
    pn_buf_init(&text, RANK_FILE_MAX);
    int r = pn_file_read(path, &text, err);
    if (r == 0)
        r = pn_bpe_parse((struct pn_str){ text.ptr, text.len }, &bpe, err);
    pn_buf_done(&text);
    if (r == 0 && pn_bpe_size(bpe) > n_text_tokens(n_vocab)) {
        r = pn_fail(err, PN_EFORMAT, "%s has %zu tokens, the model %zu: it belongs to another vocabulary",
                    path, pn_bpe_size(bpe), n_text_tokens(n_vocab));
        bpe = pn_bpe_free(bpe);
    }
    if (r == 0)
        *ret = bpe;
    return r;
}

/* The checkpoint's folder (itself, if it is one) and, for a file, its stem. */
static struct pn_str folder_of(const char *path, struct pn_str *ret_stem)
{
    struct stat st;
    *ret_stem = PN_STR("");
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return pn_str(path);
    const char *slash = strrchr(path, '/');
    const char *file = slash ? slash + 1 : path;
    const char *dot = strrchr(file, '.');
    *ret_stem = (struct pn_str){ file, dot ? (size_t)(dot - file) : strlen(file) };
    if (!slash)
        return PN_STR(".");
    return slash == path ? PN_STR("/") : (struct pn_str){ path, (size_t)(slash - path) };
}

/* Tries `folder`/`file``suffix`. -PN_ENOTFOUND leaves *err alone. */
static int try_file(struct pn_str folder, struct pn_str file, const char *suffix, int n_vocab,
                    struct pn_bpe **ret, struct pn_err *err)
{
    char path[PATH_MAX];
    struct stat st;
    int n = snprintf(path, sizeof(path), "%.*s%s%.*s%s", (int)folder.len, folder.ptr,
                     folder.ptr[folder.len - 1] == '/' ? "" : "/", (int)file.len, file.ptr, suffix);
    if (n < 0 || (size_t)n >= sizeof(path) || stat(path, &st) < 0)
        return -PN_ENOTFOUND;
    return parse_file(path, n_vocab, ret, err);
}

int pn_whisper_ranks(const struct pn_checkpoint *c, const char *path, const char *model_dir, int n_vocab,
                     struct pn_bpe **ret, struct pn_err *err)
{
    if (pn_checkpoint_n_tokens(c) > 0)
        return from_checkpoint(c, n_vocab, ret, err);
    struct pn_str stem, name = pn_str(n_vocab >= MULTILINGUAL_VOCAB ? "multilingual" : "gpt2");
    struct pn_str folder = folder_of(path, &stem);
    int r = stem.len ? try_file(folder, stem, ".tiktoken", n_vocab, ret, err) : -PN_ENOTFOUND;
    if (r == -PN_ENOTFOUND)
        r = try_file(folder, name, ".tiktoken", n_vocab, ret, err);
    if (r == -PN_ENOTFOUND && model_dir[0])
        r = try_file(pn_str(model_dir), name, ".tiktoken", n_vocab, ret, err);
    if (r != -PN_ENOTFOUND)
        return r;
    return pn_fail(err, PN_ENOTFOUND, "the vocabulary %s.tiktoken is neither in %.*s%s%s", name.ptr,
                   (int)PN_MIN(folder.len, (size_t)80), folder.ptr,
                   model_dir[0] ? " nor in " : ", and no model folder is set", model_dir);
}

size_t pn_whisper_ranks_size(const struct pn_bpe *b)
{
    size_t n = pn_bpe_size(b), size = (n + 1) * sizeof(uint32_t);
    for (size_t i = 0; i < n; i++)
        size += pn_bpe_token(b, (int32_t)i).len;
    return size;
}

void pn_whisper_ranks_write(const struct pn_bpe *b, void *block)
{
    uint32_t n = (uint32_t)pn_bpe_size(b), *head = block;
    char *bytes = (char *)(head + n + 1);
    head[0] = n;
    for (uint32_t i = 0; i < n; i++) {
        struct pn_str t = pn_bpe_token(b, (int32_t)i);
        head[i + 1] = (uint32_t)t.len;
        if (t.len)
            memcpy(bytes, t.ptr, t.len);
        bytes += t.len;
    }
}

/* Points tokens[i] into the block; false when they do not fit. */
static bool slice_tokens(const uint32_t *head, size_t size, struct pn_str *tokens)
{
    size_t at = ((size_t)head[0] + 1) * sizeof(uint32_t);
    for (uint32_t i = 0; i < head[0]; i++) {
        size_t len = head[i + 1];
        if (len > size - at)
            return false;
        tokens[i] = (struct pn_str){ (const char *)head + at, len };
        at += len;
    }
    return true;
}

int pn_whisper_ranks_read(const void *block, size_t size, struct pn_bpe **ret, struct pn_err *err)
{
    const uint32_t *head = block;
    if (size < sizeof(*head) || head[0] == 0 || head[0] > MAX_TOKENS ||
        (size_t)head[0] + 1 > size / sizeof(*head))
        return pn_fail(err, PN_EFORMAT, "the packed vocabulary is damaged");
    struct pn_str *tokens = calloc(head[0], sizeof(*tokens));
    if (!tokens)
        return pn_fail(err, PN_ENOMEM, "no memory for the vocabulary");
    int r = slice_tokens(head, size, tokens) ? pn_bpe_new(tokens, head[0], ret, err)
                                             : pn_fail(err, PN_EFORMAT, "the packed vocabulary is damaged");
    free(tokens);
    return r;
}
