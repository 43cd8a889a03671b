/* Lines that cannot wait for the log's ring: of a process that crashes, and of threads that may wait for
 * nobody.
 *
 * A failed assertion is such a crash, in every program that this is linked into: the line says which and
 * where, and the C library's own message, which would wait for its reader, is not written.
 *
 * A signal handler's work: no lock that could be held for good, no memory, no time zone. */
#ifndef COMMON_LOG_CRASH_H
#define COMMON_LOG_CRASH_H

#include <stdbool.h>

#include "common/log.h"

/* How the lines begin; PROGRAM is borrowed for the life of the process. */
void log_crash_name(const char *program, bool json, bool journal);
/* Catches SIGABRT and, except in a build with sanitizers, the signals of the processor's faults. The process
 * still dies of the signal, whether a fault raised it or another process sent it; first what waits in the
 * log's ring is written, and one line that names the signal. */
void log_crash_catch(void);
/* The last line of a process that dies, an error, after what waits in the ring. */
void log_crash_say(const char *event, const struct log_field *fields, size_t count);
/* A warning of a process that goes on, written directly and not through the ring. */
void log_crash_warn(const char *event, const struct log_field *fields, size_t count);

#endif
