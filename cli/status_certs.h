/* The certificates of an edge on the page of `keyless status`, and the choice of what fits a screen. Pure but
 * for its output; one thread. */
#ifndef CLI_STATUS_CERTS_H
#define CLI_STATUS_CERTS_H

#include "cli/status_print.h"

#define STATUS_ROWS_MAX 8 /* of a table, unless all are wanted */

/* Members of a JSON array, sorted. */
struct status_list {
    json_t **item; /* owned; the members are borrowed */
    size_t count;
    size_t shown; /* how many are to be printed */
};
/* Those of ARRAY that are objects, in the order of COMPARE (as for qsort, of json_t *); none without memory,
 * or of what is no array. The caller frees `item`. */
struct status_list status_list_sorted(const json_t *array, int (*compare)(const void *, const void *),
                                      const struct status_view *view);

/* A line that sums them up, and rows: those that end soonest first. */
void status_print_certificates(FILE *out, const json_t *status, const struct status_view *view);

#endif
