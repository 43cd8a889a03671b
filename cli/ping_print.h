/* What `keyless ping` says of one key server. Pure but for the printing. */
#ifndef CLI_PING_PRINT_H
#define CLI_PING_PRINT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct ping_result {
    const char *server, *address; /* borrowed */
    size_t sent, answered;
    uint64_t min_ns, median_ns, p99_ns, max_ns; /* of those that were answered; 0 when none was */
    const char *error;                          /* why the rest was not; "" = all were answered; borrowed */
    const char *hint;                           /* what to look at; "" = nothing is known; borrowed */
};

/* Of COUNT values in ascending order the one that PERCENT (1 to 100) of 100 do not exceed, by nearest rank:
 * a value that was measured, never less than the median for a PERCENT above 50. 0 when COUNT is 0. */
uint64_t ping_percentile(const uint64_t *sorted, size_t count, unsigned percent);
/* Sorts NS, the COUNT round trips that were answered, and fills the times of RESULT in. */
void ping_result_take(struct ping_result *result, uint64_t *ns, size_t count);

/* One line, for a person. Of a server that answered nothing: where it is, and why. */
void ping_print(FILE *out, const struct ping_result *result);
json_t *ping_json(const struct ping_result *result); /* owned by the caller; NULL without memory */

#endif
