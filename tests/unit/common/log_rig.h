/* A process whose standard error is a pipe, for the tests of the writer: what a thread does at the end of a
 * process, in a fork and in a crash is part of what is tested. Not a test program by itself. */
#ifndef TESTS_UNIT_COMMON_LOG_RIG_H
#define TESTS_UNIT_COMMON_LOG_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/log_ring.h"
#include "common/process.h"

#define TEXT_MAX   (8 << 20)
#define PATIENT_MS 60000 /* for what comes for sure */

extern char text[TEXT_MAX]; /* what the process has logged */

struct logger {
    pid_t pid;
    int log;  /* reads its standard error */
    int done; /* end of file once it has ended */
};

/* Runs BODY in a process whose standard error is a pipe. */
struct logger begin(void (*body)(void));
/* Waits for the end of the process; its status. */
int wait_end(struct logger *logger);
/* Everything to the end of file, into `text`. */
void read_log(struct logger *logger);
void run(void (*body)(void), int expected);
void assert_has(const char *part);
size_t count_of(const char *part);
void start(void);

#define MANY 10000 /* much more than pipe and ring hold */

extern int progress[2]; /* how the process says where it is */

void log_too_much(void);

#endif
