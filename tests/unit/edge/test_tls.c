/* Handshakes of every kind: versions, suites, names, protocols, settings, and answers that are wrong. */
#include <sys/socket.h>
#include <unistd.h>

#include "edge/provider/openssl_error.h"
#include "tests/unit/edge/tls_rig.h"

/* ---- every kind of handshake ---- */

struct row {
    struct visit visit;
    enum tls_kind kind;
    uint16_t scheme; /* asked of the key server; 0 = a pre-master */
};

#define TLS12(host, suite, algorithms, kind, scheme)                                                         \
    {                                                                                                        \
        {.name = host, .version = TLS1_2_VERSION, .ciphers = suite, .schemes = algorithms}, kind, scheme     \
    }
#define TLS13(host, algorithms, kind, scheme)                                                                \
    {                                                                                                        \
        {.name = host, .version = TLS1_3_VERSION, .schemes = algorithms}, kind, scheme                       \
    }

static const struct row rows[] = {
    TLS12("rsa.example", "AES128-GCM-SHA256", NULL, TLS_KIND_RSA_PLAIN, 0),
    TLS12("rsa.example", "AES256-GCM-SHA384", NULL, TLS_KIND_RSA_PLAIN, 0),
    TLS12("rsa.example", "AES128-SHA", NULL, TLS_KIND_RSA_PLAIN, 0),
    TLS12("a.wild.example", "AES128-GCM-SHA256", NULL, TLS_KIND_RSA_PLAIN, 0),
    TLS12("rsa.example", "ECDHE-RSA-AES128-GCM-SHA256", "RSA+SHA256", TLS_KIND_ECDHE_RSA,
          SCHEME_RSA_PKCS1_SHA256),
    TLS12("rsa.example", "ECDHE-RSA-AES128-GCM-SHA256", "RSA+SHA384", TLS_KIND_ECDHE_RSA,
          SCHEME_RSA_PKCS1_SHA384),
    TLS12("rsa.example", "ECDHE-RSA-AES256-GCM-SHA384", "RSA+SHA512", TLS_KIND_ECDHE_RSA,
          SCHEME_RSA_PKCS1_SHA512),
    TLS12("rsa.example", "ECDHE-RSA-AES128-GCM-SHA256", "rsa_pss_rsae_sha256", TLS_KIND_ECDHE_RSA,
          SCHEME_RSA_PSS_RSAE_SHA256),
    TLS12("a.wild.example", "ECDHE-RSA-AES128-SHA", "rsa_pss_rsae_sha512", TLS_KIND_ECDHE_RSA,
          SCHEME_RSA_PSS_RSAE_SHA512),
    TLS12("p256.example", "ECDHE-ECDSA-AES128-GCM-SHA256", NULL, TLS_KIND_ECDHE_ECDSA,
          SCHEME_ECDSA_P256_SHA256),
    TLS12("p256.example", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDSA+SHA384", TLS_KIND_ECDHE_ECDSA,
          SCHEME_ECDSA_P384_SHA384),
    TLS12("p384.example", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDSA+SHA384", TLS_KIND_ECDHE_ECDSA,
          SCHEME_ECDSA_P384_SHA384),
    TLS12("p384.example", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDSA+SHA256", TLS_KIND_ECDHE_ECDSA,
          SCHEME_ECDSA_P256_SHA256),
    TLS12("ed.example", "ECDHE-ECDSA-CHACHA20-POLY1305", "ed25519", TLS_KIND_ECDHE_ECDSA, SCHEME_ED25519),
    TLS13("rsa.example", "rsa_pss_rsae_sha256", TLS_KIND_TLS13_RSA, SCHEME_RSA_PSS_RSAE_SHA256),
    TLS13("rsa.example", "rsa_pss_rsae_sha384", TLS_KIND_TLS13_RSA, SCHEME_RSA_PSS_RSAE_SHA384),
    TLS13("a.wild.example", "rsa_pss_rsae_sha512", TLS_KIND_TLS13_RSA, SCHEME_RSA_PSS_RSAE_SHA512),
    TLS13("p256.example", NULL, TLS_KIND_TLS13_ECDSA, SCHEME_ECDSA_P256_SHA256),
    TLS13("p384.example", NULL, TLS_KIND_TLS13_ECDSA, SCHEME_ECDSA_P384_SHA384),
    TLS13("ed.example", NULL, TLS_KIND_TLS13_ED25519, SCHEME_ED25519),
};

