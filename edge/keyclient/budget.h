/* Budget: how many requests may be asked a second time, so that a fleet which is slow or overloaded does not
 * get twice the work on top. At most 10 and one for every five recent requests.
 *
 * "Recent" is the current and the previous period. Knows no clock. Pure; any thread. */
#ifndef EDGE_KEYCLIENT_BUDGET_H
#define EDGE_KEYCLIENT_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define BUDGET_PERIOD_NS 5000000000u
#define BUDGET_FLOOR     10 /* extra requests allowed whatever the traffic */
#define BUDGET_SHARE     5  /* and one for so many requests */

struct budget {
    uint64_t period;      /* number of the current period */
    uint64_t requests[2]; /* in the current and the previous period */
    uint64_t extra[2];
};

/* Zero-initialised is empty. Counts one request submitted. */
void budget_request(struct budget *b, uint64_t now_ns);
/* True, and counted, when one more extra request may be made. */
bool budget_take(struct budget *b, uint64_t now_ns);

#endif
