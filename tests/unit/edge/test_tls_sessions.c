/* Sessions that go on: under which certificates, for how long, and under which ticket keys. */
#include "tests/unit/edge/tls_rig.h"

/* ---- resumption ---- */

/* Visits FIRST, then SECOND with the session of the first: was it resumed? */
static bool crosses(const char *first, const char *second, int version)
{
    struct talk full, again;
    struct visit visit = {.name = first, .version = version};
    talk_to(&visit, &full);
    assert_true(full.done);
    assert_non_null(full.session);
    visit.name = second;
    visit.resume = full.session;
    talk_to(&visit, &again);
    assert_true(again.done); /* refused or not, the client always gets in: by a full handshake */
    bool resumed = SSL_session_reused(again.server) == 1;
    talk_clear(&full);
    talk_clear(&again);
    return resumed;
}

static void sessions_stay_with_the_certificates_they_were_made_under(void **state)
{
    (void)state;
    open_tls("p256.example");
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        assert_true(crosses("rsa.example", "rsa.example", version));
        assert_true(crosses(NULL, NULL, version));
        assert_true(crosses("unknown.example", "unknown.example", version));
        assert_false(crosses("rsa.example", "p256.example", version));
        assert_false(crosses("rsa.example", "both.example", version));
        assert_false(crosses("p256.example", "both.example", version));
        assert_false(crosses("rsa.example", NULL, version));
        assert_false(crosses("x.wild.example", "unknown.example", version));
    }
}

static void tickets_outlive_a_reload(void **state)
{
    struct talk full, again;
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct visit visit = {.name = "rsa.example", .version = version};
        open_tls(NULL);
        talk_to(&visit, &full);
        assert_true(full.done);
        tls_free(tls);
        certs_free(certs);
        open_tls(NULL);
        visit.resume = full.session;
        talk_to(&visit, &again);
        assert_true(again.done && SSL_session_reused(again.server));
        talk_clear(&full);
        talk_clear(&again);
        tls_free(tls);
        certs_free(certs);
        tls = NULL;
        certs = NULL;
    }
}

static void wiped_ticket_keys_open_nothing(void **state)
{
    struct talk full, again;
    (void)state;
    open_tls(NULL);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct visit visit = {.name = "rsa.example", .version = version};
        talk_to(&visit, &full);
        assert_true(full.done);
        tickets_stop();
        assert_int_equal(tickets_start(config.tls.ticket_lifetime), 0);
        visit.resume = full.session;
        talk_to(&visit, &again);
        assert_true(again.done && !SSL_session_reused(again.server));
        talk_clear(&full);
        talk_clear(&again);
    }
}

static void without_tickets_nothing_resumes(void **state)
{
    struct talk talk;
    (void)state;
    config.tls.tickets = false;
    open_tls(NULL);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct visit visit = {.name = "rsa.example", .version = version};
        talk_to(&visit, &talk);
        assert_true(talk.done);
        assert_true(talk.session == NULL || !SSL_SESSION_has_ticket(talk.session));
        SSL_SESSION *session = talk.session;
        talk.session = NULL;
        talk_clear(&talk);
        visit.resume = session;
        talk_to(&visit, &talk);
        assert_true(talk.done && !SSL_session_reused(talk.server));
        talk_clear(&talk);
        SSL_SESSION_free(session);
    }
}

/* How many sessions are kept for resumption by their id. */
static long kept(void)
{
    return SSL_CTX_sess_number(tls->start);
}

/* As if the session had begun SECONDS earlier. */
static void set_back(SSL_SESSION *session, long seconds)
{
#if OPENSSL_VERSION_NUMBER >= 0x30400000L
    SSL_SESSION_set_time_ex(session, time(NULL) - seconds);
#else
    SSL_SESSION_set_time(session, (long)time(NULL) - seconds);
#endif
}

/* The wall clock was ahead by as much before. */
static void set_clock_back(int64_t ms)
{
    atomic_fetch_add(&tls->ahead_ms, ms);
}