#define ROWS (sizeof rows / sizeof rows[0])

static uint16_t scheme_asked(void)
{
    if (last_operation.kind == OP_SIGN_TLS12)
        return last_operation.u.sign_tls12.scheme;
    return last_operation.kind == OP_SIGN_TLS13 ? last_operation.u.sign_tls13.scheme : 0;
}

static void every_kind_of_handshake_completes_and_resumes(void **state)
{
    (void)state;
    open_tls(NULL);
    for (size_t i = 0; i < ROWS; i++) {
        struct talk full, again;
        bool tls13 = rows[i].visit.version == TLS1_3_VERSION;
        asked = 0;
        talk_to(&rows[i].visit, &full);
        assert_true(full.done);
        assert_int_equal(asked, 1);
        assert_int_equal(scheme_asked(), rows[i].scheme);
        assert_int_equal(tls_session_kind(full.server, false), rows[i].kind);
        assert_non_null(full.session);
        struct visit visit = rows[i].visit;
        visit.resume = full.session;
        talk_to(&visit, &again);
        assert_true(again.done);
        assert_true(SSL_session_reused(again.client));
        assert_int_equal(tls_session_kind(again.server, false),
                         tls13 ? TLS_KIND_RESUMED13 : TLS_KIND_RESUMED12);
        assert_int_equal(asked, 1);
        talk_clear(&full);
        talk_clear(&again);
    }
}

static void every_group_works_in_tls12(void **state)
{
    static const char *const groups[] = {"P-256", "P-384", "P-521", "X25519", "X448"};
    (void)state;
    open_tls(NULL);
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        struct talk talk;
        struct visit visit = {.name = "rsa.example", .version = TLS1_2_VERSION, .groups = groups[i]};
        visit.ciphers = "kECDHE";
        talk_to(&visit, &talk);
        assert_true(talk.done);
        assert_int_equal(last_operation.kind, OP_SIGN_TLS12);
        talk_clear(&talk);
    }
}

static void rsa_key_exchange_is_off_unless_asked_for(void **state)
{
    struct talk talk;
    struct visit visit = {.name = "rsa.example", .version = TLS1_2_VERSION, .ciphers = "AES128-GCM-SHA256"};
    (void)state;
    config.tls.rsa_key_exchange = false;
    open_tls(NULL);
    talk_to(&visit, &talk);
    assert_false(talk.done);
    assert_int_equal(talk.alert, SSL_AD_HANDSHAKE_FAILURE);
    assert_int_equal(asked, 0);
    talk_clear(&talk);
    visit.ciphers = NULL;
    talk_to(&visit, &talk);
    assert_true(talk.done);
    assert_int_equal(tls_session_kind(talk.server, false), TLS_KIND_ECDHE_RSA);
    talk_clear(&talk);
}

static void versions_outside_of_the_configured_ones_are_refused(void **state)
{
    struct talk talk;
    struct visit old = {.name = "rsa.example", .version = TLS1_2_VERSION};
    struct visit new = {.name = "rsa.example", .version = TLS1_3_VERSION};
    (void)state;
    for (int version = 0; version <= 1; version++) {
        config.tls.minimum_version = config.tls.maximum_version = version;
        open_tls(NULL);
        talk_to(version == 0 ? &new : &old, &talk);
        assert_false(talk.done);
        assert_int_equal(talk.alert, SSL_AD_PROTOCOL_VERSION);
        talk_clear(&talk);
        talk_to(version == 0 ? &old : &new, &talk);
        assert_true(talk.done);
        talk_clear(&talk);
        tls_free(tls);
        certs_free(certs);
        tls = NULL;
        certs = NULL;
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
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct talk talk;
            struct visit visit = {.name = cases[i].name, .version = version};
            talk_to(&visit, &talk);
            assert_true(talk.done);
            assert_true(showed(&talk, cases[i].key));
            talk_clear(&talk);
        }
}

