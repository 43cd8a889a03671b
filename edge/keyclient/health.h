/* Health: how well a key server answers, and whether others are to be preferred for that. What makes it worse
 * and better is said in dispatch.h.
 *
 * Knows no clock and no channel. Pure; any thread. */
#ifndef EDGE_KEYCLIENT_HEALTH_H
#define EDGE_KEYCLIENT_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#define HEALTH_UNABLE_MS 100 /* how long a server is avoided that could do nothing */

/* Times of one clock, in nanoseconds. */
struct health {
    uint64_t probe_interval_ns; /* between two requests that try a stalled server */
    uint64_t answered_ns;       /* the last valid answer; 0 = none */
    uint64_t probe_ns;          /* stalled: when it gets the next request to try */
    uint64_t unable_ns;         /* until then it is avoided, because it said that it could do nothing */
    bool stalled;               /* has left requests unanswered, and answered none since */
};

/* It has answered; true when it was stalled until now. */
bool health_answer(struct health *health, uint64_t now_ns);
/* It gets a request: when it is stalled, the next one only after the interval. */
void health_send(struct health *health, uint64_t now_ns);
/* It has left a request unanswered too long; true when that is new. */
bool health_stall(struct health *health, uint64_t now_ns);
/* It has answered that it can do nothing at present. */
void health_set_unable(struct health *health, uint64_t now_ns);
/* True when it has answered nothing since SINCE_NS. */
bool health_is_silent(const struct health *health, uint64_t since_ns);
/* True when others are to be preferred: stalled, and no try is due, or unable. */
bool health_is_avoided(const struct health *health, uint64_t now_ns);

#endif
