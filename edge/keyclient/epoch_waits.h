/* Epoch waits: the sessions that wait until a key server announces an epoch, by their deadlines.
 *
 * Knows no clock and no epoch. One thread. */
#ifndef EDGE_KEYCLIENT_EPOCH_WAITS_H
#define EDGE_KEYCLIENT_EPOCH_WAITS_H

#include <stdbool.h>
#include <stdint.h>

/* The wait of one session for an epoch, embedded in its owner, who zeroes it once and keeps it alive from
 * client_await_epoch until on_end or client_cancel_epoch. */
struct client_epoch_wait {
    /* set by the owner before client_await_epoch */
    uint64_t deadline_ns; /* of clock_ns() */
    /* Exactly once, from the loop or from client_close, never from inside client_await_epoch; not after
     * client_cancel_epoch. Says nothing itself: look with client_choose_epoch(). The wait may be freed or
     * begin again inside. */
    void (*on_end)(struct client_epoch_wait *wait);
    void *user;
    /* private to the client */
    bool open;
    struct client_epoch_wait *prev, *next;
};

/* Zero-initialised is empty. */
struct epoch_waits {
    struct client_epoch_wait *first; /* list, the first deadline first; borrowed */
};

void epoch_waits_put(struct epoch_waits *waits, struct client_epoch_wait *wait);
/* Takes WAIT out without a word. Nothing happens if it is not open. */
void epoch_waits_remove(struct epoch_waits *waits, struct client_epoch_wait *wait);
/* Ends those that wait now; what begins inside is not among them. */
void epoch_waits_end_all(struct epoch_waits *waits);
/* Ends those whose deadline is at NOW_NS or before. */
void epoch_waits_due(struct epoch_waits *waits, uint64_t now_ns);
/* The first of the deadlines; UINT64_MAX when nobody waits. */
uint64_t epoch_waits_first_ns(const struct epoch_waits *waits);

#endif
