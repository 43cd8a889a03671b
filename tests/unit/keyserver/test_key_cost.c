/* What an encrypted key file asks for before its passphrase makes a key of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <openssl/asn1t.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#include "keyserver/vault/keys/key_cost.h"

static unsigned char salt[16];

/* An encrypted key by ALGORITHM, which it takes, into DER; its length. */
static int wrap(X509_ALGOR *algorithm, uint8_t der[static 512])
{
    X509_SIG *encrypted = X509_SIG_new();
    X509_ALGOR *where;
    ASN1_OCTET_STRING *content;
    assert_non_null(algorithm);
    assert_non_null(encrypted);
    X509_SIG_getm(encrypted, &where, &content);
    assert_int_equal(X509_ALGOR_copy(where, algorithm), 1);
    assert_int_equal(ASN1_OCTET_STRING_set(content, salt, sizeof salt), 1);
    int length = i2d_X509_SIG(encrypted, NULL);
    assert_in_range(length, 1, 512);
    uint8_t *at = der;
    (void)i2d_X509_SIG(encrypted, &at);
    X509_SIG_free(encrypted);
    X509_ALGOR_free(algorithm);
    return length;
}

/* The same in DER, in PEM, and in PEM behind other text. */
static void assert_cost(X509_ALGOR *algorithm, enum key_cost cost)
{
    static const char before[] =
        "Bag Attributes\n    localKeyID: 01\n-----BEGIN X-----\nAAAA\n-----END X-----\n";
    uint8_t der[512];
    char *text;
    int length = wrap(algorithm, der);
    assert_int_equal(key_cost_of(der, (size_t)length), cost);
    for (int behind = 0; behind <= 1; behind++) {
        BIO *bio = BIO_new(BIO_s_mem());
        assert_int_equal(BIO_puts(bio, behind ? before : ""), behind ? (int)strlen(before) : 0);
        assert_true(PEM_write_bio(bio, PEM_STRING_PKCS8, "", der, length) > 0);
        long size = BIO_get_mem_data(bio, &text);
        assert_int_equal(key_cost_of((const uint8_t *)text, (size_t)size), cost);
        BIO_free(bio);
    }
}

static X509_ALGOR *pbkdf2(int iterations)
{
    return PKCS5_pbe2_set_iv(EVP_aes_256_cbc(), iterations, salt, sizeof salt, NULL, -1);
}

/* RFC 7914 section 7.1 by its numbers: OpenSSL's own function refuses some. */
static X509_ALGOR *scrypt(uint64_t n, uint64_t r, uint64_t p)
{
    X509_ALGOR *made = PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), salt, sizeof salt, NULL, 2, 1, 1);
    PBE2PARAM *pbes2 = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBE2PARAM), made->parameter);
    SCRYPT_PARAMS *numbers = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(SCRYPT_PARAMS),
                                                       pbes2->keyfunc->parameter);
    assert_int_equal(ASN1_INTEGER_set_uint64(numbers->costParameter, n), 1);
    assert_int_equal(ASN1_INTEGER_set_uint64(numbers->blockSize, r), 1);
    assert_int_equal(ASN1_INTEGER_set_uint64(numbers->parallelizationParameter, p), 1);
    assert_non_null(
        ASN1_TYPE_pack_sequence(ASN1_ITEM_rptr(SCRYPT_PARAMS), numbers, &pbes2->keyfunc->parameter));
    assert_non_null(ASN1_TYPE_pack_sequence(ASN1_ITEM_rptr(PBE2PARAM), pbes2, &made->parameter));
    SCRYPT_PARAMS_free(numbers);
    PBE2PARAM_free(pbes2);
    return made;
}

static void iterations_are_counted(void **state)
{
    (void)state;
    assert_cost(pbkdf2(2048), KEY_COST_FAIR);
    assert_cost(pbkdf2(KEY_COST_ITERATIONS), KEY_COST_FAIR);
    assert_cost(pbkdf2(KEY_COST_ITERATIONS + 1), KEY_COST_MANY_ITERATIONS);
    assert_cost(pbkdf2(INT_MAX), KEY_COST_MANY_ITERATIONS);
}

static void so_are_those_of_older_schemes(void **state)
{
    static const int schemes[] = {NID_pbe_WithSHA1And3_Key_TripleDES_CBC, NID_pbeWithMD5AndDES_CBC};
    (void)state;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        assert_cost(PKCS5_pbe_set(schemes[i], 2048, salt, sizeof salt), KEY_COST_FAIR);
        assert_cost(PKCS5_pbe_set(schemes[i], INT_MAX, salt, sizeof salt), KEY_COST_MANY_ITERATIONS);
    }
}

static void scrypt_has_bounds_of_time_and_memory(void **state)
{
    (void)state;
    assert_cost(scrypt(16384, 8, 1), KEY_COST_FAIR); /* OpenSSL's default */
    assert_cost(scrypt(16384, 1, 1024), KEY_COST_FAIR);
    assert_cost(scrypt(32768, 1, 1024), KEY_COST_MUCH_SCRYPT);
    assert_cost(scrypt(32768, 8, 1), KEY_COST_MUCH_MEMORY); /* 32 MiB, and a little more */
    assert_cost(scrypt(2, 1, 1 << 18), KEY_COST_MUCH_MEMORY);
    assert_cost(scrypt(UINT64_MAX, UINT64_MAX, UINT64_MAX), KEY_COST_MUCH_MEMORY);
    assert_cost(scrypt(2, UINT64_C(1) << 32, UINT64_C(1) << 32), KEY_COST_MUCH_MEMORY);
}

static void what_is_no_encrypted_key_costs_nothing(void **state)
{
    uint8_t der[512];
    (void)state;
    int length = wrap(pbkdf2(INT_MAX), der);
    for (int cut = 0; cut < length; cut++)
        assert_int_equal(key_cost_of(der, (size_t)cut), KEY_COST_FAIR);
    for (unsigned byte = 0; byte < 256; byte++) {
        memset(der, (int)byte, sizeof der);
        assert_int_equal(key_cost_of(der, sizeof der), KEY_COST_FAIR);
    }
}

/* As the decoder does, which takes the first private key: parameters may come before it. */
static void every_element_of_a_file_is_looked_at(void **state)
{
    uint8_t der[512] = {0x06, 0x01, 0x2a, 0x30, 0x00};
    uint8_t last[512];
    (void)state;
    int length = wrap(pbkdf2(INT_MAX), last);
    assert_true(5 + length <= (int)sizeof der);
    memcpy(der + 5, last, (size_t)length);
    assert_int_equal(key_cost_of(der, 5 + (size_t)length), KEY_COST_MANY_ITERATIONS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(iterations_are_counted),
        cmocka_unit_test(so_are_those_of_older_schemes),
        cmocka_unit_test(scrypt_has_bounds_of_time_and_memory),
        cmocka_unit_test(what_is_no_encrypted_key_costs_nothing),
        cmocka_unit_test(every_element_of_a_file_is_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
