/* The handshake messages of a TLS 1.2 RSA key exchange by their first byte: HandshakeType (RFC 5246, 7.4). */
#ifndef PROTO_HANDSHAKE_TYPE_H
#define PROTO_HANDSHAKE_TYPE_H

enum handshake_type {
    CLIENT_HELLO = 1,
    SERVER_HELLO = 2,
    CERTIFICATE = 11,
    SERVER_HELLO_DONE = 14,
    CLIENT_KEY_EXCHANGE = 16
};

#endif
