/* Operations: what an edge may ask of a key, as typed fields. Plain data without any wire format; the shared
 * vocabulary of the messages, the wall inside the key server, the edge's client and its provider.
 *
 * There is no raw operation and no "bytes to be signed": the key server builds those itself from these
 * fields.
 *
 * An operation is one row of the table in operation.c. Whoever handles operations of all kinds (messages, the
 * wall, the judge, the audit log, metrics, the command) reads the row and has no list of its own. */
#ifndef PROTO_OPERATION_H
#define PROTO_OPERATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "proto/key_type.h"

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

/* A set of operations has one bit for each. */
#define OPERATION_BIT(kind) (UINT32_C(1) << (kind))

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
    STATUS_UNAVAILABLE = 4, /* none can answer now: ask another key server */
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
    uint32_t operations; /* set of OPERATION_BIT(): what this edge may ask of it */
};

/* How RSA key exchange is served, as bits: what the owner of a key lets be done, and what a use was. */
enum operation_mode {
    MODE_NONE = 0,  /* no RSA key exchange */
    MODE_BOUND = 1, /* for handshakes that this edge has just begun, and for good no other */
    MODE_PLAIN = 2, /* any recorded session of the key can be opened by asking later */
};

/* A field of an operation: what it is, where it is in struct operation, and what may be in it. */
struct operation_field {
    const char *name; /* as in keyless.proto, where the fields stand in the same order */
    enum {
        FIELD_NUMBER,  /* uint16_t */
        FIELD_BYTES,   /* an array */
        FIELD_BORROWED /* a pointer to bytes that stay elsewhere; at most one, and the last */
    } form;
    uint16_t at;        /* offset of the number, the array or the pointer in struct operation */
    uint16_t length_at; /* offset of the length: uint16_t of an array, uint32_t of what is borrowed; 0 = it
                           is always MAX */
    uint32_t min, max;  /* bytes; numbers: 0 */
    uint32_t step;      /* lengths are MIN, MIN + STEP … MAX; 1 = any between */
};

/* A row of the table of operations. */
struct operation_info {
    const char *name;                /* stable: configuration, log, audit, metrics, keyless.proto */
    uint32_t wire;                   /* number of its field in the message Request of keyless.proto */
    bool uses_key;                   /* it names a key: it is judged, counted, computed and recorded */
    bool signs;                      /* its answer is a signature, and its first field the scheme */
    bool tls13;                      /* a signature of TLS 1.3: its scheme says which type of key makes it */
    bool is_default;                 /* granted to an edge whose line has no ops= */
    enum key_algorithm algorithm;    /* of the keys that can do it */
    enum operation_mode mode;        /* of RSA key exchange */
    uint16_t answer_min, answer_max; /* bytes of a good answer */
    const char *answer;              /* what these bytes are, for people; NULL: there are none */
    const struct operation_field *fields;
    size_t field_count;
};

/* The row of KIND, or NULL. */
const struct operation_info *operation_find(enum operation_kind kind);
/* The kind whose field in the message Request has the number WIRE, or 0. */
enum operation_kind operation_of_wire(uint32_t wire);
/* The kind called NAME, or ERR_NOT_FOUND. */
int operation_parse(const char *name, enum operation_kind *kind) MUST_USE;

/* What the row of KIND says; of a kind that is none: nothing, false, MODE_NONE. */
bool operation_uses_key(enum operation_kind kind);
bool operation_signs(enum operation_kind kind);
enum operation_mode operation_mode(enum operation_kind kind);

/* Which operations there are, as sets of OPERATION_BIT(): those that name no key, those that an edge has
 * unless its line says which, and those that a key of TYPE can do. */
uint32_t operations_without_key(void);
uint32_t operations_by_default(void);
uint32_t operations_of_key(enum key_type type);

/* The names of the operations on a key in the order in which people are told them; NULL at the end. */
extern const char *const operation_key_names[];
#define OPERATION_LIST_SIZE 256
/* The same in one line, with LAST ("," or " and") before the last: "sign_tls13, …, rsa_master and
 * rsa_premaster". Returns OUT. */
char *operation_key_list(char out[static OPERATION_LIST_SIZE], const char *last);

/* Stable names ("sign_tls13", "refused", "bound"); NULL when there is none, "" of MODE_NONE. */
const char *operation_name(enum operation_kind kind);
const char *status_name(enum operation_status status);
const char *operation_mode_name(enum operation_mode mode);

#endif
