/* The client of `keyless trace`: one TLS 1.2 RSA handshake and one GET, with every step noted as it happens.
 * Blocking; one thread. */
#ifndef CLI_TRACE_TLS_H
#define CLI_TRACE_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "proto/operation.h"

/* The twelve steps, in the order of RFC 5246, 7.3, for an RSA key exchange. */
enum trace_step {
    STEP_CLIENT_HELLO,
    STEP_SERVER_HELLO,
    STEP_CERTIFICATE,
    STEP_SERVER_HELLO_DONE,
    STEP_CLIENT_KEY_EXCHANGE,
    STEP_CLIENT_CCS,
    STEP_CLIENT_FINISHED,
    STEP_SERVER_CCS,
    STEP_SERVER_FINISHED,
    STEP_ESTABLISHED,
    STEP_HTTP,
    STEP_CLOSED,
    STEP_COUNT
};

struct trace_note {
    bool seen;
    uint64_t ns;      /* since the TCP connection stood */
    size_t bytes;     /* of the handshake message, or of the page */
    char detail[160]; /* what is worth telling; printable */
};

struct trace_run {
    struct trace_note step[STEP_COUNT];
    uint64_t connect_ns; /* what the TCP connect took */
    uint64_t began_ns;   /* clock_ns() when the TCP connection stood */
    uint8_t client_random[TLS_RANDOM_SIZE];
    int http_status;    /* 0 = none understood */
    struct fault fault; /* why it ended early */
};

struct trace_target {
    char *host;       /* SNI and the name that is verified */
    const char *path; /* of the page; NULL = no HTTP */
    const char *ca;   /* file of trusted roots; NULL = the system's */
    bool insecure;    /* do not verify */
    const char *cipher;
};

/* Runs it over the connected socket FD, which is taken. `connect_ns` and `began_ns` must be set. 0, or a
 * negative error with run->fault set; the steps until then are noted. */
int trace_tls_run(struct trace_run *run, const struct trace_target *target, int fd) MUST_USE;

/* For the other end of a local comparison: notes when the ClientKeyExchange was there and when it was worked
 * off. */
struct trace_local {
    const char *key_file, *cert_file;
    uint64_t key_ns; /* the private-key operation, from ClientKeyExchange to the client's ChangeCipherSpec */
    struct fault fault;
    int result;
    int fd; /* the server's socket; taken */
};
/* The body of a thread: an ordinary TLS server with the key in a file, for one connection; ARGUMENT is a
 * struct trace_local. */
void *trace_local_serve(void *argument);

#endif
