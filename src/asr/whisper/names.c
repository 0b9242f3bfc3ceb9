/* names.c - OpenAI's tensor names, which are ours, and Hugging Face's. Layouts are the same in all
 * containers; ggml drops or adds dimensions of 1. */
#include "asr/whisper/names.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *ours, *theirs;
} PARTS[] = {
    /* whole names below "encoder." or "decoder." */
    { "positional_embedding", "embed_positions.weight" },
    { "token_embedding", "embed_tokens" },
    { "ln_post", "layer_norm" },
    { "ln", "layer_norm" },
    { "blocks", "layers" },
    /* inside a block */
    { "attn_ln", "self_attn_layer_norm" },
    { "cross_attn_ln", "encoder_attn_layer_norm" },
    { "mlp_ln", "final_layer_norm" },
    { "attn", "self_attn" },
    { "cross_attn", "encoder_attn" },
    { "query", "q_proj" },
    { "key", "k_proj" },
    { "value", "v_proj" },
    { "out", "out_proj" },
};

/* The piece of a dotted name as Hugging Face calls it. "mlp.0" is one piece there. */
static struct pn_str translate(struct pn_str piece)
{
    for (size_t i = 0; i < PN_ARRAY_LEN(PARTS); i++) {
        if (pn_str_is(piece, PARTS[i].ours))
            return pn_str(PARTS[i].theirs);
    }
    return piece;
}

static struct pn_str next_piece(const char **at)
{
    static const struct {
        const char *ours;
        const char *theirs;
    } MLP[] = { { "mlp.0.", "fc1" }, { "mlp.2.", "fc2" } };
    for (size_t i = 0; i < PN_ARRAY_LEN(MLP); i++) {
        size_t len = strlen(MLP[i].ours);
        if (strncmp(*at, MLP[i].ours, len) == 0) {
            *at += len;
            return pn_str(MLP[i].theirs);
        }
    }
    const char *start = *at;
    size_t len = strcspn(start, ".");
    *at = start[len] ? start + len + 1 : start + len;
    return translate((struct pn_str){ start, len });
}

int pn_whisper_hf_name(const char *name, char *ret, size_t cap)
{
    size_t used = 0;
    while (*name) {
        struct pn_str piece = next_piece(&name);
        int n = snprintf(ret + used, cap - used, "%s%.*s", used ? "." : "", (int)piece.len, piece.ptr);
        if (n < 0 || (size_t)n >= cap - used)
            return -PN_ELIMIT;
        used += (size_t)n;
    }
    return 0;
}

static const struct pn_tensor *find(const struct pn_checkpoint *c, const char *name)
{
    if (pn_checkpoint_kind(c) != PN_CHECKPOINT_HF)
        return pn_checkpoint_find(c, name);
    char full[PN_TENSOR_NAME_MAX] = "model.";
    size_t prefix = strlen(full);
    if (pn_whisper_hf_name(name, full + prefix, sizeof(full) - prefix) < 0)
        return NULL;
    const struct pn_tensor *t = pn_checkpoint_find(c, full);
    return t ? t : pn_checkpoint_find(c, full + prefix);
}

int pn_whisper_tensor(const void *checkpoint, const char *name, const int64_t want[3],
                      const struct pn_tensor **ret, struct pn_err *err)
{
    const struct pn_tensor *t = find(checkpoint, name);
    int r = pn_tensor_expect(t, name, want, err);
    if (r == 0)
        *ret = t;
    return r;
}
