#include "proto/operation.h"

#include <string.h>

static const char *const operation_names[OP_KINDS] = {
    [OP_PING] = "ping",
    [OP_KEYS] = "keys",
    [OP_SIGN_TLS13] = "sign_tls13",
    [OP_SIGN_TLS12] = "sign_tls12",
    [OP_RSA_PREMASTER] = "rsa_premaster",
    [OP_RSA_MASTER] = "rsa_master",
};

static const char *const status_names[STATUS_KINDS] = {
    [STATUS_OK] = "ok",           [STATUS_REFUSED] = "refused",         [STATUS_BUSY] = "busy",
    [STATUS_EXPIRED] = "expired", [STATUS_UNAVAILABLE] = "unavailable",
};

static const char *const key_type_names[KEY_TYPES] = {
    [KEY_RSA] = "rsa",
    [KEY_EC_P256] = "p256",
    [KEY_EC_P384] = "p384",
    [KEY_ED25519] = "ed25519",
};

/* RFC 8446, 4.2.3. The key type 0 fits no key: P-521 keys are not held here, but TLS 1.2 uses the scheme with
 * keys of the other curves. */
static const struct scheme_info schemes[] = {
    {SCHEME_RSA_PKCS1_SHA256, FAMILY_RSA_PKCS1, 256, KEY_RSA, false, "rsa_pkcs1_sha256"},
    {SCHEME_RSA_PKCS1_SHA384, FAMILY_RSA_PKCS1, 384, KEY_RSA, false, "rsa_pkcs1_sha384"},
    {SCHEME_RSA_PKCS1_SHA512, FAMILY_RSA_PKCS1, 512, KEY_RSA, false, "rsa_pkcs1_sha512"},
    {SCHEME_ECDSA_P256_SHA256, FAMILY_ECDSA, 256, KEY_EC_P256, true, "ecdsa_secp256r1_sha256"},
    {SCHEME_ECDSA_P384_SHA384, FAMILY_ECDSA, 384, KEY_EC_P384, true, "ecdsa_secp384r1_sha384"},
    {SCHEME_ECDSA_P521_SHA512, FAMILY_ECDSA, 512, (enum key_type)0, false, "ecdsa_secp521r1_sha512"},
    {SCHEME_RSA_PSS_RSAE_SHA256, FAMILY_RSA_PSS, 256, KEY_RSA, true, "rsa_pss_rsae_sha256"},
    {SCHEME_RSA_PSS_RSAE_SHA384, FAMILY_RSA_PSS, 384, KEY_RSA, true, "rsa_pss_rsae_sha384"},
    {SCHEME_RSA_PSS_RSAE_SHA512, FAMILY_RSA_PSS, 512, KEY_RSA, true, "rsa_pss_rsae_sha512"},
    {SCHEME_ED25519, FAMILY_ED25519, 0, KEY_ED25519, true, "ed25519"},
};

/* The entry of an enum's table of names; NULL outside of it. */
static const char *find_name(const char *const *names, unsigned count, unsigned value)
{
    return value < count ? names[value] : NULL;
}

const char *operation_name(enum operation_kind kind)
{
    return find_name(operation_names, OP_KINDS, (unsigned)kind);
}

const char *status_name(enum operation_status status)
{
    return find_name(status_names, STATUS_KINDS, (unsigned)status);
}

const char *key_type_name(enum key_type type)
{
    return find_name(key_type_names, KEY_TYPES, (unsigned)type);
}

const struct scheme_info *scheme_find(uint16_t scheme)
{
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (schemes[i].scheme == scheme)
            return &schemes[i];
    return NULL;
}

const char *scheme_name(uint16_t scheme)
{
    const struct scheme_info *info = scheme_find(scheme);
    return info != NULL ? info->name : NULL;
}

int operation_parse(const char *name, enum operation_kind *kind)
{
    for (unsigned i = 1; i < OP_KINDS; i++) {
        if (strcmp(operation_names[i], name) == 0) {
            *kind = (enum operation_kind)i;
            return 0;
        }
    }
    return ERR_NOT_FOUND;
}
