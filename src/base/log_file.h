/* log_file.h - the log's file: appended to, rotated by size, reopened. One thread at a time. */
#ifndef PN_BASE_LOG_FILE_H
#define PN_BASE_LOG_FILE_H

#include "base/attr.h"
#include "base/error.h"
#include "base/str.h"

struct pn_log_file {
    const char *path; /* borrowed */
    size_t rotate_bytes;
    int rotate_keep;
    int fd;      /* -1: none */
    size_t size; /* of the file, as far as we know */
};

/* Makes the folder if it is missing and opens the file for appending. */
PN_MUST_CHECK int pn_log_file_open(struct pn_log_file *f, struct pn_err *err);
void pn_log_file_close(struct pn_log_file *f);
/* Opens the path anew; keeps the old descriptor when that fails. */
PN_MUST_CHECK int pn_log_file_reopen(struct pn_log_file *f, struct pn_err *err);
/* Writes whole lines; rotates between two of them when the file would grow past rotate_bytes. */
PN_MUST_CHECK int pn_log_file_write(struct pn_log_file *f, struct pn_str lines, struct pn_err *err);

#endif
