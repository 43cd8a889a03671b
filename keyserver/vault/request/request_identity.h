/* The identity of a request: who asks for the use of which key, for the fair queue and for the record. Plain
 * data. */
#ifndef KEYSERVER_VAULT_REQUEST_REQUEST_IDENTITY_H
#define KEYSERVER_VAULT_REQUEST_REQUEST_IDENTITY_H

#include "common/log.h"
#include "keyserver/rules/authorized.h"
#include "keyserver/vault/keys/keystore.h"
#include "keyserver/vault/request/hasher.h"
#include "keyserver/vault/request/key_request.h"
#include "keyserver/vault/request/transcript.h"

#define REQUEST_DIGEST_SIZE 16

struct request_identity {
    const struct authorized_edge *edge; /* borrowed */
    const struct key *key;              /* borrowed */
    enum operation_kind kind;
    uint16_t scheme; /* of a signature; 0 for RSA key exchange */
    struct trace_id trace;
    bool no_trace; /* the edge sent none */
    uint8_t channel[CHANNEL_NAME_SIZE];
    uint8_t digest[REQUEST_DIGEST_SIZE];    /* of the request; see request_digest() */
    char server_name[TRANSCRIPT_NAME_SIZE]; /* where the transcript says it; else "" */
};

/* What names a request for good, and lets who asked show that it was theirs: the first bytes of SHA-256(kind
 * ‖ key_id ‖ fields), the kind as one byte, numbers of two bytes, fields in the order of the protocol and
 * without lengths. */
void request_digest(const struct hasher *hasher, uint8_t out[static REQUEST_DIGEST_SIZE],
                    const struct operation *operation);

#endif
