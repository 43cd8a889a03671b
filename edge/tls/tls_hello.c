#include "edge/tls/tls_hello.h"

#include <pthread.h>
#include <string.h>

#include "common/bytes.h"
#include "edge/bound/bound.h"
#include "edge/tls/tls_context.h"

#define SNI_HOST_NAME 0 /* RFC 6066, 3 */
/* most bytes of an RSA key exchange's messages other than ClientHello and Certificate */
#define OTHER_MESSAGES_MAX 2048

/* Bytes of a list that OpenSSL keeps as long as the connection, suites even in four times the memory. A list
 * of all registered values takes a twentieth of it. */
#define LIST_MAX 16384

/* ---- where it is kept ---- */

static int hello_index = -1; /* where an SSL keeps its struct tls_hello */

static void make_index(void)
{
    hello_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

int tls_hello_attach(SSL *ssl, struct tls_hello *hello)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_index);
    return hello_index >= 0 && SSL_set_ex_data(ssl, hello_index, hello) == 1 ? 0 : ERR_MEMORY;
}

static struct tls_hello *find_hello(const SSL *ssl)
{
    return SSL_get_ex_data(ssl, hello_index);
}

void tls_hello_note_alert(const SSL *ssl, uint8_t alert)
{
    struct tls_hello *hello = find_hello(ssl);

    if (hello != NULL)
        hello->alert = alert;
}

/* ---- what it says ---- */

void tls_hello_note(SSL *ssl)
{
    struct tls_hello *hello = find_hello(ssl);
    const unsigned char *random;

    if (hello == NULL || SSL_client_hello_get0_random(ssl, &random) != TLS_RANDOM_SIZE)
        return;
    memcpy(hello->random, random, TLS_RANDOM_SIZE);
    hello->read = true;
}

int tls_hello_check(SSL *ssl)
{
    static const unsigned kept[] = {
        TLSEXT_TYPE_supported_groups,
        TLSEXT_TYPE_signature_algorithms,
        TLSEXT_TYPE_signature_algorithms_cert,
        TLSEXT_TYPE_application_layer_protocol_negotiation,
    };
    const unsigned char *bytes = NULL;
    size_t size = 0;

    if (SSL_client_hello_get0_ciphers(ssl, &bytes) > LIST_MAX)
        return ERR_LENGTH;
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        if (SSL_client_hello_get0_ext(ssl, kept[i], &bytes, &size) == 1 && size > LIST_MAX)
            return ERR_LENGTH;
    return 0;
}

int tls_hello_name(SSL *ssl, char name[static TLS_HELLO_NAME_MAX + 1])
{
    const unsigned char *extension = NULL;
    size_t size = 0;
    struct reader r;

    name[0] = '\0';
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &extension, &size) != 1)
        return 0;
    reader_init(&r, extension, size);
    size_t list_length = reader_u16(&r);
    uint8_t type = reader_u8(&r);
    size_t length = reader_u16(&r);
    const uint8_t *bytes = reader_bytes(&r, length);
    if (!reader_done(&r) || list_length != length + 3 || type != SNI_HOST_NAME || length == 0 ||
        length > TLS_HELLO_NAME_MAX || memchr(bytes, 0, length) != NULL)
        return ERR_FORMAT;
    memcpy(name, bytes, length);
    name[length] = '\0';
    return 0;
}

/* RFC 8446, 4.2.1. OpenSSL refuses what does not parse. */
static bool offers_tls13(SSL *ssl)
{
    const unsigned char *extension = NULL;
    size_t size = 0;
    struct reader r;

    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_supported_versions, &extension, &size) != 1)
        return false;
    reader_init(&r, extension, size);
    for (size_t count = reader_u8(&r) / 2u; count > 0; count--)
        if (reader_u16(&r) == TLS1_3_VERSION && !r.bad)
            return true;
    return false;
}

static bool serves_tls13(SSL *ssl)
{
    long highest = SSL_get_max_proto_version(ssl);

    return highest == 0 || highest >= TLS1_3_VERSION;
}

/* ---- what is granted ---- */

