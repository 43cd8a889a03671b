/* Choice: which certificates and key exchanges a client may be offered, by what the key servers grant this
 * edge and by what the client's ClientHello says. Asking a key server for what it is known to refuse would
 * fail the handshake late, and count as a refusal there.
 *
 * Pure; any thread. */
#ifndef EDGE_TLS_CHOICE_H
#define EDGE_TLS_CHOICE_H

#include "edge/bound/rsa_mode.h"
#include "proto/operation.h"

/* What a handshake needs, as far as it is known with the ClientHello. */
struct choice_facts {
    bool tls13;                  /* it will be TLS 1.3 */
    bool rsa_key_exchange;       /* the configuration offers it */
    bool extended_master_secret; /* the client knows it (RFC 7627) */
    bool fits;                   /* the handshake's messages fit one request (HANDSHAKE_MAX) */
};

struct choice {
    bool shown[KEY_TYPES];      /* by enum key_type: the certificate may be shown, if there is one */
    bool suites_limited;        /* TLS 1.2: not every suite that its certificates fit; the rest says which */
    bool rsa_signs;             /* suites with ECDHE and an RSA certificate */
    bool others_sign;           /* suites with ECDHE and another certificate */
    bool plain;                 /* RSA key exchange is to be plain, also where an epoch is announced */
    enum rsa_withheld withheld; /* why RSA key exchange is not offered */
};

/* GRANTED[type] has bit (1 << operation) for each operation that may be asked of the certificate's key; 0
 * where there is no certificate. When nothing is granted at all that the client could use, everything is
 * offered: the key server refuses it, and its owner learns which key is missing in the edge's line. But a
 * client is never the cause: what its own ClientHello rules out is ruled out here. */
void choice_make(struct choice *out, const uint32_t granted[static KEY_TYPES],
                 const struct choice_facts *facts);

#endif