static void rsa_and_ecdsa_stand_side_by_side(void **state)
{
    struct talk talk;
    struct visit modern = {.name = "both.example"};
    struct visit ecdsa = {.name = "both.example", .version = TLS1_2_VERSION, .ciphers = "aECDSA"};
    struct visit rsa = {.name = "both.example", .version = TLS1_2_VERSION, .ciphers = "aRSA"};
    struct visit rsa13 = {
        .name = "both.example", .version = TLS1_3_VERSION, .schemes = "rsa_pss_rsae_sha256"};
    const struct visit *visits[] = {&modern, &ecdsa, &rsa, &rsa13};
    static const int keys[] = {P256_KEY, P256_KEY, RSA_KEY, RSA_KEY};
    (void)state;
    open_tls(NULL);
    for (size_t i = 0; i < 4; i++) {
        talk_to(visits[i], &talk);
        assert_true(talk.done);
        assert_true(showed(&talk, keys[i]));
        talk_clear(&talk);
    }
}

static void without_a_default_strangers_get_unrecognized_name(void **state)
{
    static const char *const names[] = {"unknown.example", NULL};
    (void)state;
    open_tls("");
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++)
        for (size_t i = 0; i < 2; i++) {
            struct talk talk;
            struct visit visit = {.name = names[i], .version = version};
            talk_to(&visit, &talk);
            assert_false(talk.done);
            assert_int_equal(talk.alert, SSL_AD_UNRECOGNIZED_NAME);
            assert_int_equal(asked, 0);
            talk_clear(&talk);
        }
    struct talk talk;
    struct visit known = {.name = "rsa.example"};
    talk_to(&known, &talk);
    assert_true(talk.done);
    talk_clear(&talk);
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
    struct talk talk;
    struct visit visit = {.name = "p256.example", .alpn = "\003foo"};
    (void)state;
    config.tls.alpn.count = 0;
    open_tls(NULL);
    talk_to(&visit, &talk);
    assert_true(talk.done);
    talk_clear(&talk);
}

/* ---- bad answers ---- */

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

static void refused(struct outcome *outcome)
{
    outcome->status = STATUS_REFUSED;
}

static void garbage(struct outcome *outcome)
{
    memset(outcome->bytes, 0x5a, outcome->length);
}

static void one_bit(struct outcome *outcome)
{
    outcome->bytes[outcome->length / 2] ^= 1;
}

static void a_bad_answer_fails_exactly_its_handshake(void **state)
{
    void (*const spoilers[])(struct outcome *) = {one_byte_more, one_byte_less, nothing,
                                                  refused,       garbage,       one_bit};
    (void)state;
    open_tls(NULL);
    for (size_t i = 0; i < ROWS; i++)
        for (size_t s = 0; s < sizeof spoilers / sizeof spoilers[0]; s++) {
            struct talk talk;
            spoil = spoilers[s];
            talk_to(&rows[i].visit, &talk);
            assert_false(talk.done);
            assert_null(spoil);
            talk_clear(&talk);
            if (i % 5 == s % 5) { /* the next one is none the worse */
                talk_to(&rows[i].visit, &talk);
                assert_true(talk.done);
                talk_clear(&talk);
            }
        }
}

static void a_wrong_rsa_signature_never_reaches_the_client(void **state)
{
    struct provider_stats before, after;
    struct talk talk;
    (void)state;
    open_tls(NULL);
    for (size_t i = 0; i < ROWS; i++) {
        bool rsa_signature = rows[i].kind == TLS_KIND_ECDHE_RSA || rows[i].kind == TLS_KIND_TLS13_RSA;
        provider_stats_get(&before);
        spoil = one_bit;
        talk_to(&rows[i].visit, &talk);
        provider_stats_get(&after);
        assert_int_equal(after.bad_signature - before.bad_signature, rsa_signature);
        if (rsa_signature)
            assert_int_equal(talk.alert, SSL_AD_INTERNAL_ERROR);
        talk_clear(&talk);
    }
}

