/* noises.c - pink noise is white noise through Kellet's filter: seven poles, within 0.05 dB of -3 dB an
 * octave above 10 Hz. */
#include "noises.h"

#include "base/splitmix.h"

#include <math.h>
#include <string.h>

enum { RATE = 16000, TURN = 10 * RATE, CLICKS_A_SECOND = 5 };

static const char *const NAMES[] = { "white", "pink", "hum", "clicks", "silence", "all" };

bool pn_noise_kind_of(const char *name, enum pn_noise_kind *ret)
{
    for (size_t i = 0; i < PN_ARRAY_LEN(NAMES); i++)
        if (strcmp(name, NAMES[i]) == 0) {
            *ret = (enum pn_noise_kind)i;
            return true;
        }
    return false;
}

struct pn_noise pn_noise_start(enum pn_noise_kind kind, double level_db, uint64_t seed)
{
    return (struct pn_noise){ .kind = kind, .level = pow(10, level_db / 20), .seed = seed };
}

static double uniform(struct pn_noise *s)
{
    return (double)(pn_splitmix64(&s->seed) >> 11) / 9007199254740992.0;
}

/* Near enough to a normal one: twelve uniform ones. */
static double normal(struct pn_noise *s)
{
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += uniform(s);
    return sum;
}

static double pink(struct pn_noise *s)
{
    static const double POLE[6] = { 0.99886, 0.99332, 0.96900, 0.86650, 0.55000, -0.7616 };
    static const double GAIN[6] = { 0.0555179, 0.0750759, 0.1538520, 0.3104856, 0.5329522, -0.0168980 };
    double white = normal(s), sum = s->pink[6] + white * 0.5362;
    for (int i = 0; i < 6; i++) {
        s->pink[i] = POLE[i] * s->pink[i] + white * GAIN[i];
        sum += s->pink[i];
    }
    s->pink[6] = white * 0.115926;
    return sum * 0.5; /* about 1 in root mean square */
}

static double hum(struct pn_noise *s)
{
    double sum = 0.001 * normal(s);
    for (int h = 1; h <= 12; h++)
        sum += sin(2 * M_PI * 50 * h * (double)s->at / RATE + h) / h;
    return sum;
}

static double click(struct pn_noise *s)
{
    s->click *= -0.9;
    if (uniform(s) < (double)CLICKS_A_SECOND / RATE)
        s->click = uniform(s) < 0.5 ? -1 : 1;
    return s->click;
}

static double next(struct pn_noise *s, enum pn_noise_kind kind)
{
    switch (kind) {
    case PN_NOISE_WHITE:
        return normal(s);
    case PN_NOISE_PINK:
        return pink(s);
    case PN_NOISE_HUM:
        return hum(s);
    case PN_NOISE_CLICKS:
        return click(s);
    case PN_NOISE_SILENCE:
        return 0;
    case PN_NOISE_ALL:
        return next(s, (enum pn_noise_kind)(s->at / TURN % PN_NOISE_ALL));
    }
    PN_UNREACHABLE();
}

void pn_noise_next(struct pn_noise *s, float *pcm, size_t n)
{
    for (size_t i = 0; i < n; i++, s->at++) {
        double x = round(next(s, s->kind) * s->level * 32768);
        pcm[i] = (float)(fmin(fmax(x, -32768), 32767) / 32768);
    }
}
