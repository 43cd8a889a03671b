/* The last lines of a process that crashes: what waits in the log's ring, and one line that names the signal.
 * A failed assertion is such a crash, in every program that this is linked into: the line says which and
 * where, and the C library's own message, which would wait for its reader, is not written.
 *
 * A signal handler's work: no lock that could be held for good, no memory, no time zone. */
#ifndef COMMON_LOG_CRASH_H
#define COMMON_LOG_CRASH_H

#include <stdbool.h>

/* Takes SIGABRT and, but in a build with sanitizers, the processor's signals. The process still dies of the
 * signal. PROGRAM is borrowed for the life of the process; JSON and JOURNAL as the other lines are. */
void log_crash_catch(const char *program, bool json, bool journal);

#endif
