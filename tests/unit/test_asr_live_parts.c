/* test_asr_live_parts.c - what the live engine is made of: turns, waiting bytes, arrivals, copied wishes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "asr/live/arrivals.h"
#include "asr/live/bytes.h"
#include "asr/live/turns.h"
#include "asr/live/want.h"
#include "asr/vad/vad.h"
#include "base/clock.h"
#include "failing_memory.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* ---- turns ---- */

struct player {
    struct pn_turn turn;
    struct pn_turns *turns;
    sem_t went, go_on, gone;
    atomic_int n;
    atomic_int inside;        /* turns of it that run now */
    _Atomic int64_t then;     /* what its next turn says; then it sleeps */
    atomic_bool waits;        /* its turns wait for go_on */
    _Atomic int64_t began_us; /* of the last turn */
};

static int64_t take_turn(struct pn_turn *t)
{
    struct player *p = PN_CONTAINER_OF(t, struct player, turn);
    assert_int_equal(atomic_fetch_add(&p->inside, 1), 0);
    atomic_store(&p->began_us, pn_now_us());
    atomic_fetch_add(&p->n, 1);
    sem_post(&p->went);
    if (atomic_load(&p->waits))
        sem_wait(&p->go_on);
    int64_t then = atomic_exchange(&p->then, PN_TURN_SLEEP);
    atomic_fetch_sub(&p->inside, 1);
    if (then == PN_TURN_GONE)
        sem_post(&p->gone);
    return then;
}

static void init_player(struct player *p, struct pn_turns *turns)
{
    memset(p, 0, sizeof(*p));
    p->turns = turns;
    sem_init(&p->went, 0, 0);
    sem_init(&p->go_on, 0, 0);
    sem_init(&p->gone, 0, 0);
    atomic_store(&p->then, PN_TURN_SLEEP);
}

static void end_player(struct player *p)
{
    atomic_store(&p->then, PN_TURN_GONE);
    atomic_store(&p->waits, false);
    pn_turns_wake(p->turns, &p->turn);
    sem_post(&p->go_on);
    sem_wait(&p->gone);
}

static struct pn_turns *new_turns(int n_threads)
{
    struct pn_turns *w = NULL;
    assert_int_equal(pn_turns_new(n_threads, take_turn, &w, NULL), 0);
    return w;
}

static void test_a_wake_is_a_turn(void **state)
{
    (void)state;
    struct pn_turns *w = new_turns(2);
    struct player p;
    init_player(&p, w);
    for (int i = 1; i <= 5; i++) {
        pn_turns_wake(w, &p.turn);
        sem_wait(&p.went);
        assert_int_equal(atomic_load(&p.n), i);
    }
    end_player(&p);
    assert_null(pn_turns_free(w));
    assert_null(pn_turns_free(NULL));
}

static void test_a_wake_in_a_turn_is_another_one(void **state)
{
    (void)state;
    struct pn_turns *w = new_turns(3);
    struct player p;
    init_player(&p, w);
    atomic_store(&p.waits, true);
    pn_turns_wake(w, &p.turn);
    sem_wait(&p.went);
    for (int i = 0; i < 10; i++)
        pn_turns_wake(w, &p.turn); /* one more turn in all, not beside the one that runs */
    sem_post(&p.go_on);
    sem_wait(&p.went);
    assert_int_equal(atomic_load(&p.n), 2);
    end_player(&p);
    pn_turns_free(w);
}

static void test_later(void **state)
{
    (void)state;
    struct pn_turns *w = new_turns(1);
    struct player p[3];
    int64_t now = pn_now_us();
    for (int i = 0; i < 3; i++) { /* they say 150, 100 and 50 ms, so the last one goes first */
        init_player(&p[i], w);
        atomic_store(&p[i].then, now + 150000 - 50000 * i);
        pn_turns_wake(w, &p[i].turn);
        sem_wait(&p[i].went);
    }
    bool in_time = pn_now_us() < now + 40000; /* else the machine was too slow for that */
    for (int i = 0; i < 3; i++) {
        sem_wait(&p[i].went);
        assert_true(atomic_load(&p[i].began_us) >= now + 150000 - 50000 * i);
    }
    assert_true(!in_time || atomic_load(&p[2].began_us) <= atomic_load(&p[1].began_us));
    assert_true(!in_time || atomic_load(&p[1].began_us) <= atomic_load(&p[0].began_us));

    atomic_store(&p[0].then, pn_now_us() + 3600 * 1000000LL);
    pn_turns_wake(w, &p[0].turn);
    sem_wait(&p[0].went);
    pn_turns_wake(w, &p[0].turn); /* a wake does not wait for that */
    sem_wait(&p[0].went);
    for (int i = 0; i < 3; i++)
        end_player(&p[i]);
    pn_turns_free(w);
}

