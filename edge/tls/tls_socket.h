/* TLS socket: how OpenSSL reads and writes a client's socket. A BIO that avoids useless system calls: when a
 * read brought less than there was room for, the next waits until the loop has seen something come. It does
 * so after some reads in any case: OpenSSL may read on within one call for as long as there is something, and
 * other clients wait. What is followed by more at once says so, so that it does not leave in pieces. After
 * the handshake it takes whole records: OpenSSL answers some of what it reads (KeyUpdate, an attempt to
 * renegotiate), and ends the connection when a record of its own has left only in part. Until then it ends
 * the handshake of a ClientHello that is too long, before OpenSSL makes room for it. Knows neither sessions
 * nor loops. One thread. */
#ifndef EDGE_TLS_TLS_SOCKET_H
#define EDGE_TLS_TLS_SOCKET_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "common/bytes.h"
#include "edge/tls/hello_scan.h"

/* Of OpenSSL's buffer, one record each: enough for the longest ClientHello. */
#define TLS_SOCKET_READS 8
/* Bytes that are kept for the kernel: while there are so many, OpenSSL waits with more. */
#define TLS_SOCKET_KEPT_MAX 32768

/* Embedded in the owner of the descriptor. */
struct tls_socket {
    int fd;                  /* borrowed */
    SSL *ssl;                /* borrowed */
    bool dry;                /* nothing is read until tls_socket_wake() */
    bool more;               /* what is written now is followed by more in this turn; set by the owner */
    bool ended;              /* the peer has sent FIN */
    unsigned reads;          /* since then */
    bool begun;              /* something has come */
    bool proxied;            /* and it began with a PROXY protocol header, version 1 or 2 */
    struct hello_scan hello; /* what has come of the ClientHello */
    bool too_long;           /* it is longer than HELLO_LENGTH_MAX: the alert is sent, nothing more is read */
    bool keeps;              /* takes whole records */
    struct buffer kept;      /* taken, but not by the kernel yet */
};

/* From now on SSL reads and writes through SOCKET, which must outlive it, and shows nobody. ERR_MEMORY. */
int tls_socket_attach(SSL *ssl, struct tls_socket *socket) MUST_USE;
/* From now on nobody is shown what SSL sends and receives (SSL_set_msg_callback()). A callback there is in
 * any case: from 3.2 on OpenSSL's record layers call none when there was none at the time when they were
 * made. */
void tls_socket_show_nobody(SSL *ssl);
/* From now on, after the handshake, whole records are taken. */
void tls_socket_keep(struct tls_socket *socket);
/* Gives the kernel what was kept: 1 nothing is left, 0 something is, and the loop tells when to try again, or
 * ERR_CUT. */
int tls_socket_flush(struct tls_socket *socket) MUST_USE;
/* True while something is kept. */
bool tls_socket_is_behind(const struct tls_socket *socket);
/* Forgets what was kept. */
void tls_socket_clear(struct tls_socket *socket);
/* The loop, which tells as long as there is something, has told that there is something to be read. */
void tls_socket_wake(struct tls_socket *socket);

#endif
