#include "tests/unit/edge/remote_keys.h"

#include <openssl/core_dispatch.h>
#include <pthread.h>
#include <stdatomic.h>

#define ALL_VERIFIED (~0u)

static OSSL_LIB_CTX *library;
static EVP_PKEY *remote[PRIVATE_KEYS];
static _Atomic unsigned asked; /* operations that reached the transport */
static struct operation last_operation;

/* How the transport spoils what the key server answers. */
static void (*spoil)(struct outcome *outcome);
static int transport_error;

static int transport(const struct operation *operation, struct outcome *outcome)
{
    atomic_fetch_add(&asked, 1);
    last_operation = *operation;
    if (transport_error != 0)
        return transport_error;
    int error = remote_keys_answer(operation, outcome);
    if (spoil != NULL)
        spoil(outcome);
    return error;
}

static EVP_PKEY *remote_of(OSSL_LIB_CTX *context, EVP_PKEY *key, const uint8_t *id)
{
    uint8_t found[KEY_ID_SIZE];
    struct fault fault = {.text = ""};
    EVP_PKEY *out = NULL;
    assert_int_equal(provider_key_new(context, key, &out, found, &fault), 0);
    assert_memory_equal(found, id, KEY_ID_SIZE);
    return out;
}

static void open_with(uint32_t verify)
{
    struct fault fault = {.text = ""};
    const struct provider_transport way = {.perform = transport};
    assert_int_equal(provider_context_new(&library, &way, verify, &fault), 0);
    for (int i = 0; i < PRIVATE_KEYS; i++)
        remote[i] = remote_of(library, private_keys[i].key, private_keys[i].id);
    asked = 0;
    spoil = NULL;
    transport_error = 0;
}

static int setup(void **state)
{
    (void)state;
    open_with(ALL_VERIFIED);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < PRIVATE_KEYS; i++)
        EVP_PKEY_free(remote[i]);
    provider_context_free(library);
    ERR_clear_error();
    return 0;
}

/* A TLS 1.3 content to sign, with a SHA-256 transcript hash. */
#define CONTENT_LENGTH 130
static const uint8_t *content(void)
{
    static uint8_t bytes[CONTENT_LENGTH];
    memset(bytes, ' ', 64);
    memcpy(bytes + 64, "TLS 1.3, server CertificateVerify", 34);
    memset(bytes + 98, 0xab, 32);
    return bytes;
}

struct way {
    int key;
    const char *digest;
    bool pss;
    uint16_t scheme; /* in TLS 1.3 terms */
};
static const struct way ways[] = {
    {RSA_KEY, "SHA256", true, SCHEME_RSA_PSS_RSAE_SHA256},
    {RSA_KEY, "SHA2-384", true, SCHEME_RSA_PSS_RSAE_SHA384},
    {RSA_KEY, "SHA512", true, SCHEME_RSA_PSS_RSAE_SHA512},
    {P256_KEY, "SHA256", false, SCHEME_ECDSA_P256_SHA256},
    {P384_KEY, "SHA384", false, SCHEME_ECDSA_P384_SHA384},
    {ED25519_KEY, NULL, false, SCHEME_ED25519},
};
#define WAYS (sizeof ways / sizeof ways[0])

/* Signs LENGTH bytes; the size of the signature, or 0. */
static size_t sign(const struct way *way, EVP_PKEY *key, const uint8_t *tbs, size_t length,
                   uint8_t out[RESULT_MAX])
{
    size_t size = RESULT_MAX;
    EVP_PKEY_CTX *options = NULL;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = EVP_DigestSignInit_ex(context, &options, way->digest, library, NULL, key, NULL) == 1;
    if (done && way->pss)
        done = EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) > 0 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) > 0;
    done = done && EVP_DigestSign(context, out, &size, tbs, length) == 1;
    EVP_MD_CTX_free(context);
    return done ? size : 0;
}

static size_t sign_content(const struct way *way)
{
    uint8_t signature[RESULT_MAX];
    return sign(way, remote[way->key], content(), CONTENT_LENGTH, signature);
}

/* ---- keys ---- */

