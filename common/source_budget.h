/* How much each source address may ask for: a token bucket per IPv4 address or IPv6 /64, in a table of fixed
 * size under a keyed hash.
 *
 * A source that was not seen for long is forgotten and starts with a full bucket. A flood from many addresses
 * makes the table forget, never grow. Knows no clock. Pure; one thread at a time. */
#ifndef COMMON_SOURCE_BUDGET_H
#define COMMON_SOURCE_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "common/address.h"
#include "common/secret.h"

#define SOURCE_BUDGET_SETS 1024
#define SOURCE_BUDGET_WAYS 4 /* sources that may share a set before one of them is forgotten */

struct source_bucket {
    uint64_t tag;       /* keyed hash of the source; 0 = unused */
    uint64_t filled_ms; /* when `tokens` was last brought up to date */
    uint64_t tokens;    /* thousandths */
};

struct source_budget {
    uint8_t key[SHA256_SIZE]; /* random: nobody outside knows which sources share a set */
    unsigned per_second; /* tokens that come back each second, and the most a bucket holds; 0 = no limit */
    struct source_bucket bucket[SOURCE_BUDGET_SETS][SOURCE_BUDGET_WAYS];
};

void source_budget_init(struct source_budget *b, unsigned per_second);
/* Takes one token from the bucket of FROM at the time NOW_MS, which never goes back. False when it is empty.
 * Peers on unix sockets share one bucket. */
bool source_budget_take(struct source_budget *b, const struct address *from, uint64_t now_ms);

#endif
