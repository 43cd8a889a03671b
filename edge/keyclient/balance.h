/* Balance: which key server gets the next request. The better of two drawn at random ("power of two
 * choices"): nearly as even as asking for the best of all, and without the herd that follows the best of all.
 *
 * Sees numbers only, no channels. Pure; any thread. */
#ifndef EDGE_KEYCLIENT_BALANCE_H
#define EDGE_KEYCLIENT_BALANCE_H

#include <stddef.h>
#include <stdint.h>

struct balance_candidate {
    size_t in_flight; /* requests it has from this thread */
    uint64_t rtt_ns;  /* 0 = not known yet */
    size_t index;     /* the caller's name for it */
};

/* Round trips below this are taken for equal: they say more about the machine's noise than about the way. */
#define BALANCE_RTT_FLOOR_NS 500000

/* True when A is expected to answer the next request no later than B: (in flight + 1) × round trip. When a
 * round trip is unknown the requests in flight decide. */
int balance_prefers(const struct balance_candidate *a, const struct balance_candidate *b);
/* The index (not the position) of the one chosen among COUNT ≥ 1 candidates, drawn with RANDOM. */
size_t balance_choose(const struct balance_candidate *candidates, size_t count, uint64_t random);
/* The next number of a generator good enough for choices and jitter, never for secrets (splitmix64). */
uint64_t balance_random(uint64_t *state);

#endif
