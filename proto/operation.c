#include "proto/operation.h"

#include <stdio.h>
#include <string.h>

/* ---- the table ---- */

#define AT(member) offsetof(struct operation, u.member)
/* A number; an array that is always full; an array with a length beside it. */
#define NUMBER(text, member)                                                                                 \
    {                                                                                                        \
        .name = (text), .form = FIELD_NUMBER, .at = AT(member)                                               \
    }
#define EXACT(text, member, size)                                                                            \
    {                                                                                                        \
        .name = (text), .form = FIELD_BYTES, .at = AT(member), .min = (size), .max = (size), .step = 1       \
    }
#define BYTES(text, member, length, least, most)                                                             \
    {                                                                                                        \
        .name = (text), .form = FIELD_BYTES, .at = AT(member), .length_at = AT(length), .min = (least),      \
        .max = (most), .step = 1                                                                             \
    }

static const struct operation_field sign_tls13_fields[] = {
    NUMBER("scheme", sign_tls13.scheme),
    {.name = "transcript_hash",
     .form = FIELD_BYTES,
     .at = AT(sign_tls13.hash),
     .length_at = AT(sign_tls13.hash_length),
     .min = 32, /* SHA-256 or SHA-384 */
     .max = TRANSCRIPT_HASH_MAX,
     .step = TRANSCRIPT_HASH_MAX - 32},
};

static const struct operation_field sign_tls12_fields[] = {
    NUMBER("scheme", sign_tls12.scheme),
    EXACT("client_random", sign_tls12.client_random, TLS_RANDOM_SIZE),
    EXACT("server_random", sign_tls12.server_random, TLS_RANDOM_SIZE),
    BYTES("params", sign_tls12.params, sign_tls12.params_length, 1, KEY_EXCHANGE_PARAMS_MAX),
};

static const struct operation_field rsa_premaster_fields[] = {
    NUMBER("client_version", rsa_premaster.client_version),
    BYTES("ciphertext", rsa_premaster.ciphertext, rsa_premaster.ciphertext_length, RSA_MODULUS_MIN,
          RSA_MODULUS_MAX),
};

static const struct operation_field rsa_master_fields[] = {
    {.name = "messages",
     .form = FIELD_BORROWED,
     .at = AT(rsa_master.messages),
     .length_at = AT(rsa_master.length),
     .min = 1,
     .max = HANDSHAKE_MAX,
     .step = 1},
};

#define FIELDS(list) .fields = (list), .field_count = sizeof(list) / sizeof(list)[0]

static const struct operation_info operations[OP_KINDS] = {
    [OP_PING] = {.name = "ping", .wire = 20},
    [OP_KEYS] = {.name = "keys", .wire = 19},
    [OP_SIGN_TLS13] = {.name = "sign_tls13",
                       .wire = 16,
                       .uses_key = true,
                       .signs = true,
                       .tls13 = true,
                       .is_default = true,
                       .algorithm = ALGORITHM_ANY,
                       .answer_min = 1,
                       .answer_max = RESULT_MAX,
                       .answer = "the signature",
                       FIELDS(sign_tls13_fields)},
    [OP_SIGN_TLS12] = {.name = "sign_tls12",
                       .wire = 17,
                       .uses_key = true,
                       .signs = true,
                       .is_default = true,
                       .algorithm = ALGORITHM_ANY,
                       .answer_min = 1,
                       .answer_max = RESULT_MAX,
                       .answer = "the signature",
                       FIELDS(sign_tls12_fields)},
    [OP_RSA_PREMASTER] = {.name = "rsa_premaster",
                          .wire = 18,
                          .uses_key = true,
                          .algorithm = ALGORITHM_RSA,
                          .mode = MODE_PLAIN,
                          .answer_min = TLS_PREMASTER_SIZE,
                          .answer_max = TLS_PREMASTER_SIZE,
                          .answer = "the pre-master secret",
                          FIELDS(rsa_premaster_fields)},
    [OP_RSA_MASTER] = {.name = "rsa_master",
                       .wire = 21,
                       .uses_key = true,
                       .is_default = true,
                       .algorithm = ALGORITHM_RSA,
                       .mode = MODE_BOUND,
                       .answer_min = TLS_MASTER_SIZE,
                       .answer_max = TLS_MASTER_SIZE,
                       .answer = "the master secret; the pre-master secret stays there",
                       FIELDS(rsa_master_fields)},
};

