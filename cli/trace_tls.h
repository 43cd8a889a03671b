/* The client of `keyless trace`: one handshake and one GET, with every step noted as it happens. Blocking;
 * one thread. */
#ifndef CLI_TRACE_TLS_H
#define CLI_TRACE_TLS_H

#include "cli/trace_notes.h"

struct trace_target {
    char *host;         /* SNI and the name that is verified */
    const char *path;   /* of the page; NULL = no HTTP */
    const char *ca;     /* file of trusted roots; NULL = the system's */
    bool insecure;      /* do not verify */
    int version;        /* TLS1_2_VERSION or TLS1_3_VERSION; 0 = either */
    const char *cipher; /* suites of that version; NULL = OpenSSL's */
};

/* Runs it over the connected socket FD, which is taken. `connect_ns` and `began_ns` must be set. 0, or a
 * negative error with run->fault set; the steps until then are noted. */
int trace_tls_run(struct trace_run *run, const struct trace_target *target, int fd) MUST_USE;

#endif
