/* pause.h - where a long recording may be cut, and whether there can be speech at all, by energy alone. Pure
 * functions over 16 kHz samples; any thread, no memory of their own. */
#ifndef PN_ASR_VAD_PAUSE_H
#define PN_ASR_VAD_PAUSE_H

#include <stdbool.h>
#include <stddef.h>

#define PN_PAUSE_FRAME 160 /* samples: cuts are multiples of 10 ms */

/* The best sample to cut at in [from, n]: the middle of the longest pause there, or, where nobody pauses, of
 * the quietest fifth of a second. A multiple of PN_PAUSE_FRAME if n - from is at least one frame, never 0;
 * else n. Looks at the last 30 s at most. */
size_t pn_pause_cut(const float *pcm, size_t n, size_t from);
/* Too short, too quiet (every 50 ms under -60 dBFS) or too steady (hum, hiss) to hold a word. */
bool pn_pause_only(const float *pcm, size_t n);

#endif
