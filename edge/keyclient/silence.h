/* Silence: when an open channel counts as one through which nothing comes any more, as after a NAT or a
 * firewall has forgotten the connection: no error is ever reported, every packet just vanishes.
 *
 * A request that waits proves nothing, since its vault may be slow, but the process that holds the channel
 * answers a ping at once. So a late answer is a reason to ping, and only a ping that brings nothing proves
 * silence. Knows no clock and no channel. Pure; any thread. */
#ifndef EDGE_KEYCLIENT_SILENCE_H
#define EDGE_KEYCLIENT_SILENCE_H

#include <stdint.h>

/* An answer is late after LATE_NS, or after two round trips if those are longer; a ping that brought nothing
 * proves silence after PROVEN_NS, or after three. */
#define SILENCE_LATE_NS   250000000u
#define SILENCE_PROVEN_NS 750000000u

/* What is known of a channel; times of one clock, in nanoseconds. */
struct silence_sight {
    uint64_t waits_ns; /* when the oldest request without an answer left; 0 = there is none */
    uint64_t heard_ns; /* when anything came last */
    uint64_t asked_ns; /* when a ping left, if nothing has come since; 0 = no such ping */
    uint64_t rtt_ns;   /* 0 = not known */
};

enum silence {
    SILENCE_NONE,
    SILENCE_LATE,  /* ping it */
    SILENCE_PROVEN /* open another channel */
};

/* LOOK_NS: when the judgement may be another one; UINT64_MAX = not before something is sent, or comes. */
enum silence silence_decide(const struct silence_sight *sight, uint64_t now_ns, uint64_t *look_ns);

#endif
