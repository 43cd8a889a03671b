#include "edge/tls/tls_context.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/secret.h"
#include "edge/certs/certs_level.h"
#include "edge/provider/openssl_error.h"
#include "edge/provider/provider.h"
#include "edge/tls/tickets.h"
#include "edge/tls/tls.h"

#define SESSION_CACHE_SIZE 10000 /* sessions, about 1 KB each */
#define MS_PER_SECOND      1000

/* Bytes of early data, records included, that are skipped: servers allow 14 to 16 KB of it. */
#define EARLY_DATA_SKIPPED_MAX 65536
#define ALPN_LIST_MAX          65535
#define HTTP_1_1               "http/1.1"
#define HTTP_1_0               "http/1.0"

/* Leaves out suites that need what this server does not have (pre-shared keys, DH parameters). */
#define DEFAULT_CIPHERS "DEFAULT:!PSK:!SRP:!kDHE:!aNULL"

/* ---- ALPN ---- */

static void alpn_add(struct tls_alpn *to, const char *name)
{
    size_t n = strlen(name);
    to->wire[to->length] = (uint8_t)n;
    memcpy(to->wire + to->length + 1, name, n);
    to->length += (unsigned)n + 1;
}

static bool alpn_lists(const struct config_strings *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->item[i], name) == 0)
            return true;
    return false;
}

/* Whoever serves HTTP/1.1 serves HTTP/1.0 as well (RFC 9110, 2.5): its clients are let in, after all others.
 */
int tls_context_alpn_pack(struct tls_alpn *out, const struct config_strings *list, struct fault *fault)
{
    size_t length = 0;
    *out = (struct tls_alpn){0};
    for (size_t i = 0; i < list->count; i++) {
        size_t n = strlen(list->item[i]);
        if (n == 0 || n > 255 || (length += n + 1) > ALPN_LIST_MAX)
            return fault_set(fault, ERR_CONFIG, "tls.alpn: '%.64s': a protocol has 1 to 255 bytes (RFC 7301)",
                             list->item[i]);
    }
    if (length == 0)
        return 0;
    out->wire = malloc(length + 1 + strlen(HTTP_1_0));
    if (out->wire == NULL)
        return fault_set(fault, ERR_MEMORY, "no memory for tls.alpn");
    for (size_t i = 0; i < list->count; i++)
        alpn_add(out, list->item[i]);
    if (alpn_lists(list, HTTP_1_1) && !alpn_lists(list, HTTP_1_0) &&
        length + 1 + strlen(HTTP_1_0) <= ALPN_LIST_MAX)
        alpn_add(out, HTTP_1_0);
    return 0;
}

/* Called only for clients that offer protocols; without one in common the answer is an alert (RFC 7301, 3.2).
 */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_length,
                   const unsigned char *offered, unsigned offered_length, void *user)
{
    const struct tls_alpn *ours = user;
    unsigned char *chosen = NULL;
    (void)ssl;
    if (SSL_select_next_proto(&chosen, out_length, ours->wire, ours->length, offered, offered_length) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* ---- what the configuration says ---- */

static int openssl_fault(struct fault *fault, const char *what)
{
    char why[256];
    return fault_set(fault, ERR_CONFIG, "%s: %s", what, openssl_error(why, sizeof why));
}

static int set_versions(SSL_CTX *context, const struct edge_config *config, struct fault *fault)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    if (config->tls.minimum_version > config->tls.maximum_version)
        return fault_set(fault, ERR_CONFIG, "tls.minimum_version is above tls.maximum_version");
    if (SSL_CTX_set_min_proto_version(context, versions[config->tls.minimum_version != 0]) != 1 ||
        SSL_CTX_set_max_proto_version(context, versions[config->tls.maximum_version != 0]) != 1)
        return openssl_fault(fault, "tls.minimum_version, tls.maximum_version");
    return 0;
}

/* Checks that one of CONTEXT's suites does what the configuration asks for. */
static int check_rsa_key_exchange(SSL_CTX *context, const struct edge_config *config, struct fault *fault)
{
    const STACK_OF(SSL_CIPHER) *suites = SSL_CTX_get_ciphers(context);
    if (!config->tls.rsa_key_exchange || config->tls.ciphers == NULL)
        return 0;
    for (int i = 0; i < sk_SSL_CIPHER_num(suites); i++)
        if (SSL_CIPHER_get_kx_nid(sk_SSL_CIPHER_value(suites, i)) == NID_kx_rsa)
            return 0;
    return fault_set(fault, ERR_CONFIG,
                     "tls: rsa_key_exchange is on, and ciphers has no suite for it; add one, like "
                     "AES128-GCM-SHA256, or turn it off");
}

static int set_ciphers(SSL_CTX *context, const struct edge_config *config, struct fault *fault)
{
    char *list = NULL;
    if (asprintf(&list, "%s%s", config->tls.ciphers != NULL ? config->tls.ciphers : DEFAULT_CIPHERS,
                 config->tls.rsa_key_exchange ? "" : ":!kRSA") < 0)
        return fault_set(fault, ERR_MEMORY, "no memory for tls.ciphers");
    int taken = SSL_CTX_set_cipher_list(context, list);
    free(list);
    if (taken != 1)
        return openssl_fault(fault,
                             config->tls.rsa_key_exchange
                                 ? "tls.ciphers names no suite this OpenSSL has (openssl ciphers lists them)"
                                 : "tls.ciphers leaves no suite while tls.rsa_key_exchange is off");
    int err = check_rsa_key_exchange(context, config, fault);
    if (err)
        return err;
    if (config->tls.ciphersuites != NULL && SSL_CTX_set_ciphersuites(context, config->tls.ciphersuites) != 1)
        return openssl_fault(fault, "tls.ciphersuites (openssl ciphers -tls1_3 lists them)");
    /* Without a list OpenSSL's own choice stays: post-quantum groups where it has them. */
    if (config->tls.groups != NULL && SSL_CTX_set1_groups_list(context, config->tls.groups) != 1)
        return openssl_fault(fault, "tls.groups (for example \"X25519:P-256\")");
    return 0;
}

static int set_resumption(SSL_CTX *context, OSSL_LIB_CTX *library, const struct edge_config *config,
                          struct fault *fault)
{
    /* Early data is neither offered nor taken. A client that sends some all the same, with a ticket of
     * another server, has it skipped and is let in (RFC 8446, 4.2.10); OpenSSL ends the connection when more
     * comes than it may skip. */
    SSL_CTX_set_max_early_data(context, 0);
    SSL_CTX_set_recv_max_early_data(context, EARLY_DATA_SKIPPED_MAX);
    if (!config->tls.tickets) {
        /* Bound mode needs session ids even where no session is kept. */
        SSL_CTX_set_session_cache_mode(context, config->tls.rsa_key_exchange
                                                    ? SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL
                                                    : SSL_SESS_CACHE_OFF);
        SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
        return SSL_CTX_set_num_tickets(context, 0) == 1 ? 0 : openssl_fault(fault, "tls.tickets");
    }
    /* For TLS 1.2 clients without tickets (curl is one) and RSA key exchange: sessions by their id, inside
     * this process. */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_SERVER);
    SSL_CTX_sess_set_cache_size(context, SESSION_CACHE_SIZE);
    SSL_CTX_set_timeout(context, (long)(config->tls.ticket_lifetime / MS_PER_SECOND));
    if (SSL_CTX_set_num_tickets(context, 1) != 1 || tickets_attach(context, library) != 0)
        return openssl_fault(fault, "tls.tickets");
    return 0;
}

