/* failing_memory.h - allocations that fail when a test says so. The program is linked with the options of
 * `failing_memory_link` in meson.build. */
#ifndef PN_TESTS_FAILING_MEMORY_H
#define PN_TESTS_FAILING_MEMORY_H

#include <stddef.h>

/* So many allocations of ours succeed, the next one fails, those after it succeed; below 0: none fails. */
extern long pn_fail_allocation;

/* What calls of malloc() become: for libraries that take a function. */
void *__wrap_malloc(size_t n);
void *__real_malloc(size_t n); /* never fails on request */

#endif
