#include "tests/unit/edge/remote_keys.h"

#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/operation.h"
#include "tests/unit/remove_tree.h"

struct private_key private_keys[PRIVATE_KEYS];

void remote_keys_id(EVP_PKEY *key, uint8_t id[static KEY_ID_SIZE])
{
    unsigned char *der = NULL;
    int length = i2d_PUBKEY(key, &der);
    assert_true(length > 0);
    assert_int_equal(EVP_Q_digest(NULL, "SHA256", NULL, der, (size_t)length, id, NULL), 1);
    OPENSSL_free(der);
}

int remote_keys_make(void **state)
{
    (void)state;
    private_keys[RSA_KEY].key = EVP_RSA_gen(2048);
    private_keys[P256_KEY].key = EVP_EC_gen("P-256");
    private_keys[P384_KEY].key = EVP_EC_gen("P-384");
    private_keys[ED25519_KEY].key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    private_keys[OTHER_RSA_KEY].key = EVP_RSA_gen(3072);
    for (int i = 0; i < PRIVATE_KEYS; i++) {
        assert_non_null(private_keys[i].key);
        remote_keys_id(private_keys[i].key, private_keys[i].id);
    }
    return 0;
}

int remote_keys_free(void **state)
{
    (void)state;
    for (int i = 0; i < PRIVATE_KEYS; i++)
        EVP_PKEY_free(private_keys[i].key);
    return 0;
}

void *remote_keys_unconst(const void *bytes)
{
    union {
        const void *from;
        void *to;
    } u = {.from = bytes};
    return u.to;
}

/* ---- the key server ---- */

static EVP_PKEY *remote_keys_find(const uint8_t *id)
{
    for (int i = 0; i < PRIVATE_KEYS; i++)
        if (memcmp(private_keys[i].id, id, KEY_ID_SIZE) == 0)
            return private_keys[i].key;
    return NULL;
}

static void remote_keys_sign(EVP_PKEY *key, uint16_t scheme, const uint8_t *content, size_t length,
                             struct outcome *outcome)
{
    const struct scheme_info *info = scheme_find(scheme);
    char digest[16];
    size_t size = sizeof outcome->bytes;
    EVP_PKEY_CTX *options = NULL;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    snprintf(digest, sizeof digest, "SHA%u", info->hash_bits);
    assert_int_equal(
        EVP_DigestSignInit_ex(context, &options, info->hash_bits == 0 ? NULL : digest, NULL, NULL, key, NULL),
        1);
    if (info->pss) {
        assert_true(EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) > 0);
        assert_true(EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) > 0);
    }
    assert_int_equal(EVP_DigestSign(context, outcome->bytes, &size, content, length), 1);
    outcome->length = (uint16_t)size;
    EVP_MD_CTX_free(context);
}

static void remote_keys_decrypt(EVP_PKEY *key, unsigned version, const uint8_t *ciphertext, size_t length,
                                struct outcome *outcome)
{
    size_t size = sizeof outcome->bytes;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    OSSL_PARAM params[] = {
        OSSL_PARAM_uint(OSSL_ASYM_CIPHER_PARAM_TLS_CLIENT_VERSION, &version),
        OSSL_PARAM_END,
    };
    assert_int_equal(EVP_PKEY_decrypt_init(context), 1);
    assert_true(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_WITH_TLS_PADDING) > 0);
    assert_int_equal(EVP_PKEY_CTX_set_params(context, params), 1);
    assert_int_equal(EVP_PKEY_decrypt(context, outcome->bytes, &size, ciphertext, length), 1);
    outcome->length = (uint16_t)size;
    EVP_PKEY_CTX_free(context);
}

