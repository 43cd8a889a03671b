/* Choice: which key server a request goes to next. The inside of route.h; nobody else includes it. Loop
 * thread only. */
#ifndef EDGE_KEYCLIENT_CHOICE_H
#define EDGE_KEYCLIENT_CHOICE_H

#include "edge/keyclient/route.h"

/* True when REQUEST was given to LINK before. */
bool choice_was_at(const struct client_request *request, const struct link *link);
/* The better of two among the links of the lowest rank that have room; NULL when none has. */
struct link *choice_find(struct client *client, const struct client_request *request, uint64_t now);
/* True when a server that has not seen REQUEST could take it, now or soon; avoided ones count with AVOIDED.
 */
bool choice_has_other(const struct client *client, const struct client_request *request, bool avoided,
                      uint64_t now);

#endif
