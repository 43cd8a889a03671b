/* Orders: what the supervisor and the loader say to each other, over a socket pair of their own.
 *
 * Messages of one fixed size; with an order come descriptors. Nothing in them comes from the network. Each
 * end belongs to one thread. */
#ifndef KEYSERVER_RULES_ORDER_H
#define KEYSERVER_RULES_ORDER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

enum order_kind {
    ORDER_START = 1, /* load, and begin a vault */
    ORDER_RELOAD,    /* load what has changed, everything or nothing, and begin a vault */
    ORDER_RESTART,   /* begin a vault with what is loaded, and read no file */
    ORDER_KEEP,      /* that vault has taken over: what was loaded for it counts; no descriptors */
    ORDER_DROP,      /* it did not: what was loaded before counts; no descriptors */
    ORDER_KINDS
};

/* What comes with the first three, in this order. */
struct order_descriptors {
    int config; /* sealed memory with the configuration, as config_dump() writes it */
    int edges;  /* a snapshot of authorized_edges */
    int wall;   /* the vault's end */
    int ready;  /* gets one byte from the vault once it serves */
    int before; /* what the vault that it replaces has left to it: order_memory() */
    int own;    /* for what it leaves itself */
    int gaps;   /* what all vaults leave to each other (gap_slots.h) */
};

#define ORDER_WHY_SIZE 1024

struct order_answer {
    bool goes_on;                         /* a key file was read: only a word on the way to the answer */
    pid_t pid;                            /* of the vault, a child of the supervisor; 0: there is none */
    uint32_t loaded, kept, removed, keys; /* key files that were read, were not, are gone; keys in use */
    char why[ORDER_WHY_SIZE];             /* there is none because */
};

/* A connected pair, close-on-exec; the first end, the supervisor's, does not block. */
int order_pair(int fds[static 2]) MUST_USE;
/* A memory file (close-on-exec, the caller's) for what vaults leave to others; it outlives them. ERR_SYSTEM.
 */
int order_memory(void) MUST_USE;
/* FDS (NULL: none) stay the caller's. ERR_CUT when the loader is gone, ERR_BUSY, ERR_SYSTEM. */
int order_send(int fd, enum order_kind kind, const struct order_descriptors *fds) MUST_USE;
/* Waits for an order; OUT's descriptors, or -1, are the caller's then. ERR_CUT when the supervisor is gone,
 * ERR_FORMAT. */
int order_receive(int fd, enum order_kind *kind, struct order_descriptors *out) MUST_USE;
void order_close(struct order_descriptors *fds);
int order_answer(int fd, const struct order_answer *answer) MUST_USE;
/* ERR_BUSY when there is none, ERR_CUT when the loader is gone. */
int order_answer_receive(int fd, struct order_answer *out) MUST_USE;

#endif
