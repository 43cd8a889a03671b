/* Channels to one key server, of one edge or of several, kept open for all measurements.
 *
 * Knows who may ask what; measures nothing. Loop thread only. */
#ifndef CLI_BENCH_CHANNELS_H
#define CLI_BENCH_CHANNELS_H

#include "cli/bench_plan.h"
#include "cli/servers.h"

#define BENCH_EDGES_MAX    16
#define BENCH_CHANNELS_MAX 1024 /* of all edges together */

/* One key server, and the edges that know it. */
struct bench_target {
    const struct client_server *server; /* as the first edge has it; borrowed */
    struct bench_edge {
        const struct key_servers *all;      /* of its configuration; borrowed */
        const struct client_server *server; /* borrowed */
    } edge[BENCH_EDGES_MAX];
    size_t edge_count;
};

struct bench_channels {
    uv_loop_t loop;
    bool open;
    struct client **client;            /* owned, `count`; each with one channel */
    struct client_server_stats *stats; /* owned, parallel */
    size_t count;
    struct bench_plan plan; /* what all edges are granted */
    struct asking asking;   /* of what is granted: why there is no answer */
};

/* Opens EACH channels for every edge of TARGET and asks with each edge's first one what it is granted; the
 * plan is what all are granted of WISHES. STATUS_OK, or what the key server answered; ERR_MEMORY (negative)
 * without memory. Close in every case. */
int bench_channels_open(struct bench_channels *channels, const struct bench_target *target, size_t each,
                        const struct bench_wishes *wishes) MUST_USE;
void bench_channels_close(struct bench_channels *channels);

/* Waits until every channel has an epoch for rsa_master, 5 s at most; STATUS_OK, or STATUS_UNAVAILABLE when
 * one has none. */
enum operation_status bench_channels_await_epochs(struct bench_channels *channels);

#endif
