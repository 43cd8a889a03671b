/* What is loaded from a folder of certificates: files, chains, order. */
#include "tests/unit/edge/certs_rig.h"

#include <sys/stat.h>

#include "edge/certs/certs.h"
#include "edge/certs/certs_file.h"
#include "edge/certs/certs_folder.h"
#include "tests/unit/edge/remote_keys.h"

static void make_folder(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

/* ---- files ---- */

static void subfolders_are_searched_to_a_depth_of_three(void **state)
{
    (void)state;
    make_folder("1");
    make_folder("1/2");
    make_folder("1/2/3");
    make_folder("1/2/3/4");
    put("1/one.crt", P256_KEY, "DNS:one.example");
    put("1/2/3/three.cer", P256_KEY, "DNS:three.example");
    put("1/2/3/4/four.pem", P256_KEY, "DNS:four.example");
    put("note.txt", P256_KEY, "DNS:text.example");
    put(".hidden.pem", P256_KEY, "DNS:hidden.example");
    assert_int_equal(load("", true), 0);
    assert_int_equal(certs_count(certs), 2);
    assert_non_null(find("one.example"));
    assert_non_null(find("three.example"));
}

static void beside_a_full_chain_its_parts_are_left_out(void **state)
{
    (void)state;
    make_folder("a.example");
    put("a.example/fullchain.pem", P256_KEY, "DNS:a.example");
    put("a.example/cert.pem", P256_KEY, "DNS:a.example");
    put("a.example/chain.pem", RSA_KEY, "DNS:issuer.example");
    make_folder("b.example");
    put("b.example/cert.pem", P256_KEY, "DNS:b.example");
    assert_int_equal(load("", true), 0);
    assert_int_equal(certs_count(certs), 2);
    assert_null(find("issuer.example"));
    assert_true(answers("b.example", KEY_EC_P256, "b.example/cert.pem"));
}

static void the_chain_is_what_follows_the_leaf(void **state)
{
    (void)state;
    put("a.pem", P256_KEY, "DNS:a.example");
    put("a.pem", RSA_KEY, "DNS:issuer.example");
    put("a.pem", P384_KEY, "DNS:root.example");
    assert_int_equal(load("", true), 0);
    assert_int_equal(certs_count(certs), 1);
    assert_int_equal(sk_X509_num(certs_at(certs, 0)->chain), 2);
    assert_null(find("issuer.example"));
}

static void chains_share_their_issuers(void **state)
{
    X509 *issuer = remote_keys_cert(private_keys[RSA_KEY].key, "DNS:issuer.example", -60, DAY_SECONDS);
    (void)state;
    put("a.pem", P256_KEY, "DNS:a.example");
    put("b.pem", P256_KEY, "DNS:b.example");
    remote_keys_write(folder, "a.pem", issuer);
    remote_keys_write(folder, "b.pem", issuer);
    assert_int_equal(load("", true), 0);
    const X509 *of_a = sk_X509_value(certs_at(certs, 0)->chain, 0);
    assert_ptr_equal(of_a, sk_X509_value(certs_at(certs, 1)->chain, 0));
    assert_int_equal(X509_cmp(of_a, issuer), 0);
    X509_free(issuer);
}

static void a_file_has_at_most_sixteen_certificates(void **state)
{
    (void)state;
    for (int i = 0; i < CERTS_CHAIN_MAX; i++)
        put("a.pem", P256_KEY, "DNS:a.example");
    assert_int_equal(load("", true), 0);
    certs_free(certs);
    certs = NULL;
    put("a.pem", P256_KEY, "DNS:a.example");
    assert_int_equal(load("", true), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "more than 16"));
}

static void a_reference_to_a_remote_key_is_no_private_key(void **state)
{
    (void)state;
    put("a.pem", P256_KEY, "DNS:a.example");
    put_text("a.pem", "-----BEGIN KEYLESS PRIVATE KEY-----\nAAAA\n-----END KEYLESS PRIVATE KEY-----\n");
    assert_int_equal(load("", true), 0);
}

static void a_future_certificate_is_loaded(void **state)
{
    (void)state;
    put_dated("future.pem", DAY_SECONDS, 2 * DAY_SECONDS);
    assert_int_equal(load("", true), 0);
    assert_non_null(find("dated.example"));
}

static void no_certificate_at_all_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(load(NULL, false), ERR_CONFIG);
    assert_non_null(strstr(fault.text, CERTS_FOLDER_EMPTY));
}

static void a_key_too_small_for_the_security_level_is_skipped(void **state)
{
    (void)state;
    trial = SSL_CTX_new_ex(library, PROVIDER_TLS_PROPERTIES, TLS_server_method());
    assert_non_null(trial);
    SSL_CTX_set_security_level(trial, 3);
    put("rsa.pem", RSA_KEY, "DNS:two.example");
    assert_int_equal(load(NULL, false), ERR_CONFIG); /* none is left */
    assert_non_null(strstr(fault.text, "no usable certificate"));
    put("rsa3072.pem", OTHER_RSA_KEY, "DNS:large.example");
    put("p256.pem", P256_KEY, "DNS:two.example");
    assert_int_equal(load(NULL, true), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "/rsa.pem: its key is too weak for OpenSSL's security level 3 ("));
    assert_non_null(strstr(fault.text, "@SECLEVEL=2 in tls.ciphers"));
    assert_int_equal(load(NULL, false), 0);
    assert_int_equal(certs_skipped(certs), 1);
    assert_null(find("two.example")->of_type[KEY_RSA]);
    assert_non_null(find("two.example")->of_type[KEY_EC_P256]);
    assert_non_null(find("large.example")->of_type[KEY_RSA]);
}

static void a_missing_folder_is_an_error(void **state)
{
    (void)state;
    assert_int_equal(certs_load(&certs,
                                &(struct certs_source){library, NULL, "/nonexistent/keyless", NULL, false},
                                &fault),
                     ERR_CONFIG);
    assert_non_null(strstr(fault.text, "/nonexistent/keyless"));
}

static void files_are_taken_in_the_order_of_their_paths(void **state)
{
    struct certs_paths paths;
    (void)state;
    make_folder("m");
    put("z.pem", P256_KEY, NULL);
    put("m/b.pem", P256_KEY, NULL);
    put("a.pem", P256_KEY, NULL);
    assert_int_equal(certs_folder_list(&paths, folder, &fault), 0);
    assert_int_equal(paths.count, 3);
    assert_string_equal(paths.item[0] + strlen(folder), "/a.pem");
    assert_string_equal(paths.item[1] + strlen(folder), "/m/b.pem");
    assert_string_equal(paths.item[2] + strlen(folder), "/z.pem");
    certs_folder_clear(&paths);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(subfolders_are_searched_to_a_depth_of_three),
        TEST(beside_a_full_chain_its_parts_are_left_out),
        TEST(the_chain_is_what_follows_the_leaf),
        TEST(chains_share_their_issuers),
        TEST(a_file_has_at_most_sixteen_certificates),
        TEST(a_reference_to_a_remote_key_is_no_private_key),
        TEST(a_future_certificate_is_loaded),
        TEST(no_certificate_at_all_is_an_error),
        TEST(a_key_too_small_for_the_security_level_is_skipped),
        TEST(a_missing_folder_is_an_error),
        TEST(files_are_taken_in_the_order_of_their_paths),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
