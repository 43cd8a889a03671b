/* What the name a client asks for and the configuration make of a handshake: certificate, version, suite,
 * protocol. */
#include "tests/unit/edge/tls_rig.h"

static void rsa_key_exchange_is_off_unless_asked_for(void **state)
{
    struct talk talk;
    struct visit visit = {.name = "rsa.example", .version = TLS1_2_VERSION, .ciphers = "AES128-GCM-SHA256"};
    (void)state;
    config.tls.rsa_key_exchange = false;
    open_tls(NULL);
    assert_alert(&visit, SSL_AD_HANDSHAKE_FAILURE);
    assert_int_equal(asked, 0);
    visit.ciphers = NULL;
    talk_to(&visit, &talk);
    assert_true(talk.done);
    assert_int_equal(tls_session_kind(talk.server, false), TLS_KIND_ECDHE_RSA);
    talk_clear(&talk);
}

static void versions_outside_of_the_configured_ones_are_refused(void **state)
{
    struct visit old = {.name = "rsa.example", .version = TLS1_2_VERSION};
    struct visit new = {.name = "rsa.example", .version = TLS1_3_VERSION};
    (void)state;
    for (int version = 0; version <= 1; version++) {
        config.tls.minimum_version = config.tls.maximum_version = version;
        open_tls(NULL);
        assert_alert(version == 0 ? &new : &old, SSL_AD_PROTOCOL_VERSION);
        assert_shakes(version == 0 ? &old : &new);
        close_tls();
    }
}

/* ---- names ---- */

static void names_choose_certificates(void **state)
{
    static const struct {
        const char *name;
        int key;
    } cases[] = {
        {"p256.example", P256_KEY},
        {"P384.Example", P384_KEY},
        {"ed.example", ED25519_KEY},
        {"x.wild.example", OTHER_RSA_KEY},
        {"unknown.example", P384_KEY},
        {"a.b.wild.example", P384_KEY},
        {NULL, P384_KEY},
    };
    (void)state;
    open_tls("p384.example");
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++)
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
            assert_shows(&(struct visit){.name = cases[i].name, .version = version}, cases[i].key);
}

static void rsa_and_ecdsa_stand_side_by_side(void **state)
{
    struct visit modern = {.name = "both.example"};
    struct visit ecdsa = {.name = "both.example", .version = TLS1_2_VERSION, .ciphers = "aECDSA"};
    struct visit rsa = {.name = "both.example", .version = TLS1_2_VERSION, .ciphers = "aRSA"};
    struct visit rsa13 = {
        .name = "both.example", .version = TLS1_3_VERSION, .schemes = "rsa_pss_rsae_sha256"};
    (void)state;
    open_tls(NULL);
    assert_shows(&modern, P256_KEY);
    assert_shows(&ecdsa, P256_KEY);
    assert_shows(&rsa, RSA_KEY);
    assert_shows(&rsa13, RSA_KEY);
}

static void without_a_default_strangers_get_unrecognized_name(void **state)
{
    static const char *const names[] = {"unknown.example", NULL};
    (void)state;
    open_tls("");
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++)
        for (size_t i = 0; i < 2; i++) {
            assert_alert(&(struct visit){.name = names[i], .version = version}, SSL_AD_UNRECOGNIZED_NAME);
            assert_int_equal(asked, 0);
        }
    assert_shakes(&(struct visit){.name = "rsa.example"});
}

/* ---- ALPN ---- */

static void alpn_takes_the_servers_first_choice(void **state)
{
    static const struct {
        const char *offered, *chosen; /* NULL = refused, "" = none */
    } cases[] = {
        {"\x08http/1.1\x02h2", "h2"},
        {"\x08http/1.1", "http/1.1"},
        {"\x08http/1.0", "http/1.0"},
        {"\x08http/1.0\x08http/1.1", "http/1.1"},
        {"\003foo\x08http/1.1", "http/1.1"},
        {"\003foo", NULL},
        {NULL, ""},
    };
    (void)state;
    open_tls(NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct talk talk;
        struct visit visit = {.name = "p256.example", .alpn = cases[i].offered};
        const unsigned char *chosen = NULL;
        unsigned length = 0;
        talk_to(&visit, &talk);
        assert_int_equal(talk.done, cases[i].chosen != NULL);
        assert_int_equal(talk.alert, cases[i].chosen != NULL ? 0 : SSL_AD_NO_APPLICATION_PROTOCOL);
        SSL_get0_alpn_selected(talk.client, &chosen, &length);
        if (cases[i].chosen != NULL) {
            assert_int_equal(length, strlen(cases[i].chosen));
            assert_memory_equal(chosen, cases[i].chosen, length);
        }
        talk_clear(&talk);
    }
}

