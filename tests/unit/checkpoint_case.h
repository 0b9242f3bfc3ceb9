/* checkpoint_case.h - a folder of its own for each test of model files, and opening what is put into it. */
#ifndef PN_TESTS_CHECKPOINT_CASE_H
#define PN_TESTS_CHECKPOINT_CASE_H

#include "fixtures.h"
#include "model/checkpoint.h"

extern struct pn_err checkpoint_case_err; /* of the last checkpoint_case_open() */

/* For cmocka_unit_test_setup_teardown(). */
int checkpoint_case_set_up(void **state);
int checkpoint_case_tear_down(void **state);

/* Where a file of the folder lies. */
void checkpoint_case_path(const char *name, char path[PN_FIXTURE_PATH]);
void checkpoint_case_put(const char *name, struct pn_str bytes);
/* A safetensors file: 8 bytes of length, the header, then `n` bytes that count. The first one is in `b`,
 * which it initialises; pn_buf_done() it. */
struct pn_str checkpoint_case_safetensors(struct pn_buf *b, const char *header, size_t n);
void checkpoint_case_put_safetensors(const char *name, const char *header, size_t n);
/* pn_checkpoint_open()'s answer; fails the test when error and result disagree. */
int checkpoint_case_open(const char *name, struct pn_checkpoint **ret);

#endif