/* TLS1-PRF of OpenSSL's own. */
static void remote_keys_prf(const char *digest, const uint8_t *secret, size_t secret_length,
                            const char *label, const uint8_t *seed, size_t seed_length, uint8_t *out,
                            size_t length)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
    char name[16];
    uint8_t copy[64];
    snprintf(name, sizeof name, "%s", digest);
    assert_true(secret_length <= sizeof copy);
    memcpy(copy, secret, secret_length);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, name, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, copy, secret_length),
        {OSSL_KDF_PARAM_SEED, OSSL_PARAM_OCTET_STRING, remote_keys_unconst(label), strlen(label), 0},
        {OSSL_KDF_PARAM_SEED, OSSL_PARAM_OCTET_STRING, remote_keys_unconst(seed), seed_length, 0},
        OSSL_PARAM_END,
    };
    assert_int_equal(EVP_KDF_derive(context, out, length, params), 1);
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
}

/* The handshake message of TYPE at AT; moves AT behind it. NULL when there is another one. */
static const uint8_t *remote_keys_message(const uint8_t *messages, size_t length, size_t *at, uint8_t type,
                                          size_t *body_length)
{
    const uint8_t *m = messages + *at;
    if (length - *at < 4 || m[0] != type)
        return NULL;
    *body_length = (size_t)m[1] << 16 | (size_t)m[2] << 8 | m[3];
    *at += 4 + *body_length;
    return *at <= length ? m + 4 : NULL;
}

/* The master secret of the handshake in MESSAGES (RFC 7627, 4); false for what is not exactly ClientHello …
 * ClientKeyExchange. */
static bool remote_keys_master(EVP_PKEY *key, const uint8_t *messages, size_t length, struct outcome *outcome)
{
    static const uint8_t types[] = {1, 2, 11, 14, 16};
    const uint8_t *body[5];
    size_t size[5], at = 0, hash_length = 0;
    uint8_t hash[EVP_MAX_MD_SIZE];
    struct outcome premaster = {.status = STATUS_OK};
    for (size_t i = 0; i < 5; i++)
        if ((body[i] = remote_keys_message(messages, length, &at, types[i], &size[i])) == NULL)
            return false;
    if (at != length)
        return false;
    const uint8_t *suite = body[1] + 35 + body[1][34];
    unsigned number = (unsigned)suite[0] << 8 | suite[1];
    bool long_hash = number == 0x009d || number == 0xc03d || number == 0xc051 || number == 0xc07b;
    const char *digest = long_hash ? "SHA384" : "SHA256";
    assert_int_equal(EVP_Q_digest(NULL, digest, NULL, messages, length, hash, &hash_length), 1);
    remote_keys_decrypt(key, (unsigned)body[0][0] << 8 | body[0][1], body[4] + 2, size[4] - 2, &premaster);
    remote_keys_prf(digest, premaster.bytes, TLS_PREMASTER_SIZE, "extended master secret", hash, hash_length,
                    outcome->bytes, TLS_MASTER_SIZE);
    outcome->length = TLS_MASTER_SIZE;
    return true;
}

int remote_keys_answer(const struct operation *operation, struct outcome *outcome)
{
    static const char context[] = "TLS 1.3, server CertificateVerify";
    uint8_t content[256];
    EVP_PKEY *key = remote_keys_find(operation->key_id);
    memset(outcome, 0, sizeof *outcome);
    if (key == NULL) {
        outcome->status = STATUS_REFUSED;
        return 0;
    }
    if (operation->kind == OP_SIGN_TLS13) {
        size_t length = operation->u.sign_tls13.hash_length;
        memset(content, ' ', 64);
        memcpy(content + 64, context, sizeof context);
        memcpy(content + 64 + sizeof context, operation->u.sign_tls13.hash, length);
        remote_keys_sign(key, operation->u.sign_tls13.scheme, content, 64 + sizeof context + length, outcome);
    } else if (operation->kind == OP_SIGN_TLS12) {
        size_t length = operation->u.sign_tls12.params_length;
        memcpy(content, operation->u.sign_tls12.client_random, 32);
        memcpy(content + 32, operation->u.sign_tls12.server_random, 32);
        memcpy(content + 64, operation->u.sign_tls12.params, length);
        remote_keys_sign(key, operation->u.sign_tls12.scheme, content, 64 + length, outcome);
    } else if (operation->kind == OP_RSA_PREMASTER) {
        remote_keys_decrypt(key, operation->u.rsa_premaster.client_version,
                            operation->u.rsa_premaster.ciphertext,
                            operation->u.rsa_premaster.ciphertext_length, outcome);
    } else if (operation->kind != OP_RSA_MASTER ||
               !remote_keys_master(key, operation->u.rsa_master.messages, operation->u.rsa_master.length,
                                   outcome)) {
        outcome->status = STATUS_REFUSED;
    }
    return 0;
}

