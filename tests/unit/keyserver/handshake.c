#include "tests/unit/keyserver/handshake.h"

#include <openssl/hmac.h>
#include <openssl/ssl.h>

#define HANDSHAKE_KEY_EXCHANGE 16 /* ClientKeyExchange */

static X509 *handshake_certificate(EVP_PKEY *pkey)
{
    X509 *cert = X509_new();
    X509_NAME *subject = X509_get_subject_name(cert);
    assert_int_equal(X509_set_version(cert, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(cert), 7), 1);
    assert_int_equal(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                                (const uint8_t *)"www.example.com", -1, -1, 0),
                     1);
    assert_true(X509_set_issuer_name(cert, subject) == 1 && X509_set_pubkey(cert, pkey) == 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), 0));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(cert), 3600));
    assert_true(X509_sign(cert, pkey, EVP_sha256()) > 0);
    return cert;
}

/* Takes down what the server sends and receives, as SSL_CTX_set_msg_callback() tells it. */
static void handshake_on_message(int write_p, int version, int type, const void *bytes, size_t length,
                                 SSL *ssl, void *user)
{
    struct handshake *out = user;
    (void)write_p, (void)version, (void)ssl;
    if (type != SSL3_RT_HANDSHAKE || out->complete)
        return;
    assert_true(out->length + length <= sizeof out->messages);
    memcpy(out->messages + out->length, bytes, length);
    out->length += length;
    out->complete = *(const uint8_t *)bytes == HANDSHAKE_KEY_EXCHANGE;
}

static int handshake_choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_length,
                                 const unsigned char *in, unsigned length, void *user)
{
    (void)ssl, (void)length, (void)user;
    *out = in + 1;
    *out_length = in[0];
    return SSL_TLSEXT_ERR_OK;
}

static SSL *handshake_server(SSL_CTX **context, const struct handshake_wish *wish, struct handshake *out)
{
    X509 *cert = handshake_certificate(wish->pkey);
    *context = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_set_cipher_list(*context, HANDSHAKE_SUITES_OF_ALL), 1);
    assert_int_equal(SSL_CTX_use_certificate(*context, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(*context, wish->pkey), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(*context, wish->tls13 ? TLS1_2_VERSION : TLS1_3_VERSION),
                     1);
    SSL_CTX_set_options(*context, SSL_OP_NO_TICKET); /* so that there is a session id */
    SSL_CTX_set_alpn_select_cb(*context, handshake_choose_alpn, NULL);
    SSL_CTX_set_msg_callback(*context, handshake_on_message);
    SSL_CTX_set_msg_callback_arg(*context, out);
    X509_free(cert);
    return SSL_new(*context);
}

static int handshake_add_strange(SSL *ssl, unsigned type, unsigned context, const unsigned char **out,
                                 size_t *length, X509 *x, size_t chain, int *alert, void *user)
{
    static const uint8_t bytes[HANDSHAKE_STRANGE] = {1, 2, 3};
    (void)ssl, (void)context, (void)x, (void)chain, (void)alert, (void)user;
    *out = bytes;
    *length = type % HANDSHAKE_STRANGE;
    return 1;
}

static void handshake_wish_strange(SSL_CTX *context)
{
    for (unsigned i = 0; i < HANDSHAKE_STRANGE; i++)
        assert_int_equal(SSL_CTX_add_custom_ext(context, 0x7a00 + i, SSL_EXT_CLIENT_HELLO,
                                                handshake_add_strange, NULL, NULL, NULL, NULL),
                         1);
    assert_int_equal(SSL_CTX_set_tlsext_status_type(context, TLSEXT_STATUSTYPE_ocsp), 1);
    SSL_CTX_set_options(context, SSL_OP_TLSEXT_PADDING);
}

