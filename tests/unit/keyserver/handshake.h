/* A real TLS 1.2 handshake with RSA key exchange, both ends OpenSSL in memory, and its messages as an edge
 * collects them. Not a test program by itself. */
#ifndef TESTS_UNIT_KEYSERVER_HANDSHAKE_H
#define TESTS_UNIT_KEYSERVER_HANDSHAKE_H

#include "tests/unit/keyserver/keys.h"

#define HANDSHAKE_MESSAGES        5  /* ClientHello … ClientKeyExchange */
#define HANDSHAKE_STRANGE         30 /* extensions that no server knows */
#define HANDSHAKE_SUITES_OF_ALL   "kRSA:!kRSAPSK:!eNULL:@SECLEVEL=0"
#define HANDSHAKE_SUITE_OF_SHA256 "AES128-GCM-SHA256:@SECLEVEL=0"
#define HANDSHAKE_SUITE_OF_SHA384 "AES256-GCM-SHA384:@SECLEVEL=0"

struct handshake_wish {
    EVP_PKEY *pkey;          /* of the server */
    const char *ciphers;     /* the client's, in OpenSSL's words */
    const char *server_name; /* NULL: none is asked for */
    const char *alpn;        /* one protocol; NULL: none */
    bool tickets;            /* the client would take a session ticket */
    bool tls13;              /* the client speaks TLS 1.3 too */
    bool strange;            /* many extensions, most of them unknown */
};

struct handshake {
    uint8_t messages[HANDSHAKE_MAX];
    size_t length;
    uint16_t suite;
    uint16_t hash_bits;                     /* of the suite's PRF, as OpenSSL says */
    uint8_t client_master[TLS_MASTER_SIZE]; /* of the session, at either end */
    uint8_t server_master[TLS_MASTER_SIZE];
    bool complete; /* ClientKeyExchange has been seen */
};

void handshake_run(struct handshake *out, const struct handshake_wish *wish);
/* The extended master secret (RFC 7627, 4) of PREMASTER over HASH, with P_hash as RFC 5246, 5, writes it
 * down. */
void handshake_derive(uint8_t out[static TLS_MASTER_SIZE], const uint8_t premaster[static TLS_PREMASTER_SIZE],
                      const uint8_t *hash, unsigned hash_bits);

#endif
