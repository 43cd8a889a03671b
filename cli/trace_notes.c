#include "cli/trace_notes.h"

#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"

#define VALUE_SIZE     40
#define SIGNATURE_SIZE 48

/* ---- notes ---- */

static const struct {
    int content_type;
    int message;  /* first byte: the handshake type; -1 = any */
    int outgoing; /* 1 = written by the client */
    enum trace_step step;
} messages[] = {
    {SSL3_RT_HANDSHAKE, SSL3_MT_CLIENT_HELLO, 1, STEP_CLIENT_HELLO},
    {SSL3_RT_HANDSHAKE, SSL3_MT_SERVER_HELLO, 0, STEP_SERVER_HELLO},
    {SSL3_RT_HANDSHAKE, SSL3_MT_ENCRYPTED_EXTENSIONS, 0, STEP_ENCRYPTED_EXTENSIONS},
    {SSL3_RT_HANDSHAKE, SSL3_MT_CERTIFICATE, 0, STEP_CERTIFICATE},
    {SSL3_RT_HANDSHAKE, SSL3_MT_SERVER_KEY_EXCHANGE, 0, STEP_SERVER_KEY_EXCHANGE},
    {SSL3_RT_HANDSHAKE, SSL3_MT_CERTIFICATE_VERIFY, 0, STEP_CERTIFICATE_VERIFY},
    {SSL3_RT_HANDSHAKE, SSL3_MT_SERVER_DONE, 0, STEP_SERVER_HELLO_DONE},
    {SSL3_RT_HANDSHAKE, SSL3_MT_CLIENT_KEY_EXCHANGE, 1, STEP_CLIENT_KEY_EXCHANGE},
    {SSL3_RT_CHANGE_CIPHER_SPEC, -1, 1, STEP_CLIENT_CCS},
    {SSL3_RT_HANDSHAKE, SSL3_MT_FINISHED, 1, STEP_CLIENT_FINISHED},
    /* OpenSSL shows an incoming ChangeCipherSpec by its record header only. */
    {SSL3_RT_HEADER, SSL3_RT_CHANGE_CIPHER_SPEC, 0, STEP_SERVER_CCS},
    {SSL3_RT_HANDSHAKE, SSL3_MT_FINISHED, 0, STEP_SERVER_FINISHED},
};

struct trace_note *trace_note_add(struct trace_run *run, enum trace_step step, size_t bytes)
{
    if (run->count == TRACE_NOTES_MAX)
        return &run->note[TRACE_NOTES_MAX - 1];
    struct trace_note *note = &run->note[run->count++];
    *note = (struct trace_note){.step = step, .ns = clock_ns() - run->began_ns, .bytes = bytes};
    return note;
}

struct trace_note *trace_note_find(struct trace_run *run, enum trace_step step)
{
    for (size_t i = run->count; i > 0; i--)
        if (run->note[i - 1].step == step)
            return &run->note[i - 1];
    return NULL;
}

static bool is_ccs(enum trace_step step)
{
    return step == STEP_CLIENT_CCS || step == STEP_SERVER_CCS;
}

void trace_note_message(int outgoing, int version, int content_type, const void *bytes, size_t length,
                        SSL *ssl, void *run)
{
    const uint8_t *first = bytes;
    (void)version;
    if (length == 0)
        return;
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        if (messages[i].content_type != content_type || messages[i].outgoing != outgoing ||
            (messages[i].message >= 0 && messages[i].message != *first))
            continue;
        if (!is_ccs(messages[i].step) || SSL_version(ssl) < TLS1_3_VERSION)
            trace_note_add(run, messages[i].step, content_type == SSL3_RT_HEADER ? 1 : length);
        return;
    }
}

/* ---- words ---- */

static const struct {
    enum trace_exchange exchange;
    int nid; /* of the suite's key exchange */
    const char *name;
} exchanges[] = {
    {EXCHANGE_RSA, NID_kx_rsa, "RSA"},
    {EXCHANGE_ECDHE, NID_kx_ecdhe, "ECDHE"},
    {EXCHANGE_DHE, NID_kx_dhe, "DHE"},
    {EXCHANGE_TLS13, NID_kx_any, "TLS 1.3"},
};

const char *trace_exchange_name(enum trace_exchange exchange)
{
    for (size_t i = 0; i < sizeof exchanges / sizeof exchanges[0]; i++)
        if (exchanges[i].exchange == exchange)
            return exchanges[i].name;
    return "unknown";
}

static enum trace_exchange exchange_of(const SSL *ssl)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
    int nid = cipher != NULL ? SSL_CIPHER_get_kx_nid(cipher) : NID_undef;
    for (size_t i = 0; i < sizeof exchanges / sizeof exchanges[0]; i++)
        if (exchanges[i].nid == nid)
            return exchanges[i].exchange;
    return EXCHANGE_UNKNOWN;
}

void trace_words_client_key_exchange(char out[static TRACE_WORDS_SIZE], enum trace_exchange exchange,
                                     const char *value, int modulus)
{
    if (exchange == EXCHANGE_RSA)
        snprintf(out, TRACE_WORDS_SIZE, "the 48-byte pre-master secret, encrypted to %d bytes", modulus);
    else if (exchange == EXCHANGE_ECDHE || exchange == EXCHANGE_DHE)
        snprintf(out, TRACE_WORDS_SIZE, "the client's %s value; no secret is sent", value);
    else
        out[0] = 0;
}