static void keys_fit_their_certificates(void **state)
{
    (void)state;
    for (int i = 0; i < PRIVATE_KEYS; i++) {
        X509 *cert = remote_keys_cert(private_keys[i].key, NULL, -60, 60);
        assert_int_equal(X509_check_private_key(cert, remote[i]), 1);
        assert_int_equal(X509_check_private_key(cert, remote[(i + 1) % PRIVATE_KEYS]), 0);
        assert_int_equal(EVP_PKEY_eq(private_keys[i].key, remote[i]), 1);
        assert_int_equal(EVP_PKEY_get_bits(remote[i]), EVP_PKEY_get_bits(private_keys[i].key));
        assert_int_equal(EVP_PKEY_get_size(remote[i]), EVP_PKEY_get_size(private_keys[i].key));
        X509_free(cert);
    }
    ERR_clear_error();
}

static void a_copy_of_a_key_signs_after_the_original_is_gone(void **state)
{
    uint8_t signature[RESULT_MAX];
    (void)state;
    EVP_PKEY *copy = EVP_PKEY_dup(remote[P256_KEY]);
    assert_non_null(copy);
    EVP_PKEY_free(remote[P256_KEY]);
    assert_true(sign(&ways[3], copy, content(), CONTENT_LENGTH, signature) > 0);
    remote[P256_KEY] = copy;
}

static void the_private_half_does_not_come_out(void **state)
{
    (void)state;
    for (int i = 0; i < PRIVATE_KEYS; i++) {
        OSSL_PARAM *params = NULL;
        BIGNUM *number = NULL;
        BIO *out = BIO_new(BIO_s_mem());
        assert_int_equal(EVP_PKEY_todata(remote[i], EVP_PKEY_KEYPAIR, &params), 0);
        assert_int_equal(PEM_write_bio_PrivateKey(out, remote[i], NULL, NULL, 0, NULL, NULL), 0);
        assert_int_equal(EVP_PKEY_get_bn_param(remote[i], OSSL_PKEY_PARAM_RSA_D, &number), 0);
        assert_int_equal(EVP_PKEY_todata(remote[i], EVP_PKEY_PUBLIC_KEY, &params), 1);
        OSSL_PARAM_free(params);
        BIO_free(out);
    }
}

static void a_private_key_does_not_come_in(void **state)
{
    OSSL_PARAM *params = NULL;
    EVP_PKEY *key = NULL;
    (void)state;
    assert_int_equal(EVP_PKEY_todata(private_keys[RSA_KEY].key, EVP_PKEY_KEYPAIR, &params), 1);
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(library, "RSA", "provider=keyless");
    assert_int_equal(EVP_PKEY_fromdata_init(maker), 1);
    assert_int_not_equal(EVP_PKEY_fromdata(maker, &key, EVP_PKEY_KEYPAIR, params), 1);
    EVP_PKEY_CTX_free(maker);
    OSSL_PARAM_free(params);
}

static void other_types_and_sizes_are_refused_with_a_mend(void **state)
{
    EVP_PKEY *others[] = {EVP_RSA_gen(2047),
                          EVP_RSA_gen(1024),
                          EVP_EC_gen("P-521"),
                          EVP_EC_gen("secp256k1"),
                          EVP_PKEY_Q_keygen(NULL, NULL, "X25519"),
                          EVP_PKEY_Q_keygen(NULL, NULL, "ED448")};
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        uint8_t id[KEY_ID_SIZE];
        struct fault fault = {.text = ""};
        EVP_PKEY *out = NULL;
        assert_non_null(others[i]);
        assert_int_equal(provider_key_type(others[i]), ERR_UNSUPPORTED);
        assert_int_equal(provider_key_new(library, others[i], &out, id, &fault), ERR_UNSUPPORTED);
        assert_null(out);
        assert_non_null(strstr(fault.text, "Ed25519"));
        EVP_PKEY_free(others[i]);
    }
}

static void key_types_are_told_apart(void **state)
{
    static const int types[PRIVATE_KEYS] = {KEY_RSA, KEY_EC_P256, KEY_EC_P384, KEY_ED25519, KEY_RSA};
    (void)state;
    for (int i = 0; i < PRIVATE_KEYS; i++) {
        assert_int_equal(provider_key_type(private_keys[i].key), types[i]);
        assert_int_equal(provider_key_type(remote[i]), types[i]);
    }
}

