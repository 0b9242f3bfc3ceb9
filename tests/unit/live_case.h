/* live_case.h - a live engine for tests: sessions of a recogniser that can be held up. The models and the
 * load are the tests' own: linking wraps the functions that tell them. */
#ifndef PN_TESTS_LIVE_CASE_H
#define PN_TESTS_LIVE_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "asr/live/live.h"
#include "fake_recognizer.h"

#define SECOND 32000 /* bytes of s16le at 16 kHz */

extern struct fake fake;
extern struct pn_scheduler *scheduler;
extern struct pn_live_engine *engine;

extern atomic_int acquire_says; /* what asking for the model "named" gives */
extern atomic_int n_asked, n_lent;
extern atomic_int load_level; /* enum pn_load_level */
extern atomic_bool shed_says; /* one is to be sent away; told once */

struct client {
    struct pn_live *live;
    sem_t moved;
    atomic_int n_moved;
    struct pn_live_news last;
    int n_texts, n_rooms;
    char text[32]; /* of the last transcript */
    bool final;    /* it was */
};

void set_up(int sessions, int feed_samples);
void tear_down(void);
/* So many steps that are held up go on. */
void let_steps_pass(int n);
void on_moved(void *ctx);
int try_start(struct client *c, const struct pn_live_request *want);
void start(struct client *c, const struct pn_live_request *want);
int try_talk(struct client *c, const char *model, const char *language);
void talk(struct client *c);
/* Silence. */
int say(struct client *c, size_t n_bytes);
void wait_for_move(struct client *c);
/* What is new, into c->last and what follows. False: nothing. */
bool fetch(struct client *c);
/* Fetches all news until the last. */
void wait_for_end(struct client *c);
void wait_for_text(struct client *c, const char *text);
void leave(struct client *c);
void wait_for_steps(size_t n);
/* Waits until so many sessions are there. */
void wait_for_open(int n);

#endif