static void no_session_outlives_its_time_when_the_clock_is_set_back(void **state)
{
    struct visit visit = {.name = "rsa.example", .version = TLS1_2_VERSION, .ciphers = "AES128-GCM-SHA256"};
    struct talk first, second, third;
    (void)state;
    open_tls(NULL);
    talk_to(&visit, &first);
    assert_true(first.done);
    visit.resume = first.session;
    set_clock_back(CLOCK_STEP_MS / 2); /* a correction */
    talk_to(&visit, &second);
    assert_true(second.done && SSL_session_reused(second.server));
    set_clock_back(86400 * 1000);
    talk_to(&visit, &third);
    assert_true(third.done && !SSL_session_reused(third.server));
    assert_int_equal(kept(), 1);
    talk_clear(&second);
    visit.resume = third.session;
    talk_to(&visit, &second); /* of after that */
    assert_true(second.done && SSL_session_reused(second.server));
    set_clock_back(86400 * 1000);
    tls_flush(tls); /* also while nobody comes */
    assert_int_equal(kept(), 0);
    talk_clear(&first);
    talk_clear(&second);
    talk_clear(&third);
}

static void sessions_that_have_outlived_their_time_are_dropped(void **state)
{
    struct visit visit = {.name = "rsa.example", .version = TLS1_2_VERSION, .ciphers = "AES128-GCM-SHA256"};
    struct talk old, young;
    (void)state;
    open_tls(NULL);
    talk_to(&visit, &old);
    talk_to(&visit, &young);
    assert_true(old.done && young.done);
    assert_int_equal(kept(), 2);
    tls_flush(tls);
    assert_int_equal(kept(), 2);
    set_back(SSL_get_session(old.server), (long)config.tls.ticket_lifetime / 1000 + 1);
    tls_flush(tls);
    assert_int_equal(kept(), 1);
    visit.resume = young.session;
    talk_clear(&old);
    talk_to(&visit, &old);
    assert_true(old.done && SSL_session_reused(old.server));
    for (size_t i = 0; i < tls->set_count; i++)
        assert_int_equal(SSL_CTX_sess_number(tls->of_set[i]), 0); /* none is anywhere else */
    talk_clear(&old);
    talk_clear(&young);
}

static void ticket_keys_turn_at_half_of_the_lifetime(void **state)
{
    struct ticket_ring ring = {.lifetime_ms = 1000};
    struct ticket_key first, second;
    (void)state;
    tickets_ring_turn(&ring, 5000);
    first = ring.current;
    assert_int_equal(ring.previous.born_ms, 0);
    tickets_ring_turn(&ring, 5499);
    assert_memory_equal(&ring.current, &first, sizeof first);
    tickets_ring_turn(&ring, 5500);
    second = ring.current;
    assert_memory_not_equal(second.name, first.name, sizeof first.name);
    assert_memory_not_equal(second.cipher, first.cipher, sizeof first.cipher);
    assert_memory_equal(&ring.previous, &first, sizeof first);
    assert_ptr_equal(tickets_ring_find(&ring, first.name), &ring.previous);
    assert_ptr_equal(tickets_ring_find(&ring, second.name), &ring.current);
    tickets_ring_turn(&ring, 5999);
    assert_non_null(tickets_ring_find(&ring, first.name));
    tickets_ring_turn(&ring, 6000);
    assert_null(tickets_ring_find(&ring, first.name));
    assert_ptr_equal(tickets_ring_find(&ring, second.name), &ring.previous);
}

static void old_ticket_keys_are_wiped(void **state)
{
    static const struct ticket_key wiped;
    struct ticket_ring ring = {.lifetime_ms = 1000};
    (void)state;
    tickets_ring_turn(&ring, 1);
    tickets_ring_turn(&ring, 900); /* an idle server turns late */
    assert_int_equal(ring.previous.born_ms, 1);
    tickets_ring_turn(&ring, 1001);
    assert_memory_equal(&ring.previous, &wiped, sizeof wiped);
    tickets_ring_turn(&ring, 9000); /* nobody came for long: both are too old */
    assert_memory_equal(&ring.previous, &wiped, sizeof wiped);
    assert_int_equal(ring.current.born_ms, 9000);
}

/* ---- configuration ---- */

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sessions_stay_with_the_certificates_they_were_made_under),
        TEST(tickets_outlive_a_reload),
        TEST(wiped_ticket_keys_open_nothing),
        TEST(without_tickets_nothing_resumes),
        TEST(sessions_that_have_outlived_their_time_are_dropped),
        TEST(no_session_outlives_its_time_when_the_clock_is_set_back),
        TEST(ticket_keys_turn_at_half_of_the_lifetime),
        TEST(old_ticket_keys_are_wiped),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
