/* Sessions of RSA key exchange: which are bound, which are plain, how they come back, and that no other
 * session is touched. */
#include "tests/unit/edge/bound_visit_rig.h"

static void assert_marked(SSL_SESSION *session)
{
    unsigned length = 0;
    const uint8_t *id = SSL_SESSION_get_id(session, &length);
    assert_int_equal(length, SESSION_ID_SIZE);
    assert_true(session_id_check(id, bound_announced.key));
}

/* ---- bound handshakes ---- */

/* Visits twice, the second time with the session of the first, and a third time with that of the second. */
static void visit_and_come_back(const struct visit *first)
{
    struct talk talk;
    struct visit visit = *first;
    SSL_SESSION *session = NULL;

    asked = 0;
    for (int time = 0; time < 3; time++) {
        visit.resume = session;
        talk_to(&visit, &talk);
        assert_true(talk.done);
        assert_int_equal(SSL_session_reused(talk.client), time > 0);
        assert_int_equal(kind_of(&talk), time > 0 ? TLS_KIND_RESUMED12 : TLS_KIND_RSA);
        assert_int_equal(asked, 1);
        assert_forgotten(&talk.bound);
        SSL_SESSION_free(session);
        session = SSL_get1_session(talk.client);
        assert_marked(session);
        assert_false(SSL_SESSION_has_ticket(session));
        assert_true(SSL_shutdown(talk.client) >= 0 && SSL_shutdown(talk.server) >= 0); /* else forgotten */
        talk_clear(&talk);
    }
    SSL_SESSION_free(session);
    assert_int_equal(last_operation.kind, OP_RSA_MASTER);
}

static void every_rsa_suite_is_bound_and_comes_back_by_its_session_id(void **state)
{
    static char all[] = "kRSA:@SECLEVEL=0";
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    unsigned suites = 0, long_hashes = 0;
    (void)state;
    config.tls.ciphers = all;
    open_tls(NULL);
    assert_int_equal(SSL_CTX_set_cipher_list(context, all), 1);
    STACK_OF(SSL_CIPHER) *list = SSL_CTX_get_ciphers(context);
    for (int i = 0; i < sk_SSL_CIPHER_num(list); i++) {
        const SSL_CIPHER *suite = sk_SSL_CIPHER_value(list, i);
        char ciphers[64];
        if (SSL_CIPHER_get_kx_nid(suite) != NID_kx_rsa || SSL_CIPHER_get_cipher_nid(suite) == NID_undef)
            continue;
        snprintf(ciphers, sizeof ciphers, "%s:@SECLEVEL=0", SSL_CIPHER_get_name(suite));
        for (int offers_tickets = 0; offers_tickets < 2; offers_tickets++) {
            bound_announce(suites + 1);
            visit_and_come_back(&(struct visit){.name = i % 2 ? "rsa.example" : "a.wild.example",
                                                .version = TLS1_2_VERSION,
                                                .ciphers = ciphers,
                                                .options = offers_tickets ? 0 : SSL_OP_NO_TICKET});
        }
        suites++;
        long_hashes += EVP_MD_get_size(SSL_CIPHER_get_handshake_digest(suite)) == 48;
    }
    assert_true(suites >= 10 && long_hashes >= 1);
    SSL_CTX_free(context);
}

static void a_client_that_could_do_tls13_is_bound_as_well(void **state)
{
    static char suites[] = "AES256-GCM-SHA384";
    struct talk talk;
    const struct visit visit = {.name = "rsa.example"};
    (void)state;
    config.tls.maximum_version = 0;
    config.tls.ciphers = suites;
    bound_announce(1);
    open_tls(NULL);
    talk_to(&visit, &talk);
    assert_true(talk.done);
    assert_int_equal(kind_of(&talk), TLS_KIND_RSA);
    assert_marked(SSL_get_session(talk.client));
    talk_clear(&talk);
}

static void every_session_has_a_mark_of_its_own(void **state)
{
    uint8_t last[SESSION_ID_SIZE] = {0};
    (void)state;
    bound_announce(1);
    open_tls(NULL);
    for (int i = 0; i < 3; i++) {
        struct talk talk;
        unsigned length;
        talk_to(&rsa_visit, &talk);
        const uint8_t *id = SSL_SESSION_get_id(SSL_get_session(talk.client), &length);
        assert_memory_not_equal(id, last, SESSION_ID_RANDOM_SIZE);
        memcpy(last, id, sizeof last);
        talk_clear(&talk);
    }
}

static void without_resumption_sessions_are_marked_and_do_not_come_back(void **state)
{
    struct talk first, second;
    struct visit visit = rsa_visit;
    (void)state;
    config.tls.tickets = false;
    bound_announce(1);
    open_tls(NULL);
    talk_to(&visit, &first);
    assert_true(first.done);
    assert_int_equal(kind_of(&first), TLS_KIND_RSA);
    visit.resume = SSL_get_session(first.client);
    assert_marked(visit.resume);
    talk_to(&visit, &second);
    assert_true(second.done && !SSL_session_reused(second.server));
    assert_int_equal(kind_of(&second), TLS_KIND_RSA);
    assert_int_equal(SSL_CTX_sess_number(tls->start), 0);
    talk_clear(&first);
    talk_clear(&second);
}

