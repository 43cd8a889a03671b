/* Handshakes of every kind, and answers that are wrong. */
#include <sys/socket.h>
#include <unistd.h>

#include "edge/provider/openssl_error.h"
#include "tests/unit/edge/spoil.h"
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
        assert_shakes(&(struct visit){
            .name = "rsa.example", .version = TLS1_2_VERSION, .ciphers = "kECDHE", .groups = groups[i]});
        assert_int_equal(last_operation.kind, OP_SIGN_TLS12);
    }
}

/* ---- bad answers ---- */

static void one_bit(struct outcome *outcome)
{
    outcome->bytes[outcome->length / 2] ^= 1;
}

static void a_bad_answer_fails_exactly_its_handshake(void **state)
{
    void (*const spoilers[])(struct outcome *) = {spoil_one_byte_more, spoil_one_byte_less, spoil_length_zero,
                                                  spoil_refused,       spoil_all_bytes,     one_bit};
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
            if (i % 5 == s % 5) /* the next one is none the worse */
                assert_shakes(&rows[i].visit);
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
    spoil = spoil_refused;
    (void)SSL_do_handshake(talk.client);
    assert_int_not_equal(SSL_do_handshake(talk.server), 1);
    assert_int_equal(talk.hello.alert, SSL_AD_INTERNAL_ERROR); /* as the client is told */
    assert_non_null(strstr(openssl_error(text, sizeof text), "key server: refused"));
    assert_int_equal(ERR_peek_error(), 0);
    ERR_raise_data(ERR_LIB_SSL, SSL_R_NO_SHARED_CIPHER, "more than fits");
    assert_int_equal(strlen(openssl_error(tiny, sizeof tiny)), sizeof tiny - 1);
    talk_clear(&talk);
}

/* ---- sockets, names of kinds ---- */

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_kind_of_handshake_completes_and_resumes),
        TEST(every_group_works_in_tls12),
        TEST(a_bad_answer_fails_exactly_its_handshake),
        TEST(a_wrong_rsa_signature_never_reaches_the_client),
        TEST(the_reason_of_a_failure_can_be_read),
        TEST(sessions_work_on_sockets),
        TEST(every_kind_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