static void everything_else_stays_with_openssl(void **state)
{
    static const char *const groups[] = {"P-256", "P-384", "P-521"};
    (void)state;
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        EVP_PKEY *a = EVP_PKEY_Q_keygen(library, NULL, "EC", groups[i]);
        EVP_PKEY *b = EVP_PKEY_Q_keygen(library, NULL, "EC", groups[i]);
        size_t length = 0;
        EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(library, a, NULL);
        assert_int_equal(EVP_PKEY_derive_init(context), 1);
        assert_int_equal(EVP_PKEY_derive_set_peer(context, b), 1);
        assert_int_equal(EVP_PKEY_derive(context, NULL, &length), 1);
        EVP_PKEY_CTX_free(context);
        EVP_PKEY_free(a);
        EVP_PKEY_free(b);
    }
    EVP_PKEY *local = EVP_PKEY_Q_keygen(library, NULL, "RSA", (size_t)2048);
    uint8_t signature[RESULT_MAX];
    assert_int_equal(sign(&ways[0], local, (const uint8_t *)"anything", 8, signature), 256);
    EVP_PKEY_free(local);
    assert_int_equal(asked, 0);
}

/* ---- signatures ---- */

static void every_scheme_signs(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAYS; i++) {
        uint8_t signature[RESULT_MAX];
        size_t size = sign(&ways[i], remote[ways[i].key], content(), CONTENT_LENGTH, signature);
        assert_true(size > 0);
        assert_int_equal(last_operation.kind, OP_SIGN_TLS13);
        assert_int_equal(last_operation.u.sign_tls13.scheme, ways[i].scheme);
        assert_memory_equal(last_operation.key_id, private_keys[ways[i].key].id, KEY_ID_SIZE);
    }
    assert_int_equal(asked, WAYS);
}

static void asking_for_the_size_asks_nobody(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAYS; i++) {
        size_t size = 0;
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        assert_int_equal(
            EVP_DigestSignInit_ex(context, NULL, ways[i].digest, library, NULL, remote[ways[i].key], NULL),
            1);
        assert_int_equal(EVP_DigestSign(context, NULL, &size, content(), CONTENT_LENGTH), 1);
        assert_int_equal(size, EVP_PKEY_get_size(private_keys[ways[i].key].key));
        EVP_MD_CTX_free(context);
    }
    assert_int_equal(asked, 0);
}

