/* Link log: what the log says of the way to a key server. The inside of link.h. Loop thread only. */
#ifndef EDGE_KEYCLIENT_LINK_LOG_H
#define EDGE_KEYCLIENT_LINK_LOG_H

#include "edge/keyclient/link.h"

/* event=key_server_connect_failed: the channel to ADDRESS (NULL: there is none) did not come about; the next
 * attempt is in RETRY_MS. */
void link_log_failed(const struct link *link, const struct address *address, int why, uint64_t retry_ms);
/* The same in words, borrowed from LINK until its next attempt. */
struct client_failure link_log_failure(const struct link *link, const struct address *address, int why);
/* event=key_server_connected */
void link_log_connected(const struct link *link);
/* event=key_server_lost: RETRIED of IN_FLIGHT requests go elsewhere, or wait. */
void link_log_lost(const struct link *link, int why, size_t in_flight, size_t retried);
/* event=key_server_stalled */
void link_log_stalled(const struct link *link);
/* event=key_server_silent: nothing has come through the channel for SILENT_MS. */
void link_log_silent(const struct link *link, uint64_t silent_ms);
/* event=key_server_heard: something has come through it again. */
void link_log_heard(const struct link *link);
/* event=key_server_channel_replaced: another channel has taken the place of the silent one, which had
 * IN_FLIGHT requests; RETRIED of them are sent again. */
void link_log_replaced(const struct link *link, size_t in_flight, size_t retried);

#endif