/* ---- plain ones ---- */

static void without_an_epoch_sessions_are_plain(void **state)
{
    (void)state;
    open_tls(NULL);
    for (int offers_tickets = 0; offers_tickets < 2; offers_tickets++) {
        struct talk first, second;
        struct visit visit = rsa_visit;
        visit.options = offers_tickets ? 0 : SSL_OP_NO_TICKET;
        talk_to(&visit, &first);
        assert_true(first.done);
        assert_int_equal(last_operation.kind, OP_RSA_PREMASTER);
        assert_int_equal(bound_mode(&first.bound), RSA_MODE_NO_EPOCH);
        assert_int_equal(kind_of(&first), TLS_KIND_RSA_PLAIN);
        assert_forgotten(&first.bound);
        visit.resume = SSL_get_session(first.client);
        assert_false(SSL_SESSION_has_ticket(visit.resume));
        talk_to(&visit, &second);
        assert_true(second.done && SSL_session_reused(second.server));
        talk_clear(&first);
        talk_clear(&second);
    }
}

static void a_client_without_extended_master_secret_is_plain(void **state)
{
    static const char *const suites[] = {"AES128-GCM-SHA256", "AES256-GCM-SHA384"};
    (void)state;
    bound_announce(1);
    open_tls(NULL);
    for (size_t i = 0; i < 2; i++) {
        struct talk first, second;
        struct visit visit = rsa_visit;
        visit.ciphers = suites[i];
        visit.options = SSL_OP_NO_EXTENDED_MASTER_SECRET;
        asked = 0;
        talk_to(&visit, &first);
        assert_true(first.done);
        assert_int_equal(SSL_get_extms_support(first.server), 0);
        assert_int_equal(last_operation.kind, OP_RSA_PREMASTER);
        assert_int_equal(last_operation.u.rsa_premaster.client_version, 0x0303);
        assert_int_equal(bound_mode(&first.bound), RSA_MODE_NO_EMS);
        assert_int_equal(kind_of(&first), TLS_KIND_RSA_PLAIN);
        assert_forgotten(&first.bound);
        visit.resume = SSL_get_session(first.client);
        talk_to(&visit, &second);
        assert_true(second.done && SSL_session_reused(second.server));
        assert_int_equal(asked, 1);
        talk_clear(&first);
        talk_clear(&second);
    }
}

/* Without an epoch, too, that is the reason: one would not have helped. */
static void a_client_without_extended_master_secret_is_known_by_its_hello(void **state)
{
    (void)state;
    open_tls(NULL);
    for (int knows_it = 0; knows_it < 2; knows_it++) {
        struct talk talk;
        struct visit visit = rsa_visit;
        visit.options = knows_it ? 0 : SSL_OP_NO_EXTENDED_MASTER_SECRET;
        talk_to(&visit, &talk);
        assert_true(talk.done);
        assert_int_equal(bound_mode(&talk.bound), knows_it ? RSA_MODE_NO_EPOCH : RSA_MODE_NO_EMS);
        talk_clear(&talk);
    }
}

/* ---- other sessions of the same context ---- */

static void sessions_with_ephemeral_keys_are_as_without_bound_mode(void **state)
{
    static const struct visit visits[] = {
        {.name = "rsa.example", .version = TLS1_2_VERSION, .ciphers = "ECDHE-RSA-AES128-GCM-SHA256"},
        {.name = "p256.example", .version = TLS1_2_VERSION, .ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384"},
        {.name = "rsa.example", .version = TLS1_3_VERSION},
        {.name = "ed.example", .version = TLS1_3_VERSION},
    };
    (void)state;
    bound_announce(1);
    open_tls(NULL);
    for (size_t i = 0; i < sizeof visits / sizeof visits[0]; i++) {
        struct talk first, second;
        struct visit visit = visits[i];
        asked = 0;
        talk_to(&visit, &first);
        assert_true(first.done);
        assert_int_equal(bound_mode(&first.bound), RSA_MODE_NONE);
        assert_true(SSL_SESSION_has_ticket(first.session));
        visit.resume = first.session;
        talk_to(&visit, &second);
        assert_true(second.done && SSL_session_reused(second.server));
        assert_int_equal(asked, 1);
        talk_clear(&first);
        talk_clear(&second);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_rsa_suite_is_bound_and_comes_back_by_its_session_id),
        TEST(a_client_that_could_do_tls13_is_bound_as_well),
        TEST(every_session_has_a_mark_of_its_own),
        TEST(without_resumption_sessions_are_marked_and_do_not_come_back),
        TEST(without_an_epoch_sessions_are_plain),
        TEST(a_client_without_extended_master_secret_is_plain),
        TEST(a_client_without_extended_master_secret_is_known_by_its_hello),
        TEST(sessions_with_ephemeral_keys_are_as_without_bound_mode),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
