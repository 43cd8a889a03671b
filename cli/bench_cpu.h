/* The CPU time of a key server's processes, when it runs on this machine: found by its admin endpoint, which
 * says who its supervisor is, and by whose children the others are.
 *
 * Needs no rights over them. One thread. */
#ifndef CLI_BENCH_CPU_H
#define CLI_BENCH_CPU_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/address.h"

#define BENCH_PROCESSES_MAX 8
#define BENCH_PROCESS_SIZE  16 /* TASK_COMM_LEN */

/* Zero-initialised is nobody. */
struct bench_cpu {
    struct bench_process {
        pid_t pid;
        char name[BENCH_PROCESS_SIZE]; /* "supervisor", "net", "vault" */
    } process[BENCH_PROCESSES_MAX];
    size_t count;
};

/* Nanoseconds of CPU time, one for each process. */
struct bench_cpu_times {
    uint64_t ns[BENCH_PROCESSES_MAX];
};

/* Asks ADMIN. With LISTENER, the answer must be that of the key server that listens there, or on that port of
 * all addresses while LISTENER is loopback; with NULL it is not checked. ERR_NOT_FOUND: nobody answers, it is
 * another key server, or its processes are not on this machine; the fault says which. */
int bench_cpu_find(struct bench_cpu *out, const char *admin, const struct address *listener,
                   struct fault *fault) MUST_USE;
/* False when one of them is gone. */
bool bench_cpu_read(const struct bench_cpu *cpu, struct bench_cpu_times *times);

#endif
