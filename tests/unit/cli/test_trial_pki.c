#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/trial_pki.h"
#include "common/secret.h"
#include "tests/unit/remove_tree.h"

static char folder[] = "/tmp/keyless-trial-pki-XXXXXX";
static char ca_file[64], keys[64], certs[64];
static const char *const types[] = {"rsa", "p256", "ed25519"};

static X509 *read_cert(const char *path)
{
    FILE *stream = fopen(path, "r");
    assert_non_null(stream);
    X509 *cert = PEM_read_X509(stream, NULL, NULL, NULL);
    fclose(stream);
    assert_non_null(cert);
    return cert;
}

static X509 *cert_of(const char *type)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s.pem", certs, type);
    return read_cert(path);
}

static EVP_PKEY *key_of(const char *type)
{
    char path[128];
    struct stat info;
    snprintf(path, sizeof path, "%s/%s.pem", keys, type);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0400);
    FILE *stream = fopen(path, "r");
    assert_non_null(stream);
    EVP_PKEY *key = PEM_read_PrivateKey(stream, NULL, NULL, NULL);
    fclose(stream);
    assert_non_null(key);
    return key;
}

static void every_key_is_that_of_its_certificate(void **state)
{
    static const int ids[] = {EVP_PKEY_RSA, EVP_PKEY_EC, EVP_PKEY_ED25519};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        X509 *cert = cert_of(types[i]);
        EVP_PKEY *key = key_of(types[i]);
        assert_int_equal(X509_check_private_key(cert, key), 1);
        assert_int_equal(EVP_PKEY_get_base_id(key), ids[i]);
        EVP_PKEY_free(key);
        X509_free(cert);
    }
}

static void certificates_verify_for_a_tls_server_of_that_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        X509 *cert = cert_of(types[i]), *ca = read_cert(ca_file);
        X509_STORE *store = X509_STORE_new();
        X509_STORE_CTX *context = X509_STORE_CTX_new();
        assert_int_equal(X509_STORE_add_cert(store, ca), 1);
        assert_int_equal(X509_STORE_CTX_init(context, store, cert, NULL), 1);
        X509_STORE_CTX_set_default(context, "ssl_server");
        assert_int_equal(X509_verify_cert(context), 1);
        assert_int_equal(X509_check_host(cert, "shop.test", 0, 0, NULL), 1);
        assert_int_equal(X509_check_host(cert, "www.shop.test", 0, 0, NULL), 1);
        assert_int_equal(X509_check_host(cert, "other.test", 0, 0, NULL), 0);
        assert_int_equal(X509_check_ip_asc(cert, "127.0.0.1", 0), 1);
        X509_STORE_CTX_free(context);
        X509_STORE_free(store);
        X509_free(ca);
        X509_free(cert);
    }
}

static void only_rsa_may_encipher_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        X509 *cert = cert_of(types[i]);
        uint32_t usage = X509_get_key_usage(cert);
        assert_int_equal((usage & KU_KEY_ENCIPHERMENT) != 0, i == 0);
        assert_int_not_equal(usage & KU_DIGITAL_SIGNATURE, 0);
        X509_free(cert);
    }
}

static void certificates_last_about_ninety_days(void **state)
{
    (void)state;
    X509 *cert = cert_of("rsa");
    int days = 0, seconds = 0;
    assert_int_equal(ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(cert)), 1);
    assert_in_range(days, 89, 90);
    assert_int_equal(X509_cmp_current_time(X509_get0_notBefore(cert)), -1);
    X509_free(cert);
}

static void a_second_time_nothing_is_overwritten(void **state)
{
    struct fault fault = {0};
    (void)state;
    assert_int_equal(trial_pki_make(ca_file, keys, certs, "shop.test", &fault), ERR_REFUSED);
    assert_non_null(strstr(fault.text, ca_file));
}

static void a_missing_folder_is_named(void **state)
{
    struct fault fault = {0};
    char other[80];
    (void)state;
    snprintf(other, sizeof other, "%s/other.pem", folder);
    assert_int_equal(trial_pki_make(other, "/nonexistent", certs, "shop.test", &fault), ERR_SYSTEM);
    assert_non_null(strstr(fault.text, "/nonexistent/rsa.pem"));
}

static int setup(void **state)
{
    struct fault fault = {0};
    (void)state;
    if (secret_init() != 0 || mkdtemp(folder) == NULL)
        return 1;
    snprintf(ca_file, sizeof ca_file, "%s/ca.pem", folder);
    snprintf(keys, sizeof keys, "%s/keys", folder);
    snprintf(certs, sizeof certs, "%s/certs", folder);
    if (mkdir(keys, 0700) != 0 || mkdir(certs, 0755) != 0)
        return 1;
    return trial_pki_make(ca_file, keys, certs, "shop.test", &fault);
}

static int teardown(void **state)
{
    (void)state;
    return remove_tree(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_that_of_its_certificate),
        cmocka_unit_test(certificates_verify_for_a_tls_server_of_that_name),
        cmocka_unit_test(only_rsa_may_encipher_keys),
        cmocka_unit_test(certificates_last_about_ninety_days),
        cmocka_unit_test(a_second_time_nothing_is_overwritten),
        cmocka_unit_test(a_missing_folder_is_named),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
