/* fake_recognizer.h - a recogniser for tests: streams of numbered work whose steps are recorded and can be
 * held up. A stream needs one unit of work for every FAKE_UNIT samples, phases 1, 2, 1, 2, ...; its text is
 * the number of samples it was fed. */
#ifndef PN_TESTS_FAKE_RECOGNIZER_H
#define PN_TESTS_FAKE_RECOGNIZER_H

#include "asr/pcm_inbox.h"
#include "asr/recognizer.h"

#include <semaphore.h>
#include <stdatomic.h>

#define FAKE_UNIT      1600
#define FAKE_MAX_STEPS 65536
#define FAKE_MAX_BATCH 32
#define FAKE_INBOX     (10 * FAKE_UNIT)

struct fake_step {
    int phase;
    size_t n;
    int ids[FAKE_MAX_BATCH]; /* of the streams, in the order of the batch */
};

struct fake {
    struct pn_recognizer base;
    pthread_mutex_t mu;
    atomic_bool gated; /* steps wait for `gate` */
    sem_t gate, entered;
    bool only_final;     /* there is no result before the end */
    int fail_open;       /* open returns it if not 0 */
    int fail_at_samples; /* a stream that was fed more fails */
    int step_us;         /* how long a step sleeps */
    bool by_due;         /* live streams say the deadline of their next unit */
    /* Guarded by mu. */
    struct fake_step steps[FAKE_MAX_STEPS];
    size_t n_steps;
    int n_open, max_open, last_id;
    int64_t next_deadline_us; /* what the next stream says; 0: counts up from 1 */
};

struct fake_stream {
    struct pn_stream base;
    struct fake *fake;
    struct pn_pcm_inbox inbox;
    int id;
    int64_t deadline_us;
    atomic_int done; /* samples */
    atomic_int phase;
};

void fake_init(struct fake *f);
void fake_done(struct fake *f);
int fake_id(const struct pn_stream *s);
/* A copy of step i. */
struct fake_step fake_step_at(struct fake *f, size_t i);
size_t fake_n_steps(struct fake *f);

#endif