/* ---- certificates ---- */

X509 *remote_keys_cert(EVP_PKEY *key, const char *names, long from, long to)
{
    static long serial = 1;
    X509 *cert = X509_new();
    X509_NAME *subject = X509_get_subject_name(cert);
    assert_int_equal(X509_set_version(cert, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), from));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(cert), to));
    assert_int_equal(X509_set_pubkey(cert, key), 1);
    assert_int_equal(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                                (const unsigned char *)"common.example", -1, -1, 0),
                     1);
    assert_int_equal(X509_set_issuer_name(cert, subject), 1);
    if (names != NULL) {
        X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
        assert_non_null(extension);
        assert_int_equal(X509_add_ext(cert, extension, -1), 1);
        X509_EXTENSION_free(extension);
    }
    assert_true(X509_sign(cert, key, EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256()) > 0);
    return cert;
}

/* ---- files ---- */

char *remote_keys_folder(void)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/keyless-test-XXXXXX");
    assert_non_null(mkdtemp(path));
    return strdup(path);
}

void remote_keys_remove(char *folder)
{
    assert_int_equal(remove_tree(folder), 0);
    free(folder);
}

void remote_keys_write(const char *folder, const char *file, X509 *cert)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *out = fopen(path, "a");
    assert_non_null(out);
    assert_int_equal(PEM_write_X509(out, cert), 1);
    assert_int_equal(fclose(out), 0);
}

void remote_keys_put(const char *folder, const char *file, EVP_PKEY *key, const char *names)
{
    X509 *cert = remote_keys_cert(key, names, -DAY_SECONDS, 30 * DAY_SECONDS);
    remote_keys_write(folder, file, cert);
    X509_free(cert);
}

/* ---- handshakes in memory ---- */

void remote_keys_join(SSL *client, SSL *server)
{
    BIO *a = NULL, *b = NULL;
    assert_int_equal(BIO_new_bio_pair(&a, 32 * 1024, &b, 32 * 1024), 1);
    SSL_set_bio(client, a, a);
    SSL_set_bio(server, b, b);
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
}

bool remote_keys_wants_more(SSL *ssl, int result)
{
    int error = SSL_get_error(ssl, result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

bool remote_keys_shake(SSL *client, SSL *server)
{
    for (int turn = 0; turn < 32; turn++) {
        int c = SSL_do_handshake(client);
        int s = SSL_do_handshake(server);
        if (c == 1 && s == 1)
            return true;
        if ((c != 1 && !remote_keys_wants_more(client, c)) ||
            (s != 1 && !remote_keys_wants_more(server, s))) {
            (void)SSL_do_handshake(client); /* lets the client see the alert */
            return false;
        }
    }
    return false;
}

void remote_keys_talk(SSL *client, SSL *server)
{
    char byte = 0;
    assert_int_equal(SSL_write(client, "c", 1), 1);
    assert_int_equal(SSL_read(server, &byte, 1), 1);
    assert_int_equal(byte, 'c');
    assert_int_equal(SSL_write(server, "s", 1), 1);
    assert_int_equal(SSL_read(client, &byte, 1), 1);
    assert_int_equal(byte, 's');
}
