#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/param_build.h>
#include <string.h>

#include "common/log.h"
#include "keyserver/vault/keys/key_file.h"
#include "tests/unit/keyserver/keys.h"

static char folder[KEYS_PATH_SIZE];
static struct keystore *store;
static struct fault fault;
static EVP_PKEY *rsa, *p256, *p384, *ed25519;
static const uint8_t group_secret[32] = {7};
static const struct passphrase_place nowhere = {.key = "a", .length = 1};

static int start(void **state)
{
    (void)state;
    log_init("test", LOG_ERROR, LOG_LOGFMT);
    assert_int_equal(secret_init(), 0);
    rsa = keys_rsa(2048);
    p256 = keys_ec("P-256");
    p384 = keys_ec("P-384");
    ed25519 = keys_edwards("ED25519");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(p256);
    EVP_PKEY_free(p384);
    EVP_PKEY_free(ed25519);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    store = NULL;
    memset(&fault, 0, sizeof fault);
    keys_make_folder(folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    keystore_free(store);
    keys_remove_folder(folder);
    return ERR_peek_error() != 0; /* nothing is left behind */
}

static void load(size_t keys, size_t skipped)
{
    keystore_free(store);
    store = NULL;
    assert_int_equal(keystore_load(&store, NULL, folder, group_secret, NULL, NULL, &fault), 0);
    assert_int_equal(keystore_count(store), keys);
    assert_int_equal(keystore_skipped(store), skipped);
}

static const struct key *find(const EVP_PKEY *pkey)
{
    uint8_t id[KEY_ID_SIZE];
    keys_id(pkey, id);
    return keystore_find(store, id);
}

/* The one file NAME of the folder cannot be used, and the sentence says so with WORDS. */
static void assert_refused(const char *name, const char *words)
{
    char path[KEYS_PATH_SIZE + 64];
    struct key key = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    memset(&fault, 0, sizeof fault);
    assert_true(key_file_load(&key, path, &nowhere, &fault) < 0);
    assert_null(key.pkey);
    if (strncmp(fault.text, path, strlen(path)) != 0 || strstr(fault.text, words) == NULL)
        fail_msg("'%s' lacks '%s'", fault.text, words);
    load(0, 1);
}

/* ---- what is loaded ---- */

static void every_type_is_found_by_its_id(void **state)
{
    const struct {
        EVP_PKEY *pkey;
        const char *name;
        enum key_type type;
        unsigned bits, result_min, result_max;
    } expected[] = {
        {rsa, "www", KEY_RSA, 2048, 256, 256},
        {p256, "api.example", KEY_EC_P256, 256, 70, 72},
        {p384, "c", KEY_EC_P384, 384, 102, 104},
        {ed25519, "d", KEY_ED25519, 256, 64, 64},
    };
    (void)state;
    keys_write(folder, "www.pem", rsa);
    keys_write(folder, "api.example.key", p256);
    keys_write(folder, "c.der", p384);
    keys_write(folder, "d.pem", ed25519);
    load(4, 0);
    for (size_t i = 0; i < 4; i++) {
        const struct key *key = find(expected[i].pkey);
        assert_non_null(key);
        assert_string_equal(key->name, expected[i].name);
        assert_int_equal(key->type, expected[i].type);
        if (key->type != KEY_ED25519)
            assert_int_equal(key->bits, expected[i].bits);
        assert_in_range(key->result_size, expected[i].result_min, expected[i].result_max);
        assert_ptr_equal(keystore_at(store, key->index), key);
        assert_non_null(key->fallback_secret);
    }
    assert_null(keystore_at(store, 4));
}

static void rsa_keys_carry_their_modulus(void **state)
{
    BIGNUM *n = NULL;
    uint8_t modulus[256];
    (void)state;
    keys_write(folder, "a.key", rsa);
    load(1, 0);
    assert_int_equal(EVP_PKEY_get_bn_param(rsa, OSSL_PKEY_PARAM_RSA_N, &n), 1);
    assert_int_equal(BN_bn2binpad(n, modulus, 256), 256);
    BN_free(n);
    assert_memory_equal(find(rsa)->modulus, modulus, 256);
}

static void rsa_of_2048_to_4096_bits_is_taken_and_nothing_else(void **state)
{
    static const struct {
        size_t bits;
        bool taken;
    } sizes[] = {{1024, false}, {2040, false}, {2048, true}, {2056, true}, {3072, true}};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        EVP_PKEY *pkey = keys_rsa(sizes[i].bits);
        keys_write(folder, "a.pem", pkey);
        if (sizes[i].taken) {
            load(1, 0);
            assert_int_equal(find(pkey)->result_size, sizes[i].bits / 8);
        } else {
            assert_refused("a.pem", "2048 to 4096 bits");
        }
        EVP_PKEY_free(pkey);
    }
}

