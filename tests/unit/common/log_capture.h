/* What is logged, caught, and the clock that it is logged by in the hands of the test: includes common/log.c
 * itself. Not a test program by itself. */
#ifndef TESTS_UNIT_COMMON_LOG_CAPTURE_H
#define TESTS_UNIT_COMMON_LOG_CAPTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define TEXT_MAX (1 << 20)
#define SECOND   UINT64_C(1000000000)

extern _Atomic uint64_t fake_now;
extern char logged[TEXT_MAX]; /* what was logged since capture() */
extern int captured;

void capture(void);
/* Ends the capture; the lines are in `logged`, their count is returned. */
size_t release(void);
void assert_has(const char *part);
int start(void **state);

#endif
