/* punctuation.c - see punctuation.h: the model that people open, its words and its network. */
#include "asr/punctuation/punctuation.h"

#include "asr/punctuation/dictionary.h"
#include "asr/punctuation/network.h"
#include "model/mapping.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pn_punctuation {
    struct pn_funasr *folder; /* the words */
    struct pn_mark_dictionary dictionary;
    struct pn_mark_vocabulary vocabulary;
    struct pn_mark_network network;
};

struct pn_punctuator {
    const struct pn_punctuation *model;
    struct pn_buf cache;
};

/* ---- words ---- */

static int64_t id_of(const void *ctx, struct pn_str word)
{
    return pn_funasr_token_id(ctx, word);
}

static int32_t unknown_of(const struct pn_funasr *f)
{
    int64_t id = pn_funasr_token_id(f, PN_STR("<unk>"));
    return (int32_t)(id >= 0 ? id : (int64_t)pn_funasr_n_tokens(f) - 1);
}

/* Maps a dictionary of the folder; one that is not there is empty. */
static int map_dictionary(const char *folder, const char *name, struct pn_mapping *ret, struct pn_err *err)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (n < 0 || n >= (int)sizeof(path))
        return 0;
    struct pn_err why = { 0 };
    int r = pn_mapping_open(path, ret, &why);
    return r == 0 || r == -PN_ENOTFOUND ? 0 : pn_fail(err, (enum pn_error) - r, "%s", why.text);
}

/* The dictionaries are read at every start: that is cheap beside keeping a packed copy right. */
static int read_dictionary(struct pn_punctuation *p, const char *folder, struct pn_err *err)
{
    static const char *const NAMES[] = { "jieba.c.dict", "jieba_usr_dict" };
    struct pn_mapping file[PN_ARRAY_LEN(NAMES)] = { 0 };
    struct pn_str text[PN_ARRAY_LEN(NAMES)];
    size_t bytes = 0;
    int r = 0;
    for (size_t i = 0; i < PN_ARRAY_LEN(NAMES) && r == 0; i++) {
        r = map_dictionary(folder, NAMES[i], &file[i], err);
        text[i] = (struct pn_str){ (const char *)file[i].ptr, file[i].size };
        bytes += file[i].size;
    }
    if (r == 0 && bytes > 0) {
        r = pn_mark_dictionary_parse(text, PN_ARRAY_LEN(NAMES), &p->vocabulary, pn_funasr_n_tokens(p->folder),
                                     &p->dictionary);
        if (r < 0)
            r = pn_fail(err, (enum pn_error) - r, "the dictionary: %s", pn_error_name(r));
    }
    for (size_t i = 0; i < PN_ARRAY_LEN(NAMES); i++)
        pn_mapping_close(&file[i]);
    p->vocabulary.log_p = p->dictionary.log_p;
    p->vocabulary.least = p->dictionary.least;
    return r;
}

/* ---- the model ---- */

int pn_punctuation_open(const struct pn_punctuation_options *opt, struct pn_punctuation **ret,
                        struct pn_err *err)
{
    struct pn_err why = { 0 };
    struct pn_punctuation *p = calloc(1, sizeof(*p));
    int r = p ? pn_funasr_open(opt->path, &p->folder, &why) : -PN_ENOMEM;
    if (r == 0) {
        p->vocabulary = (struct pn_mark_vocabulary){ p->folder, id_of, unknown_of(p->folder), NULL, 0 };
        r = pn_mark_network_open(p->folder, opt, &p->network, &why);
    }
    if (r == 0) {
        pn_funasr_close_weights(p->folder);
        r = read_dictionary(p, opt->path, &why);
    }
    if (r < 0) {
        pn_punctuation_close(p);
        return pn_fail(err, (enum pn_error) - r, "%s", why.code ? why.text : pn_error_name(r));
    }
    *ret = p;
    return 0;
}

struct pn_punctuation *pn_punctuation_close(struct pn_punctuation *p)
{
    if (!p)
        return NULL;
    pn_mark_network_close(&p->network);
    pn_mark_dictionary_done(&p->dictionary);
    pn_funasr_close(p->folder);
    free(p);
    return NULL;
}

static struct pn_mark_model rules_of(const struct pn_punctuation *p, struct pn_mark_run *run)
{
    return (struct pn_mark_model){ p->vocabulary, run, pn_mark_run_judge };
}

int pn_punctuate(const struct pn_punctuation *p, struct pn_str text, struct pn_buf *out,
                 struct pn_buf *ret_marks)
{
    struct pn_mark_run run;
    int r = pn_mark_run_init(&run, &p->network);
    if (r == 0) {
        const struct pn_mark_model m = rules_of(p, &run);
        r = pn_mark_text_offline(&m, text, out, ret_marks);
    }
    pn_mark_run_done(&run);
    return r;
}

int pn_punctuator_new(const struct pn_punctuation *p, struct pn_punctuator **ret)
{
    struct pn_punctuator *u = calloc(1, sizeof(*u));
    if (!u)
        return -PN_ENOMEM;
    u->model = p;
    pn_buf_init(&u->cache, PN_MARK_CALL_MAX);
    *ret = u;
    return 0;
}

struct pn_punctuator *pn_punctuator_free(struct pn_punctuator *u)
{
    if (u)
        pn_buf_done(&u->cache);
    free(u);
    return NULL;
}

void pn_punctuator_reset(struct pn_punctuator *u)
{
    pn_buf_done(&u->cache);
}

int pn_punctuator_add(struct pn_punctuator *u, struct pn_str text, struct pn_buf *out)
{
    struct pn_mark_run run;
    int r = pn_mark_run_init(&run, &u->model->network);
    if (r == 0) {
        const struct pn_mark_model m = rules_of(u->model, &run);
        r = pn_mark_text_streaming(&m, &u->cache, text, out);
    }
    pn_mark_run_done(&run);
    return r;
}
