/* funasr_file.h - a recording that comes over a WebSocket as a file's bytes: kept in an unlinked spool file
 * as it arrives, then decoded by a child and recognised as an upload is. Loop thread only. */
#ifndef PN_SERVER_FUNASR_FILE_H
#define PN_SERVER_FUNASR_FILE_H

#include "asr/transcriber.h"
#include "server/state.h"

struct pn_funasr_file;

/* Called once, after which the file is gone. The result's transcript is the callee's to free. */
typedef void pn_funasr_file_done(void *ctx, struct pn_job_result *result);

/* -PN_EFULL: there is no room for another job now. -PN_EIO, -PN_ENOMEM. */
PN_MUST_CHECK int pn_funasr_file_new(struct pn_server *s, struct pn_funasr_file **ret, struct pn_err *err);
/* -PN_ELIMIT: longer than PINNA_MAX_UPLOAD_MB; -PN_EIO: the disk is full. Do not feed again after that. */
PN_MUST_CHECK int pn_funasr_file_feed(struct pn_funasr_file *f, const char *data, size_t n,
                                      struct pn_err *err);
/* No more bytes will come: `done` follows, on the loop thread, never inside this call. On failure
 * (-PN_EFORMAT: it is empty; as pn_transcriber_submit()) it does not, and the file is still the caller's. */
PN_MUST_CHECK int pn_funasr_file_finish(struct pn_funasr_file *f, struct pn_str model,
                                        const struct pn_recognition *want, pn_funasr_file_done *done,
                                        void *ctx, struct pn_err *err);
/* At any moment before `done`, which is not called any more. Accepts NULL, returns NULL. */
struct pn_funasr_file *pn_funasr_file_cancel(struct pn_funasr_file *f);

#endif
