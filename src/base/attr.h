/* attr.h - compiler attributes and small macros used everywhere. */
#ifndef PN_BASE_ATTR_H
#define PN_BASE_ATTR_H

#include <stddef.h>

#define PN_MUST_CHECK         __attribute__((warn_unused_result))
#define PN_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define PN_ARRAY_LEN(a)       (sizeof(a) / sizeof((a)[0]))
#define PN_UNREACHABLE()      __builtin_unreachable()

#define PN_MIN(a, b) ((a) < (b) ? (a) : (b))
#define PN_MAX(a, b) ((a) > (b) ? (a) : (b))

/* The least multiple of `to` that is no less than `n`. */
static inline size_t pn_round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

/* The struct that embeds `member` at `ptr`. */
#define PN_CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#endif
