/* transcribe_io.h - what `pinna transcribe` reads from and writes to. Main thread only. */
#ifndef PN_CLI_TRANSCRIBE_IO_H
#define PN_CLI_TRANSCRIBE_IO_H

#include "base/attr.h"
#include "base/error.h"
#include "text/format.h"

#include <stddef.h>

/* Opens a regular file; anything else that can be read ("-": standard input, pipes) is first copied to an
 * unlinked file in `spool_dir` ("": TMPDIR, else /tmp). Gives up with -PN_ECANCELLED when `stop_fd` becomes
 * readable meanwhile. */
PN_MUST_CHECK int pn_input_open(const char *name, const char *spool_dir, int stop_fd, int *ret_fd,
                                struct pn_err *err);

struct pn_output {
    enum pn_format format;
    const char *dir; /* "": standard output */
    size_t n_files;  /* of the whole run */
    size_t n_written;
};

/* Makes the folder and those above it. */
PN_MUST_CHECK int pn_output_make_dir(const char *dir, struct pn_err *err);
/* -PN_EINVAL if two inputs would become the same file in the folder. */
PN_MUST_CHECK int pn_output_check_names(const struct pn_output *o, char *const *inputs, struct pn_err *err);
/* One transcript: to standard output, or whole or not at all to a file that is named like the input. */
PN_MUST_CHECK int pn_output_write(struct pn_output *o, const char *input, const struct pn_transcript *t,
                                  struct pn_err *err);

#endif
