/* For tests of handshakes: an edge's TLS without sockets and loop, its certificates, a key server in one
 * function, and clients that visit it. Includes edge/tls/tls.c itself: its cache is looked into. Not a test
 * itself. */
#ifndef TESTS_UNIT_EDGE_TLS_RIG_H
#define TESTS_UNIT_EDGE_TLS_RIG_H

#include "tests/unit/edge/remote_keys.h"

#include "common/secret.h"
#include "edge/tls/tickets.h"
#include "tests/unit/edge/bound_rig.h"

#include "edge/tls/tls.c"

static OSSL_LIB_CTX *library;
static char *folder;
static struct certs *certs;
static struct tls *tls;
static struct edge_config config;
static struct fault fault;

static unsigned asked;
static struct operation last_operation;
static uint8_t last_messages[HANDSHAKE_MAX];   /* of the last rsa_master */
static void (*spoil)(struct outcome *outcome); /* spoils exactly one answer */
static int perform_error;                      /* instead of an answer */

static int perform(const struct operation *operation, struct outcome *outcome)
{
    asked++;
    last_operation = *operation;
    if (operation->kind == OP_RSA_MASTER)
        memcpy(last_messages, operation->u.rsa_master.messages, operation->u.rsa_master.length);
    if (perform_error != 0)
        return perform_error;
    int error = remote_keys_answer(operation, outcome);
    if (spoil != NULL)
        spoil(outcome);
    spoil = NULL;
    return error;
}

static const struct provider_transport transport = {.perform = perform, .deferral = &bound_deferral};

/* ---- fixture ---- */

static int setup_all(void **state)
{
    remote_keys_make(state);
    assert_int_equal(secret_init(), 0);
    assert_int_equal(provider_context_new(&library, &transport, 1u << KEY_RSA, &fault), 0);
    return 0;
}

static int teardown_all(void **state)
{
    provider_context_free(library);
    return remote_keys_free(state);
}

static char protocol_h2[] = "h2", protocol_http[] = "http/1.1";
static char *protocols[] = {protocol_h2, protocol_http};

static void put(const char *file, int key, const char *names)
{
    remote_keys_put(folder, file, private_keys[key].key, names);
}

static int setup(void **state)
{
    (void)state;
    folder = remote_keys_folder();
    put("p256.pem", P256_KEY, "DNS:p256.example");
    put("p384.pem", P384_KEY, "DNS:p384.example");
    put("rsa.pem", RSA_KEY, "DNS:rsa.example,DNS:both.example");
    put("ed.pem", ED25519_KEY, "DNS:ed.example");
    put("rsa3072.pem", OTHER_RSA_KEY, "DNS:*.wild.example");
    put("both.pem", P256_KEY, "DNS:both.example");
    memset(&config, 0, sizeof config);
    config.tls.maximum_version = 1;
    config.tls.rsa_key_exchange = true;
    config.tls.tickets = true;
    config.tls.ticket_lifetime = 3600 * 1000;
    config.tls.alpn = (struct config_strings){protocols, 2};
    fault.text[0] = '\0';
    asked = 0;
    spoil = NULL;
    perform_error = 0;
    bound_announced.id = 0;
    return 0;
}

static void close_tls(void)
{
    tls_free(tls);
    certs_free(certs);
    tls = NULL;
    certs = NULL;
}

static int teardown(void **state)
{
    (void)state;
    close_tls();
    tickets_stop();
    remote_keys_remove(folder);
    ERR_clear_error();
    return 0;
}

static void load_certs(const char *default_name)
{
    assert_int_equal(
        certs_load(&certs, &(struct certs_source){library, NULL, folder, default_name, true}, &fault), 0);
}

static void open_tls(const char *default_name)
{
    load_certs(default_name);
    assert_int_equal(tls_new(&tls, library, certs, &config, &fault), 0);
}

/* ---- a client ---- */

struct visit {
    const char *name; /* SNI; NULL for none */
    int version;      /* the only one the client speaks; 0 = any */
    const char *ciphers;
    const char *schemes; /* signature algorithms */
    SSL_SESSION *resume;
    const char *alpn; /* on the wire */
    const char *groups;
    uint64_t options; /* SSL_OP_… */
};

/* How it went; free with talk_clear(). */
struct talk {
    SSL *client, *server;
    struct bound_exchange bound;
    struct tls_hello hello;
    SSL_SESSION *session;
    bool done;
    int alert; /* the last alert the client received; 0 = none */
};

