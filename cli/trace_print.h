/* What `keyless trace` shows: the twelve steps for a person, or as JSON. One thread. */
#ifndef CLI_TRACE_PRINT_H
#define CLI_TRACE_PRINT_H

#include <jansson.h>

#include "cli/trace_tls.h"

/* The steps of RUN as lines; between the client's key exchange and its ChangeCipherSpec what the EDGE's admin
 * endpoint said of the key operation (NULL: not known), or, for a local run, LOCAL's (NULL: none). */
void trace_print_steps(const struct trace_run *run, const json_t *edge, const struct trace_local *local);
/* The same as a JSON object; the caller owns it. EDGE is borrowed and may be NULL. */
json_t *trace_print_json(const struct trace_run *run, const json_t *edge, const struct trace_local *local);

#endif