const char *const operation_key_names[] = {"sign_tls13", "sign_tls12", "rsa_master", "rsa_premaster", NULL};

/* ---- looking up ---- */

const struct operation_info *operation_find(enum operation_kind kind)
{
    return (unsigned)kind < OP_KINDS && operations[kind].name != NULL ? &operations[kind] : NULL;
}

enum operation_kind operation_of_wire(uint32_t wire)
{
    for (unsigned kind = 1; kind < OP_KINDS; kind++)
        if (operations[kind].wire == wire)
            return (enum operation_kind)kind;
    return (enum operation_kind)0;
}

int operation_parse(const char *name, enum operation_kind *kind)
{
    for (unsigned i = 1; i < OP_KINDS; i++) {
        if (strcmp(operations[i].name, name) == 0) {
            *kind = (enum operation_kind)i;
            return 0;
        }
    }
    return ERR_NOT_FOUND;
}

bool operation_uses_key(enum operation_kind kind)
{
    const struct operation_info *info = operation_find(kind);
    return info != NULL && info->uses_key;
}

bool operation_signs(enum operation_kind kind)
{
    const struct operation_info *info = operation_find(kind);
    return info != NULL && info->signs;
}

enum operation_mode operation_mode(enum operation_kind kind)
{
    const struct operation_info *info = operation_find(kind);
    return info != NULL ? info->mode : MODE_NONE;
}

/* ---- sets ---- */

uint32_t operations_without_key(void)
{
    uint32_t set = 0;
    for (unsigned kind = 1; kind < OP_KINDS; kind++)
        if (!operations[kind].uses_key)
            set |= OPERATION_BIT(kind);
    return set;
}

uint32_t operations_by_default(void)
{
    uint32_t set = operations_without_key();
    for (unsigned kind = 1; kind < OP_KINDS; kind++)
        if (operations[kind].is_default)
            set |= OPERATION_BIT(kind);
    return set;
}

uint32_t operations_of_key(enum key_type type)
{
    uint32_t set = 0;
    for (unsigned kind = 1; kind < OP_KINDS; kind++)
        if (operations[kind].uses_key && (operations[kind].algorithm == ALGORITHM_ANY ||
                                          operations[kind].algorithm == key_type_algorithm(type)))
            set |= OPERATION_BIT(kind);
    return set;
}

/* ---- words ---- */

char *operation_key_list(char out[static OPERATION_LIST_SIZE], const char *last)
{
    size_t at = 0;
    out[0] = 0;
    for (size_t i = 0; operation_key_names[i] != NULL && at < OPERATION_LIST_SIZE; i++) {
        const char *before = i == 0 ? "" : operation_key_names[i + 1] != NULL ? ", " : last;
        at += (size_t)snprintf(out + at, OPERATION_LIST_SIZE - at, "%s%s", before, operation_key_names[i]);
    }
    return out;
}

const char *operation_name(enum operation_kind kind)
{
    const struct operation_info *info = operation_find(kind);
    return info != NULL ? info->name : NULL;
}

const char *status_name(enum operation_status status)
{
    static const char *const names[STATUS_KINDS] = {
        [STATUS_OK] = "ok",           [STATUS_REFUSED] = "refused",         [STATUS_BUSY] = "busy",
        [STATUS_EXPIRED] = "expired", [STATUS_UNAVAILABLE] = "unavailable",
    };
    return (unsigned)status < STATUS_KINDS ? names[status] : NULL;
}

const char *operation_mode_name(enum operation_mode mode)
{
    static const char *const names[] = {[MODE_NONE] = "", [MODE_BOUND] = "bound", [MODE_PLAIN] = "plain"};
    return (unsigned)mode < sizeof names / sizeof names[0] ? names[mode] : NULL;
}