static void unsupported_digests_are_rejected_by_the_probe(void **state)
{
    static const struct way bad[] = {
        {RSA_KEY, "SHA1", false, 0},    {RSA_KEY, "MD5", false, 0},        {RSA_KEY, "MD5-SHA1", false, 0},
        {RSA_KEY, "SHA224", false, 0},  {P256_KEY, "SHA1", false, 0},      {P256_KEY, "SHA3-256", false, 0},
        {P384_KEY, "SHA224", false, 0}, {ED25519_KEY, "SHA512", false, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        assert_int_not_equal(
            EVP_DigestSignInit_ex(context, NULL, bad[i].digest, library, NULL, remote[bad[i].key], NULL), 1);
        EVP_MD_CTX_free(context);
    }
    assert_int_equal(asked, 0);
}

static void bytes_that_no_tls_server_signs_are_refused_here(void **state)
{
    uint8_t signature[RESULT_MAX];
    uint8_t tbs[CONTENT_LENGTH + 1];
    struct provider_stats before, after;
    (void)state;
    provider_stats_get(&before);
    for (size_t i = 0; i < WAYS; i++) {
        EVP_PKEY *key = remote[ways[i].key];
        memcpy(tbs, content(), CONTENT_LENGTH);
        tbs[CONTENT_LENGTH] = 0;
        assert_int_equal(sign(&ways[i], key, tbs, CONTENT_LENGTH + 1, signature), 0);
        assert_int_equal(sign(&ways[i], key, tbs, CONTENT_LENGTH - 1, signature), 0);
        tbs[73] = 'c'; /* "TLS 1.3, cerver" */
        assert_int_equal(sign(&ways[i], key, tbs, CONTENT_LENGTH, signature), 0);
        assert_int_equal(sign(&ways[i], key, (const uint8_t *)"To whom it may concern", 22, signature), 0);
    }
    provider_stats_get(&after);
    assert_int_equal(after.refused_locally - before.refused_locally, 4 * WAYS);
    assert_int_equal(asked, 0);
}

static void schemes_that_do_not_fit_tls13_are_refused_here(void **state)
{
    static const struct way bad[] = {
        {RSA_KEY, "SHA256", false, 0},  /* PKCS#1 v1.5 */
        {P256_KEY, "SHA384", false, 0}, /* ecdsa_secp384r1_sha384 with a P-256 key */
        {P384_KEY, "SHA256", false, 0},
        {P256_KEY, "SHA512", false, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(sign_content(&bad[i]), 0);
    assert_int_equal(asked, 0);
}

static void a_salt_not_as_long_as_the_digest_is_refused(void **state)
{
    static const int salts[] = {0, 20, 31, 33, RSA_PSS_SALTLEN_MAX, RSA_PSS_SALTLEN_AUTO};
    (void)state;
    for (size_t i = 0; i < sizeof salts / sizeof salts[0] + 2; i++) {
        bool fits = i >= sizeof salts / sizeof salts[0];
        int salt = !fits ? salts[i] : i % 2 == 0 ? RSA_PSS_SALTLEN_DIGEST : 32;
        uint8_t signature[RESULT_MAX];
        size_t size = sizeof signature;
        EVP_PKEY_CTX *options = NULL;
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        assert_int_equal(
            EVP_DigestSignInit_ex(context, &options, "SHA256", library, NULL, remote[RSA_KEY], NULL), 1);
        assert_true(EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) > 0);
        bool taken = EVP_PKEY_CTX_set_rsa_pss_saltlen(options, salt) > 0;
        assert_int_equal(taken && EVP_DigestSign(context, signature, &size, content(), CONTENT_LENGTH) == 1,
                         fits);
        EVP_MD_CTX_free(context);
    }
    assert_int_equal(asked, 2);
}

static void raw_and_streamed_signatures_do_not_exist(void **state)
{
    (void)state;
    for (int i = 0; i < PRIVATE_KEYS; i++) {
        EVP_PKEY_CTX *raw = EVP_PKEY_CTX_new_from_pkey(library, remote[i], NULL);
        assert_int_not_equal(EVP_PKEY_sign_init(raw), 1);
        EVP_PKEY_CTX_free(raw);
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit_ex(context, NULL, "SHA256", library, NULL, remote[RSA_KEY], NULL), 1);
    assert_int_not_equal(EVP_DigestSignUpdate(context, "abc", 3), 1);
    EVP_MD_CTX_free(context);
    X509 *cert = remote_keys_cert(private_keys[RSA_KEY].key, NULL, -60, 60);
    assert_true(X509_sign(cert, remote[RSA_KEY], EVP_sha256()) <= 0);
    X509_free(cert);
    assert_int_equal(asked, 0);
}

/* ---- answers ---- */

static void one_byte_more(struct outcome *outcome)
{
    outcome->length++;
}
static void one_byte_less(struct outcome *outcome)
{
    outcome->length--;
}
static void nothing(struct outcome *outcome)
{
    outcome->length = 0;
}
static void too_much(struct outcome *outcome)
{
    outcome->length = RESULT_MAX + 1;
}
static void refused(struct outcome *outcome)
{
    outcome->status = STATUS_REFUSED;
}
static void busy(struct outcome *outcome)
{
    outcome->status = STATUS_BUSY;
}
static void last_bit(struct outcome *outcome)
{
    outcome->bytes[outcome->length - 1] ^= 1;
}
static void garbage(struct outcome *outcome)
{
    memset(outcome->bytes, 0x5a, outcome->length);
}

static void answers_of_wrong_length_are_counted_and_fail(void **state)
{
    void (*const spoilers[])(struct outcome *) = {one_byte_more, one_byte_less, nothing, too_much};
    struct provider_stats before, after;
    (void)state;
    provider_stats_get(&before);
    for (size_t i = 0; i < WAYS; i++)
        for (size_t s = 0; s < 4; s++) {
            spoil = spoilers[s];
            assert_int_equal(sign_content(&ways[i]), 0);
        }
    provider_stats_get(&after);
    assert_int_equal(after.bad_length - before.bad_length, 4 * WAYS);
    assert_int_equal(after.bad_signature, before.bad_signature);
}

static void refusals_and_errors_fail(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAYS; i++) {
        spoil = refused;
        assert_int_equal(sign_content(&ways[i]), 0);
        spoil = busy;
        assert_int_equal(sign_content(&ways[i]), 0);
        transport_error = ERR_TIMEOUT;
        assert_int_equal(sign_content(&ways[i]), 0);
        transport_error = 0;
    }
}

static void wrong_signatures_are_caught_by_verifying(void **state)
{
    struct provider_stats before, after;
    (void)state;
    provider_stats_get(&before);
    spoil = last_bit;
    for (size_t i = 0; i < WAYS; i++)
        assert_int_equal(sign_content(&ways[i]), 0);
    provider_stats_get(&after);
    assert_int_equal(after.bad_signature - before.bad_signature, WAYS);
}

static void verifying_is_chosen_by_key_type(void **state)
{
    (void)teardown(state);
    open_with(1u << KEY_RSA);
    spoil = last_bit;
    for (size_t i = 0; i < WAYS; i++)
        assert_int_equal(sign_content(&ways[i]) == 0, ways[i].key == RSA_KEY);
}

/* Puts a hand-made ECDSA signature in place of the answer. */
static uint8_t forged[RESULT_MAX];
static size_t forged_length;
static void forge(struct outcome *outcome)
{
    memcpy(outcome->bytes, forged, forged_length);
    outcome->length = (uint16_t)forged_length;
}

/* INTEGER of LENGTH content bytes, all FIRST then FILL, at the end of the forged signature. */
static void put_integer(const uint8_t *bytes, size_t length)
{
    forged[forged_length++] = 0x02;
    forged[forged_length++] = (uint8_t)length;
    memcpy(forged + forged_length, bytes, length);
    forged_length += length;
    forged[1] = (uint8_t)(forged_length - 2);
}

static bool taken(const uint8_t *r, size_t r_length, const uint8_t *s, size_t s_length)
{
    forged[0] = 0x30;
    forged_length = 2;
    put_integer(r, r_length);
    put_integer(s, s_length);
    spoil = forge;
    return sign_content(&ways[3]) > 0;
}

static void ecdsa_numbers_must_be_minimal_positive_and_in_range(void **state)
{
    static const uint8_t one[] = {1}, zero[] = {0}, padded_one[] = {0, 1}, negative[] = {0x80},
                         positive[] = {0, 0x80};
    uint8_t order[33] = {0,    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff,
                         0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7,
                         0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};
    uint8_t below[33], above[34] = {1};
    (void)teardown(state);
    open_with(0);
    memcpy(below, order, sizeof below);
    below[32]--;
    assert_true(taken(one, 1, one, 1));
    assert_true(taken(one, 1, positive, 2));
    assert_true(taken(below, 33, below, 33));
    assert_false(taken(order, 33, one, 1));
    assert_false(taken(one, 1, order, 33));
    assert_false(taken(above, 34, one, 1));
    assert_false(taken(zero, 1, one, 1));
    assert_false(taken(one, 1, zero, 1));
    assert_false(taken(padded_one, 2, one, 1));
    assert_false(taken(negative, 1, one, 1));
    assert_false(taken(one, 0, one, 1));
}

static void ecdsa_signatures_must_be_strict_der(void **state)
{
    static const uint8_t good[] = {0x30, 6, 2, 1, 1, 2, 1, 1};
    static const struct {
        uint8_t bytes[16];
        size_t length;
    } bad[] = {
        {{0x31, 6, 2, 1, 1, 2, 1, 1}, 8},           /* a set */
        {{0x30, 0x81, 6, 2, 1, 1, 2, 1, 1}, 9},     /* a long length */
        {{0x30, 0x80, 2, 1, 1, 2, 1, 1, 0, 0}, 10}, /* an indefinite one */
        {{0x30, 7, 2, 1, 1, 2, 1, 1, 0}, 9},        /* something after the second number */
        {{0x30, 6, 2, 1, 1, 2, 1, 1, 0}, 9},        /* something after all */
        {{0x30, 3, 2, 1, 1}, 5},                    /* one number */
        {{0x30, 6, 3, 1, 1, 2, 1, 1}, 8},           /* a bit string */
        {{0x30, 6, 2, 4, 1, 2, 1, 1}, 8},           /* a number that takes all */
        {{0x30, 0}, 2},
        {{0x30}, 1},
    };
    (void)teardown(state);
    open_with(0);
    spoil = forge;
    memcpy(forged, good, forged_length = sizeof good);
    assert_int_equal(sign_content(&ways[3]), sizeof good);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        memcpy(forged, bad[i].bytes, forged_length = bad[i].length);
        assert_int_equal(sign_content(&ways[3]), 0);
    }
    for (size_t cut = 0; cut < sizeof good; cut++) {
        memcpy(forged, good, forged_length = cut);
        assert_int_equal(sign_content(&ways[3]), 0);
    }
}