static int set_config(SSL_CTX *context, OSSL_LIB_CTX *library, struct tls_alpn *alpn,
                      const struct edge_config *config, struct fault *fault)
{
    SSL_CTX_set_options(context,
                        SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1); /* a flight in one read, not two for each of its records */
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    if (alpn->length > 0)
        SSL_CTX_set_alpn_select_cb(context, on_alpn, alpn);
    int err = set_versions(context, config, fault);
    if (err == 0)
        err = set_ciphers(context, config, fault);
    if (err == 0)
        err = set_resumption(context, library, config, fault);
    return err;
}

/* ---- certificates ---- */

/* A session is resumed only under certificates with the same keys: its session id context is their
 * fingerprint. So what was sealed for one name's set is not accepted by another's, and stays valid when a
 * renewed certificate of the same key takes over. */
static int bind_sessions(SSL_CTX *context, const struct cert_set *set)
{
    uint8_t keys[KEY_TYPES * KEY_ID_SIZE] = {0};
    uint8_t id[SHA256_SIZE];
    for (size_t type = 0; type < KEY_TYPES; type++)
        if (set->of_type[type] != NULL)
            memcpy(keys + type * KEY_ID_SIZE, set->of_type[type]->key_id, KEY_ID_SIZE);
    sha256(id, keys, sizeof keys);
    return SSL_CTX_set_session_id_context(context, id, sizeof id) == 1 ? 0 : ERR_MEMORY;
}

const struct cert *tls_context_cert(const struct cert_set *set, enum key_type type)
{
    for (enum key_type before = KEY_RSA; before < type; before++)
        if (key_type_algorithm(before) == key_type_algorithm(type) && set->of_type[before] != NULL)
            return NULL;
    return set->of_type[type];
}

static int add_set(SSL_CTX *context, const struct cert_set *set, struct fault *fault)
{
    for (int type = 0; type < KEY_TYPES; type++) {
        const struct cert *cert = tls_context_cert(set, (enum key_type)type);
        int err = cert != NULL ? certs_level_put(context, cert, fault) : 0;
        if (err != 0)
            return err;
    }
    return bind_sessions(context, set) == 0 ? 0 : openssl_fault(fault, "session id context");
}

int tls_context_new_trial(SSL_CTX **out, OSSL_LIB_CTX *library, const struct edge_config *config,
                          struct fault *fault)
{
    SSL_CTX *context = SSL_CTX_new_ex(library, PROVIDER_TLS_PROPERTIES, TLS_server_method());
    if (context == NULL)
        return openssl_fault(fault, "OpenSSL cannot make a TLS context");
    int err = set_versions(context, config, fault);
    if (err == 0)
        err = set_ciphers(context, config, fault);
    if (err != 0) {
        SSL_CTX_free(context);
        return err;
    }
    *out = context;
    return 0;
}

int tls_context_new(SSL_CTX **out, OSSL_LIB_CTX *library, const struct cert_set *set, struct tls_alpn *alpn,
                    const struct edge_config *config, struct fault *fault)
{
    SSL_CTX *context = SSL_CTX_new_ex(library, PROVIDER_TLS_PROPERTIES, TLS_server_method());
    if (context == NULL)
        return openssl_fault(fault, "OpenSSL cannot make a TLS context");
    int err = set_config(context, library, alpn, config, fault);
    if (err == 0 && set != NULL)
        err = add_set(context, set, fault);
    if (err != 0) {
        SSL_CTX_free(context);
        return err;
    }
    *out = context;
    return 0;
}
