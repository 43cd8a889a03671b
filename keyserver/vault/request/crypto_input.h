/* An input: what a worker is to compute, complete and judged. The gate makes it out of an operation; nothing
 * in it was taken over unseen, and nothing in it points elsewhere. Plain data. */
#ifndef KEYSERVER_VAULT_REQUEST_CRYPTO_INPUT_H
#define KEYSERVER_VAULT_REQUEST_CRYPTO_INPUT_H

#include "proto/operation.h"

/* The longest thing that is signed: randoms and key-exchange parameters of TLS 1.2. */
#define CRYPTO_CONTENT_MAX (2 * TLS_RANDOM_SIZE + KEY_EXCHANGE_PARAMS_MAX)

struct crypto_input {
    enum operation_kind kind; /* which member of u; the last two share `exchange` */
    union {
        struct {
            uint16_t scheme;
            uint16_t length;
            uint8_t content[CRYPTO_CONTENT_MAX]; /* what is signed; built by the gate */
        } sign;
        struct {
            uint16_t client_version;
            uint16_t ciphertext_length;
            uint8_t ciphertext[RSA_MODULUS_MAX];
            /* rsa_master: the master secret is derived over this hash (RFC 7627, 4) */
            uint16_t prf_bits;
            uint8_t session_hash[TRANSCRIPT_HASH_MAX];
        } exchange;
    } u;
};

#endif
