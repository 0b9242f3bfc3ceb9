/* sphinx.h - the recogniser "sphinx": pocketsphinx with its US English model. English only, real and modest;
 * what a machine without a downloaded model has. */
#ifndef PN_ASR_SPHINX_SPHINX_H
#define PN_ASR_SPHINX_SPHINX_H

#include "asr/recognizer.h"

/* Loads `threads` decoders at once, each in the thread that it will run on (about 0.3 s and 93 MB each);
 * there are never more. `model_dir` holds en-us/, en-us.lm.bin and cmudict-en-us.dict: -PN_ENOTFOUND if not.
 * A stream that closes breaks its utterances off (decode.h). Free with ret->ops->free, which waits for that.
 */
PN_MUST_CHECK int pn_sphinx_new(const char *model_dir, int threads, struct pn_recognizer **ret,
                                struct pn_err *err);

#endif
