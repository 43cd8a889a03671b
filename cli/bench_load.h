/* One measurement: so many requests kept in flight over the open channels for a while, and what became of
 * them.
 *
 * Latency is from the moment a request is given to the client to that of its answer, as a handshake waits.
 * Loop thread only. */
#ifndef CLI_BENCH_LOAD_H
#define CLI_BENCH_LOAD_H

#include "cli/bench_channels.h"
#include "cli/bench_cpu.h"
#include "cli/bench_histogram.h"

struct bench_settings {
    uint64_t warm_up_ns; /* before anything is counted */
    uint64_t measure_ns;
    const char *name;            /* rsa_master: for which the clients ask; NULL = none; borrowed */
    const struct bench_cpu *cpu; /* whose CPU time is read; borrowed */
    /* Called every tenth of a second with what is done, 0 to 1; NULL = nobody looks. */
    void (*on_progress)(double done, void *user);
    void *user;
};

struct bench_result {
    struct bench_histogram latency; /* ns, of answers with STATUS_OK while it was measured */
    uint64_t failed[STATUS_KINDS];  /* answers and losses without STATUS_OK, in all */
    double seconds;                 /* measured */
    bool cpu_known;
    uint64_t cpu_ns[BENCH_PROCESSES_MAX]; /* of each process, while it was measured */
};

/* Measures ONE at DEPTH requests in flight, which go round the channels. Ends early when a key server refuses
 * or nobody answers: more of the same tells nothing. ERR_MEMORY. */
int bench_load_run(struct bench_channels *channels, const struct bench_case *one, unsigned depth,
                   const struct bench_settings *settings, struct bench_result *result) MUST_USE;
/* Requests that failed, of all kinds. */
uint64_t bench_result_failed(const struct bench_result *result);

#endif
