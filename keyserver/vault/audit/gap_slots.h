/* Gaps (audit_gap.h) in a memory file that all vaults of a key server share, each with a slot of its own: so
 * no number of uses without a record ends with its vault, in whatever order vaults end, and however.
 *
 * A slot belongs to the process that has a lock on it, which ends with the process (fcntl(2), "advisory
 * record locking": never close another descriptor of the file in a vault). What stands in the slot of a
 * process that has ended is taken over by any other vault, once: whenever a process is killed, a number that
 * was left stands in exactly one slot, or in two of which one says that it holds the other's. Holds no
 * secret. One thread at a time. */
#ifndef KEYSERVER_VAULT_GAP_SLOTS_H
#define KEYSERVER_VAULT_GAP_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GAP_SLOTS 16 /* more than there are vaults at a time */

struct gap_number {
    uint64_t since_ms;   /* since then, */
    uint64_t unrecorded; /* uses that were answered without a record, */
    uint64_t withheld;   /* results that were not released */
};

/* What a slot says. */
struct gap_state {
    struct gap_number number;
    uint64_t taken;          /* it holds what the slot of this index less 1 held, 0: of no slot, */
    uint64_t taken_sequence; /* when that had this sequence number */
};

/* Zero-initialised there is no file. */
struct gap_slots {
    int fd; /* borrowed; read above 0 */
    bool claimed;
    size_t own;             /* the index, once it is claimed */
    uint64_t sequence;      /* of what was written there last, */
    struct gap_state state; /* which is this */
};

/* FD (-1: none) is borrowed for as long as SLOTS is used: a memory file that was empty when the first vault
 * of the key server began. */
void gap_slots_init(struct gap_slots *slots, int fd);
/* Leaves NUMBER as this vault's. The first time this is gap_slots_gather(). When it cannot be written, there
 * is no memory: the next call tries again. */
void gap_slots_leave(struct gap_slots *slots, struct gap_number *number);
/* Adds what vaults that have ended have left to NUMBER, which is this vault's, and leaves the sum. The first
 * time it claims a slot. Never waits: what another vault is about to take over is looked for by the next
 * call. Quick when there is nothing. */
void gap_slots_gather(struct gap_slots *slots, struct gap_number *number);

/* True when nothing is missing. */
bool gap_number_is_empty(const struct gap_number *number);

#endif