/* ---- bytes ---- */

static void check_peek(const struct pn_bytes *b, size_t cap, const char *want, int64_t at_us)
{
    const unsigned char *data = NULL;
    int64_t came_us = 0;
    assert_int_equal(pn_bytes_peek(b, cap, &data, &came_us), strlen(want));
    assert_memory_equal(data, want, strlen(want));
    assert_int_equal(came_us, at_us);
}

static void test_bytes_in_a_row(void **state)
{
    (void)state;
    struct pn_bytes b = { 0 };
    const unsigned char *data;
    int64_t at_us;
    assert_int_equal(pn_bytes_peek(&b, 10, &data, &at_us), 0);
    assert_int_equal(pn_bytes_add(&b, "abc", 3, 1), 0);
    check_peek(&b, 2, "ab", 1);
    assert_int_equal(pn_bytes_add(&b, "def", 3, 2), 0);
    pn_bytes_drop(&b, 2);
    check_peek(&b, 10, "cdef", 2);
    assert_int_equal(b.waiting, 4);
    pn_bytes_drop(&b, 4);
    assert_null(b.first);
    assert_int_equal(b.waiting, 0);
    pn_bytes_done(&b);
}

static void test_bytes_come_out_as_they_went_in(void **state)
{
    (void)state;
    static unsigned char in[100000], out[100000];
    struct pn_bytes b = { 0 };
    size_t n_in = 0, n_out = 0;
    for (size_t i = 0; i < sizeof(in); i++)
        in[i] = (unsigned char)(i * 7 + (i >> 8));
    while (n_out < sizeof(in)) {
        size_t n = PN_MIN(sizeof(in) - n_in, 1 + n_in * 13 % 5000);
        assert_int_equal(pn_bytes_add(&b, in + n_in, n, 0), 0);
        n_in += n;
        const unsigned char *data;
        int64_t at_us;
        n = pn_bytes_peek(&b, 1 + n_out * 31 % 4000, &data, &at_us);
        memcpy(out + n_out, data, n);
        pn_bytes_drop(&b, n);
        n_out += n;
        assert_int_equal(b.waiting, n_in - n_out);
    }
    assert_memory_equal(in, out, sizeof(in));
    pn_bytes_done(&b);
}

static void test_packets_stay_whole(void **state)
{
    (void)state;
    struct pn_bytes b = { .packets = true };
    assert_int_equal(pn_bytes_add(&b, "one", 3, 1), 0);
    assert_int_equal(pn_bytes_add(&b, "three", 5, 2), 0);
    assert_true(b.waiting > 8); /* many small ones cost more than their bytes */
    check_peek(&b, 1, "one", 1);
    pn_bytes_drop(&b, 3);
    check_peek(&b, 1, "three", 2);
    pn_bytes_drop(&b, 5);
    assert_int_equal(b.waiting, 0);
    assert_int_equal(pn_bytes_add(&b, "four", 4, 3), 0);
    pn_bytes_done(&b);
    assert_int_equal(b.waiting, 0);
}

static void test_bytes_without_memory(void **state)
{
    (void)state;
    struct pn_bytes b = { 0 };
    static const char data[5000];
    pn_fail_allocation = 0;
    assert_int_equal(pn_bytes_add(&b, "a", 1, 1), -PN_ENOMEM);
    assert_int_equal(b.waiting, 0);
    assert_int_equal(pn_bytes_add(&b, "b", 1, 1), 0);
    pn_fail_allocation = 0;
    assert_int_equal(pn_bytes_add(&b, data, sizeof(data), 2), -PN_ENOMEM);
    pn_fail_allocation = -1;
    check_peek(&b, 10, "b", 1);
    pn_bytes_done(&b);
}

/* ---- arrivals ---- */

