/* Tickets that follow each other, and early data that is not taken. Includes edge/tls/tickets.c itself: its
 * keys are made to age. */
#include "edge/tls/tickets.c"

#include "tests/unit/edge/tls_rig.h"

/* The client's session stays good only when its connection has ended in order. */
static void part(struct talk *talk)
{
    SSL_set_shutdown(talk->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    talk_clear(talk);
}

static void turn_ticket_keys(void)
{
    process_ring->current.born_ms -= config.tls.ticket_lifetime / 2;
}

static bool same_ticket(const SSL_SESSION *a, const SSL_SESSION *b)
{
    const unsigned char *of_a, *of_b;
    size_t length_a, length_b;

    SSL_SESSION_get0_ticket(a, &of_a, &length_a);
    SSL_SESSION_get0_ticket(b, &of_b, &length_b);
    return length_a == length_b && memcmp(of_a, of_b, length_a) == 0;
}

/* Visits with the session *LATEST, which is replaced by the one the client has then. FRESH: with another
 * ticket. True when it was resumed. */
static bool come_back(int version, SSL_SESSION **latest, bool *fresh)
{
    struct talk talk;
    struct visit visit = {.name = "rsa.example",
                          .version = version,
                          .ciphers = "ECDHE-RSA-AES128-GCM-SHA256",
                          .resume = *latest};

    talk_to(&visit, &talk);
    assert_true(talk.done);
    bool resumed = SSL_session_reused(talk.server) == 1;
    SSL_SESSION *now = SSL_get1_session(talk.client);
    *fresh = *latest == NULL || !same_ticket(now, *latest);
    SSL_SESSION_free(*latest);
    *latest = now;
    part(&talk);
    return resumed;
}

/* Clients that use each ticket once resume every time, not every second time. */
static void every_resumption_of_tls13_gives_the_next_ticket(void **state)
{
    SSL_SESSION *session = NULL;
    bool fresh;

    (void)state;
    open_tls(NULL);
    assert_false(come_back(TLS1_3_VERSION, &session, &fresh));
    for (int visit = 0; visit < 5; visit++) {
        assert_true(fresh);
        assert_true(come_back(TLS1_3_VERSION, &session, &fresh));
        if (visit == 2)
            turn_ticket_keys();
    }
    assert_true(fresh);
    SSL_SESSION_free(session);
}

static void a_ticket_of_tls12_is_renewed_when_its_key_goes_out_of_use(void **state)
{
    SSL_SESSION *session = NULL;
    bool fresh;

    (void)state;
    open_tls(NULL);
    assert_false(come_back(TLS1_2_VERSION, &session, &fresh));
    assert_true(come_back(TLS1_2_VERSION, &session, &fresh));
    assert_false(fresh); /* the one it has is good for long */
    turn_ticket_keys();
    assert_true(come_back(TLS1_2_VERSION, &session, &fresh));
    assert_true(fresh);
    turn_ticket_keys(); /* what sealed the first ticket is gone now */
    assert_true(come_back(TLS1_2_VERSION, &session, &fresh));
    SSL_SESSION_free(session);
}

static void a_key_that_does_not_exist_opens_nothing(void **state)
{
    static const uint8_t zeros[TICKET_NAME_SIZE];
    const struct ticket_ring none = {.lifetime_ms = 1000};

    (void)state;
    assert_null(tickets_ring_find(&none, zeros));
}

/* ---- early data ---- */

#define PIECE 2048

/* Sends TOTAL bytes of early data and finishes the handshake: true when it is complete. */
static bool visit_early(struct talk *talk, size_t total)
{
    static const uint8_t bytes[PIECE];
    size_t written;

    for (size_t sent = 0; sent < total; sent += PIECE) {
        assert_int_equal(SSL_write_early_data(talk->client, bytes, sizeof bytes, &written), 1);
        int result = SSL_do_handshake(talk->server);
        if (result != 1 && !remote_keys_wants_more(talk->server, result))
            return false;
    }
    return remote_keys_shake(talk->client, talk->server);
}

/* A client with a session that, as it believes, may send early data. The ticket is good or is not. */
static void early_begin(struct talk *talk, bool good_ticket)
{
    struct talk full;
    struct visit visit = {.name = "rsa.example", .version = TLS1_3_VERSION, .groups = "X25519:P-256"};

    talk_to(&visit, &full);
    assert_true(full.done);
    assert_int_equal(SSL_SESSION_set_max_early_data(full.session, 1u << 20), 1);
    if (!good_ticket) {
        tickets_stop();
        assert_int_equal(tickets_start(config.tls.ticket_lifetime), 0);
    }
    visit.resume = full.session;
    talk_begin(&visit, talk);
    part(&full);
}

static void early_data_is_skipped_and_the_client_let_in(void **state)
{
    static const char *const groups[] = {"X25519", "P-256"}; /* with the second the client has to try again */

    (void)state;
    for (size_t retry = 0; retry < 2; retry++) {
        config.tls.groups = writable(groups[retry]);
        open_tls(NULL);
        for (int good = 0; good < 2; good++) {
            struct talk talk;
            early_begin(&talk, good != 0);
            assert_true(visit_early(&talk, 16384));
            assert_int_equal(SSL_session_reused(talk.server), good);
            assert_int_equal(SSL_get_early_data_status(talk.client), SSL_EARLY_DATA_REJECTED);
            remote_keys_talk(talk.client, talk.server); /* the first byte that arrives is none of them */
            talk_clear(&talk);
        }
        tls_free(tls);
        certs_free(certs);
        tls = NULL;
        certs = NULL;
    }
    config.tls.groups = NULL;
}

static void early_data_without_end_is_not(void **state)
{
    (void)state;
    open_tls(NULL);
    for (int good = 0; good < 2; good++) {
        struct talk talk;
        early_begin(&talk, good != 0);
        assert_false(visit_early(&talk, 96 * 1024));
        talk_clear(&talk);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_resumption_of_tls13_gives_the_next_ticket),
        TEST(a_ticket_of_tls12_is_renewed_when_its_key_goes_out_of_use),
        TEST(a_key_that_does_not_exist_opens_nothing),
        TEST(early_data_is_skipped_and_the_client_let_in),
        TEST(early_data_without_end_is_not),
    };
    return cmocka_run_group_tests_name("resumption", tests, setup_all, teardown_all);
}
