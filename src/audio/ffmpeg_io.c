/* ffmpeg_io.c - see ffmpeg_io.h. One thread of pinna-decode; the file may change under it, so reads may end
 * short of `size` but never go beyond. */
#include "audio/ffmpeg_io.h"

#include <errno.h>
#include <libavformat/avio.h>
#include <libavutil/error.h>
#include <libavutil/mem.h>
#include <stdlib.h>
#include <unistd.h>

enum { BUFFER_BYTES = 65536 };

struct pn_file_io {
    AVIOContext *context;
    int fd;
    int64_t size, pos; /* 0 <= pos */
    int error;         /* errno of the first failed read */
};

static int io_read(void *opaque, uint8_t *buf, int len)
{
    struct pn_file_io *io = opaque;
    int64_t left = io->size - io->pos;
    if (left <= 0 || len <= 0)
        return AVERROR_EOF;
    ssize_t n = pread(io->fd, buf, (size_t)PN_MIN(left, (int64_t)len), io->pos);
    if (n < 0) {
        int e = errno;
        io->error = io->error ? io->error : e;
        return AVERROR(e);
    }
    io->pos += n;
    return n > 0 ? (int)n : AVERROR_EOF;
}

static int64_t io_seek(void *opaque, int64_t offset, int whence)
{
    struct pn_file_io *io = opaque;
    int64_t from = 0, to;
    switch (whence & ~AVSEEK_FORCE) {
    case AVSEEK_SIZE:
        return io->size;
    case SEEK_SET:
        break;
    case SEEK_CUR:
        from = io->pos;
        break;
    case SEEK_END:
        from = io->size;
        break;
    default:
        return AVERROR(EINVAL);
    }
    if (__builtin_add_overflow(from, offset, &to) || to < 0)
        return AVERROR(EINVAL);
    io->pos = to;
    return to;
}

int pn_file_io_open(int fd, int64_t size, struct pn_file_io **ret)
{
    struct pn_file_io *io = calloc(1, sizeof(*io));
    uint8_t *buffer = av_malloc(BUFFER_BYTES);
    if (io && buffer)
        io->context = avio_alloc_context(buffer, BUFFER_BYTES, 0, io, io_read, NULL, io_seek);
    if (!io || !io->context) {
        av_free(buffer);
        free(io);
        return -PN_ENOMEM;
    }
    io->fd = fd;
    io->size = size;
    *ret = io;
    return 0;
}

struct pn_file_io *pn_file_io_close(struct pn_file_io *io)
{
    if (io) {
        av_freep(&io->context->buffer); /* the libraries may have replaced it */
        avio_context_free(&io->context);
        free(io);
    }
    return NULL;
}

struct AVIOContext *pn_file_io_context(struct pn_file_io *io)
{
    return io->context;
}

int pn_file_io_errno(const struct pn_file_io *io)
{
    return io ? io->error : 0;
}
