/* funasr.h - a model folder as ModelScope publishes it (spec paraformer 2): config.yaml, configuration.json,
 * model.pt, tokens.json or tokens.txt, am.mvn, seg_dict. Everything is bounded and checked when it is opened;
 * what the numbers mean is the caller's business.
 *
 * configuration.json, if there, says which file plays which role; only names inside the folder are taken. */
#ifndef PN_MODEL_FUNASR_H
#define PN_MODEL_FUNASR_H

#include "model/checkpoint.h"

enum { PN_FUNASR_CLASS_MAX = 64 }; /* bytes of the name of a class, with its NUL */

struct pn_funasr;

/* -PN_ENOTFOUND (no such folder, no config.yaml or model.pt in it), -PN_EFORMAT, -PN_EUNSUPPORTED (a folder
 * from before v2.0, a legacy checkpoint), -PN_EIO, -PN_ENOMEM; the text names the file and what is wrong with
 * it. */
PN_MUST_CHECK int pn_funasr_open(const char *folder, struct pn_funasr **ret, struct pn_err *err);
struct pn_funasr *pn_funasr_close(struct pn_funasr *m); /* accepts NULL, returns NULL */
/* Whether `folder` looks like one, broken or from before v2.0 as it may be: config.yaml with a `model:` or
 * beside model.pt or model.pb, and not a config.json of Hugging Face instead. Cheap. */
bool pn_funasr_is_folder(const char *folder);
/* The class named in config.yaml ("ParaformerStreaming") without opening the weights; fills `ret`.
 * -PN_ENOTFOUND, -PN_EFORMAT. */
PN_MUST_CHECK int pn_funasr_class_of(const char *folder, char ret[PN_FUNASR_CLASS_MAX], struct pn_err *err);

const char *pn_funasr_class(const struct pn_funasr *m); /* "ParaformerStreaming" */
/* Values of config.yaml by dotted key ("encoder_conf.output_size"); what is not there, or is null, gives
 * `fallback`. A value of the wrong kind or outside [min, max] is -PN_EFORMAT with the key in the text. */
PN_MUST_CHECK int pn_funasr_int(const struct pn_funasr *m, const char *key, int64_t min, int64_t max,
                                int64_t fallback, int64_t *ret, struct pn_err *err);
PN_MUST_CHECK int pn_funasr_real(const struct pn_funasr *m, const char *key, double min, double max,
                                 double fallback, double *ret, struct pn_err *err);
PN_MUST_CHECK int pn_funasr_bool(const struct pn_funasr *m, const char *key, bool fallback, bool *ret,
                                 struct pn_err *err);
const char *pn_funasr_str(const struct pn_funasr *m, const char *key, const char *fallback);
/* A list (block or flow): its length, 0 when there is none; its items as text. */
size_t pn_funasr_list(const struct pn_funasr *m, const char *key);
const char *pn_funasr_item(const struct pn_funasr *m, const char *key, size_t i);

/* Tensors under the names that the model gave them: wrappers ("state_dict", ...) opened, "module." stripped.
 */
const struct pn_tensor *pn_funasr_tensor(const struct pn_funasr *m, const char *name); /* or NULL */
/* The tensor if it has these dimensions (`n_dims` of them, slowest first), else -PN_EFORMAT with its name,
 * what it has and what was wanted. */
PN_MUST_CHECK int pn_funasr_tensor_of(const struct pn_funasr *m, const char *name, int n_dims,
                                      const int64_t *dim, const struct pn_tensor **ret, struct pn_err *err);

/* Dimension `i` of a tensor that has to be there, in 1..max: how sizes are read from the weights.
 * -PN_EFORMAT. */
PN_MUST_CHECK int pn_funasr_dim(const struct pn_funasr *m, const char *name, int i, int max, int *ret,
                                struct pn_err *err);
/* How many tensors "PREFIX0SUFFIX", "PREFIX1SUFFIX", ... there are, up to `max`. */
int pn_funasr_count(const struct pn_funasr *m, const char *prefix, const char *suffix, int max);

/* Lets go of the tensors, of which there are none from here on: packing has read a gigabyte that would stay
 * mapped otherwise. */
void pn_funasr_close_weights(struct pn_funasr *m);

size_t pn_funasr_n_tokens(const struct pn_funasr *m);                /* 0: no token list */
struct pn_str pn_funasr_token(const struct pn_funasr *m, size_t id); /* as in the file; "" past the end */
int64_t pn_funasr_token_id(const struct pn_funasr *m, struct pn_str text); /* -1: none */

/* am.mvn: *ret_n values each (0: there is no such file). */
const float *pn_funasr_cmvn_shift(const struct pn_funasr *m, size_t *ret_n);
const float *pn_funasr_cmvn_scale(const struct pn_funasr *m, size_t *ret_n);
/* seg_dict: the pieces of `word`, blank-separated as in the file; empty when it is not there. */
struct pn_str pn_funasr_pieces(const struct pn_funasr *m, struct pn_str word);
/* Tells one folder from another for the packed file: all the files above. */
struct pn_source_id pn_funasr_id(const struct pn_funasr *m);

#endif
