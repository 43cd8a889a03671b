/* What `keyless trace` shows: the steps for a person, or as JSON. One thread. */
#ifndef CLI_TRACE_PRINT_H
#define CLI_TRACE_PRINT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "cli/trace_local.h"
#include "cli/trace_notes.h"

/* The steps of RUN as lines: when each happened, and how long after the one before. Where the private key is
 * used (before the message that is signed, after a ClientKeyExchange that is encrypted to it) what the EDGE's
 * admin endpoint said of that (NULL: not known), or, for a local run, LOCAL's (NULL: none). */
void trace_print_steps(FILE *out, bool colour, const struct trace_run *run, const json_t *edge,
                       const struct trace_local *local);
/* The same as a JSON object; the caller owns it. EDGE is borrowed and may be NULL. */
json_t *trace_print_json(const struct trace_run *run, const json_t *edge, const struct trace_local *local);

#endif
