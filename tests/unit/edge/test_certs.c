#include "tests/unit/edge/remote_keys.h"

#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/secret.h"
#include "edge/certs/certs.h"
#include "edge/certs/certs_file.h"
#include "edge/certs/certs_folder.h"
#include "edge/certs/certs_report.h"

static OSSL_LIB_CTX *library;
static SSL_CTX *trial; /* NULL but for tests of the security level */
static char *folder;
static struct certs *certs;
static struct fault fault;

static int no_transport(const struct operation *operation, struct outcome *outcome)
{
    (void)operation, (void)outcome;
    return ERR_UNSUPPORTED;
}

static int setup_all(void **state)
{
    remote_keys_make(state);
    assert_int_equal(secret_init(), 0);
    assert_int_equal(
        provider_context_new(&library, &(struct provider_transport){.perform = no_transport}, 0, &fault), 0);
    return 0;
}

static int teardown_all(void **state)
{
    provider_context_free(library);
    return remote_keys_free(state);
}

static int setup(void **state)
{
    (void)state;
    folder = remote_keys_folder();
    certs = NULL;
    fault.text[0] = '\0';
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    certs_free(certs);
    SSL_CTX_free(trial);
    trial = NULL;
    remote_keys_remove(folder);
    return 0;
}

static int load(const char *default_name, bool strict)
{
    return certs_load(&certs, &(struct certs_source){library, trial, folder, default_name, strict}, &fault);
}

static void put(const char *file, int key, const char *names)
{
    remote_keys_put(folder, file, private_keys[key].key, names);
}

static void put_dated(const char *file, long from, long to)
{
    X509 *cert = remote_keys_cert(private_keys[P256_KEY].key, "DNS:dated.example", from, to);
    remote_keys_write(folder, file, cert);
    X509_free(cert);
}

static void put_text(const char *file, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *out = fopen(path, "a");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static void remove_file(const char *file)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    assert_int_equal(unlink(path), 0);
}

