#include "common/contents.h"

#include <stdbool.h>
#include <string.h>

/* ---- PEM ---- */

static const struct {
    const char *label;
    enum contents contents;
} labels[] = {
    {"-----BEGIN CERTIFICATE-----", CONTENTS_CERTIFICATE},
    {"-----BEGIN X509 CERTIFICATE-----", CONTENTS_CERTIFICATE},
    {"-----BEGIN TRUSTED CERTIFICATE-----", CONTENTS_TRUSTED},
    {"-----BEGIN PKCS7-----", CONTENTS_PKCS7},
    {"-----BEGIN CMS-----", CONTENTS_PKCS7},
    {"-----BEGIN CERTIFICATE REQUEST-----", CONTENTS_REQUEST},
    {"-----BEGIN NEW CERTIFICATE REQUEST-----", CONTENTS_REQUEST},
    {"-----BEGIN PUBLIC KEY-----", CONTENTS_PUBLIC_KEY},
    {"-----BEGIN RSA PUBLIC KEY-----", CONTENTS_PUBLIC_KEY},
    {"-----BEGIN OPENSSH PRIVATE KEY-----", CONTENTS_SSH},
    {"-----BEGIN ENCRYPTED PRIVATE KEY-----", CONTENTS_ENCRYPTED},
    {"Proc-Type: 4,ENCRYPTED",
     CONTENTS_ENCRYPTED}, /* RFC 1421 section 4.6.1.1, as PKCS #1 and SEC 1 have it */
};

/* Every label of a private key ends in these words, whatever stands before them. */
static bool has_pem_key(const uint8_t *bytes, size_t length)
{
    static const char mark[] = "PRIVATE KEY-----", reference[] = "KEYLESS ";
    const size_t before = sizeof reference - 1;
    const uint8_t *at = bytes, *end = bytes + length;
    while ((at = memmem(at, (size_t)(end - at), mark, sizeof mark - 1)) != NULL) {
        if ((size_t)(at - bytes) < before || memcmp(at - before, reference, before) != 0)
            return true;
        at += sizeof mark - 1;
    }
    return false;
}

static bool ends_with(const uint8_t *at, size_t length, const char *text)
{
    size_t wanted = strlen(text);
    return length >= wanted && memcmp(at + length - wanted, text, wanted) == 0;
}

size_t contents_count_keys(const uint8_t *bytes, size_t length)
{
    static const char begin[] = "-----BEGIN ";
    const uint8_t *at = bytes, *end = bytes + length;
    size_t count = 0;
    while (at < end && (at = memmem(at, (size_t)(end - at), begin, sizeof begin - 1)) != NULL) {
        at += sizeof begin - 1;
        const uint8_t *dashes = memmem(at, (size_t)(end - at), "-----", 5);
        if (dashes == NULL)
            break;
        size_t label = (size_t)(dashes - at);
        count += ends_with(at, label, "PRIVATE KEY") && !ends_with(at, label, "KEYLESS PRIVATE KEY");
    }
    return count;
}

static unsigned tell_pem(const uint8_t *bytes, size_t length)
{
    unsigned found = has_pem_key(bytes, length) ? CONTENTS_PRIVATE_KEY : 0;
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++)
        if (memmem(bytes, length, labels[i].label, strlen(labels[i].label)) != NULL)
            found |= labels[i].contents;
    return found;
}

/* ---- DER ---- */

enum { TAG_INTEGER = 0x02, TAG_OCTETS = 0x04, TAG_OID = 0x06, TAG_SEQUENCE = 0x30 };

struct element {
    uint8_t tag;
    const uint8_t *content;
    size_t length;
};

/* Takes the element of indefinite length that begins at AT, as BER has it (X.690 section 8.1.3.6): a key
 * store of some programs is one. */
static bool take_open(struct element *out, const uint8_t *at, const uint8_t *end)
{
    if (end - at < 2 || at[1] != 0x80)
        return false;
    *out = (struct element){.tag = at[0], .content = at + 2, .length = (size_t)(end - at) - 2};
    return true;
}

/* Takes one element off the front of *AT; false when there is no whole one. */
static bool take_element(struct element *out, const uint8_t **at, const uint8_t *end)
{
    const uint8_t *p = *at;
    if (end - p < 2)
        return false;
    out->tag = *p++;
    size_t length = *p++;
    if (length >= 0x80) {
        size_t size = length & 0x7f;
        if (size == 0 || size > 4 || (size_t)(end - p) < size)
            return false;
        for (length = 0; size > 0; size--)
            length = length << 8 | *p++;
    }
    if ((size_t)(end - p) < length)
        return false;
    out->content = p;
    out->length = length;
    *at = p + length;
    return true;
}

/* EncryptedPrivateKeyInfo: an algorithm, then octets, then nothing more (RFC 5958 section 3). */
static bool is_encrypted_key(const struct element *first, const uint8_t *at, const uint8_t *end)
{
    struct element inner, second;
    const uint8_t *in = first->content;
    return first->tag == TAG_SEQUENCE && take_element(&inner, &in, first->content + first->length) &&
           inner.tag == TAG_OID && take_element(&second, &at, end) && second.tag == TAG_OCTETS && at == end;
}

/* A private key begins with a version: 0 in PKCS #1 and PKCS #8, 1 in PKCS #8 with its public key and in
 * SEC 1; PKCS #12 has 3. */
static unsigned tell_der(const uint8_t *bytes, size_t length)
{
    static const uint8_t java[] = {0xfe, 0xed, 0xfe, 0xed};
    const uint8_t *at = bytes, *end = bytes + length;
    struct element outer, first;
    bool open = take_open(&outer, bytes, end);
    if (length >= sizeof java && memcmp(bytes, java, sizeof java) == 0)
        return CONTENTS_JAVA;
    if ((!open && !take_element(&outer, &at, end)) || outer.tag != TAG_SEQUENCE)
        return 0;
    at = outer.content;
    end = outer.content + outer.length;
    if (!take_element(&first, &at, end))
        return 0;
    if (first.tag == TAG_INTEGER && first.length == 1 && first.content[0] == 3)
        return CONTENTS_PKCS12;
    if (first.tag == TAG_INTEGER && first.length == 1 && first.content[0] <= 1 && !open)
        return CONTENTS_PRIVATE_KEY;
    if (first.tag == TAG_OID) /* ContentInfo, RFC 2315 section 7 */
        return CONTENTS_PKCS7 | CONTENTS_DER;
    if (open)
        return 0;
    return is_encrypted_key(&first, at, end) ? CONTENTS_PRIVATE_KEY | CONTENTS_ENCRYPTED : CONTENTS_DER;
}

static bool is_utf16(const uint8_t *bytes, size_t length)
{
    return length >= 2 && ((bytes[0] == 0xff && bytes[1] == 0xfe) || (bytes[0] == 0xfe && bytes[1] == 0xff));
}

unsigned contents_tell(const uint8_t *bytes, size_t length)
{
    if (length == 0)
        return 0;
    if (is_utf16(bytes, length))
        return CONTENTS_UTF16;
    unsigned found = tell_pem(bytes, length);
    return found != 0 ? found : tell_der(bytes, length);
}
