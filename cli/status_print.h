/* What a daemon's /status.json says, as a page of text for a person. Pure but for its output; one thread. */
#ifndef CLI_STATUS_PRINT_H
#define CLI_STATUS_PRINT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

struct status_view {
    bool all;    /* every row of every table; otherwise the worst, as many as fit a screen */
    bool colour; /* the output is a terminal that wants it */
};

/* Prints STATUS (of keyless-server or keyless-edge, from the daemon at ADDRESS) to OUT. WHY is what /ready
 * said when it is not ready, NULL when it is. Members that are missing or of another type are left out;
 * control characters become '?', as names may come from a peer. */
void status_print(FILE *out, const json_t *status, const char *address, const char *why,
                  const struct status_view *view);

#endif