static void on_alert(const SSL *ssl, int where, int value)
{
    struct talk *talk = SSL_get_app_data(ssl);
    if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT && (value >> 8) == SSL3_AL_FATAL)
        talk->alert = value & 0xff;
}

static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct talk *talk = SSL_get_app_data(ssl);
    SSL_SESSION_free(talk->session);
    talk->session = session;
    return 1;
}

/* OpenSSL's macros want text they could write to. */
static char *writable(const char *text)
{
    static char copy[128];
    snprintf(copy, sizeof copy, "%s", text);
    return copy;
}

static SSL *visitor_new(const struct visit *visit, struct talk *talk)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, on_session);
    SSL *client = SSL_new(context);
    SSL_CTX_free(context);
    assert_non_null(client);
    SSL_set_app_data(client, talk);
    SSL_set_info_callback(client, on_alert);
    assert_int_equal(SSL_set_min_proto_version(client, visit->version), 1);
    assert_int_equal(SSL_set_max_proto_version(client, visit->version), 1);
    if (visit->name != NULL)
        assert_int_equal(SSL_set_tlsext_host_name(client, writable(visit->name)), 1);
    if (visit->ciphers != NULL)
        assert_int_equal(SSL_set_cipher_list(client, visit->ciphers), 1);
    if (visit->schemes != NULL)
        assert_int_equal(SSL_set1_sigalgs_list(client, writable(visit->schemes)), 1);
    if (visit->groups != NULL)
        assert_int_equal(SSL_set1_groups_list(client, writable(visit->groups)), 1);
    if (visit->resume != NULL)
        assert_int_equal(SSL_set_session(client, visit->resume), 1);
    if (visit->alpn != NULL)
        assert_int_equal(
            SSL_set_alpn_protos(client, (const unsigned char *)visit->alpn, (unsigned)strlen(visit->alpn)),
            0);
    SSL_set_options(client, visit->options);
    return client;
}

/* There is nobody who could tell when an epoch is there. */
static int never_wait(void)
{
    return ERR_UNSUPPORTED;
}

/* Both sides, before their first word. */
static void talk_begin(const struct visit *visit, struct talk *talk)
{
    *talk = (struct talk){.client = visitor_new(visit, talk)};
    talk->server = tls_accept(tls, &talk->hello);
    assert_non_null(talk->server);
    if (config.tls.rsa_key_exchange)
        bound_start(&talk->bound, talk->server, &(struct bound_setup){NULL, never_wait});
    remote_keys_join(talk->client, talk->server);
}

static void talk_to(const struct visit *visit, struct talk *talk)
{
    talk_begin(visit, talk);
    bound_enter(&talk->bound);
    talk->done = remote_keys_shake(talk->client, talk->server);
    bound_leave();
    if (talk->done)
        remote_keys_talk(talk->client, talk->server);
}

static void talk_clear(struct talk *talk)
{
    SSL_free(talk->client);
    SSL_free(talk->server);
    bound_clear(&talk->bound);
    SSL_SESSION_free(talk->session);
    ERR_clear_error();
}

/* True when the server showed the certificate of private key KEY. */
static inline bool showed(const struct talk *talk, int key)
{
    uint8_t id[KEY_ID_SIZE];
    X509 *cert = SSL_get0_peer_certificate(talk->client);
    if (cert == NULL)
        return false;
    remote_keys_id(X509_get0_pubkey(cert), id);
    return memcmp(id, private_keys[key].id, KEY_ID_SIZE) == 0;
}

/* ---- a whole visit ---- */

static inline void assert_shakes(const struct visit *visit)
{
    struct talk talk;
    talk_to(visit, &talk);
    assert_true(talk.done);
    talk_clear(&talk);
}

/* The same, and the certificate of private key KEY was shown. */
static inline void assert_shows(const struct visit *visit, int key)
{
    struct talk talk;
    talk_to(visit, &talk);
    assert_true(talk.done);
    assert_true(showed(&talk, key));
    talk_clear(&talk);
}

/* The handshake fails, and the client is told ALERT. */
static inline void assert_alert(const struct visit *visit, int alert)
{
    struct talk talk;
    talk_to(visit, &talk);
    assert_false(talk.done);
    assert_int_equal(talk.alert, alert);
    talk_clear(&talk);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
