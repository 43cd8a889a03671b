/* What a file of keys or certificates holds, told from its bytes: PEM by its labels, DER by its outermost
 * elements. Parses no key and keeps nothing. Decides nothing: the caller knows what belongs there.
 * Pure; any thread. */
#ifndef COMMON_CONTENTS_H
#define COMMON_CONTENTS_H

#include <stddef.h>
#include <stdint.h>

enum contents {
    CONTENTS_CERTIFICATE = 1 << 0, /* PEM, RFC 7468 section 5 */
    CONTENTS_TRUSTED = 1 << 1,     /* PEM of OpenSSL's own form, with its trust settings */
    CONTENTS_PKCS7 = 1 << 2,       /* PEM of a PKCS #7 bundle of certificates, RFC 7468 section 8 */
    CONTENTS_REQUEST = 1 << 3,     /* PEM of a certificate request */
    CONTENTS_PUBLIC_KEY = 1 << 4,  /* PEM */
    CONTENTS_PRIVATE_KEY = 1 << 5, /* in PEM or DER, in the clear or encrypted */
    CONTENTS_PKCS12 = 1 << 6,      /* as a rule a key with its certificates */
    CONTENTS_DER = 1 << 7,         /* a DER element that is no private key: a certificate, as a rule */
    CONTENTS_JAVA = 1 << 8,        /* a Java key store: the same as PKCS #12 in a form of its own */
    CONTENTS_ENCRYPTED = 1 << 9,   /* beside PRIVATE_KEY: one that needs a passphrase */
    CONTENTS_SSH = 1 << 10,        /* beside PRIVATE_KEY: one in the form of OpenSSH */
    CONTENTS_UTF16 = 1 << 11,      /* text with two bytes a character, told by its byte order mark */
};

#define CONTENTS_KEYS (CONTENTS_PRIVATE_KEY | CONTENTS_PKCS12 | CONTENTS_JAVA)

/* The set of what LENGTH bytes hold; 0 for nothing known. A reference to a key that is elsewhere ("KEYLESS
 * PRIVATE KEY") is no key. */
unsigned contents_tell(const uint8_t *bytes, size_t length);
/* How many private keys in PEM begin in LENGTH bytes. */
size_t contents_count_keys(const uint8_t *bytes, size_t length);

#endif
