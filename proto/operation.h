/* Operations: what an edge may ask of a key, as typed fields. Plain data without any wire format; the shared
 * vocabulary of the messages, the wall inside the key server, the edge's client and its provider.
 *
 * There is no raw operation and no "bytes to be signed": the key server builds those itself from these
 * fields. */
#ifndef PROTO_OPERATION_H
#define PROTO_OPERATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

#define KEY_ID_SIZE             32 /* SHA-256 of the DER SubjectPublicKeyInfo */
#define TLS_RANDOM_SIZE         32
#define TLS_PREMASTER_SIZE      48    /* RFC 5246, 8.1 */
#define TLS_MASTER_SIZE         48    /* RFC 5246, 8.1 */
#define HANDSHAKE_MAX           64512 /* bytes of ClientHello … ClientKeyExchange in one request: 63 KiB */
#define TRANSCRIPT_HASH_MAX     48    /* SHA-384 */
#define KEY_EXCHANGE_PARAMS_MAX 137   /* secp521r1: type 1, curve 2, length 1, point 133 */
#define RSA_MODULUS_MIN         256   /* bytes: RSA-2048 */
#define RSA_MODULUS_MAX         512   /* bytes: RSA-4096 */
#define RESULT_MAX              512   /* bytes of a signature or secret */

enum operation_kind {
    OP_PING = 1,
    OP_KEYS = 2,
    OP_SIGN_TLS13 = 3,
    OP_SIGN_TLS12 = 4,
    OP_RSA_PREMASTER = 5,
    OP_RSA_MASTER = 6,
    OP_KINDS /* one more than the last */
};

/* TLS SignatureScheme (RFC 8446, 4.2.3). */
enum signature_scheme {
    SCHEME_RSA_PKCS1_SHA256 = 0x0401,
    SCHEME_ECDSA_P256_SHA256 = 0x0403,
    SCHEME_RSA_PKCS1_SHA384 = 0x0501,
    SCHEME_ECDSA_P384_SHA384 = 0x0503,
    SCHEME_RSA_PKCS1_SHA512 = 0x0601,
    SCHEME_ECDSA_P521_SHA512 = 0x0603,
    SCHEME_RSA_PSS_RSAE_SHA256 = 0x0804,
    SCHEME_RSA_PSS_RSAE_SHA384 = 0x0805,
    SCHEME_RSA_PSS_RSAE_SHA512 = 0x0806,
    SCHEME_ED25519 = 0x0807,
};

enum key_type { KEY_RSA = 1, KEY_EC_P256 = 2, KEY_EC_P384 = 3, KEY_ED25519 = 4, KEY_TYPES };

struct operation {
    enum operation_kind kind;
    uint8_t key_id[KEY_ID_SIZE]; /* zero for ping and keys */
    union {
        struct {
            uint16_t scheme;
            uint16_t hash_length; /* 32 or 48 */
            uint8_t hash[TRANSCRIPT_HASH_MAX];
        } sign_tls13;
        struct {
            uint16_t scheme; /* in TLS 1.2 an ECDSA scheme's curve does not bind the key's (RFC 8422, 5.1.3;
                                RFC 8446, 4.2.3) */
            uint16_t params_length;
            uint8_t client_random[TLS_RANDOM_SIZE];
            uint8_t server_random[TLS_RANDOM_SIZE];
            uint8_t params[KEY_EXCHANGE_PARAMS_MAX]; /* ServerECDHParams, RFC 8422, 5.4 */
        } sign_tls12;
        struct {
            uint16_t client_version; /* ClientHello.legacy_version */
            uint16_t ciphertext_length;
            uint8_t ciphertext[RSA_MODULUS_MAX];
        } rsa_premaster;
        struct {
            /* The handshake messages ClientHello, ServerHello, Certificate, ServerHelloDone and
             * ClientKeyExchange as they were sent, headers included (RFC 7627, 3). Borrowed: whoever copies
             * the operation sees to it that they stay as long as the copy. */
            const uint8_t *messages;
            uint32_t length;
        } rsa_master;
    } u;
};

/* Coarse on purpose: a peer learns no more than this. */
enum operation_status {
    STATUS_OK = 0,
    STATUS_REFUSED = 1,     /* not granted, not known, not well-formed: never says which */
    STATUS_BUSY = 2,        /* overloaded: ask another key server, or later */
    STATUS_EXPIRED = 3,     /* the deadline passed in the queue */
    STATUS_UNAVAILABLE = 4, /* no answer could be had (key server: vault is starting; edge: none reachable) */
    STATUS_KINDS
};

/* The answer to an operation on a key: a signature or a secret. Wipe after use. */
struct outcome {
    enum operation_status status;
    uint16_t length;
    uint8_t bytes[RESULT_MAX];
};

/* One key as `keys` reports it. */
struct key_info {
    uint8_t key_id[KEY_ID_SIZE];
    uint8_t type; /* enum key_type */
    uint8_t reserved;
    uint16_t bits;       /* modulus or curve size */
    uint32_t operations; /* bit (1 << kind) for each operation this edge may ask of it */
};

/* Stable names ("sign_tls13", "refused", "rsa_pss_rsae_sha256", "p256"); NULL when there is none. */
const char *operation_name(enum operation_kind kind);
const char *status_name(enum operation_status status);
const char *scheme_name(uint16_t scheme);
const char *key_type_name(enum key_type type);
/* The kind called NAME, or ERR_NOT_FOUND. */
int operation_parse(const char *name, enum operation_kind *kind) MUST_USE;

/* What a scheme is made of; one table row. */
struct scheme_info {
    uint16_t scheme;
    enum { FAMILY_RSA_PKCS1, FAMILY_RSA_PSS, FAMILY_ECDSA, FAMILY_ED25519 } family;
    uint16_t hash_bits;      /* 256, 384, 512; 0 for Ed25519 */
    enum key_type tls13_key; /* the only key type that fits it in TLS 1.3 (KEY_RSA for PSS) */
    bool tls13;              /* usable in TLS 1.3 CertificateVerify */
    const char *name;
};
/* The row of SCHEME, or NULL. */
const struct scheme_info *scheme_find(uint16_t scheme);

#endif
