#include "proto/key_type.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* SEC 2. */
static const uint8_t order_p256[] = {
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
};
static const uint8_t order_p384[] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf,
    0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
};

static const struct key_type_info types[KEY_TYPES] = {
    [KEY_RSA] =
        {.name = "rsa", .title = "RSA", .algorithm = ALGORITHM_RSA, .bits_min = 2048, .bits_max = 4096},
    [KEY_EC_P256] = {.name = "p256",
                     .title = "P-256",
                     .algorithm = ALGORITHM_EC,
                     .group = "prime256v1",
                     .bits_min = 256,
                     .bits_max = 256,
                     .order = order_p256,
                     .order_size = sizeof order_p256},
    [KEY_EC_P384] = {.name = "p384",
                     .title = "P-384",
                     .algorithm = ALGORITHM_EC,
                     .group = "secp384r1",
                     .bits_min = 384,
                     .bits_max = 384,
                     .order = order_p384,
                     .order_size = sizeof order_p384},
    [KEY_ED25519] = {.name = "ed25519",
                     .title = "Ed25519",
                     .algorithm = ALGORITHM_ED25519,
                     .bits_min = 253,
                     .bits_max = 256},
};

static const char *const algorithm_names[KEY_ALGORITHMS] = {
    [ALGORITHM_RSA] = "RSA",
    [ALGORITHM_EC] = "EC",
    [ALGORITHM_ED25519] = "ED25519",
};

/* RFC 8446, 4.2.3. The key type 0 fits no key: P-521 keys are not held here, but TLS 1.2 uses the scheme with
 * keys of the other curves. */
static const struct scheme_info schemes[] = {
    {SCHEME_RSA_PKCS1_SHA256, ALGORITHM_RSA, false, 256, false, KEY_RSA, "rsa_pkcs1_sha256"},
    {SCHEME_RSA_PKCS1_SHA384, ALGORITHM_RSA, false, 384, false, KEY_RSA, "rsa_pkcs1_sha384"},
    {SCHEME_RSA_PKCS1_SHA512, ALGORITHM_RSA, false, 512, false, KEY_RSA, "rsa_pkcs1_sha512"},
    {SCHEME_ECDSA_P256_SHA256, ALGORITHM_EC, false, 256, true, KEY_EC_P256, "ecdsa_secp256r1_sha256"},
    {SCHEME_ECDSA_P384_SHA384, ALGORITHM_EC, false, 384, true, KEY_EC_P384, "ecdsa_secp384r1_sha384"},
    {SCHEME_ECDSA_P521_SHA512, ALGORITHM_EC, false, 512, false, (enum key_type)0, "ecdsa_secp521r1_sha512"},
    {SCHEME_RSA_PSS_RSAE_SHA256, ALGORITHM_RSA, true, 256, true, KEY_RSA, "rsa_pss_rsae_sha256"},
    {SCHEME_RSA_PSS_RSAE_SHA384, ALGORITHM_RSA, true, 384, true, KEY_RSA, "rsa_pss_rsae_sha384"},
    {SCHEME_RSA_PSS_RSAE_SHA512, ALGORITHM_RSA, true, 512, true, KEY_RSA, "rsa_pss_rsae_sha512"},
    {SCHEME_ED25519, ALGORITHM_ED25519, false, 0, true, KEY_ED25519, "ed25519"},
};
#define SCHEMES (sizeof schemes / sizeof schemes[0])

const struct key_type_info *key_type_find(enum key_type type)
{
    return (unsigned)type < KEY_TYPES && types[type].name != NULL ? &types[type] : NULL;
}

const char *key_type_name(enum key_type type)
{
    const struct key_type_info *info = key_type_find(type);
    return info != NULL ? info->name : NULL;
}

const char *key_algorithm_name(enum key_algorithm algorithm)
{
    return (unsigned)algorithm < KEY_ALGORITHMS ? algorithm_names[algorithm] : NULL;
}

enum key_algorithm key_type_algorithm(enum key_type type)
{
    const struct key_type_info *info = key_type_find(type);
    return info != NULL ? info->algorithm : ALGORITHM_ANY;
}

bool key_type_fits(const struct key_type_info *info, const char *group, int bits)
{
    if (info->group != NULL && strcasecmp(group, info->group) != 0 && strcasecmp(group, info->title) != 0)
        return false;
    return bits >= info->bits_min && bits <= info->bits_max;
}

/* "RSA of 2048 to 4096 bits": a size is told of where there is a choice. */
static void put_title(char *out, size_t size, const struct key_type_info *info)
{
    if (info->algorithm == ALGORITHM_RSA)
        snprintf(out, size, "%s of %u to %u bits", info->title, info->bits_min, info->bits_max);
    else
        snprintf(out, size, "%s", info->title);
}

char *key_types_text(char out[static KEY_TYPES_TEXT_SIZE], const char *last)
{
    size_t at = 0;
    for (unsigned type = 1; type < KEY_TYPES && at < KEY_TYPES_TEXT_SIZE; type++) {
        char title[64];
        put_title(title, sizeof title, &types[type]);
        if (type == 1)
            at += (size_t)snprintf(out, KEY_TYPES_TEXT_SIZE, "%s", title);
        else if (type < KEY_TYPES - 1)
            at += (size_t)snprintf(out + at, KEY_TYPES_TEXT_SIZE - at, ", %s", title);
        else
            at += (size_t)snprintf(out + at, KEY_TYPES_TEXT_SIZE - at, " %s %s", last, title);
    }
    return out;
}

const struct scheme_info *scheme_find(uint16_t scheme)
{
    for (size_t i = 0; i < SCHEMES; i++)
        if (schemes[i].scheme == scheme)
            return &schemes[i];
    return NULL;
}

const struct scheme_info *scheme_find_for(enum key_algorithm algorithm, bool pss, unsigned hash_bits)
{
    for (size_t i = 0; i < SCHEMES; i++)
        if (schemes[i].algorithm == algorithm && schemes[i].hash_bits == hash_bits &&
            (algorithm != ALGORITHM_RSA || schemes[i].pss == pss))
            return &schemes[i];
    return NULL;
}

const struct scheme_info *scheme_find_tls13(enum key_type type)
{
    for (size_t i = 0; i < SCHEMES; i++)
        if (schemes[i].tls13 && schemes[i].tls13_key == type)
            return &schemes[i];
    return NULL;
}

const char *scheme_name(uint16_t scheme)
{
    const struct scheme_info *info = scheme_find(scheme);
    return info != NULL ? info->name : NULL;
}
