/* Files in a folder of certificates that are refused, and what is said of them. */
#include "tests/unit/edge/certs_rig.h"

#include <sys/stat.h>
#include <unistd.h>

#include "edge/certs/certs.h"
#include "edge/certs/certs_file.h"
#include "tests/unit/edge/remote_keys.h"

/* ---- files ---- */

/* Every bad file is skipped and counted, and refused by a strict load with a fault that holds WORDS. */
static void expect_bad(const char *words)
{
    put("zz-good.pem", P256_KEY, "DNS:good.example");
    assert_int_equal(load("", false), 0);
    assert_int_equal(certs_count(certs), 1);
    assert_int_equal(certs_skipped(certs), 1);
    certs_free(certs);
    certs = NULL;
    assert_int_not_equal(load("", true), 0);
    assert_null(certs);
    assert_non_null(strstr(fault.text, words));
    assert_non_null(strstr(fault.text, folder));
}

static void a_private_key_is_refused(void **state)
{
    char path[256];
    (void)state;
    put("bad.pem", P256_KEY, "DNS:a.example");
    snprintf(path, sizeof path, "%s/bad.pem", folder);
    FILE *out = fopen(path, "a");
    assert_int_equal(PEM_write_PrivateKey(out, private_keys[P256_KEY].key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(out);
    expect_bad("an edge must not have one: move it to the key server");
}

static void a_lone_private_key_of_the_old_format_is_refused(void **state)
{
    (void)state;
    put_text("bad.pem", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n");
    expect_bad("holds a private key");
}

static void an_expired_certificate_is_refused_by_the_check(void **state)
{
    (void)state;
    put_dated("bad.pem", -2 * DAY_SECONDS, -60);
    assert_int_equal(load("", true), ERR_CONFIG);
    assert_null(certs);
    assert_non_null(strstr(fault.text, "expired on "));
}

static void text_without_a_certificate_is_refused(void **state)
{
    (void)state;
    put_text("bad.pem", "hello\n");
    expect_bad("no PEM certificate in it");
}

static void other_forms_of_certificates_are_refused_with_the_command_that_converts(void **state)
{
    static const struct {
        const char *text, *command;
    } forms[] = {
        {"-----BEGIN TRUSTED CERTIFICATE-----\n", "openssl x509 -in "},
        {"-----BEGIN PKCS7-----\n", "openssl pkcs7 -print_certs -in "},
        {"-----BEGIN CERTIFICATE REQUEST-----\n", "only a request"},
        {"\x30\x03\x06\x01\x2a", "openssl pkcs7 -inform der -print_certs -in "},
        {"\x30\x07\x30\x03\x02\x01\x02\x05\x01", "openssl x509 -inform der -in "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        put_text("bad.pem", forms[i].text);
        expect_bad(forms[i].command);
        remove_file("zz-good.pem");
        remove_file("bad.pem");
    }
}

static void a_strict_load_counts_every_bad_file(void **state)
{
    (void)state;
    put_text("bad1.pem", "hello\n");
    put_text("bad2.pem", "hello\n");
    put_text("README", "-----BEGIN EC PRIVATE KEY-----\n");
    put("zz-good.pem", P256_KEY, "DNS:good.example");
    assert_int_equal(load("", true), ERR_CONFIG);
    assert_non_null(strstr(fault.text, ": 3 of its files cannot be used; see the lines above"));
    assert_int_equal(load("", false), 0);
    assert_int_equal(certs_skipped(certs), 3);
}

/* Whatever the name, the depth and the form; a start counts it, a strict load refuses. */
static void a_private_key_in_any_file_is_found(void **state)
{
    static const char *const names[] = {"privkey.txt", ".hidden", "tls.key", "README"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        put_text(names[i], "-----BEGIN EC PRIVATE KEY-----\n");
        expect_bad("this file holds a private key");
        remove_file("zz-good.pem");
        remove_file(names[i]);
    }
}

static void a_damaged_certificate_is_refused(void **state)
{
    (void)state;
    put_text("bad.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    expect_bad("damaged certificate");
}

static void a_cut_certificate_is_refused(void **state)
{
    char path[256];
    (void)state;
    put("bad.pem", P256_KEY, "DNS:a.example");
    snprintf(path, sizeof path, "%s/bad.pem", folder);
    assert_int_equal(truncate(path, 200), 0);
    expect_bad("damaged certificate");
}

static void an_unsupported_key_is_refused(void **state)
{
    EVP_PKEY *key = EVP_EC_gen("P-521");
    (void)state;
    remote_keys_put(folder, "bad.pem", key, "DNS:a.example");
    EVP_PKEY_free(key);
    expect_bad("not supported");
}

static void a_huge_file_is_refused(void **state)
{
    char path[256];
    (void)state;
    put("bad.pem", P256_KEY, "DNS:a.example");
    snprintf(path, sizeof path, "%s/bad.pem", folder);
    assert_int_equal(truncate(path, CERTS_FILE_MAX + 1), 0);
    expect_bad("larger than");
}

static void what_is_no_regular_file_is_refused_and_not_waited_for(void **state)
{
    char path[256];
    (void)state;
    snprintf(path, sizeof path, "%s/bad.pem", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_bad("it is a FIFO, not a regular file");
}

static void a_dangling_link_is_refused(void **state)
{
    char path[256];
    (void)state;
    snprintf(path, sizeof path, "%s/bad.pem", folder);
    assert_int_equal(symlink("/nonexistent/keyless", path), 0);
    expect_bad("a link to /nonexistent/keyless, where nothing is");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_private_key_is_refused),
        TEST(a_lone_private_key_of_the_old_format_is_refused),
        TEST(an_expired_certificate_is_refused_by_the_check),
        TEST(text_without_a_certificate_is_refused),
        TEST(other_forms_of_certificates_are_refused_with_the_command_that_converts),
        TEST(a_strict_load_counts_every_bad_file),
        TEST(a_private_key_in_any_file_is_found),
        TEST(a_damaged_certificate_is_refused),
        TEST(a_cut_certificate_is_refused),
        TEST(an_unsupported_key_is_refused),
        TEST(a_huge_file_is_refused),
        TEST(what_is_no_regular_file_is_refused_and_not_waited_for),
        TEST(a_dangling_link_is_refused),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
