/* Edge status: what the admin endpoint shows. /metrics for Prometheus, /live, /ready, /status.json, and
 * /trace/CLIENT_RANDOM (64 hex digits) for one recent handshake. Main thread only. */
#ifndef EDGE_DAEMON_EDGE_STATUS_H
#define EDGE_DAEMON_EDGE_STATUS_H

#include "common/admin.h"
#include "common/sandbox.h"
#include "edge/daemon/setup.h"
#include "edge/daemon/thread.h"

/* A thread whose loop has not turned for so long hangs. */
#define EDGE_LIVE_MS 5000

/* What there is to show; the admin endpoint's user. Everything is borrowed. */
struct edge_status {
    const struct setup *setup;
    struct thread **threads;
    unsigned thread_count;
    const struct address *listeners; /* as bound */
    size_t listener_count;
    uint64_t started_ns; /* of clock_ns() */
    struct sandbox_state sandbox;
    bool draining;
};

extern const struct admin_route edge_status_routes[];

/* The routes' handlers, for tests and edge_status.c. */
int edge_status_json(struct buffer *body, const char *rest, void *user);
int edge_status_trace(struct buffer *body, const char *rest, void *user);
int edge_status_metrics(struct buffer *body, const char *rest, void *user);
/* NULL when new handshakes can be served: some key server is connected, every socket listens, and the daemon
 * is not draining. Otherwise why they cannot. */
const char *edge_status_not_ready(const struct edge_status *status);
/* The sum of all threads' counters. OUT is zeroed. */
void edge_status_sum(const struct edge_status *status, struct session_stats *out);

#endif
