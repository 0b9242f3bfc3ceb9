/* transcribe_run.h - the loop of `pinna transcribe`: files in, transcripts out in the same order. */
#ifndef PN_CLI_TRANSCRIBE_RUN_H
#define PN_CLI_TRANSCRIBE_RUN_H

#include "asr/transcriber.h"
#include "cli/transcribe_io.h"

struct pn_run_options {
    struct pn_transcriber *transcriber;
    struct pn_recognizer *recognizer;
    struct pn_recognition want;
    bool raw_pcm;
    const char *spool_dir;
    char *const *names; /* output.n_files of them */
    size_t concurrent;  /* files at once */
    int signal_fd;      /* readable when a signal says stop */
    struct pn_output output;
};

/* 0, 1 if a file failed (each is one line on stderr), or -PN_ECANCELLED when signal_fd became readable: then
 * jobs may still be running, and the caller frees the transcriber first, then *run. */
struct pn_run;
PN_MUST_CHECK int pn_run_new(const struct pn_run_options *opt, struct pn_run **ret, struct pn_err *err);
PN_MUST_CHECK int pn_run_all(struct pn_run *run);
struct pn_run *pn_run_free(struct pn_run *run);

#endif
