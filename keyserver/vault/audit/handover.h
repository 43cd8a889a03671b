/* Handing over: what a vault leaves to the one that takes its place, in a memory file that outlives it. So
 * what a vault has reached does not depend on what happens to stand on the disk: not in a reload, and not
 * when a vault dies.
 *
 * Each vault reads the file of the one before it and writes one of its own. What is written is there as a
 * whole or not at all, also for who reads meanwhile and when the writer is killed. Holds no secret. One
 * thread at a time. */
#ifndef KEYSERVER_VAULT_AUDIT_HANDOVER_H
#define KEYSERVER_VAULT_AUDIT_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

struct handover_state {
    uint64_t epoch_ms; /* time of epochs (epoch.h) that was reached */
    uint64_t mono_ms;  /* when that was, of a clock that is never set */
};

/* Zero-initialised there is nobody before, and nobody is told. */
struct handover {
    struct handover_state before; /* of the vault before, when this one began; zero: there was none */
    struct handover_state own;    /* as it was written last */
    int fd;                       /* borrowed; read above 0 */
    uint64_t turn;                /* of what was written last */
};

/* Begins with what the vault before has left at BEFORE (-1: nobody was); OWN is this one's. Both are
 * borrowed; OWN for as long as HANDOVER is used. */
void handover_init(struct handover *handover, int before, int own);
/* The time of epochs at MONO_MS by what the vault before has left; 0 without one. */
uint64_t handover_epoch(const struct handover *handover, uint64_t mono_ms);
/* Leaves the time of epochs that is reached. */
void handover_leave_epoch(struct handover *handover, uint64_t epoch_ms, uint64_t mono_ms);

/* What stands in the memory file FD now. ERR_NOT_FOUND when nothing does. */
int handover_read(int fd, struct handover_state *out) MUST_USE;

#endif
