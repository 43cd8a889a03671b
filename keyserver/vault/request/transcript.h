/* The transcript: the handshake messages of one TLS 1.2 RSA key exchange, from ClientHello to
 * ClientKeyExchange, read strictly and no further than the decision needs.
 *
 * Exactly ClientHello, ServerHello, Certificate, ServerHelloDone, ClientKeyExchange, nothing before, between
 * or after; every length exact; the certificate is hashed with the rest and not looked into. Whether the
 * session id is live and the name granted is the judge's matter. Pure; any thread. */
#ifndef KEYSERVER_VAULT_REQUEST_TRANSCRIPT_H
#define KEYSERVER_VAULT_REQUEST_TRANSCRIPT_H

#include <stddef.h>

#include "common/err.h"
#include "proto/operation.h"
#include "proto/session_id.h"

#define TRANSCRIPT_NAME_SIZE 256

/* Pointers are into the messages it was parsed from. */
struct transcript {
    const uint8_t *messages;
    size_t length;
    uint16_t client_version; /* ClientHello.legacy_version */
    uint16_t cipher_suite;   /* with RSA key exchange */
    uint16_t prf_bits;       /* of the suite's PRF hash: 256 or 384 (RFC 5246, 5; RFC 5289, 3) */
    uint16_t ciphertext_length;
    const uint8_t *session_id;              /* ServerHello's; SESSION_ID_SIZE bytes */
    const uint8_t *ciphertext;              /* EncryptedPreMasterSecret (RFC 5246, 7.4.7.1) */
    char server_name[TRANSCRIPT_NAME_SIZE]; /* of the ClientHello, in lower case (RFC 6066, 3); "" without */
};

/* ERR_FORMAT for anything that is not such a handshake: a client that wants less than TLS 1.2 or a server
 * that speaks another version, a suite that is not one of RSA key exchange or was not offered, no
 * extended_master_secret in one of the hellos (RFC 7627, 5.2, 5.3), one of the extensions that are looked at
 * twice, a session id of ServerHello that is not SESSION_ID_SIZE bytes, compression. */
int transcript_parse(struct transcript *out, const uint8_t *messages, size_t length) MUST_USE;

/* The session hash (RFC 7627, 3): prf_bits / 8 bytes into OUT. */
int transcript_hash(const struct transcript *transcript, uint8_t out[static TRANSCRIPT_HASH_MAX]) MUST_USE;

#endif