/* ---- decryption ---- */

struct decryption {
    int padding;
    unsigned version;
    size_t out_size;
};

/* Decrypts an encrypted pre-master; the bytes that came out, or 0. Keeps the error code. */
static unsigned long decrypt_error;
static size_t decrypt(const struct decryption *how, uint8_t out[RESULT_MAX])
{
    uint8_t premaster[TLS_PREMASTER_SIZE] = {3, 3, 7}, ciphertext[RESULT_MAX] = {0};
    size_t length = sizeof ciphertext;
    unsigned version = how->version;
    OSSL_PARAM params[] = {OSSL_PARAM_uint(OSSL_ASYM_CIPHER_PARAM_TLS_CLIENT_VERSION, &version),
                           OSSL_PARAM_END};
    EVP_PKEY_CTX *seal = EVP_PKEY_CTX_new_from_pkey(NULL, private_keys[RSA_KEY].key, NULL);
    assert_int_equal(EVP_PKEY_encrypt_init(seal), 1);
    assert_int_equal(EVP_PKEY_encrypt(seal, ciphertext, &length, premaster, sizeof premaster), 1);
    EVP_PKEY_CTX_free(seal);
    ERR_clear_error();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(library, remote[RSA_KEY], NULL);
    assert_int_equal(EVP_PKEY_decrypt_init(context), 1);
    bool done = how->padding == 0 || EVP_PKEY_CTX_set_rsa_padding(context, how->padding) > 0;
    if (done && version != 0)
        done = EVP_PKEY_CTX_set_params(context, params) == 1;
    size_t size = how->out_size;
    done = done && EVP_PKEY_decrypt(context, out, &size, ciphertext, length) == 1;
    EVP_PKEY_CTX_free(context);
    decrypt_error = ERR_peek_error();
    return done ? size : 0;
}

