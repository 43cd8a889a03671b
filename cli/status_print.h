/* What a daemon's /status.json says, as a page of text for a person. Pure but for its output; one thread. */
#ifndef CLI_STATUS_PRINT_H
#define CLI_STATUS_PRINT_H

#include <jansson.h>
#include <stdio.h>

/* Prints STATUS (of keyless-server or keyless-edge, from the daemon at ADDRESS) to OUT. WHY is what /ready
 * said when it is not ready, NULL when it is. Members that are missing or of another type are left out;
 * control characters become '?', as names may come from a peer. */
void status_print(FILE *out, const json_t *status, const char *address, const char *why);

#endif
