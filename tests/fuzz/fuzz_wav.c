/* fuzz_wav.c - the finder of plain WAV samples: any file.
 *
 * What is taken lies inside the file behind a `data` header, is told from the headers alone, and stays found
 * when the file is cut in the middle of it. */
#include "audio/wav.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LARGEST = 80000, DEEPEST = 65536 };

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void write_at(int fd, const uint8_t *bytes, size_t len, int64_t pos)
{
    require(pwrite(fd, bytes, len, pos) == (ssize_t)len);
}

static void check(const uint8_t *data, int64_t size, const struct pn_wav *wav)
{
    require(wav->pos >= 44 && wav->pos <= DEEPEST && wav->len > 0 && wav->len % 2 == 0);
    require(wav->len <= size - wav->pos);
    require(memcmp(data, "RIFF", 4) == 0 && memcmp(data + 8, "WAVE", 4) == 0);
    require(memcmp(data + wav->pos - 8, "data", 4) == 0);
    require(wav->told || wav->len >= size - wav->pos - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static const uint8_t noise[LARGEST] = { 'd', 'a', 't', 'a', 1 };
    struct pn_wav wav, again = { 0 };
    if (fd < 0)
        fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || size > LARGEST)
        return -1;
    require(ftruncate(fd, (off_t)size) == 0);
    write_at(fd, data, size, 0);
    if (!pn_wav_find(fd, (int64_t)size, &wav))
        return 0;
    check(data, (int64_t)size, &wav);
    write_at(fd, noise, (size_t)wav.len, wav.pos);
    require(pn_wav_find(fd, (int64_t)size, &again));
    require(again.pos == wav.pos && again.len == wav.len && again.told == wav.told);
    int64_t half = (wav.len / 2 + 1) & ~INT64_C(1);
    if (pn_wav_find(fd, wav.pos + half, &again))
        require(again.pos == wav.pos && again.len == half && (!again.told || half == wav.len));
    return 0;
}