static const struct decryption right = {RSA_PKCS1_WITH_TLS_PADDING, TLS1_2_VERSION, TLS_PREMASTER_SIZE};

static void a_premaster_comes_back_whole(void **state)
{
    static const uint8_t expected[] = {3, 3, 7, 0};
    uint8_t out[RESULT_MAX];
    (void)state;
    assert_int_equal(decrypt(&right, out), TLS_PREMASTER_SIZE);
    assert_memory_equal(out, expected, sizeof expected);
    assert_int_equal(last_operation.kind, OP_RSA_PREMASTER);
    assert_int_equal(last_operation.u.rsa_premaster.client_version, TLS1_2_VERSION);
    assert_int_equal(last_operation.u.rsa_premaster.ciphertext_length, 256);
}

static void only_the_tls_padding_mode_decrypts(void **state)
{
    static const struct decryption wrong[] = {
        {0, TLS1_2_VERSION, RESULT_MAX},
        {RSA_PKCS1_PADDING, TLS1_2_VERSION, RESULT_MAX},
        {RSA_NO_PADDING, TLS1_2_VERSION, RESULT_MAX},
        {RSA_PKCS1_OAEP_PADDING, TLS1_2_VERSION, RESULT_MAX},
        {RSA_PKCS1_WITH_TLS_PADDING, 0, TLS_PREMASTER_SIZE},
        {RSA_PKCS1_WITH_TLS_PADDING, TLS1_2_VERSION, TLS_PREMASTER_SIZE - 1},
    };
    uint8_t out[RESULT_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(decrypt(&wrong[i], out), 0);
    assert_int_equal(asked, 0);
}

static void premasters_of_wrong_length_are_thrown_away(void **state)
{
    void (*const spoilers[])(struct outcome *) = {one_byte_more, one_byte_less, nothing, too_much};
    uint8_t out[RESULT_MAX];
    struct provider_stats before, after;
    (void)state;
    provider_stats_get(&before);
    for (size_t i = 0; i < 4; i++) {
        spoil = spoilers[i];
        assert_int_equal(decrypt(&right, out), 0);
    }
    provider_stats_get(&after);
    assert_int_equal(after.bad_length - before.bad_length, 4);
}

static void every_failure_of_decryption_is_the_same_error(void **state)
{
    uint8_t out[RESULT_MAX];
    (void)state;
    spoil = refused;
    assert_int_equal(decrypt(&right, out), 0);
    unsigned long reason = decrypt_error;
    assert_int_not_equal(reason, 0);
    spoil = one_byte_less;
    assert_int_equal(decrypt(&right, out), 0);
    assert_int_equal(decrypt_error, reason);
    transport_error = ERR_CLOSED;
    assert_int_equal(decrypt(&right, out), 0);
    assert_int_equal(decrypt_error, reason);
}

/* ---- threads and contexts ---- */

static int thread_transport(const struct operation *operation, struct outcome *outcome)
{
    atomic_fetch_add(&asked, 1);
    return remote_keys_answer(operation, outcome);
}

static void *sign_often(void *user)
{
    size_t *done = user;
    for (size_t i = 0; i < 5 * WAYS; i++)
        *done += sign_content(&ways[i % WAYS]) > 0;
    return NULL;
}

static void one_key_serves_several_threads(void **state)
{
    pthread_t threads[4];
    size_t done[4] = {0};
    struct fault fault;
    const struct provider_transport way = {.perform = thread_transport};
    (void)content(); /* filled once, then only read */
    (void)teardown(state);
    assert_int_equal(provider_context_new(&library, &way, ALL_VERIFIED, &fault), 0);
    for (int i = 0; i < PRIVATE_KEYS; i++)
        remote[i] = remote_of(library, private_keys[i].key, private_keys[i].id);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sign_often, &done[i]), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(done[i], 5 * WAYS);
    }
}