static void the_reason_of_a_failure_can_be_read(void **state)
{
    struct talk talk;
    char text[128], tiny[8];
    struct visit visit = {.name = "p256.example"};
    (void)state;
    open_tls(NULL);
    assert_string_equal(openssl_error(text, sizeof text), "no reason given");
    talk = (struct talk){.client = visitor_new(&visit, &talk)};
    talk.server = tls_accept(tls, &talk.hello);
    remote_keys_join(talk.client, talk.server);
    spoil = refused;
    (void)SSL_do_handshake(talk.client);
    assert_int_not_equal(SSL_do_handshake(talk.server), 1);
    assert_int_equal(talk.hello.alert, SSL_AD_INTERNAL_ERROR); /* as the client is told */
    assert_non_null(strstr(openssl_error(text, sizeof text), "key server: refused"));
    assert_int_equal(ERR_peek_error(), 0);
    ERR_raise_data(ERR_LIB_SSL, SSL_R_NO_SHARED_CIPHER, "more than fits");
    assert_int_equal(strlen(openssl_error(tiny, sizeof tiny)), sizeof tiny - 1);
    talk_clear(&talk);
}

/* ---- configuration ---- */

static void expect_refused(const char *words)
{
    assert_int_equal(certs_load(&certs, &(struct certs_source){library, NULL, folder, NULL, true}, &fault),
                     0);
    assert_int_equal(tls_new(&tls, library, certs, &config, &fault), ERR_CONFIG);
    assert_non_null(strstr(fault.text, words));
    assert_null(tls);
    certs_free(certs);
    certs = NULL;
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

static void configured_suites_and_groups_are_used(void **state)
{
    static char suites[] = "ECDHE-ECDSA-AES256-GCM-SHA384", suites13[] = "TLS_AES_256_GCM_SHA384",
                groups[] = "P-384";
    struct talk talk;
    struct visit visit12 = {.name = "p256.example", .version = TLS1_2_VERSION};
    struct visit visit13 = {.name = "p256.example", .version = TLS1_3_VERSION};
    (void)state;
    config.tls.rsa_key_exchange = false;
    config.tls.ciphers = suites;
    config.tls.ciphersuites = suites13;
    config.tls.groups = groups;
    open_tls(NULL);
    talk_to(&visit12, &talk);
    assert_true(talk.done);
    assert_string_equal(SSL_get_cipher_name(talk.client), suites);
    assert_int_equal(last_operation.u.sign_tls12.params[2], 24);
    talk_clear(&talk);
    talk_to(&visit13, &talk);
    assert_true(talk.done);
    assert_string_equal(SSL_get_cipher_name(talk.client), suites13);
    talk_clear(&talk);
}

static void sessions_work_on_sockets(void **state)
{
    int pair[2];
    struct talk talk = {.alert = 0};
    struct visit visit = {.name = "rsa.example", .version = TLS1_2_VERSION, .ciphers = "AES128-GCM-SHA256"};
    (void)state;
    open_tls(NULL);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    talk.client = visitor_new(&visit, &talk);
    talk.server = tls_accept(tls, &talk.hello);
    assert_non_null(talk.server);
    assert_int_equal(SSL_set_fd(talk.server, pair[1]), 1);
    assert_int_equal(SSL_set_fd(talk.client, pair[0]), 1);
    SSL_set_connect_state(talk.client);
    assert_true(remote_keys_shake(talk.client, talk.server));
    remote_keys_talk(talk.client, talk.server);
    talk_clear(&talk);
    close(pair[0]);
    close(pair[1]);
}

static void every_kind_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int a = 0; a < TLS_KINDS; a++)
        for (int b = 0; b < a; b++)
            assert_string_not_equal(tls_kind_name((enum tls_kind)a), tls_kind_name((enum tls_kind)b));
    assert_string_equal(tls_kind_name(TLS_KINDS), "other");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_kind_of_handshake_completes_and_resumes),
        TEST(every_group_works_in_tls12),
        TEST(rsa_key_exchange_is_off_unless_asked_for),
        TEST(versions_outside_of_the_configured_ones_are_refused),
        TEST(names_choose_certificates),
        TEST(rsa_and_ecdsa_stand_side_by_side),
        TEST(without_a_default_strangers_get_unrecognized_name),
        TEST(alpn_takes_the_servers_first_choice),
        TEST(without_alpn_configured_offers_are_ignored),
        TEST(a_bad_answer_fails_exactly_its_handshake),
        TEST(a_wrong_rsa_signature_never_reaches_the_client),
        TEST(the_reason_of_a_failure_can_be_read),
        TEST(wrong_settings_are_named),
        TEST(configured_suites_and_groups_are_used),
        TEST(sessions_work_on_sockets),
        TEST(every_kind_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
