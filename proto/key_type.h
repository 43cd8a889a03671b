/* Key types and the signature schemes of TLS, as two tables. Whoever has to know how two types of key differ
 * reads it here: a row says everything that is told of a type outside of the arithmetic.
 *
 * Pure data without any library; any thread. */
#ifndef PROTO_KEY_TYPE_H
#define PROTO_KEY_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The numbers of KeyType in keyless.proto: they do not change. */
enum key_type { KEY_RSA = 1, KEY_EC_P256 = 2, KEY_EC_P384 = 3, KEY_ED25519 = 4, KEY_TYPES };

/* What a key of a type is used with. The curves of ECDSA are types of one algorithm. */
enum key_algorithm { ALGORITHM_ANY, ALGORITHM_RSA, ALGORITHM_EC, ALGORITHM_ED25519, KEY_ALGORITHMS };

/* A row of the table of key types. */
struct key_type_info {
    const char *name;  /* stable, for programs: "p256" */
    const char *title; /* for people: "P-256" */
    enum key_algorithm algorithm;
    const char *group; /* the curve's name for OpenSSL, beside the title; NULL: the algorithm has no curves */
    uint16_t bits_min, bits_max;
    /* ECDSA: the order of the curve's group, big-endian, which both numbers of a signature are below. */
    const uint8_t *order;
    size_t order_size;
};

/* The row of TYPE, or NULL. */
const struct key_type_info *key_type_find(enum key_type type);
/* "p256", or NULL. */
const char *key_type_name(enum key_type type);
/* "EC": how OpenSSL calls ALGORITHM, or NULL. */
const char *key_algorithm_name(enum key_algorithm algorithm);
/* The algorithm of TYPE; ALGORITHM_ANY, which no key has, for a type that is none. */
enum key_algorithm key_type_algorithm(enum key_type type);
/* True when a key of INFO's algorithm on the curve GROUP ("" = it has none) with BITS is of INFO's type. */
bool key_type_fits(const struct key_type_info *info, const char *group, int bits);

#define KEY_TYPES_TEXT_SIZE 256
/* "RSA of 2048 to 4096 bits, P-256 and Ed25519", with LAST ("and", "or") before the last. Returns OUT. */
char *key_types_text(char out[static KEY_TYPES_TEXT_SIZE], const char *last);

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

/* A row of the table of schemes. */
struct scheme_info {
    uint16_t scheme;
    enum key_algorithm algorithm; /* of the keys that make it: in TLS 1.2, any key of it (RFC 8422, 5.1.3) */
    bool pss;                     /* RSA with the padding PSS, not PKCS #1 v1.5 */
    uint16_t hash_bits;           /* 256, 384, 512; 0 for Ed25519 */
    bool tls13;                   /* usable in TLS 1.3 CertificateVerify */
    enum key_type tls13_key;      /* the only key type that fits it there */
    const char *name;             /* "rsa_pss_rsae_sha256" */
};

/* The row of SCHEME, or NULL. */
const struct scheme_info *scheme_find(uint16_t scheme);
/* The row of the scheme that is made with these, or NULL. PSS counts for RSA only. */
const struct scheme_info *scheme_find_for(enum key_algorithm algorithm, bool pss, unsigned hash_bits);
/* The first scheme that a key of TYPE can make in TLS 1.3, or NULL. */
const struct scheme_info *scheme_find_tls13(enum key_type type);
/* "rsa_pss_rsae_sha256", or NULL. */
const char *scheme_name(uint16_t scheme);

#endif
