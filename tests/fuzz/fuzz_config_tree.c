/* fuzz_config_tree.c - a model's config.yaml, any bytes: every answer is within what was asked for. */
#include "model/config_tree.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void ask(const struct pn_config_tree *t, const char *key)
{
    int64_t i = -7;
    double f = -7;
    bool b = false;
    struct pn_err err = { 0 };
    int r = pn_config_tree_int(t, key, 1, 100, 50, &i, &err);
    check(r == 0 ? i >= 1 && i <= 100 : r == -PN_EFORMAT && i == -7 && err.text[0]);
    r = pn_config_tree_real(t, key, -1, 1, 0, &f, NULL);
    check(r == 0 ? f >= -1 && f <= 1 : r == -PN_EFORMAT && f == -7);
    check(pn_config_tree_bool(t, key, true, &b, NULL) <= 0);
    check(strlen(pn_config_tree_str(t, key, "")) < (size_t)4 << 20);
    size_t n = pn_config_tree_list(t, key);
    for (size_t k = 0; k < n; k++) {
        const char *item = pn_config_tree_item(t, key, k);
        check(!item || strlen(item) < (size_t)4 << 20);
    }
    check(!pn_config_tree_item(t, key, n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const KEYS[] = { "a",       "a.b",          "model",
                                        "text",    "model_conf",   "encoder_conf.output_size",
                                        "nothing", "dataset_conf", "encoder_conf.chunk_size" };
    struct pn_err err = { 0 };
    struct pn_config_tree *t = NULL;
    int r = pn_config_tree_parse((struct pn_str){ (const char *)data, size }, "c.yaml", &t, &err);
    check(r == 0 ? t && err.code == 0 : !t && err.code == -r && strncmp(err.text, "c.yaml", 6) == 0);
    for (size_t i = 0; r == 0 && i < PN_ARRAY_LEN(KEYS); i++)
        ask(t, KEYS[i]);
    pn_config_tree_free(t);
    return 0;
}
