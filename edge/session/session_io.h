/* Session I/O: the TLS end of a relay. Translates OpenSSL's results into those of relay.h and remembers what
 * kind of break it was, because after a fatal one OpenSSL must not be asked to shut down in order. Knows no
 * states. One thread. */
#ifndef EDGE_SESSION_SESSION_IO_H
#define EDGE_SESSION_SESSION_IO_H

#include <openssl/ssl.h>

#include "edge/relay/relay.h"
#include "edge/tls/tls_socket.h"

enum session_break {
    BREAK_NONE,
    BREAK_CUT,   /* FIN without close_notify (RFC 8446, 6.1; RFC 5246, 7.2.1) */
    BREAK_RESET, /* the connection is gone */
    BREAK_TLS,   /* the client broke the protocol, or a record did not authenticate */
};

struct session_io {
    SSL *ssl;                 /* owned by the session */
    struct tls_socket socket; /* its descriptor is owned by the session */
    enum session_break why;
    bool parting;          /* close_notify is the last that was written */
    bool notified;         /* it has left */
    unsigned idle_records; /* records that brought no data, less those that did; private */
};

extern const struct relay_end_type session_io_end;

/* Once, when the handshake is done and before anything is read. From now on a client that sends one record
 * after the other without data (KeyUpdate, attempts to renegotiate, warnings, empty ones) is BREAK_TLS:
 * OpenSSL answers each and reads on within the same call, for as long as more come. */
void session_io_begin(struct session_io *io);
/* Classifies a failed handshake: BREAK_TLS for an error of TLS (the error queue says which and is left as
 * it is), else how the client left. */
enum session_break session_io_handshake_break(void);
/* Whether the client has said something, which stays to be read: positive when it has, else as a relay_end's
 * read. */
int session_io_peek(struct session_io *io);
/* Sends what was written and has not left yet: positive when all of it has, else as a relay_end's write. */
int session_io_flush(struct session_io *io);
/* One attempt at close_notify, if one may still be sent. */
void session_io_farewell(struct session_io *io);
/* Reads away what the client has sent, within bounds, so that closing does not become a reset that overtakes
 * our last alert. */
void session_io_discard(int fd);

/* The TLS library that runs, "3.0.22". */
const char *session_io_library(void);

#endif
