/* The key server's metrics as Prometheus text: every family, its help and its samples. No label comes from an
 * edge. Loop thread only. */
#ifndef KEYSERVER_NET_SERVER_METRICS_H
#define KEYSERVER_NET_SERVER_METRICS_H

#include "keyserver/net/server_status.h"

/* Appends them all. */
void server_metrics_write(struct buffer *out, const struct server_status *status);

#endif
