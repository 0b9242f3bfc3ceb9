/* ffmpeg_io.h - FFmpeg's view of one open descriptor: read and seek, nothing else. */
#ifndef PN_AUDIO_FFMPEG_IO_H
#define PN_AUDIO_FFMPEG_IO_H

#include "base/attr.h"
#include "base/error.h"

#include <stdint.h>

struct AVIOContext;
struct pn_file_io;

/* Reads [0, size) of `fd` with pread; borrows it. */
PN_MUST_CHECK int pn_file_io_open(int fd, int64_t size, struct pn_file_io **ret);
struct pn_file_io *pn_file_io_close(struct pn_file_io *io); /* accepts NULL, returns NULL */
struct AVIOContext *pn_file_io_context(struct pn_file_io *io);
int pn_file_io_errno(const struct pn_file_io *io); /* of the first read that failed; 0: none; accepts NULL */

#endif
