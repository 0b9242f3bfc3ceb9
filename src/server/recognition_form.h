/* recognition_form.h - what a request wants of the recogniser, from its parameters. */
#ifndef PN_SERVER_RECOGNITION_FORM_H
#define PN_SERVER_RECOGNITION_FORM_H

#include "asr/recognizer.h"
#include "server/route.h"

/* Reads model, language, task, prompt (initial_prompt), temperature, beam_size, best_of, word_timestamps,
 * batch, encoder_context, hotwords, vad, punctuation (true if absent) and itn through `parameter`, which
 * gives "" for what is absent. Strings are the request arena's. False: a value cannot be right, and
 * req->reply says which. */
bool pn_recognition_form(struct pn_request *req,
                         struct pn_str (*parameter)(struct pn_request *, const char *name),
                         struct pn_recognition *ret_want, struct pn_str *ret_model);

#endif
