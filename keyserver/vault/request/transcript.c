#include "keyserver/vault/request/transcript.h"

#include <openssl/evp.h>
#include <string.h>

#include "common/bytes.h"
#include "proto/handshake_type.h"

#define TLS12 0x0303

/* ExtensionType */
enum { SERVER_NAME = 0, EXTENDED_MASTER_SECRET = 23, SUPPORTED_VERSIONS = 43 };

#define HOST_NAME             0 /* NameType (RFC 6066, 3) */
#define NULL_COMPRESSION      0 /* CompressionMethod */
#define CLIENT_SESSION_ID_MAX 32

/* Every suite with RSA key exchange that encrypts, but those with RC4 (RFC 7465), DES and IDEA (RFC 5469),
 * which have no place in TLS 1.2; and the hash of its PRF: SHA-256 unless the suite says otherwise (RFC 5246,
 * 5). */
static const struct suite {
    uint16_t number;
    uint16_t prf_bits;
} suites[] = {
    {0x000a, 256}, /* TLS_RSA_WITH_3DES_EDE_CBC_SHA */
    {0x002f, 256}, /* TLS_RSA_WITH_AES_128_CBC_SHA (RFC 5246) */
    {0x0035, 256}, /* TLS_RSA_WITH_AES_256_CBC_SHA */
    {0x003c, 256}, /* TLS_RSA_WITH_AES_128_CBC_SHA256 */
    {0x003d, 256}, /* TLS_RSA_WITH_AES_256_CBC_SHA256 */
    {0x0041, 256}, /* TLS_RSA_WITH_CAMELLIA_128_CBC_SHA (RFC 5932) */
    {0x0084, 256}, /* TLS_RSA_WITH_CAMELLIA_256_CBC_SHA */
    {0x0096, 256}, /* TLS_RSA_WITH_SEED_CBC_SHA (RFC 4162) */
    {0x009c, 256}, /* TLS_RSA_WITH_AES_128_GCM_SHA256 (RFC 5288) */
    {0x009d, 384}, /* TLS_RSA_WITH_AES_256_GCM_SHA384 */
    {0x00ba, 256}, /* TLS_RSA_WITH_CAMELLIA_128_CBC_SHA256 (RFC 5932) */
    {0x00c0, 256}, /* TLS_RSA_WITH_CAMELLIA_256_CBC_SHA256 */
    {0xc03c, 256}, /* TLS_RSA_WITH_ARIA_128_CBC_SHA256 (RFC 6209) */
    {0xc03d, 384}, /* TLS_RSA_WITH_ARIA_256_CBC_SHA384 */
    {0xc050, 256}, /* TLS_RSA_WITH_ARIA_128_GCM_SHA256 */
    {0xc051, 384}, /* TLS_RSA_WITH_ARIA_256_GCM_SHA384 */
    {0xc07a, 256}, /* TLS_RSA_WITH_CAMELLIA_128_GCM_SHA256 (RFC 6367) */
    {0xc07b, 384}, /* TLS_RSA_WITH_CAMELLIA_256_GCM_SHA384 */
    {0xc09c, 256}, /* TLS_RSA_WITH_AES_128_CCM (RFC 6655) */
    {0xc09d, 256}, /* TLS_RSA_WITH_AES_256_CCM */
    {0xc0a0, 256}, /* TLS_RSA_WITH_AES_128_CCM_8 */
    {0xc0a1, 256}, /* TLS_RSA_WITH_AES_256_CCM_8 */
};

static const struct suite *find_suite(uint16_t number)
{
    for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++)
        if (suites[i].number == number)
            return &suites[i];
    return NULL;
}

/* What a hello's extensions say, as far as it matters. */
struct extensions {
    bool server_name;
    bool extended_master_secret;
    bool supported_versions;
    struct reader name;     /* the data of server_name, when it is there */
    struct reader versions; /* that of supported_versions */
};

/* The LENGTH-prefixed part that comes next as a reader of its own; an empty, bad one when it is not there. */
static struct reader part(struct reader *r, size_t length)
{
    struct reader inner;
    const uint8_t *bytes = reader_bytes(r, length);
    reader_init(&inner, bytes, bytes == NULL ? 0 : length);
    inner.bad = bytes == NULL;
    return inner;
}

/* One handshake message of TYPE, whole. */
static struct reader message(struct reader *r, uint8_t type)
{
    uint8_t found = reader_u8(r);
    struct reader body = part(r, reader_u24(r));
    body.bad = body.bad || found != type;
    return body;
}

/* False when an extension that means something here is there twice (RFC 5246, 7.4.1.4): it must not mean one
 * thing to the client and another here. */
static bool note_extension(struct extensions *out, uint16_t type, struct reader data)
{
    bool *seen = NULL;
    switch (type) {
    case SERVER_NAME:
        seen = &out->server_name;
        out->name = data;
        break;
    case EXTENDED_MASTER_SECRET:
        seen = &out->extended_master_secret;
        break;
    case SUPPORTED_VERSIONS:
        seen = &out->supported_versions;
        out->versions = data;
        break;
    default:
        return true;
    }
    bool twice = *seen;
    *seen = true;
    return !twice;
}

/* Everything that is left of a hello: its extensions, as many as there are. */
static bool parse_extensions(struct extensions *out, struct reader *hello)
{
    *out = (struct extensions){.server_name = false};
    struct reader r = part(hello, reader_u16(hello));
    while (!r.bad && reader_left(&r) > 0) {
        uint16_t type = reader_u16(&r);
        struct reader data = part(&r, reader_u16(&r));
        if (data.bad || !note_extension(out, type, data))
            return false;
    }
    return reader_done(&r) && reader_done(hello);
}

