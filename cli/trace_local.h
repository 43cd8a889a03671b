/* The other end of a local comparison: an ordinary TLS server that has the key, for one connection. Blocking;
 * a thread of its own. */
#ifndef CLI_TRACE_LOCAL_H
#define CLI_TRACE_LOCAL_H

#include <stdint.h>

#include "common/err.h"

struct trace_local {
    const char *key_file, *cert_file;
    uint64_t key_ns; /* the private-key operation: from ClientKeyExchange to what follows it (RSA), or the
                        making of the message that is signed */
    struct fault fault;
    int result;
    int fd; /* the server's socket; taken */
};
/* The body of the thread; ARGUMENT is a struct trace_local. */
void *trace_local_serve(void *argument);

#endif