static void make_folder(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static const struct cert_set *find(const char *name)
{
    return certs_find(certs, name, (int64_t)time(NULL));
}

/* True when NAME is answered by a certificate of FILE of type TYPE. */
static bool answers_at(const char *name, enum key_type type, const char *file, int64_t now)
{
    const struct cert_set *set = certs_find(certs, name, now);
    if (set == NULL || set->of_type[type] == NULL)
        return false;
    const char *path = set->of_type[type]->file;
    return strcmp(path + strlen(folder) + 1, file) == 0;
}

static bool answers(const char *name, enum key_type type, const char *file)
{
    return answers_at(name, type, file, (int64_t)time(NULL));
}

/* ---- looking up ---- */

static void exact_beats_wildcard_beats_default(void **state)
{
    (void)state;
    put("a.pem", P256_KEY, "DNS:first.example");
    put("b.pem", P256_KEY, "DNS:*.example.com");
    put("c.pem", P256_KEY, "DNS:www.example.com,DNS:example.com");
    assert_int_equal(load(NULL, true), 0);
    assert_true(answers("www.example.com", KEY_EC_P256, "c.pem"));
    assert_true(answers("example.com", KEY_EC_P256, "c.pem"));
    assert_true(answers("api.example.com", KEY_EC_P256, "b.pem"));
    assert_true(answers("unknown.example", KEY_EC_P256, "a.pem"));
    assert_true(answers(NULL, KEY_EC_P256, "a.pem"));
}

static void a_wildcard_stands_for_exactly_one_label(void **state)
{
    (void)state;
    put("w.pem", P256_KEY, "DNS:*.example.com");
    assert_int_equal(load("", true), 0);
    assert_non_null(find("a.example.com"));
    assert_null(find("a.b.example.com"));
    assert_null(find("example.com"));
    assert_null(find(".example.com"));
    assert_null(find("aexample.com"));
}

static void names_are_found_in_any_case_and_with_a_final_dot(void **state)
{
    (void)state;
    put("x.pem", P256_KEY, "DNS:MiXed.Example.COM");
    assert_int_equal(load("", true), 0);
    assert_non_null(find("mixed.example.com"));
    assert_non_null(find("MIXED.EXAMPLE.com"));
    assert_non_null(find("mixed.example.com."));
    assert_null(find("mixed.example.com.."));
}

static void names_no_host_can_have_find_nothing(void **state)
{
    char longest[300];
    static const char *const bad[] = {"",     ".", "a b", "a/b", "a..b", "\xff\xfe", "*", "x*.example.com",
                                      "a%00b"};
    (void)state;
    put("x.pem", P256_KEY, "DNS:*.example.com");
    assert_int_equal(load("", true), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_null(find(bad[i]));
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    assert_null(find(longest));
}

static void names_have_at_most_253_bytes(void **state)
{
    char folded[CERTS_NAME_SIZE], name[260];
    (void)state;
    memset(name, 'a', sizeof name);
    assert_true(certs_file_fold_name(folded, name, 253));
    assert_int_equal(strlen(folded), 253);
    assert_false(certs_file_fold_name(folded, name, 254));
    assert_false(certs_file_fold_name(folded, name, 0));
    name[253] = '.';
    assert_true(certs_file_fold_name(folded, name, 254));
}

static void key_types_stand_side_by_side(void **state)
{
    (void)state;
    put("ec.pem", P256_KEY, "DNS:two.example");
    put("rsa.pem", RSA_KEY, "DNS:two.example,DNS:only-rsa.example");
    put("ed.pem", ED25519_KEY, "DNS:two.example");
    assert_int_equal(load(NULL, true), 0);
    assert_true(answers("two.example", KEY_RSA, "rsa.pem"));
    assert_true(answers("two.example", KEY_EC_P256, "ec.pem"));
    assert_true(answers("two.example", KEY_ED25519, "ed.pem"));
    assert_true(answers("only-rsa.example", KEY_RSA, "rsa.pem"));
    assert_false(answers("only-rsa.example", KEY_EC_P256, "ec.pem"));
    assert_int_equal(certs_count(certs), 3);
    assert_memory_equal(find("two.example")->of_type[KEY_RSA]->key_id, private_keys[RSA_KEY].id, KEY_ID_SIZE);
}

static void of_two_for_one_name_the_longer_lasting_answers(void **state)
{
    (void)state;
    put_dated("old.pem", -60, 10 * DAY_SECONDS);
    put_dated("new.pem", -60, 20 * DAY_SECONDS);
    put_dated("same.pem", -60, 5 * DAY_SECONDS);
    assert_int_equal(load(NULL, true), 0);
    assert_true(answers("dated.example", KEY_EC_P256, "new.pem"));
}

static void names_with_the_same_certificates_share_a_set(void **state)
{
    (void)state;
    put("a.pem", P256_KEY, "DNS:a.example,DNS:b.example,DNS:*.c.example");
    put("d.pem", RSA_KEY, "DNS:b.example,DNS:d.example");
    assert_int_equal(load("", true), 0);
    assert_ptr_equal(find("a.example"), find("x.c.example"));
    assert_ptr_not_equal(find("a.example"), find("b.example"));
    assert_int_equal(certs_set_count(certs), 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(certs_set_at(certs, i)->index, i);
    assert_null(certs_set_at(certs, 3));
    assert_non_null(certs_at(certs, 1));
    assert_null(certs_at(certs, 2));
}

/* ---- time ---- */

static void a_successor_takes_over_when_its_time_comes(void **state)
{
    int64_t now = (int64_t)time(NULL);
    (void)state;
    put_dated("next.pem", DAY_SECONDS, 91 * DAY_SECONDS);
    put_dated("now.pem", -20 * DAY_SECONDS, 10 * DAY_SECONDS);
    assert_int_equal(load(NULL, true), 0);
    assert_true(answers_at("dated.example", KEY_EC_P256, "now.pem", now));
    assert_true(answers_at("dated.example", KEY_EC_P256, "now.pem", now + DAY_SECONDS - 60));
    assert_true(answers_at("dated.example", KEY_EC_P256, "next.pem", now + DAY_SECONDS + 60));
    assert_true(answers_at("dated.example", KEY_EC_P256, "next.pem", now + 400L * DAY_SECONDS));
    assert_true(answers_at("dated.example", KEY_EC_P256, "now.pem", 0)); /* a clock that was never set */
    assert_true(answers_at(NULL, KEY_EC_P256, "now.pem", now));          /* the default as well */
    assert_true(answers_at(NULL, KEY_EC_P256, "next.pem", now + 2 * DAY_SECONDS));
}

static void an_expired_certificate_answers_where_nothing_better_is(void **state)
{
    int64_t now = (int64_t)time(NULL);
    struct certs_summary summary;
    (void)state;
    put_dated("a.pem", -30 * DAY_SECONDS, -3 * DAY_SECONDS);
    put_dated("b.pem", -60 * DAY_SECONDS, -2 * DAY_SECONDS);
    put("other.pem", RSA_KEY, "DNS:other.example");
    assert_int_equal(load(NULL, false), 0);
    assert_int_equal(certs_skipped(certs), 0);
    assert_true(answers("dated.example", KEY_EC_P256, "b.pem"));
    assert_true(answers(NULL, KEY_RSA, "other.pem")); /* no default where another file can be it */
    certs_summarize(certs, now, &summary);
    assert_int_equal(summary.names[CERT_EXPIRED], 1);
    assert_int_equal(summary.names[CERT_VALID], 1);
    assert_true(summary.earliest_expiry < now);
}

static void another_type_or_a_wildcard_is_better_than_an_expired_one(void **state)
{
    int64_t now = (int64_t)time(NULL);
    (void)state;
    put_dated("ec.pem", -30 * DAY_SECONDS, -DAY_SECONDS);
    put("rsa.pem", RSA_KEY, "DNS:dated.example");
    assert_int_equal(load("", false), 0);
    assert_true(answers("dated.example", KEY_RSA, "rsa.pem"));
    assert_false(answers("dated.example", KEY_EC_P256, "ec.pem"));
    certs_free(certs);
    remove_file("rsa.pem");
    put("wild.pem", RSA_KEY, "DNS:*.example");
    assert_int_equal(load("", false), 0);
    assert_true(answers("dated.example", KEY_RSA, "wild.pem"));
    assert_true(answers_at("dated.example", KEY_EC_P256, "ec.pem", now - 2 * DAY_SECONDS));
    assert_true(answers_at("dated.example", KEY_EC_P256, "ec.pem", now + 4000L * DAY_SECONDS));
}

/* ---- the default ---- */

static void the_default_can_be_named(void **state)
{
    (void)state;
    put("a.pem", P256_KEY, "DNS:a.example");
    put("b.pem", P384_KEY, "DNS:b.example,DNS:*.b.example");
    assert_int_equal(load("B.example", true), 0);
    assert_true(answers("unknown.example", KEY_EC_P384, "b.pem"));
    certs_free(certs);
    assert_int_equal(load("x.b.example", true), 0);
    assert_true(answers(NULL, KEY_EC_P384, "b.pem"));
}

static void an_unknown_default_is_an_error_with_a_mend(void **state)
{
    (void)state;
    put("a.pem", P256_KEY, "DNS:a.example");
    assert_int_equal(load("nobody.example", false), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "nobody.example"));
    assert_null(certs);
}

static void without_a_default_strangers_find_nothing(void **state)
{
    (void)state;
    put("a.pem", P256_KEY, "DNS:a.example");
    assert_int_equal(load("", true), 0);
    assert_null(find("unknown.example"));
    assert_null(find(NULL));
    assert_non_null(find("a.example"));
}

static void a_certificate_without_dns_name_serves_as_default_only(void **state)
{
    (void)state;
    put("a.pem", P256_KEY, "IP:192.0.2.1");
    put("b.pem", P256_KEY, "DNS:b.example");
    assert_int_equal(load(NULL, true), 0);
    assert_true(answers(NULL, KEY_EC_P256, "a.pem"));
    assert_true(answers("b.example", KEY_EC_P256, "b.pem"));
}

static void the_common_name_counts_only_without_alternative_names(void **state)
{
    (void)state;
    put("a.pem", P256_KEY, NULL);
    assert_int_equal(load("", true), 0);
    assert_true(answers("common.example", KEY_EC_P256, "a.pem"));
    certs_free(certs);
    certs = NULL;
    put("a2.pem", P256_KEY, "DNS:b.example");
    char path[256];
    snprintf(path, sizeof path, "%s/a.pem", folder);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(load("", true), 0);
    assert_null(find("common.example"));
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

static void a_reference_to_a_remote_key_is_no_private_key(void **state)
{
    (void)state;
    put("a.pem", P256_KEY, "DNS:a.example");
    put_text("a.pem", "-----BEGIN KEYLESS PRIVATE KEY-----\nAAAA\n-----END KEYLESS PRIVATE KEY-----\n");
    assert_int_equal(load("", true), 0);
}

static void an_expired_certificate_is_refused_by_the_check(void **state)
{
    (void)state;
    put_dated("bad.pem", -2 * DAY_SECONDS, -60);
    assert_int_equal(load("", true), ERR_CONFIG);
    assert_null(certs);
    assert_non_null(strstr(fault.text, "expired on "));
}

static void a_future_certificate_is_loaded(void **state)
{
    (void)state;
    put_dated("future.pem", DAY_SECONDS, 2 * DAY_SECONDS);
    assert_int_equal(load("", true), 0);
    assert_non_null(find("dated.example"));
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(exact_beats_wildcard_beats_default),
        TEST(a_wildcard_stands_for_exactly_one_label),
        TEST(names_are_found_in_any_case_and_with_a_final_dot),
        TEST(names_no_host_can_have_find_nothing),
        TEST(names_have_at_most_253_bytes),
        TEST(key_types_stand_side_by_side),
        TEST(of_two_for_one_name_the_longer_lasting_answers),
        TEST(names_with_the_same_certificates_share_a_set),
        TEST(the_default_can_be_named),
        TEST(an_unknown_default_is_an_error_with_a_mend),
        TEST(without_a_default_strangers_find_nothing),
        TEST(a_successor_takes_over_when_its_time_comes),
        TEST(an_expired_certificate_answers_where_nothing_better_is),
        TEST(another_type_or_a_wildcard_is_better_than_an_expired_one),
        TEST(a_certificate_without_dns_name_serves_as_default_only),
        TEST(the_common_name_counts_only_without_alternative_names),
        TEST(subfolders_are_searched_to_a_depth_of_three),
        TEST(beside_a_full_chain_its_parts_are_left_out),
        TEST(the_chain_is_what_follows_the_leaf),
        TEST(chains_share_their_issuers),
        TEST(a_file_has_at_most_sixteen_certificates),
        TEST(a_private_key_is_refused),
        TEST(a_lone_private_key_of_the_old_format_is_refused),
        TEST(a_reference_to_a_remote_key_is_no_private_key),
        TEST(an_expired_certificate_is_refused_by_the_check),
        TEST(a_future_certificate_is_loaded),
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
        TEST(no_certificate_at_all_is_an_error),
        TEST(a_key_too_small_for_the_security_level_is_skipped),
        TEST(a_missing_folder_is_an_error),
        TEST(files_are_taken_in_the_order_of_their_paths),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