static void without_alpn_configured_offers_are_ignored(void **state)
{
    (void)state;
    config.tls.alpn.count = 0;
    open_tls(NULL);
    assert_shakes(&(struct visit){.name = "p256.example", .alpn = "\003foo"});
}

/* ---- suites, groups and what is wrong ---- */

static void expect_refused(const char *words)
{
    load_certs(NULL);
    assert_int_equal(tls_new(&tls, library, certs, &config, &fault), ERR_CONFIG);
    assert_non_null(strstr(fault.text, words));
    assert_null(tls);
    close_tls();
}

static void wrong_settings_are_named(void **state)
{
    static char no_such[] = "NO-SUCH", rsa_only[] = "AES128-GCM-SHA256", no_rsa[] = "ECDHE+AESGCM",
                empty[] = "";
    char long_name[257], *names[] = {empty};
    (void)state;
    config.tls.ciphers = no_such;
    expect_refused("tls.ciphers");
    config.tls.ciphers = no_rsa;
    config.tls.rsa_key_exchange = true;
    expect_refused("rsa_key_exchange is on, and ciphers has no suite for it");
    config.tls.ciphers = rsa_only;
    config.tls.rsa_key_exchange = false;
    expect_refused("rsa_key_exchange");
    config.tls.ciphers = NULL;
    config.tls.ciphersuites = no_such;
    expect_refused("tls.ciphersuites");
    config.tls.ciphersuites = NULL;
    config.tls.groups = no_such;
    expect_refused("tls.groups");
    config.tls.groups = NULL;
    config.tls.minimum_version = 1;
    config.tls.maximum_version = 0;
    expect_refused("tls.minimum_version");
    config.tls.maximum_version = 1;
    config.tls.alpn = (struct config_strings){names, 1};
    expect_refused("tls.alpn");
    memset(long_name, 'x', 256);
    long_name[256] = '\0';
    names[0] = long_name;
    expect_refused("tls.alpn");
    long_name[255] = '\0';
    open_tls(NULL);
}

static void assert_suite(const struct visit *visit, const char *suite)
{
    struct talk talk;
    talk_to(visit, &talk);
    assert_true(talk.done);
    assert_string_equal(SSL_get_cipher_name(talk.client), suite);
    talk_clear(&talk);
}

static void configured_suites_and_groups_are_used(void **state)
{
    static char suites[] = "ECDHE-ECDSA-AES256-GCM-SHA384", suites13[] = "TLS_AES_256_GCM_SHA384",
                groups[] = "P-384";
    (void)state;
    config.tls.rsa_key_exchange = false;
    config.tls.ciphers = suites;
    config.tls.ciphersuites = suites13;
    config.tls.groups = groups;
    open_tls(NULL);
    assert_suite(&(struct visit){.name = "p256.example", .version = TLS1_2_VERSION}, suites);
    assert_int_equal(last_operation.u.sign_tls12.params[2], 24);
    assert_suite(&(struct visit){.name = "p256.example", .version = TLS1_3_VERSION}, suites13);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rsa_key_exchange_is_off_unless_asked_for),
        TEST(versions_outside_of_the_configured_ones_are_refused),
        TEST(names_choose_certificates),
        TEST(rsa_and_ecdsa_stand_side_by_side),
        TEST(without_a_default_strangers_get_unrecognized_name),
        TEST(alpn_takes_the_servers_first_choice),
        TEST(without_alpn_configured_offers_are_ignored),
        TEST(wrong_settings_are_named),
        TEST(configured_suites_and_groups_are_used),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
