/* A client that sends records without data, each of which OpenSSL takes as an occasion to read the next. */
#include "tests/unit/edge/remote_keys.h"

#include "edge/session/session_io.h"

#define LIMIT 32
#define PIPE  (1 << 20) /* bytes: what is sent in one test */

struct rig {
    SSL_CTX *server_context, *client_context;
    struct session_io io;
    SSL *client;
    BIO *outside; /* what the server reads and writes, on the client's side */
};

static int set_up(void **state)
{
    static struct rig rig;
    X509 *cert = remote_keys_cert(private_keys[P256_KEY].key, "DNS:p256.example", -DAY_SECONDS, DAY_SECONDS);
    BIO *inside = NULL;

    rig = (struct rig){.server_context = SSL_CTX_new(TLS_server_method()),
                       .client_context = SSL_CTX_new(TLS_client_method())};
    assert_int_equal(SSL_CTX_use_certificate(rig.server_context, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(rig.server_context, private_keys[P256_KEY].key), 1);
    SSL_CTX_set_read_ahead(rig.server_context, 1);
    rig.io.ssl = SSL_new(rig.server_context);
    rig.client = SSL_new(rig.client_context);
    assert_int_equal(BIO_new_bio_pair(&inside, PIPE, &rig.outside, PIPE), 1);
    SSL_set_bio(rig.io.ssl, inside, inside);
    SSL_set_bio(rig.client, rig.outside, rig.outside);
    tls_socket_show_nobody(rig.io.ssl); /* as from a connection's beginning on */
    SSL_set_accept_state(rig.io.ssl);
    SSL_set_connect_state(rig.client);
    assert_true(remote_keys_shake(rig.client, rig.io.ssl));
    session_io_begin(&rig.io);
    X509_free(cert);
    *state = &rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;

    SSL_free(rig->io.ssl);
    SSL_free(rig->client);
    SSL_CTX_free(rig->server_context);
    SSL_CTX_free(rig->client_context);
    ERR_clear_error();
    return 0;
}

static void update_keys(struct rig *rig, int count, int kind)
{
    for (int i = 0; i < count; i++) {
        assert_int_equal(SSL_key_update(rig->client, kind), 1);
        assert_int_equal(SSL_do_handshake(rig->client), 1);
    }
}

static void say(struct rig *rig)
{
    assert_int_equal(SSL_write(rig->client, "x", 1), 1);
}

static int hear(struct rig *rig)
{
    uint8_t byte;
    bool dry = false;

    return session_io_end.read(&rig->io, &byte, 1, &dry);
}

static void some_records_without_data_are_nothing_special(void **state)
{
    struct rig *rig = *state;

    update_keys(rig, LIMIT - 1, SSL_KEY_UPDATE_NOT_REQUESTED);
    say(rig);
    assert_int_equal(hear(rig), 1);
    assert_int_equal(hear(rig), RELAY_WANT_READ);
    assert_int_equal(rig->io.why, BREAK_NONE);
}

static void one_for_each_with_data_may_go_on_forever(void **state)
{
    struct rig *rig = *state;

    for (int i = 0; i < 10 * LIMIT; i++) {
        update_keys(rig, 1, SSL_KEY_UPDATE_NOT_REQUESTED);
        say(rig);
        assert_int_equal(hear(rig), 1);
    }
    assert_int_equal(rig->io.why, BREAK_NONE);
}

static void many_in_a_row_end_the_connection(void **state)
{
    static const int kinds[] = {SSL_KEY_UPDATE_REQUESTED, SSL_KEY_UPDATE_NOT_REQUESTED};
    struct rig *rig = *state;

    for (int i = 0; i < 10 * LIMIT; i++)
        update_keys(rig, 1, kinds[i % 2]);
    assert_int_equal(hear(rig), RELAY_CUT);
    assert_int_equal(rig->io.why, BREAK_TLS);
    assert_int_equal(rig->io.idle_records, LIMIT + 1); /* nothing behind them was looked at */
    assert_int_equal(hear(rig), RELAY_CUT);
    assert_int_equal(session_io_end.write(&rig->io, (const uint8_t *)"y", 1), RELAY_CUT);
    assert_int_equal(rig->io.idle_records, LIMIT + 1);
}

static void data_in_between_does_not_hide_them(void **state)
{
    struct rig *rig = *state;
    int rounds = 0;

    for (; rounds < 10 * LIMIT && rig->io.why == BREAK_NONE; rounds++) {
        update_keys(rig, 3, SSL_KEY_UPDATE_NOT_REQUESTED);
        say(rig);
        (void)hear(rig);
    }
    assert_int_equal(rig->io.why, BREAK_TLS);
    assert_true(rounds <= LIMIT);
}

static void a_client_that_was_never_heard_is_bounded_as_well(void **state)
{
    struct rig *rig = *state;

    update_keys(rig, 10 * LIMIT, SSL_KEY_UPDATE_NOT_REQUESTED);
    assert_int_equal(session_io_peek(&rig->io), RELAY_CUT);
    assert_int_equal(rig->io.why, BREAK_TLS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(some_records_without_data_are_nothing_special),
        TEST(one_for_each_with_data_may_go_on_forever),
        TEST(many_in_a_row_end_the_connection),
        TEST(data_in_between_does_not_hide_them),
        TEST(a_client_that_was_never_heard_is_bounded_as_well),
    };
    return cmocka_run_group_tests(tests, remote_keys_make, remote_keys_free);
}
