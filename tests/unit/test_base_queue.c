/* test_base_queue.c - queue and inbox: order, bounds, deadlines, and many threads at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/inbox.h"
#include "base/queue.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#define THREADS 4
#define EACH    20000

static void test_order_and_bound(void **state)
{
    struct pn_queue *q = NULL;
    int items[4];
    void *got = NULL;
    assert_int_equal(pn_queue_new(3, &q), 0);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 3; i++)
            assert_int_equal(pn_queue_push(q, &items[i]), 0);
        assert_int_equal(pn_queue_push(q, &items[3]), -PN_EFULL);
        assert_int_equal(pn_queue_len(q), 3);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(pn_queue_pop(q, INT64_MAX, &got), 0);
            assert_ptr_equal(got, &items[i]);
        }
    }
    assert_null(pn_queue_free(q));
    assert_null(pn_queue_free(NULL));
    assert_int_equal(pn_queue_new(SIZE_MAX, &q), -PN_ENOMEM);
}

static void test_deadline(void **state)
{
    struct pn_queue *q = NULL;
    void *got = &q;
    assert_int_equal(pn_queue_new(1, &q), 0);
    int64_t start = pn_now_us();
    assert_int_equal(pn_queue_pop(q, start + 30000, &got), -PN_ETIMEOUT);
    assert_in_range(pn_now_us() - start, 30000, 5000000);
    assert_int_equal(pn_queue_pop(q, 0, &got), -PN_ETIMEOUT);
    assert_int_equal(pn_queue_pop(q, -5, &got), -PN_ETIMEOUT);
    assert_ptr_equal(got, &q); /* untouched */
    pn_queue_free(q);
}

static void test_close_drains(void **state)
{
    struct pn_queue *q = NULL;
    int item;
    void *got = NULL;
    assert_int_equal(pn_queue_new(2, &q), 0);
    assert_int_equal(pn_queue_push(q, &item), 0);
    pn_queue_close(q);
    assert_int_equal(pn_queue_push(q, &item), -PN_ECANCELLED);
    assert_int_equal(pn_queue_pop(q, INT64_MAX, &got), 0);
    assert_ptr_equal(got, &item);
    assert_int_equal(pn_queue_pop(q, INT64_MAX, &got), -PN_ECANCELLED);
    pn_queue_free(q);
}

struct crowd {
    struct pn_queue *q;
    _Atomic uint64_t popped, sum;
};

static void *push_many(void *arg)
{
    struct crowd *c = arg;
    for (uintptr_t i = 1; i <= EACH; i++)
        while (pn_queue_push(c->q, (void *)i) == -PN_EFULL)
            sched_yield();
    return NULL;
}

static void *pop_many(void *arg)
{
    struct crowd *c = arg;
    void *item;
    while (pn_queue_pop(c->q, INT64_MAX, &item) == 0) {
        c->popped++;
        c->sum += (uintptr_t)item;
    }
    return NULL;
}

static void test_many_threads(void **state)
{
    struct crowd c = { 0 };
    pthread_t in[THREADS], from[THREADS];
    assert_int_equal(pn_queue_new(16, &c.q), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_create(&from[i], NULL, pop_many, &c);
        pthread_create(&in[i], NULL, push_many, &c);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(in[i], NULL);
    pn_queue_close(c.q);
    for (int i = 0; i < THREADS; i++)
        pthread_join(from[i], NULL);
    assert_int_equal(c.popped, THREADS * EACH);
    assert_int_equal(c.sum, (uint64_t)THREADS * EACH * (EACH + 1) / 2);
    pn_queue_free(c.q);
}

/* --- inbox --- */

struct letter {
    struct pn_message message;
    struct pn_inbox *again; /* posts itself here once more */
    int sender, number;
};

static int next_number[THREADS + 1];
static size_t n_delivered;

static void deliver(struct pn_message *m)
{
    struct letter *l = PN_CONTAINER_OF(m, struct letter, message);
    assert_int_equal(l->number, next_number[l->sender]++);
    n_delivered++;
    if (l->again) {
        struct pn_inbox *in = l->again;
        l->again = NULL;
        l->number++;
        pn_inbox_post(in, m);
        return;
    }
    free(l);
}

static struct letter *new_letter(int sender, int number)
{
    struct letter *l = calloc(1, sizeof(*l));
    assert_non_null(l);
    *l = (struct letter){ .message.deliver = deliver, .sender = sender, .number = number };
    return l;
}

static bool readable(struct pn_inbox *in, int timeout_ms)
{
    struct pollfd p = { .fd = pn_inbox_fd(in), .events = POLLIN };
    return poll(&p, 1, timeout_ms) == 1;
}

static struct pn_inbox *new_inbox(void)
{
    struct pn_inbox *in = NULL;
    assert_int_equal(pn_inbox_new(&in, NULL), 0);
    for (int i = 0; i <= THREADS; i++)
        next_number[i] = 0;
    n_delivered = 0;
    return in;
}

static void test_inbox_wakes_and_orders(void **state)
{
    struct pn_inbox *in = new_inbox();
    assert_false(readable(in, 0));
    for (int i = 0; i < 3; i++)
        pn_inbox_post(in, &new_letter(0, i)->message);
    assert_true(readable(in, 0));
    assert_int_equal(pn_inbox_run(in), 3);
    assert_false(readable(in, 0));
    assert_int_equal(pn_inbox_run(in), 0);
    assert_null(pn_inbox_free(in));
    assert_null(pn_inbox_free(NULL));
}

static void test_inbox_free_delivers_the_rest(void **state)
{
    struct pn_inbox *in = new_inbox();
    struct letter *l = new_letter(0, 0);
    l->again = in;
    pn_inbox_post(in, &l->message);
    pn_inbox_free(in);
    assert_int_equal(n_delivered, 2);
}

struct sender {
    struct pn_inbox *in;
    int id;
};

static void *send_many(void *arg)
{
    const struct sender *s = arg;
    for (int i = 0; i < EACH; i++)
        pn_inbox_post(s->in, &new_letter(s->id, i)->message);
    return NULL;
}

static void test_inbox_many_threads(void **state)
{
    struct pn_inbox *in = new_inbox();
    struct sender senders[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        senders[i] = (struct sender){ in, i };
        pthread_create(&threads[i], NULL, send_many, &senders[i]);
    }
    while (n_delivered < THREADS * EACH) {
        assert_true(readable(in, 10000)); /* no wake-up is ever lost */
        pn_inbox_run(in);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pn_inbox_free(in);
    assert_int_equal(n_delivered, THREADS * EACH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_bound),        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_close_drains),           cmocka_unit_test(test_many_threads),
        cmocka_unit_test(test_inbox_wakes_and_orders), cmocka_unit_test(test_inbox_free_delivers_the_rest),
        cmocka_unit_test(test_inbox_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
