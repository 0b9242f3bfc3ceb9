/* fuzz_intake.c - live audio of strangers: a byte of format, a byte of rate, then pieces, each behind two
 * bytes of length.
 *
 * Every piece becomes no more samples than was said, all of them between -1 and 1; how raw samples are cut
 * changes nothing. */
#include "audio/intake.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LARGEST = 1 << 16, MAX_OUT = 1 << 20 };

static const int RATES[] = { 16000, 8000, 48000, 24000, 44100 };

static void require(bool ok)
{
    if (!ok)
        abort();
}

static size_t take(struct pn_intake *in, const uint8_t *data, size_t n, float *out)
{
    size_t made = 0, room = pn_intake_room(in, n);
    require(room <= MAX_OUT);
    int r = pn_intake_take(in, data, n, out, &made);
    require(r == 0 || (r == -PN_EFORMAT && made == 0));
    require(made <= room);
    for (size_t i = 0; i < made; i++)
        require(out[i] >= -1 && out[i] <= 1);
    return made;
}

static size_t end(struct pn_intake *in, float *out)
{
    size_t made = 0, room = pn_intake_room(in, 0);
    require(pn_intake_end(in, out, &made) == 0 && made <= room);
    pn_intake_free(in);
    return made;
}

static struct pn_intake *open_intake(enum pn_intake_format format, int rate)
{
    struct pn_intake *in = NULL;
    require(pn_intake_new(format, rate, &in, NULL) == 0);
    return in;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static float cut[MAX_OUT], whole[MAX_OUT];
    static uint8_t all[LARGEST];
    if (size < 2 || size > LARGEST)
        return -1;
    enum pn_intake_format format = data[0] % (PN_INTAKE_OPUS + 1);
    int rate = RATES[data[1] % PN_ARRAY_LEN(RATES)];
    struct pn_intake *in = open_intake(format, rate);
    size_t n_all = 0, n_cut = 0;
    for (size_t at = 2; size - at >= 2;) {
        size_t n = data[at] | (size_t)data[at + 1] << 8;
        n = PN_MIN(n, size - at - 2);
        size_t made = take(in, data + at + 2, n, cut + n_cut);
        n_cut = format == PN_INTAKE_OPUS ? 0 : n_cut + made;
        memcpy(all + n_all, data + at + 2, n);
        n_all += n;
        at += 2 + n;
    }
    n_cut += end(in, cut + n_cut);
    if (format == PN_INTAKE_OPUS)
        return 0;
    in = open_intake(format, rate);
    size_t n_whole = take(in, all, n_all, whole);
    n_whole += end(in, whole + n_whole);
    require(n_whole == n_cut && memcmp(whole, cut, n_cut * sizeof(*cut)) == 0);
    return 0;
}
