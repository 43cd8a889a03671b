/* A bounded queue of log lines: whole lines in, pieces of whole lines out, what does not fit is counted.
 *
 * Never waits and never allocates. Once it was full it takes nothing until a quarter of it is free, so that a
 * gap in the log is one gap. Takes no lock: the caller does (log_writer.c). Pure. */
#ifndef COMMON_LOG_RING_H
#define COMMON_LOG_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define LOG_RING_SIZE  (256 * 1024) /* bytes; a power of two */
#define LOG_PIECE_SIZE 4096         /* PIPE_BUF: what is written at once does not mix with others' lines */

struct log_ring {
    uint64_t head; /* bytes ever put */
    uint64_t tail; /* bytes ever taken */
    bool shedding; /* was full, and not enough is free yet */
    char bytes[LOG_RING_SIZE];
};

void log_ring_clear(struct log_ring *ring);
/* Bytes that wait. */
size_t log_ring_fill(const struct log_ring *ring);
/* True while the ring takes what comes. */
bool log_ring_has_room(const struct log_ring *ring);
/* Puts whole lines of LENGTH bytes, each with its line end, LOG_PIECE_SIZE at most together. ERR_BUSY when
 * they do not fit: then nothing of them is in. */
int log_ring_put(struct log_ring *ring, const char *lines, size_t length) MUST_USE;
/* Takes as many whole lines as fit in OUT, oldest first; returns their length, 0 when there are none. */
size_t log_ring_take(struct log_ring *ring, char out[static LOG_PIECE_SIZE]);

#endif