static void test_when_audio_came(void **state)
{
    (void)state;
    struct pn_arrivals a = { 0 };
    int64_t at = 5000000;
    for (int i = 1; i <= 20; i++, at += 300000) /* pieces of 200 ms that come every 300 ms */
        pn_arrivals_note(&a, 3200 * i, at);
    assert_int_equal(pn_arrivals_of(&a, 3200), 5000000);
    assert_int_equal(pn_arrivals_of(&a, 3201), 5300000);
    assert_int_equal(pn_arrivals_of(&a, 6400), 5300000);
    assert_int_equal(pn_arrivals_of(&a, 3200 * 20), 5000000 + 19 * 300000);
}

/* A recording that is sent at once: nobody waits for its end before that could have been spoken. */
static void test_who_sends_faster(void **state)
{
    (void)state;
    struct pn_arrivals a = { 0 };
    for (int i = 1; i <= 50; i++)
        pn_arrivals_note(&a, 1600 * i, 7000000 + i);
    assert_int_equal(pn_arrivals_of(&a, 1600), 7000001);
    assert_int_equal(pn_arrivals_of(&a, 16000 * 5), 7000001 + 4900000);
}

static void test_small_pieces_share_marks(void **state)
{
    (void)state;
    struct pn_arrivals a = { 0 };
    int64_t end = 0, at = 1000000;
    for (int i = 0; i < 3000; i++, at += 25000) { /* 20 ms each, 25 ms apart */
        end += 320;
        pn_arrivals_note(&a, end, at);
    }
    at -= 25000;
    assert_int_equal(pn_arrivals_of(&a, end), at);
    for (int back = 0; back < 200; back++) { /* 4 s */
        int64_t told = pn_arrivals_of(&a, end - 320 * back), was = at - 25000 * back;
        assert_true(told >= was && told <= was + 5 * 25000);
    }
}

/* ---- wishes ---- */

static void test_wishes_are_copied(void **state)
{
    (void)state;
    char language[] = "zh", hotwords[] = "阿里巴巴:20 达摩院";
    struct pn_chunking chunking = { 0, 8, 4, 2, 1 };
    struct pn_vad_options vad = { .threshold = 0.7f, .end_silence_ms = 500 };
    struct pn_recognition want = { .language = language,
                                   .task = "transcribe",
                                   .live = true,
                                   .hotwords = hotwords,
                                   .chunking = &chunking,
                                   .vad = true,
                                   .vad_options = &vad },
                          *copy = NULL;
    pn_fail_allocation = 0;
    assert_int_equal(pn_want_copy(&want, &copy), -PN_ENOMEM);
    pn_fail_allocation = -1;
    assert_null(copy);
    assert_int_equal(pn_want_copy(&want, &copy), 0);
    memset(language, 'x', 2);
    memset(hotwords, 'x', 6);
    memset(&chunking, 0, sizeof(chunking));
    memset(&vad, 0, sizeof(vad));
    assert_string_equal(copy->language, "zh");
    assert_string_equal(copy->task, "transcribe");
    assert_string_equal(copy->prompt, "");
    assert_string_equal(copy->hotwords, "阿里巴巴:20 达摩院");
    assert_true(copy->live && copy->vad && !copy->itn);
    assert_int_equal(copy->chunking->step, 8);
    assert_int_equal(copy->vad_options->end_silence_ms, 500);
    free(copy);
}

static void test_wishes_are_bounded(void **state)
{
    (void)state;
    static char text[70000];
    struct pn_recognition want = { .prompt = text }, *copy = NULL;
    memset(text, 'w', sizeof(text) - 1);
    assert_int_equal(pn_want_copy(&want, &copy), -PN_ELIMIT);
    text[60000] = '\0';
    assert_int_equal(pn_want_copy(&want, &copy), 0);
    assert_int_equal(strlen(copy->prompt), 60000);
    free(copy);
}

static const struct CMUnitTest TESTS[] = {
    cmocka_unit_test(test_a_wake_is_a_turn),
    cmocka_unit_test(test_a_wake_in_a_turn_is_another_one),
    cmocka_unit_test(test_later),
    cmocka_unit_test(test_bytes_in_a_row),
    cmocka_unit_test(test_bytes_come_out_as_they_went_in),
    cmocka_unit_test(test_packets_stay_whole),
    cmocka_unit_test(test_bytes_without_memory),
    cmocka_unit_test(test_when_audio_came),
    cmocka_unit_test(test_who_sends_faster),
    cmocka_unit_test(test_small_pieces_share_marks),
    cmocka_unit_test(test_wishes_are_copied),
    cmocka_unit_test(test_wishes_are_bounded),
};

int main(void)
{
    return cmocka_run_group_tests(TESTS, NULL, NULL);
}
