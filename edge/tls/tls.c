#include "edge/tls/tls.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "edge/tls/tickets.h"
#include "edge/tls/tls_context.h"

struct tls {
    const struct certs *certs; /* borrowed; outlives it */
    SSL_CTX *start;            /* owned; every session begins here, without a certificate */
    SSL_CTX **of_set;          /* owned; by cert_set.index */
    size_t set_count;
    struct tls_alpn alpn;
    bool rsa_key_exchange;    /* the configuration offers it */
    _Atomic int64_t ahead_ms; /* the most that the wall clock has been ahead of the one that is never set */
};

/* The wall clock may be corrected by so much, a leap second included; sessions live longer by as much. */
#define CLOCK_STEP_MS 1000

void tls_free(struct tls *tls)
{
    if (tls == NULL)
        return;
    for (size_t i = 0; i < tls->set_count; i++)
        SSL_CTX_free(tls->of_set[i]);
    free(tls->of_set);
    SSL_CTX_free(tls->start);
    free(tls->alpn.wire);
    free(tls);
}

/* ---- sessions that are kept ---- */

static int64_t clock_ahead_ms(void)
{
    return (int64_t)clock_unix_ms() - (int64_t)clock_ms();
}

static void flush(struct tls *tls, time_t until)
{
#if OPENSSL_VERSION_NUMBER >= 0x30400000L
    SSL_CTX_flush_sessions_ex(tls->start, until);
#else
    SSL_CTX_flush_sessions(tls->start, until);
#endif
}

/* OpenSSL expires sessions by the wall clock. When that was set back, a session and its secret would live
 * longer by as much. Its age is then unknown, so all sessions are dropped. */
static void flush_if_set_back(struct tls *tls)
{
    int64_t ahead = clock_ahead_ms(), most = atomic_load(&tls->ahead_ms);
    while (ahead > most && !atomic_compare_exchange_weak(&tls->ahead_ms, &most, ahead))
        ;
    if (most - ahead <= CLOCK_STEP_MS)
        return;
    flush(tls, 0);
    (void)atomic_compare_exchange_strong(&tls->ahead_ms, &most, ahead);
}

/* OpenSSL itself drops a session only when it is asked for, or when the cache is full. A session stays in the
 * cache of the context it began in. */
void tls_flush(struct tls *tls)
{
    flush_if_set_back(tls);
    flush(tls, time(NULL));
}

/* ---- which certificates ---- */

static int check_hello(SSL *ssl, int *alert)
{
    if (tls_hello_check(ssl) == 0)
        return SSL_CLIENT_HELLO_SUCCESS;
    *alert = SSL_AD_ILLEGAL_PARAMETER;
    return SSL_CLIENT_HELLO_ERROR;
}

/* The certificates are chosen already. A client that was asked for another key share repeats its whole
 * ClientHello. */
static int on_second_hello(SSL *ssl, int *alert, void *user)
{
    (void)user;
    return check_hello(ssl, alert);
}

/* Chooses the certificates before OpenSSL looks at tickets: the session id context of the chosen set then
 * decides whether a ticket may be used. (The servername callback comes too late for that.) */
