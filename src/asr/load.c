/* load.c - see load.h. */
#include "asr/load.h"

#include "base/attr.h"

#include <math.h>

static const double LAG_MEAN_S = 1, BUSY_MEAN_S = 3, EACH_MEAN_S = 5; /* how far back averages reach */
static const double LAG_BEHIND_S = 0.2;
static const double LAG_FULL_S = 0.5, LAG_ROOM_S = 0.25; /* full above, room again below */
static const double LAG_BUSY_S = 0.15;                   /* below it a busy machine keeps up */
static const double BUSY_FULL = 0.97, BUSY_ROOM = 0.9;   /* with one stream more */
static const double BUSY_FAR = 1.25,
                    BUSY_NEAR = 1.15; /* the same, before anybody has had to wait: many came at once */
static const double LAG_TOO_LONG_S = 5, LAG_FALLS_S = 0.1;
static const double UNSTEADY = 0.2; /* part of the streams that have come or gone lately */
static const double CROWDED = 0.8;  /* of the time for live streams while files wait */
static const double MOST_PACE = 8, SLOWER = 1.5, FASTER = 1.25;
enum { SECOND = 1000000 };

void pn_load_meter_init(struct pn_load_meter *m, int64_t now_us)
{
    *m = (struct pn_load_meter){ .at_us = now_us, .paced_us = now_us, .pace = 1 };
}

void pn_load_meter_all_gone(struct pn_load_meter *m, int64_t now_us)
{
    double each = m->each;
    pn_load_meter_init(m, now_us);
    m->each = each;
}

static void approach(double *mean, double value, double elapsed_s, double reach_s)
{
    *mean += (value - *mean) * -expm1(-elapsed_s / reach_s);
}

/* With one stream more. Nobody is refused for being the first. */
static double forecast(const struct pn_load_meter *m)
{
    return m->look.n_live > 0 ? m->each * (m->look.n_live + 1) : 0;
}

/* Streams that wait would take more than they get; those that have just come, more than they do. */
static void learn_each(struct pn_load_meter *m, double must, double elapsed_s)
{
    bool steady = fabs(m->look.n_live - m->n_live) < UNSTEADY * m->look.n_live;
    if (!steady || m->lag_s > LAG_BEHIND_S)
        return;
    approach(&m->each, must / m->look.n_live, elapsed_s, EACH_MEAN_S);
}

static void judge_room(struct pn_load_meter *m)
{
    double busy = forecast(m);
    if (m->look.n_live == 0)
        m->full = false;
    else if (!m->full)
        m->full = m->lag_s > LAG_FULL_S || (busy > BUSY_FULL && m->lag_s > LAG_BUSY_S) || busy > BUSY_FAR;
    else
        m->full =
            m->lag_s > LAG_ROOM_S || (busy > BUSY_ROOM && m->lag_s > LAG_BUSY_S / 2) || busy > BUSY_NEAR;
}

/* Once a second: drafts become rarer while somebody waits for what must be done, or files for any room at
 * all; more frequent again, slower than that, when nobody does. */
static void set_pace(struct pn_load_meter *m)
{
    if (m->at_us - m->paced_us < SECOND)
        return;
    m->paced_us = m->at_us;
    bool rarer = m->lag_s > LAG_BEHIND_S || (m->files_wait > 0.5 && m->any > CROWDED);
    m->pace = rarer ? PN_MIN(m->pace * SLOWER, MOST_PACE) : PN_MAX(m->pace / FASTER, 1.0);
}

/* Time has gone by with live streams' steps taking these shares of it. */
static void advance(struct pn_load_meter *m, int64_t now_us, double must, double any)
{
    if (now_us <= m->at_us)
        return;
    double elapsed_s = (double)(now_us - m->at_us) / SECOND;
    approach(&m->lag_s, m->look.lag_s, elapsed_s, LAG_MEAN_S);
    approach(&m->n_live, m->look.n_live, elapsed_s, BUSY_MEAN_S);
    approach(&m->files_wait, m->look.files_wait, elapsed_s, BUSY_MEAN_S);
    approach(&m->must, must, elapsed_s, BUSY_MEAN_S);
    approach(&m->any, any, elapsed_s, BUSY_MEAN_S);
    learn_each(m, must, elapsed_s);
    m->at_us = now_us;
    judge_room(m);
    set_pace(m);
    if (m->lag_s <= LAG_TOO_LONG_S) {
        m->over_us = m->shed_us = now_us;
        m->shed_lag_s = m->lag_s;
    }
}

void pn_load_meter_look(struct pn_load_meter *m, int64_t now_us, const struct pn_load_look *look)
{
    advance(m, now_us, 0, 0);
    m->look = *look;
}

void pn_load_meter_step(struct pn_load_meter *m, int64_t now_us, int64_t took_us, double must, double any)
{
    advance(m, now_us - took_us, 0, 0);
    advance(m, now_us, must, any);
}

/* As it will be when the step that runs, which is taken for one like those before, has ended now. */
static struct pn_load_meter foresee(const struct pn_load_meter *m, int64_t now_us)
{
    struct pn_load_meter now = *m;
    advance(&now, now_us, m->look.steps ? m->must : 0, m->look.steps ? m->any : 0);
    return now;
}

struct pn_load pn_load_meter_read(const struct pn_load_meter *m, int64_t now_us, int n_live)
{
    struct pn_load_meter now = foresee(m, now_us);
    now.look.n_live = n_live;
    judge_room(&now);
    bool behind = now.lag_s > LAG_BEHIND_S || now.pace > 1;
    return (struct pn_load){ .level = now.full ? PN_LOAD_FULL
                                      : behind ? PN_LOAD_BEHIND
                                               : PN_LOAD_FINE,
                             .lag_s = now.lag_s,
                             .busy = now.must };
}

double pn_load_meter_pace(const struct pn_load_meter *m)
{
    return m->pace;
}

/* A lag that falls by itself is let fall: what was ended shows its effect late. */
bool pn_load_meter_shed(struct pn_load_meter *m, int64_t now_us)
{
    double lag_s = foresee(m, now_us).lag_s;
    if (lag_s <= LAG_TOO_LONG_S || now_us - m->over_us < SECOND || now_us - m->shed_us < SECOND)
        return false;
    bool falls = lag_s < m->shed_lag_s - LAG_FALLS_S;
    m->shed_us = now_us;
    m->shed_lag_s = lag_s;
    return !falls;
}