static int other_transport(const struct operation *operation, struct outcome *outcome)
{
    (void)operation;
    outcome->status = STATUS_REFUSED;
    return 0;
}

static void each_context_has_its_own_transport(void **state)
{
    OSSL_LIB_CTX *other = NULL;
    struct fault fault;
    uint8_t signature[RESULT_MAX];
    size_t size = sizeof signature;
    const struct provider_transport way = {.perform = other_transport};
    (void)state;
    assert_int_equal(provider_context_new(&other, &way, ALL_VERIFIED, &fault), 0);
    EVP_PKEY *key = remote_of(other, private_keys[P256_KEY].key, private_keys[P256_KEY].id);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit_ex(context, NULL, "SHA256", other, NULL, key, NULL), 1);
    assert_int_not_equal(EVP_DigestSign(context, signature, &size, content(), CONTENT_LENGTH), 1);
    assert_int_equal(asked, 0);
    assert_true(sign_content(&ways[3]) > 0);
    assert_int_equal(asked, 1);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    provider_context_free(other);
    provider_context_free(NULL);
}

static void garbage_of_the_right_length_is_caught(void **state)
{
    (void)state;
    spoil = garbage;
    for (size_t i = 0; i < WAYS; i++)
        assert_int_equal(sign_content(&ways[i]), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keys_fit_their_certificates),
        TEST(a_copy_of_a_key_signs_after_the_original_is_gone),
        TEST(the_private_half_does_not_come_out),
        TEST(a_private_key_does_not_come_in),
        TEST(other_types_and_sizes_are_refused_with_a_mend),
        TEST(key_types_are_told_apart),
        TEST(everything_else_stays_with_openssl),
        TEST(every_scheme_signs),
        TEST(asking_for_the_size_asks_nobody),
        TEST(unsupported_digests_are_rejected_by_the_probe),
        TEST(bytes_that_no_tls_server_signs_are_refused_here),
        TEST(schemes_that_do_not_fit_tls13_are_refused_here),
        TEST(a_salt_not_as_long_as_the_digest_is_refused),
        TEST(raw_and_streamed_signatures_do_not_exist),
        TEST(answers_of_wrong_length_are_counted_and_fail),
        TEST(refusals_and_errors_fail),
        TEST(wrong_signatures_are_caught_by_verifying),
        TEST(garbage_of_the_right_length_is_caught),
        TEST(verifying_is_chosen_by_key_type),
        TEST(ecdsa_numbers_must_be_minimal_positive_and_in_range),
        TEST(ecdsa_signatures_must_be_strict_der),
        TEST(a_premaster_comes_back_whole),
        TEST(only_the_tls_padding_mode_decrypts),
        TEST(premasters_of_wrong_length_are_thrown_away),
        TEST(every_failure_of_decryption_is_the_same_error),
        TEST(one_key_serves_several_threads),
        TEST(each_context_has_its_own_transport),
    };
    return cmocka_run_group_tests(tests, remote_keys_make, remote_keys_free);
}
