/* The process's way to standard error: nobody who logs waits for whoever reads the log.
 *
 * Until log_writer_start() a line is written at once, and waited for a second at most in all while nobody
 * reads. From then on a thread of its own writes, from a ring (log_ring.h): what does not fit is dropped and
 * counted. Standard error is left as it was given, blocking: the open file is shared with other processes. A
 * process that forks has no writer in its child until the child starts one; lines that wait stay the
 * parent's. Any thread. */
#ifndef COMMON_LOG_WRITER_H
#define COMMON_LOG_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

enum log_haste {
    LOG_SOON, /* within LOG_LINGER_MS, together with what comes meanwhile */
    LOG_AT_ONCE,
};

#define LOG_LINGER_MS 20

/* Starts the thread of this process: before a sandbox that forbids threads, after one that threads inherit.
 * Does nothing when there is one. */
int log_writer_start(void) MUST_USE;
/* Whole lines of LENGTH bytes, LOG_PIECE_SIZE at most. Lines of one thread keep their order. */
void log_writer_put(const char *lines, size_t length, enum log_haste haste);
/* How many lines were dropped since this last said so, for the next line to tell; 0 as long as no line would
 * be taken. The caller has told it, or gives it back. */
uint64_t log_writer_take_gap(void);
/* Lines dropped in this process so far. */
uint64_t log_writer_dropped(void);
/* Waits until everything is written, TIMEOUT_MS at most without anybody reading, and four times that in all.
 * From then on lines are written at once, and wait for what is left of the last TIMEOUT_MS. Before the end of
 * the process. */
void log_writer_finish(unsigned timeout_ms);
/* Writes what waits and then the LAST line, from a signal handler of a process that dies: gives up on a lock
 * that another thread holds, and after a second on whoever reads. */
void log_writer_rescue(const char *last, size_t length);

#endif