void trace_words_server_key_exchange(char out[static TRACE_WORDS_SIZE], const char *value,
                                     const char *signature)
{
    snprintf(out, TRACE_WORDS_SIZE, "the server's %s value, signed with %s", value, signature);
}

/* The group of the server's ephemeral key. */
static void put_value(char out[static VALUE_SIZE], SSL *ssl)
{
    EVP_PKEY *key = NULL;
    size_t length = 0;
    snprintf(out, VALUE_SIZE, "ephemeral");
    if (!SSL_get_peer_tmp_key(ssl, &key))
        return;
    if (EVP_PKEY_is_a(key, "DH"))
        snprintf(out, VALUE_SIZE, "DH-%d", EVP_PKEY_get_bits(key));
    else if (!EVP_PKEY_get_group_name(key, out, VALUE_SIZE, &length) || length == 0)
        snprintf(out, VALUE_SIZE, "%s", EVP_PKEY_get0_type_name(key));
    EVP_PKEY_free(key);
}

static void put_signature(char out[static SIGNATURE_SIZE], SSL *ssl)
{
    static const struct {
        int nid;
        const char *name;
    } kinds[] = {{NID_rsassaPss, "RSA-PSS"},
                 {NID_rsaEncryption, "RSA PKCS #1 v1.5"},
                 {NID_X9_62_id_ecPublicKey, "ECDSA"},
                 {NID_ED25519, "Ed25519"}};
    int kind = NID_undef, digest = NID_undef;
    const char *name = "an algorithm of its key";
    (void)SSL_get_peer_signature_type_nid(ssl, &kind);
    (void)SSL_get_peer_signature_nid(ssl, &digest);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i].nid == kind)
            name = kinds[i].name;
    snprintf(out, SIGNATURE_SIZE, "%s%s%s", name, digest != NID_undef ? " and " : "",
             digest != NID_undef ? OBJ_nid2sn(digest) : "");
}

/* ---- details ---- */

static void tell_of_hellos(struct trace_run *run, SSL *ssl, const char *offered, const char *host)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
    struct trace_note *hello = trace_note_find(run, STEP_CLIENT_HELLO);
    struct trace_note *chosen = trace_note_find(run, STEP_SERVER_HELLO);
    char value[VALUE_SIZE] = "";
    SSL_get_client_random(ssl, run->client_random, sizeof run->client_random);
    if (run->exchange == EXCHANGE_TLS13)
        put_value(value, ssl);
    if (hello != NULL)
        snprintf(hello->detail, sizeof hello->detail, "offers %s, suites %s, name %s",
                 SSL_get_min_proto_version(ssl) == SSL_get_max_proto_version(ssl) ? SSL_get_version(ssl)
                                                                                  : "TLSv1.2 and TLSv1.3",
                 offered, host);
    if (chosen != NULL)
        snprintf(chosen->detail, sizeof chosen->detail, "chooses %s, %s%s%s%s", SSL_get_version(ssl),
                 cipher != NULL ? SSL_CIPHER_get_name(cipher) : "no suite",
                 value[0] != 0 ? ", with the server's " : "", value, value[0] != 0 ? " value" : "");
    for (size_t i = 0; i < run->count; i++) /* only a HelloRetryRequest comes before another */
        if (run->note[i].step == STEP_SERVER_HELLO && &run->note[i] != chosen)
            snprintf(run->note[i].detail, sizeof run->note[i].detail,
                     "HelloRetryRequest: a value of another group is wanted");
}

static void tell_of_certificate(struct trace_run *run, const X509 *cert)
{
    struct trace_note *note = trace_note_find(run, STEP_CERTIFICATE);
    char name[100] = "none";
    if (note == NULL)
        return;
    X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name, sizeof name);
    for (char *c = name; *c != 0; c++)
        if ((unsigned char)*c < 0x20 || (unsigned char)*c > 0x7e)
            *c = '?';
    snprintf(note->detail, sizeof note->detail, "for %s, %s-%d", name,
             EVP_PKEY_get0_type_name(X509_get0_pubkey(cert)), EVP_PKEY_get_bits(X509_get0_pubkey(cert)));
}

void trace_note_details(struct trace_run *run, SSL *ssl, const char *offered, const char *host)
{
    char value[VALUE_SIZE], signature[SIGNATURE_SIZE];
    X509 *cert = SSL_get1_peer_certificate(ssl);
    run->exchange = exchange_of(ssl);
    tell_of_hellos(run, ssl, offered, host);
    if (cert != NULL)
        tell_of_certificate(run, cert);
    put_value(value, ssl);
    put_signature(signature, ssl);
    struct trace_note *server = trace_note_find(run, STEP_SERVER_KEY_EXCHANGE);
    struct trace_note *verify = trace_note_find(run, STEP_CERTIFICATE_VERIFY);
    struct trace_note *client = trace_note_find(run, STEP_CLIENT_KEY_EXCHANGE);
    if (server != NULL)
        trace_words_server_key_exchange(server->detail, value, signature);
    if (verify != NULL)
        snprintf(verify->detail, sizeof verify->detail, "everything so far, signed with %s", signature);
    if (client != NULL && cert != NULL)
        trace_words_client_key_exchange(client->detail, run->exchange, value,
                                        EVP_PKEY_get_size(X509_get0_pubkey(cert)));
    X509_free(cert);
    ERR_clear_error(); /* what a suite does not have was asked for as well */
}