static void traditional_forms_are_read_too(void **state)
{
    (void)state;
    char path[KEYS_PATH_SIZE + 16];
    snprintf(path, sizeof path, "%s/rsa.pem", folder);
    BIO *rsa_file = BIO_new_file(path, "w");
    assert_int_equal(PEM_write_bio_PrivateKey_traditional(rsa_file, rsa, NULL, NULL, 0, NULL, NULL), 1);
    BIO_free(rsa_file);
    assert_int_equal(chmod(path, 0400), 0);
    snprintf(path, sizeof path, "%s/ec.key", folder);
    BIO *bio = BIO_new_file(path, "w");
    assert_int_equal(PEM_write_bio_PrivateKey_traditional(bio, p256, NULL, NULL, 0, NULL, NULL), 1);
    BIO_free(bio);
    assert_int_equal(chmod(path, 0400), 0);
    load(2, 0);
    assert_non_null(find(rsa));
    assert_non_null(find(p256));
}

/* As `openssl ecparam -genkey` and HAProxy's bundles have it. */
static void a_key_behind_other_objects_of_its_file_is_found(void **state)
{
    static const char parameters[] =
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    (void)state;
    FILE *file = keys_file(folder, "both.pem");
    fputs("Subject: something a tool wrote\n", file);
    assert_int_equal(PEM_write_PUBKEY(file, p256), 1);
    fputs(parameters, file);
    assert_int_equal(PEM_write_PKCS8PrivateKey(file, p256, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(PEM_write_PUBKEY(file, p256), 1);
    fclose(file);
    load(1, 0);
    assert_non_null(find(p256));
    file = keys_file(folder, "both.pem");
    fputs(parameters, file);
    assert_int_equal(PEM_write_PUBKEY(file, p256), 1);
    fclose(file);
    assert_refused("both.pem", "no private key");
}

static void other_files_are_left_alone(void **state)
{
    static const char *const names[] = {"README", "www.crt", ".hidden.pem", "a.pem.bak", "pem", ".key"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        keys_write_text(folder, names[i], "nothing");
    load(0, 0);
}

static void an_empty_folder_is_no_error_and_a_missing_one_is(void **state)
{
    (void)state;
    load(0, 0);
    assert_null(find(rsa));
    struct keystore *none = NULL;
    assert_int_equal(keystore_load(&none, NULL, "/nonexistent/keys", group_secret, NULL, NULL, &fault),
                     ERR_CONFIG);
    assert_null(none);
    assert_non_null(strstr(fault.text, "mkdir"));
}

/* It was there when the folder was read. What is said of a secret of ours that is missing would be wrong. */
static void a_file_that_has_gone_since_is_said_to_have_gone(void **state)
{
    struct key key = {0};
    char path[KEYS_PATH_SIZE + 16];
    (void)state;
    snprintf(path, sizeof path, "%s/gone.pem", folder);
    assert_int_equal(key_file_load(&key, path, &nowhere, &fault), ERR_NOT_FOUND);
    assert_non_null(strstr(fault.text, "gone.pem: the file has gone since the folder was listed"));
    assert_null(strstr(fault.text, "genkey"));
}

static void an_id_one_bit_away_finds_nothing(void **state)
{
    uint8_t id[KEY_ID_SIZE];
    (void)state;
    keys_write(folder, "a.pem", rsa);
    keys_write(folder, "b.pem", p256);
    load(2, 0);
    keys_id(rsa, id);
    for (size_t bit = 0; bit < 8 * sizeof id; bit++) {
        id[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_null(keystore_find(store, id));
        id[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void many_keys_are_all_found(void **state)
{
    EVP_PKEY *many[60];
    char name[16];
    (void)state;
    for (size_t i = 0; i < 60; i++) {
        many[i] = i % 2 ? keys_ec("P-256") : keys_edwards("ED25519");
        snprintf(name, sizeof name, "k%zu.pem", i);
        keys_write(folder, name, many[i]);
    }
    load(60, 0);
    for (size_t i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "k%zu", i);
        assert_non_null(find(many[i]));
        assert_string_equal(find(many[i])->name, name);
        EVP_PKEY_free(many[i]);
    }
}

/* ---- what is passed over ---- */

static void a_loose_mode_is_told_with_its_mend(void **state)
{
    char path[KEYS_PATH_SIZE + 16];
    static const mode_t loose[] = {0644, 0640, 0604, 0410, 0401};
    (void)state;
    for (size_t i = 0; i < sizeof loose / sizeof loose[0]; i++) {
        keys_write(folder, "a.pem", p256);
        snprintf(path, sizeof path, "%s/a.pem", folder);
        assert_int_equal(chmod(path, loose[i]), 0);
        assert_refused("a.pem", "run: chmod 0400");
    }
    assert_int_equal(chmod(path, 0400), 0);
    load(1, 0);
}

static void a_bad_file_does_not_stop_the_others(void **state)
{
    (void)state;
    keys_write_text(folder, "a.pem", "rubbish");
    keys_write(folder, "b.pem", p256);
    keys_write_text(folder, "c.der", "\x30\x82\x01\x01");
    keys_write_text(folder, "d.key", "");
    keys_write(folder, "e.key", ed25519);
    load(2, 3);
    assert_non_null(find(p256));
    assert_non_null(find(ed25519));
}

static void rubbish_is_called_so(void **state)
{
    (void)state;
    keys_write_text(folder, "a.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    assert_refused("a.pem", "not a private key");
    keys_write_text(folder, "a.pem", "");
    assert_refused("a.pem", "is empty");
}

static void a_cut_file_is_refused_at_every_length(void **state)
{
    unsigned char *der = NULL;
    (void)state;
    int length = i2d_PrivateKey(p256, &der);
    assert_true(length > 60);
    for (int cut = 0; cut < length; cut++) {
        FILE *file = keys_file(folder, "a.der");
        assert_int_equal(fwrite(der, 1, (size_t)cut, file), cut);
        fclose(file);
        struct key key = {0};
        char path[KEYS_PATH_SIZE + 16];
        snprintf(path, sizeof path, "%s/a.der", folder);
        assert_true(key_file_load(&key, path, &nowhere, &fault) < 0);
    }
    OPENSSL_free(der);
}

static void an_encrypted_file_asks_nobody_and_says_so(void **state)
{
    static const unsigned char phrase[] = "secret";
    (void)state;
    FILE *file = keys_file(folder, "a.pem");
    assert_int_equal(
        PEM_write_PKCS8PrivateKey(file, rsa, EVP_aes_256_cbc(), (const char *)phrase, 6, NULL, NULL), 1);
    fclose(file);
    assert_refused("a.pem", "encrypted");
    char path[KEYS_PATH_SIZE + 16];
    snprintf(path, sizeof path, "%s/a.pem", folder);
    BIO *bio = BIO_new_file(path, "w");
    assert_int_equal(PEM_write_bio_PrivateKey_traditional(bio, rsa, EVP_aes_128_cbc(), phrase, 6, NULL, NULL),
                     1);
    BIO_free(bio);
    assert_refused("a.pem", "encrypted");
    assert_int_equal(unlink(path), 0);
    file = keys_file(folder, "a.der");
    assert_int_equal(
        i2d_PKCS8PrivateKey_fp(file, rsa, EVP_aes_256_cbc(), (const char *)phrase, 6, NULL, NULL), 1);
    fclose(file);
    assert_refused("a.der", "encrypted");
}

static void a_public_key_alone_is_no_private_key(void **state)
{
    (void)state;
    FILE *file = keys_file(folder, "a.pem");
    assert_int_equal(PEM_write_PUBKEY(file, rsa), 1);
    fclose(file);
    assert_refused("a.pem", "no private key");
    keys_write_text(folder, "a.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert_refused("a.pem", "no private key");
}

static void curves_and_types_that_are_not_served_are_refused(void **state)
{
    static const char *const groups[] = {"P-521", "secp256k1", "P-224", "brainpoolP256r1"};
    static const char *const others[] = {"X25519", "ED448", "X448"};
    (void)state;
    for (size_t i = 0; i < sizeof groups / sizeof groups[0] + sizeof others / sizeof others[0]; i++) {
        size_t other = i - sizeof groups / sizeof groups[0];
        EVP_PKEY *pkey = i < sizeof groups / sizeof groups[0] ? keys_ec(groups[i])
                                                              : keys_edwards(others[other]);
        keys_write(folder, "a.pem", pkey);
        assert_refused("a.pem", "cannot be used");
        EVP_PKEY_free(pkey);
    }
}

/* A private EC key of one pair with the public point of another. */
static EVP_PKEY *mismatched_ec(void)
{
    EVP_PKEY *other = keys_ec("P-256"), *made = NULL;
    BIGNUM *d = NULL;
    uint8_t point[65], number[32];
    size_t length = 0;
    assert_int_equal(EVP_PKEY_get_bn_param(p256, OSSL_PKEY_PARAM_PRIV_KEY, &d), 1);
    assert_int_equal(BN_bn2nativepad(d, number, 32), 32);
    assert_int_equal(EVP_PKEY_get_octet_string_param(other, OSSL_PKEY_PARAM_PUB_KEY, point, 65, &length), 1);
    char group[] = "prime256v1";
    OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
                               OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, number, 32),
                               OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, length),
                               OSSL_PARAM_construct_end()};
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    assert_true(EVP_PKEY_fromdata_init(context) > 0);
    assert_true(EVP_PKEY_fromdata(context, &made, EVP_PKEY_KEYPAIR, parameters) > 0);
    EVP_PKEY_CTX_free(context);
    BN_clear_free(d);
    EVP_PKEY_free(other);
    return made;
}

static void halves_that_do_not_belong_together_are_refused(void **state)
{
    EVP_PKEY *pkey = mismatched_ec();
    (void)state;
    keys_write(folder, "a.pem", pkey);
    assert_refused("a.pem", "do not belong together");
    EVP_PKEY_free(pkey);
}

/* Writes an RSA key whose parameter CHANGED is off by ADD. */
static void write_rsa_with(const char *changed, const BIGNUM *add)
{
    static const char *const names[] = {OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
                                        OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
                                        OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
                                        OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1};
    static uint8_t number[8][256];
    OSSL_PARAM parameters[9];
    EVP_PKEY *made = NULL;
    for (size_t i = 0; i < 8; i++) {
        BIGNUM *value = NULL;
        assert_int_equal(EVP_PKEY_get_bn_param(rsa, names[i], &value), 1);
        if (strcmp(names[i], changed) == 0)
            assert_int_equal(BN_add(value, value, add), 1);
        assert_int_equal(BN_bn2nativepad(value, number[i], 256), 256);
        parameters[i] = OSSL_PARAM_construct_BN(names[i], number[i], 256);
        BN_clear_free(value);
    }
    parameters[8] = OSSL_PARAM_construct_end();
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    assert_true(EVP_PKEY_fromdata_init(context) > 0);
    assert_true(EVP_PKEY_fromdata(context, &made, EVP_PKEY_KEYPAIR, parameters) > 0);
    EVP_PKEY_CTX_free(context);
    keys_write(folder, "a.pem", made);
    EVP_PKEY_free(made);
}

static void write_damaged_rsa(const char *changed, unsigned add)
{
    BIGNUM *number = BN_new();
    assert_int_equal(BN_set_word(number, add), 1);
    write_rsa_with(changed, number);
    BN_free(number);
}

/* Right modulo p, but not below it: no number of a key (RFC 8017, 3.2). */
static void an_rsa_coefficient_above_its_factor_is_refused(void **state)
{
    BIGNUM *p = NULL;
    (void)state;
    assert_int_equal(EVP_PKEY_get_bn_param(rsa, OSSL_PKEY_PARAM_RSA_FACTOR1, &p), 1);
    write_rsa_with(OSSL_PKEY_PARAM_RSA_COEFFICIENT1, p);
    assert_refused("a.pem", "do not belong together");
    BN_clear_free(p);
}

/* A key with one wrong CRT number gives itself away with its first signature. */
static void rsa_keys_with_one_wrong_number_are_refused(void **state)
{
    static const char *const names[] = {OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
                                        OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
                                        OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
                                        OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1};
    (void)state;
    write_damaged_rsa("none", 0);
    load(1, 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        write_damaged_rsa(names[i], 2);
        assert_refused("a.pem", "");
    }
    write_damaged_rsa(OSSL_PKEY_PARAM_RSA_E, 1);
    assert_refused("a.pem", "");
}

/* An RSA key whose numbers fit together but whose first factor is no prime. */
static EVP_PKEY *composite_rsa(void)
{
    static const char *const names[] = {OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
                                        OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
                                        OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
                                        OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1};
    BIGNUM *number[8], *n, *e, *d, *p, *q, *dp, *dq, *qinv, *p1 = BN_new(), *q1 = BN_new(), *both = BN_new();
    BN_CTX *scratch = BN_CTX_new();
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY *made = NULL;
    for (size_t i = 0; i < 8; i++)
        number[i] = BN_new();
    n = number[0], e = number[1], d = number[2], p = number[3], q = number[4];
    dp = number[5], dq = number[6], qinv = number[7];
    BN_set_word(e, 65537);
    do {
        BN_generate_prime_ex(p1, 512, 0, NULL, NULL, NULL);
        BN_generate_prime_ex(q1, 512, 0, NULL, NULL, NULL);
        BN_mul(p, p1, q1, scratch);
        BN_generate_prime_ex(q, 1024, 0, NULL, NULL, NULL);
        BN_mul(n, p, q, scratch);
        BN_sub(p1, p, BN_value_one());
        BN_sub(q1, q, BN_value_one());
        BN_mul(both, p1, q1, scratch);
        BN_mod_inverse(qinv, q, p, scratch);
    } while (BN_num_bits(n) != 2048 || BN_mod_inverse(d, e, both, scratch) == NULL);
    BN_mod(dp, d, p1, scratch);
    BN_mod(dq, d, q1, scratch);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(OSSL_PARAM_BLD_push_BN(builder, names[i], number[i]), 1);
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    assert_true(EVP_PKEY_fromdata_init(context) > 0);
    assert_true(EVP_PKEY_fromdata(context, &made, EVP_PKEY_KEYPAIR, parameters) > 0);
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(parameters);
    OSSL_PARAM_BLD_free(builder);
    for (size_t i = 0; i < 8; i++)
        BN_free(number[i]);
    BN_free(p1);
    BN_free(q1);
    BN_free(both);
    BN_CTX_free(scratch);
    ERR_clear_error();
    return made;
}

static void a_composite_factor_is_found_without_a_test_of_primality(void **state)
{
    EVP_PKEY *pkey = composite_rsa();
    (void)state;
    keys_write(folder, "a.pem", pkey);
    assert_refused("a.pem", "do not belong together");
    EVP_PKEY_free(pkey);
}

static void the_same_key_twice_counts_once_under_its_first_name(void **state)
{
    (void)state;
    keys_write(folder, "b.pem", p256);
    keys_write(folder, "a.key", p256);
    keys_write(folder, "c.der", p256);
    keys_write(folder, "d.pem", p384);
    load(2, 2);
    assert_string_equal(find(p256)->name, "a");
}

static void a_name_is_that_of_one_key(void **state)
{
    (void)state;
    keys_write(folder, "a.der", p384);
    keys_write(folder, "a.key", p256);
    keys_write(folder, "a.pem", rsa);
    keys_write(folder, "b.key", rsa);
    load(2, 2);
    assert_string_equal(find(p384)->name, "a");
    assert_null(find(p256));
    assert_string_equal(find(rsa)->name, "b"); /* a.pem was passed over before it could be the first of two */
}

static void a_name_is_shorter_than_its_field(void **state)
{
    char name[KEY_NAME_MAX + 8];
    (void)state;
    memset(name, 'n', sizeof name);
    strcpy(name + KEY_NAME_MAX - 1, ".pem");
    keys_write(folder, name, p256);
    load(1, 0);
    assert_int_equal(strlen(find(p256)->name), KEY_NAME_MAX - 1);
    memset(name, 'm', sizeof name);
    strcpy(name + KEY_NAME_MAX, ".pem");
    keys_write(folder, name, p384);
    load(1, 1);
    assert_null(find(p384));
}

static void pipes_links_to_nothing_and_large_files_are_passed_over(void **state)
{
    char path[KEYS_PATH_SIZE + 16];
    (void)state;
    snprintf(path, sizeof path, "%s/pipe.pem", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    snprintf(path, sizeof path, "%s/link.pem", folder);
    assert_int_equal(symlink("/nonexistent", path), 0);
    FILE *file = keys_file(folder, "large.pem");
    for (int i = 0; i < 70000; i++)
        fputc('x', file);
    fclose(file);
    load(0, 3);
}

/* ---- secrets and rights ---- */

static void fallback_secrets_follow_group_secret_and_key(void **state)
{
    uint8_t first[32];
    static const uint8_t other[32] = {8};
    (void)state;
    keys_write(folder, "a.pem", rsa);
    keys_write(folder, "b.pem", p256);
    load(2, 0);
    memcpy(first, find(rsa)->fallback_secret, 32);
    assert_memory_not_equal(first, find(p256)->fallback_secret, 32);
    load(2, 0); /* a replica with the same group secret */
    assert_memory_equal(first, find(rsa)->fallback_secret, 32);
    keystore_free(store);
    assert_int_equal(keystore_load(&store, NULL, folder, other, NULL, NULL, &fault), 0);
    assert_memory_not_equal(first, find(rsa)->fallback_secret, 32);
}

static void private_numbers_sit_in_the_secure_heap(void **state)
{
    (void)state;
    keys_write(folder, "a.pem", rsa);
    size_t before = CRYPTO_secure_used();
    load(1, 0);
    assert_int_equal(CRYPTO_secure_malloc_initialized(), 1);
    assert_true(CRYPTO_secure_used() >= before + 256 + 5 * 128); /* d, p, q, dp, dq, 1/q */
    keystore_free(store);
    store = NULL;
    assert_int_equal(CRYPTO_secure_used(), before);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(every_type_is_found_by_its_id),
        IN_FOLDER(rsa_keys_carry_their_modulus),
        IN_FOLDER(rsa_of_2048_to_4096_bits_is_taken_and_nothing_else),
        IN_FOLDER(traditional_forms_are_read_too),
        IN_FOLDER(a_key_behind_other_objects_of_its_file_is_found),
        IN_FOLDER(other_files_are_left_alone),
        IN_FOLDER(an_empty_folder_is_no_error_and_a_missing_one_is),
        IN_FOLDER(a_file_that_has_gone_since_is_said_to_have_gone),
        IN_FOLDER(an_id_one_bit_away_finds_nothing),
        IN_FOLDER(many_keys_are_all_found),
        IN_FOLDER(a_loose_mode_is_told_with_its_mend),
        IN_FOLDER(a_bad_file_does_not_stop_the_others),
        IN_FOLDER(rubbish_is_called_so),
        IN_FOLDER(a_cut_file_is_refused_at_every_length),
        IN_FOLDER(an_encrypted_file_asks_nobody_and_says_so),
        IN_FOLDER(a_public_key_alone_is_no_private_key),
        IN_FOLDER(curves_and_types_that_are_not_served_are_refused),
        IN_FOLDER(halves_that_do_not_belong_together_are_refused),
        IN_FOLDER(rsa_keys_with_one_wrong_number_are_refused),
        IN_FOLDER(an_rsa_coefficient_above_its_factor_is_refused),
        IN_FOLDER(a_composite_factor_is_found_without_a_test_of_primality),
        IN_FOLDER(the_same_key_twice_counts_once_under_its_first_name),
        IN_FOLDER(a_name_is_that_of_one_key),
        IN_FOLDER(a_name_is_shorter_than_its_field),
        IN_FOLDER(pipes_links_to_nothing_and_large_files_are_passed_over),
        IN_FOLDER(fallback_secrets_follow_group_secret_and_key),
        IN_FOLDER(private_numbers_sit_in_the_secure_heap),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
