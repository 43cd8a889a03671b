/* Which certificate answers which name, at which time. */
#include "tests/unit/edge/certs_rig.h"

#include <unistd.h>

#include "edge/certs/certs.h"
#include "edge/certs/certs_file.h"
#include "tests/unit/edge/remote_keys.h"

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
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
