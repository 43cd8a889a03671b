/* Whose fault it is what OpenSSL's error queue holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/proverr.h>
#include <openssl/randerr.h>
#include <openssl/ssl.h>

#include "edge/provider/openssl_error.h"

static const struct entry {
    int lib, reason;
} of_peer[] = {{ERR_LIB_PROV, PROV_R_INVALID_AAD},
               {ERR_LIB_PROV, PROV_R_INVALID_DATA},
               {ERR_LIB_PROV, PROV_R_FAILED_DURING_DERIVATION},
               {ERR_LIB_EC, EC_R_POINT_AT_INFINITY},
               {ERR_LIB_EC, EC_R_POINT_IS_NOT_ON_CURVE}},
  of_ours[] = {{ERR_LIB_PROV, ERR_R_MALLOC_FAILURE},
               {ERR_LIB_EC, ERR_R_MALLOC_FAILURE},
               {ERR_LIB_SSL, ERR_R_INTERNAL_ERROR},
               {ERR_LIB_SSL, ERR_R_EVP_LIB},
               {ERR_LIB_SSL, SSL_R_CALLBACK_FAILED},
               {ERR_LIB_EVP, ERR_R_UNSUPPORTED},
               {ERR_LIB_RAND, RAND_R_ERROR_RETRIEVING_ENTROPY},
               {ERR_LIB_PROV, PROV_R_FAILED_TO_GENERATE_KEY},
               {ERR_LIB_PROV, PROV_R_FAILED_TO_SIGN},
               {ERR_LIB_SYS, 12}};

static bool judge(const struct entry *cause)
{
    ERR_clear_error();
    ERR_raise(cause->lib, cause->reason);
    bool alone = openssl_error_is_of_peer();
    ERR_raise(ERR_LIB_SSL, ERR_R_INTERNAL_ERROR); /* as libssl says behind nearly each */
    assert_int_equal(openssl_error_is_of_peer(), alone);
    assert_int_equal(ERR_GET_LIB(ERR_peek_error()), cause->lib);
    ERR_clear_error();
    return alone;
}

static void the_first_entry_says_whose_fault_it_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof of_peer / sizeof *of_peer; i++)
        assert_true(judge(&of_peer[i]));
    for (size_t i = 0; i < sizeof of_ours / sizeof *of_ours; i++)
        assert_false(judge(&of_ours[i]));
    assert_false(openssl_error_is_of_peer());
}

/* The record of LENGTH bytes that CIPHER is to open, as libssl announces it to the cipher. */
static bool takes(const EVP_CIPHER *cipher, uint8_t length)
{
    uint8_t zeros[32] = {0}, header[EVP_AEAD_TLS1_AAD_LEN] = {[8] = 22, 3, 3, 0, length};
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    assert_non_null(context);
    assert_int_equal(EVP_CipherInit_ex(context, cipher, NULL, zeros, zeros, 0), 1);
    bool taken = EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_TLS1_AAD, EVP_AEAD_TLS1_AAD_LEN, header) > 0;
    EVP_CIPHER_CTX_free(context);
    return taken;
}

static void a_record_too_short_for_its_cipher_is_the_peers(void **state)
{
    (void)state;
    for (uint8_t length = 0; length < 16; length++) {
        ERR_clear_error();
        assert_false(takes(EVP_chacha20_poly1305(), length));
        assert_true(openssl_error_is_of_peer());
        ERR_clear_error();
        assert_false(takes(EVP_aes_128_gcm(), length));
        assert_true(openssl_error_is_of_peer());
    }
    ERR_clear_error();
    assert_true(takes(EVP_chacha20_poly1305(), 16));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_entry_says_whose_fault_it_is),
        cmocka_unit_test(a_record_too_short_for_its_cipher_is_the_peers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
