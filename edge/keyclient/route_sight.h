/* Sight: what dispatch.h is to know of requests and key servers. The inside of route.h. Loop thread only. */
#ifndef EDGE_KEYCLIENT_ROUTE_SIGHT_H
#define EDGE_KEYCLIENT_ROUTE_SIGHT_H

#include "edge/keyclient/route.h"

/* An attempt of REQUEST that is in use, or NULL. */
struct client_attempt *route_sight_attempt(struct client_request *request);
/* REQUEST is given to SERVER. */
void route_sight_note(struct client_request *request, size_t server);
struct dispatch_request route_sight_request(struct client_request *request);
/* Fills in `servers`, one for each link, as they are for REQUEST. */
void route_sight_servers(struct route *route, const struct client_request *request, uint64_t now_ns);

#endif