static int on_client_hello(SSL *ssl, int *alert, void *user)
{
    struct tls *tls = user;
    char name[TLS_HELLO_NAME_MAX + 1];
    flush_if_set_back(tls);
    tls_hello_note(ssl);
    if (check_hello(ssl, alert) != SSL_CLIENT_HELLO_SUCCESS)
        return SSL_CLIENT_HELLO_ERROR;
    if (tls_hello_name(ssl, name) != 0) {
        *alert = SSL_AD_DECODE_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    const struct cert_set *set = certs_find(tls->certs, name[0] != '\0' ? name : NULL, (int64_t)time(NULL));
    if (set == NULL) {
        *alert = SSL_AD_UNRECOGNIZED_NAME;
        return SSL_CLIENT_HELLO_ERROR;
    }
    if (SSL_set_SSL_CTX(ssl, tls->of_set[set->index]) == NULL ||
        tls_hello_limit(ssl, set, tls->rsa_key_exchange) != 0) {
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    return SSL_CLIENT_HELLO_SUCCESS;
}

/* The choice is made; this only lets OpenSSL acknowledge the name. */
static int on_server_name(SSL *ssl, int *alert, void *user)
{
    (void)alert;
    (void)user;
    return SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) != NULL ? SSL_TLSEXT_ERR_OK
                                                                      : SSL_TLSEXT_ERR_NOACK;
}

/* OpenSSL reports every step. Only the alerts that were sent matter. */
static void on_info(const SSL *ssl, int where, int value)
{
    if ((where & SSL_CB_WRITE_ALERT) == SSL_CB_WRITE_ALERT)
        tls_hello_note_alert(ssl, (uint8_t)value); /* its level is in the byte above */
}

/* ---- life ---- */

static int make_contexts(struct tls *tls, OSSL_LIB_CTX *library, const struct edge_config *config,
                         struct fault *fault)
{
    size_t count = certs_set_count(tls->certs);
    int err = tls_context_new(&tls->start, library, NULL, &tls->alpn, config, fault);
    if (err != 0)
        return err;
    SSL_CTX_set_client_hello_cb(tls->start, on_client_hello, tls);
    SSL_CTX_set_info_callback(tls->start, on_info);
    tls->of_set = calloc(count + 1, sizeof(SSL_CTX *));
    if (tls->of_set == NULL)
        return fault_set(fault, ERR_MEMORY, "no memory for %zu TLS contexts", count);
    for (; tls->set_count < count; tls->set_count++) {
        SSL_CTX **context = &tls->of_set[tls->set_count];
        const struct cert_set *set = certs_set_at(tls->certs, tls->set_count);
        if ((err = tls_context_new(context, library, set, &tls->alpn, config, fault)) != 0)
            return err;
        SSL_CTX_set_client_hello_cb(*context, on_second_hello, NULL);
        SSL_CTX_set_info_callback(*context, on_info);
        SSL_CTX_set_tlsext_servername_callback(*context, on_server_name);
    }
    return 0;
}

int tls_new(struct tls **out, OSSL_LIB_CTX *context, const struct certs *certs,
            const struct edge_config *config, struct fault *fault)
{
    struct tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL)
        return fault_set(fault, ERR_MEMORY, "no memory for TLS");
    tls->certs = certs;
    atomic_init(&tls->ahead_ms, clock_ahead_ms());
    tls->rsa_key_exchange = config->tls.rsa_key_exchange;
    int err = tls_context_alpn_pack(&tls->alpn, &config->tls.alpn, fault);
    if (err == 0 && config->tls.tickets && (err = tickets_start(config->tls.ticket_lifetime)) != 0)
        fault_set(fault, err, "no locked memory for ticket keys");
    if (err == 0)
        err = make_contexts(tls, context, config, fault);
    if (err != 0) {
        tls_free(tls);
        return err;
    }
    *out = tls;
    return 0;
}

SSL *tls_accept(struct tls *tls, struct tls_hello *hello)
{
    SSL *ssl = SSL_new(tls->start);
    if (ssl == NULL || tls_hello_attach(ssl, hello) != 0) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_accept_state(ssl);
    return ssl;
}

/* ---- words for logs ---- */

static const char *const kind_names[TLS_KINDS] = {
    [TLS_KIND_RSA] = "rsa",
    [TLS_KIND_RSA_PLAIN] = "rsa_plain",
    [TLS_KIND_ECDHE_RSA] = "ecdhe_rsa",
    [TLS_KIND_ECDHE_ECDSA] = "ecdhe_ecdsa",
    [TLS_KIND_TLS13_RSA] = "tls13_rsa",
    [TLS_KIND_TLS13_ECDSA] = "tls13_ecdsa",
    [TLS_KIND_TLS13_ED25519] = "tls13_ed25519",
    [TLS_KIND_RESUMED12] = "resumed12",
    [TLS_KIND_RESUMED13] = "resumed13",
    [TLS_KIND_OTHER] = "other",
};

const char *tls_kind_name(enum tls_kind kind)
{
    return (unsigned)kind < TLS_KINDS ? kind_names[kind] : kind_names[TLS_KIND_OTHER];
}

static enum tls_kind kind_of_tls13(const SSL *ssl)
{
    int type = NID_undef;
    if (SSL_get_signature_type_nid(ssl, &type) != 1)
        return TLS_KIND_OTHER;
    if (type == EVP_PKEY_RSA_PSS || type == EVP_PKEY_RSA)
        return TLS_KIND_TLS13_RSA;
    if (type == EVP_PKEY_EC)
        return TLS_KIND_TLS13_ECDSA;
    return type == EVP_PKEY_ED25519 ? TLS_KIND_TLS13_ED25519 : TLS_KIND_OTHER;
}

enum tls_kind tls_session_kind(const SSL *ssl, bool bound)
{
    bool tls13 = SSL_version(ssl) == TLS1_3_VERSION;
    const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
    if (SSL_session_reused(ssl))
        return tls13 ? TLS_KIND_RESUMED13 : TLS_KIND_RESUMED12;
    if (tls13)
        return kind_of_tls13(ssl);
    if (cipher == NULL)
        return TLS_KIND_OTHER;
    if (SSL_CIPHER_get_kx_nid(cipher) == NID_kx_rsa)
        return bound ? TLS_KIND_RSA : TLS_KIND_RSA_PLAIN;
    if (SSL_CIPHER_get_kx_nid(cipher) != NID_kx_ecdhe)
        return TLS_KIND_OTHER;
    return SSL_CIPHER_get_auth_nid(cipher) == NID_auth_rsa ? TLS_KIND_ECDHE_RSA : TLS_KIND_ECDHE_ECDSA;
}
