/* The options of a line of authorized_edges: what stands behind key and name. A part of authorized.h. Pure.
 */
#ifndef KEYSERVER_RULES_AUTHORIZED_OPTIONS_H
#define KEYSERVER_RULES_AUTHORIZED_OPTIONS_H

#include "keyserver/rules/authorized.h"

#define AUTHORIZED_BLANKS " \t\r"

/* Fills the options of EDGE, zeroed but for key, name and line, from TEXT, which is taken apart. ERR_CONFIG
 * with a fault, without file and line, that repeats nothing that may be a secret; what was allocated by then
 * is EDGE's. */
int authorized_options_parse(struct authorized_edge *edge, char *text, struct fault *fault) MUST_USE;

/* True for 1 to LONGEST letters, digits, '.', '_' and '-'. */
bool authorized_is_name(const char *text, size_t longest);

#endif