static uint32_t granted_for(const struct client *client, const struct cert *cert)
{
    if (cert == NULL)
        return 0;
    return client != NULL ? client_grants(client, cert->key_id) : CLIENT_GRANTS_UNKNOWN;
}

/* True when an RSA key exchange with the certificate RSA (NULL: none) could be bound. BOUND is NULL where the
 * configuration offers none. */
static bool could_be_bound(const struct bound_exchange *bound, const struct cert *rsa)
{
    return bound != NULL && rsa != NULL && bound_fits(bound, rsa->message_size + OTHER_MESSAGES_MAX);
}

static void choose(struct tls_hello *hello, SSL *ssl, const struct cert_set *set, bool rsa_key_exchange)
{
    struct bound_exchange *bound = bound_find(ssl);
    uint32_t granted[KEY_TYPES];

    if (bound != NULL)
        bound_note_hello(bound, ssl);
    const struct choice_facts facts = {
        .tls13 = serves_tls13(ssl) && offers_tls13(ssl),
        .rsa_key_exchange = rsa_key_exchange,
        .extended_master_secret = bound != NULL && bound_has_ems(bound),
        .fits = could_be_bound(bound, set->of_type[KEY_RSA]),
    };
    for (int type = 0; type < KEY_TYPES; type++)
        granted[type] = granted_for(hello->client, set->of_type[type]);
    choice_make(&hello->choice, granted, &facts);
    if (bound != NULL && hello->choice.plain)
        bound_stay_plain(bound);
}

/* ---- certificates ---- */

static bool all_are_shown(const struct choice *choice, const struct cert_set *set)
{
    for (int type = 0; type < KEY_TYPES; type++)
        if (set->of_type[type] != NULL && !choice->shown[type])
            return false;
    return true;
}

/* Shows, in place of the context's certificates, only those of SET that may be shown. */
static int show(SSL *ssl, const struct cert_set *set, const struct choice *choice)
{
    struct cert_set shown = *set;

    for (int type = 0; type < KEY_TYPES; type++)
        if (!choice->shown[type])
            shown.of_type[type] = NULL;
    SSL_certs_clear(ssl);
    for (int type = 0; type < KEY_TYPES; type++) {
        const struct cert *cert = tls_context_cert(&shown, (enum key_type)type);
        if (cert != NULL && SSL_use_cert_and_key(ssl, cert->leaf, cert->key, cert->chain, 1) != 1)
            return ERR_MEMORY; /* OpenSSL's error queue says why: the log shows it */
    }
    return 0;
}

/* ---- suites ---- */

static bool suite_is_choice(struct tls_hello *hello, const SSL_CIPHER *suite)
{
    const struct choice *choice = &hello->choice;

    switch (SSL_CIPHER_get_kx_nid(suite)) {
    case NID_kx_rsa:
        hello->turned_away = hello->turned_away || choice->withheld != WITHHELD_NOT;
        return choice->withheld == WITHHELD_NOT;
    case NID_kx_ecdhe:
        return SSL_CIPHER_get_auth_nid(suite) == NID_auth_rsa ? choice->rsa_signs : choice->others_sign;
    default:
        return true;
    }
}

/* OpenSSL asks this about each suite that both sides have, and about much else, which its own policy
 * answers. */
static int on_security(const SSL *ssl, const SSL_CTX *context, int operation, int bits, int nid, void *other,
                       void *user)
{
    struct tls_hello *hello = find_hello(ssl);

    if (operation == SSL_SECOP_CIPHER_SHARED && hello != NULL && !suite_is_choice(hello, other))
        return 0;
    return SSL_CTX_get_security_callback(SSL_get_SSL_CTX(ssl))(ssl, context, operation, bits, nid, other,
                                                               user);
}

int tls_hello_limit(SSL *ssl, const struct cert_set *set, bool rsa_key_exchange)
{
    struct tls_hello *hello = find_hello(ssl);

    if (hello == NULL)
        return 0;
    choose(hello, ssl, set, rsa_key_exchange);
    if (hello->choice.suites_limited)
        SSL_set_security_callback(ssl, on_security);
    return all_are_shown(&hello->choice, set) ? 0 : show(ssl, set, &hello->choice);
}