/* server_name as a client sends it: a list of exactly one host name (RFC 6066, 3), of any characters: what
 * TLS libraries take makes no refusal here. What can be no text is left out of OUT. */
static bool parse_server_name(char out[static TRANSCRIPT_NAME_SIZE], struct reader *data)
{
    struct reader list = part(data, reader_u16(data));
    uint8_t type = reader_u8(&list);
    size_t length = reader_u16(&list);
    const uint8_t *name = reader_bytes(&list, length);
    if (!reader_done(&list) || !reader_done(data) || type != HOST_NAME || length == 0 ||
        length >= TRANSCRIPT_NAME_SIZE || memchr(name, 0, length) != NULL)
        return false;
    for (size_t i = 0; i < length; i++)
        out[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] - 'A' + 'a' : name[i]);
    out[length] = 0;
    return true;
}

static bool lists_suite(struct reader list, uint16_t suite)
{
    while (!list.bad && reader_left(&list) > 0)
        if (reader_u16(&list) == suite)
            return true;
    return false;
}

static bool lists_no_compression(struct reader list)
{
    while (!list.bad && reader_left(&list) > 0)
        if (reader_u8(&list) == NULL_COMPRESSION)
            return true;
    return false;
}

/* supported_versions of a ClientHello: a list of at least one (RFC 8446, 4.2.1). *TLS12_TOO: it names that.
 */
static bool parse_versions(struct reader data, bool *tls12_too)
{
    struct reader list = part(&data, reader_u8(&data));
    bool any = false;
    for (*tls12_too = false; !list.bad && reader_left(&list) > 0; any = true)
        *tls12_too = reader_u16(&list) == TLS12 || *tls12_too;
    return any && reader_done(&list) && reader_done(&data);
}

/* The client may have TLS 1.2: by legacy_version, which is what it would like best (RFC 5246, E.1), or by its
 * list, beside which legacy_version says nothing (RFC 8446, 4.2.1). */
static bool offers_tls12(const struct transcript *seen, const struct extensions *extensions)
{
    bool listed = false;
    if (extensions->supported_versions && !parse_versions(extensions->versions, &listed))
        return false;
    return listed || seen->client_version >= TLS12;
}

/* RFC 5246, 7.4.1.2. OFFERED becomes the cipher suites. */
static bool parse_client_hello(struct transcript *out, struct reader hello, struct reader *offered)
{
    struct extensions extensions;
    out->client_version = reader_u16(&hello);
    reader_bytes(&hello, TLS_RANDOM_SIZE);
    size_t session_id_length = reader_u8(&hello);
    reader_bytes(&hello, session_id_length);
    *offered = part(&hello, reader_u16(&hello));
    struct reader compression = part(&hello, reader_u8(&hello));
    if (!parse_extensions(&extensions, &hello) || !offers_tls12(out, &extensions) ||
        session_id_length > CLIENT_SESSION_ID_MAX || offered->bad || reader_left(offered) % 2 != 0 ||
        !lists_no_compression(compression) || !extensions.extended_master_secret)
        return false;
    return !extensions.server_name || parse_server_name(out->server_name, &extensions.name);
}

/* RFC 5246, 7.4.1.3. */
static bool parse_server_hello(struct transcript *out, struct reader hello)
{
    struct extensions extensions;
    uint16_t version = reader_u16(&hello);
    reader_bytes(&hello, TLS_RANDOM_SIZE);
    size_t session_id_length = reader_u8(&hello);
    out->session_id = reader_bytes(&hello, session_id_length);
    out->cipher_suite = reader_u16(&hello);
    uint8_t compression = reader_u8(&hello);
    return parse_extensions(&extensions, &hello) && version == TLS12 &&
           session_id_length == SESSION_ID_SIZE && compression == NULL_COMPRESSION &&
           extensions.extended_master_secret && !extensions.supported_versions;
}

/* RFC 5246, 7.4.7.1. */
static bool parse_key_exchange(struct transcript *out, struct reader exchange)
{
    out->ciphertext_length = reader_u16(&exchange);
    out->ciphertext = reader_bytes(&exchange, out->ciphertext_length);
    return reader_done(&exchange) && out->ciphertext_length > 0;
}

int transcript_parse(struct transcript *out, const uint8_t *messages, size_t length)
{
    struct reader r, offered;
    *out = (struct transcript){.messages = messages, .length = length};
    reader_init(&r, messages, length);
    struct reader client_hello = message(&r, CLIENT_HELLO), server_hello = message(&r, SERVER_HELLO),
                  certificate = message(&r, CERTIFICATE), server_hello_done = message(&r, SERVER_HELLO_DONE),
                  client_key_exchange = message(&r, CLIENT_KEY_EXCHANGE);
    if (!reader_done(&r) || certificate.bad || !reader_done(&server_hello_done) ||
        !parse_client_hello(out, client_hello, &offered) || !parse_server_hello(out, server_hello) ||
        !parse_key_exchange(out, client_key_exchange))
        return ERR_FORMAT;
    const struct suite *suite = find_suite(out->cipher_suite);
    if (suite == NULL || !lists_suite(offered, out->cipher_suite))
        return ERR_FORMAT;
    out->prf_bits = suite->prf_bits;
    return 0;
}

int transcript_hash(const struct transcript *transcript, uint8_t out[static TRANSCRIPT_HASH_MAX])
{
    const EVP_MD *md = transcript->prf_bits == 384 ? EVP_sha384() : EVP_sha256();
    return EVP_Digest(transcript->messages, transcript->length, out, NULL, md, NULL) == 1 ? 0 : ERR_CRYPTO;
}