static SSL *handshake_client(SSL_CTX **context, const struct handshake_wish *wish)
{
    *context = SSL_CTX_new(TLS_client_method());
    assert_int_equal(SSL_CTX_set_cipher_list(*context, wish->ciphers), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(*context, wish->tls13 ? TLS1_3_VERSION : TLS1_2_VERSION),
                     1);
    if (!wish->tickets)
        SSL_CTX_set_options(*context, SSL_OP_NO_TICKET);
    if (wish->strange)
        handshake_wish_strange(*context);
    SSL *ssl = SSL_new(*context);
    if (wish->server_name != NULL) {
        char name[256]; /* the macro takes no constant one */
        assert_true(snprintf(name, sizeof name, "%s", wish->server_name) < (int)sizeof name);
        assert_int_equal(SSL_set_tlsext_host_name(ssl, name), 1);
    }
    if (wish->alpn != NULL) {
        unsigned char list[32] = {(unsigned char)strlen(wish->alpn)};
        memcpy(list + 1, wish->alpn, list[0]);
        assert_int_equal(SSL_set_alpn_protos(ssl, list, 1u + list[0]), 0);
    }
    return ssl;
}

static void handshake_take_master(SSL *ssl, uint8_t out[static TLS_MASTER_SIZE])
{
    assert_int_equal(SSL_SESSION_get_master_key(SSL_get_session(ssl), out, TLS_MASTER_SIZE), TLS_MASTER_SIZE);
}

void handshake_run(struct handshake *out, const struct handshake_wish *wish)
{
    SSL_CTX *contexts[2];
    BIO *ends[2];
    out->length = 0;
    out->complete = false;
    SSL *client = handshake_client(&contexts[0], wish), *server = handshake_server(&contexts[1], wish, out);
    assert_int_equal(BIO_new_bio_pair(&ends[0], 0, &ends[1], 0), 1);
    SSL_set_bio(client, ends[0], ends[0]);
    SSL_set_bio(server, ends[1], ends[1]);
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
    for (int turn = 0; turn < 10; turn++) {
        (void)SSL_do_handshake(client);
        (void)SSL_do_handshake(server);
    }
    assert_true(SSL_is_init_finished(client) && SSL_is_init_finished(server));
    assert_string_equal(SSL_get_version(server), "TLSv1.2");
    const SSL_CIPHER *cipher = SSL_get_current_cipher(server);
    out->suite = SSL_CIPHER_get_protocol_id(cipher);
    const EVP_MD *hash = SSL_CIPHER_get_handshake_digest(cipher); /* for older suites, that of TLS 1.0 */
    out->hash_bits = EVP_MD_is_a(hash, "MD5-SHA1") ? 256 : (uint16_t)(8 * EVP_MD_get_size(hash));
    handshake_take_master(client, out->client_master);
    handshake_take_master(server, out->server_master);
    SSL_free(client);
    SSL_free(server);
    SSL_CTX_free(contexts[0]);
    SSL_CTX_free(contexts[1]);
    ERR_clear_error();
}

void handshake_derive(uint8_t out[static TLS_MASTER_SIZE], const uint8_t premaster[static TLS_PREMASTER_SIZE],
                      const uint8_t *hash, unsigned hash_bits)
{
    static const char label[] = "extended master secret";
    const EVP_MD *md = hash_bits == 384 ? EVP_sha384() : EVP_sha256();
    const size_t size = hash_bits / 8, seed_length = sizeof label - 1 + size;
    uint8_t block[TRANSCRIPT_HASH_MAX + sizeof label - 1 + TRANSCRIPT_HASH_MAX]; /* A(i), then the seed */
    uint8_t part[TRANSCRIPT_HASH_MAX], *seed = block + size;
    memcpy(seed, label, sizeof label - 1);
    memcpy(seed + sizeof label - 1, hash, size);
    assert_non_null(HMAC(md, premaster, TLS_PREMASTER_SIZE, seed, seed_length, block, NULL)); /* A(1) */
    for (size_t done = 0; done < TLS_MASTER_SIZE; done += size) {
        size_t wanted = TLS_MASTER_SIZE - done < size ? TLS_MASTER_SIZE - done : size;
        assert_non_null(HMAC(md, premaster, TLS_PREMASTER_SIZE, block, size + seed_length, part, NULL));
        memcpy(out + done, part, wanted);
        assert_non_null(HMAC(md, premaster, TLS_PREMASTER_SIZE, block, size, part, NULL));
        memcpy(block, part, size);
    }
}
