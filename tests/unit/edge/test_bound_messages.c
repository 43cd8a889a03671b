/* The messages of a handshake that bound mode keeps for the key server: which, how much of them, and until
 * when. */
#include "tests/unit/edge/bound_visit_rig.h"

#include "edge/bound/bound_internal.h"
#include "proto/handshake_type.h"

/* ---- a client that keeps a transcript of its own ---- */

static uint8_t transcript[2 * HANDSHAKE_MAX];
static size_t transcript_length;

static void keep(int written, int version, int type, const void *bytes, size_t length, SSL *ssl, void *user)
{
    (void)written, (void)version, (void)ssl, (void)user;
    bool over = type != SSL3_RT_HANDSHAKE || *(const uint8_t *)bytes == 20; /* Finished */
    if (over || transcript_length + length > sizeof transcript)
        return;
    memcpy(transcript + transcript_length, bytes, length);
    transcript_length += length;
}

static void the_key_server_gets_the_transcript_of_the_client(void **state)
{
    struct talk talk;
    (void)state;
    bound_announce(1);
    open_tls(NULL);
    talk_begin(&rsa_visit, &talk);
    transcript_length = 0;
    SSL_set_msg_callback(talk.client, keep);
    bound_enter(&talk.bound);
    assert_true(remote_keys_shake(talk.client, talk.server));
    bound_leave();
    assert_int_equal(last_operation.u.rsa_master.length, transcript_length);
    assert_memory_equal(last_messages, transcript, transcript_length);
    assert_memory_equal(last_operation.key_id, private_keys[RSA_KEY].id, KEY_ID_SIZE);
    talk_clear(&talk);
}

/* ---- what is kept, and how much ---- */

/* Feeds a message of TYPE and LENGTH as OpenSSL would. */
static void show(struct bound_exchange *exchange, SSL *ssl, uint8_t type, size_t length)
{
    static uint8_t bytes[HANDSHAKE_MAX + 1];
    memset(bytes, 0x77, length);
    bytes[0] = type;
    bound_messages_on(0, TLS1_2_VERSION, SSL3_RT_HANDSHAKE, bytes, length, ssl, exchange);
}

static void messages_are_kept_up_to_their_limit(void **state)
{
    (void)state;
    open_tls(NULL);
    for (int over = 0; over < 2; over++) {
        SSL *ssl = tls_accept(tls, NULL);
        struct bound_exchange exchange = {.epoch = 1};
        show(&exchange, ssl, 1, 500);
        show(&exchange, ssl, SERVER_HELLO, 100);
        show(&exchange, ssl, 11, BOUND_MESSAGES_MAX - 1000);
        assert_int_equal(buffer_length(&exchange.messages), BOUND_MESSAGES_MAX - 400);
        show(&exchange, ssl, 14, 400 + (size_t)over);
        assert_int_equal(buffer_length(&exchange.messages), over ? 0 : BOUND_MESSAGES_MAX);
        assert_int_equal(exchange.too_long, over);
        bound_clear(&exchange);
        SSL_free(ssl);
    }
}

/* However long: what a client puts into it does not decide how the exchange is done. */
static void the_key_exchange_is_left_to_the_decryption(void **state)
{
    static const size_t lengths[] = {6, 262, 2052, HANDSHAKE_MAX};
    (void)state;
    open_tls(NULL);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        SSL *ssl = tls_accept(tls, NULL);
        struct bound_exchange exchange = {.epoch = 1};
        show(&exchange, ssl, 1, BOUND_MESSAGES_MAX - 100);
        show(&exchange, ssl, SERVER_HELLO, 100);
        show(&exchange, ssl, CLIENT_KEY_EXCHANGE, lengths[i]);
        assert_int_equal(buffer_length(&exchange.messages), BOUND_MESSAGES_MAX);
        assert_false(exchange.too_long);
        bound_clear(&exchange);
        SSL_free(ssl);
    }
}

static void one_message_beyond_the_limit_is_not_kept(void **state)
{
    struct bound_exchange exchange = {.epoch = 1};
    (void)state;
    open_tls(NULL);
    SSL *ssl = tls_accept(tls, NULL);
    show(&exchange, ssl, 1, HANDSHAKE_MAX + 1);
    assert_true(exchange.too_long);
    assert_null(exchange.messages.bytes);
    SSL_free(ssl);
}

static void other_than_handshake_messages_are_not_looked_at(void **state)
{
    struct bound_exchange exchange = {.epoch = 1};
    const uint8_t header[5] = {SERVER_HELLO};
    (void)state;
    bound_messages_on(1, TLS1_2_VERSION, SSL3_RT_HEADER, header, sizeof header, NULL, &exchange);
    bound_messages_on(1, TLS1_2_VERSION, SSL3_RT_ALERT, header, 2, NULL, &exchange);
    bound_messages_on(0, SSL2_VERSION, 0, header, sizeof header, NULL, &exchange);
    bound_messages_on(1, TLS1_2_VERSION, SSL3_RT_HANDSHAKE, header, 0, NULL, &exchange);
    assert_null(exchange.messages.bytes);
}

/* ---- long chains ---- */

/* A chain of a leaf and one certificate of BYTES and more. */
static void put_long_chain(const char *file, size_t bytes)
{
    remote_keys_put(folder, file, private_keys[RSA_KEY].key, "DNS:long.example");
    char *comment = calloc(1, bytes + 1);
    memset(comment, 'x', bytes);
    X509 *filler = remote_keys_cert(private_keys[OTHER_RSA_KEY].key, NULL, -DAY_SECONDS, DAY_SECONDS);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_netscape_comment, comment);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(filler, extension, -1), 1);
    remote_keys_write(folder, file, filler);
    X509_EXTENSION_free(extension);
    X509_free(filler);
    free(comment);
}

static void a_chain_that_is_too_long_makes_the_session_plain(void **state)
{
    struct talk talk;
    struct visit visit = rsa_visit;
    (void)state;
    visit.name = "long.example";
    put_long_chain("long.pem", HANDSHAKE_MAX);
    bound_announce(1);
    open_tls(NULL);
    talk_to(&visit, &talk);
    assert_true(talk.done);
    assert_int_equal(last_operation.kind, OP_RSA_PREMASTER);
    assert_int_equal(bound_mode(&talk.bound), RSA_MODE_TOO_LONG);
    assert_int_equal(kind_of(&talk), TLS_KIND_RSA_PLAIN);
    talk_clear(&talk);
}

static void a_long_chain_in_small_pieces_is_bound(void **state)
{
    struct talk talk;
    struct visit visit = rsa_visit;
    BIO *a = NULL, *b = NULL;
    bool done = false;
    (void)state;
    visit.name = "long.example";
    put_long_chain("long.pem", HANDSHAKE_MAX / 2);
    bound_announce(1);
    open_tls(NULL);
    talk_begin(&visit, &talk);
    assert_int_equal(BIO_new_bio_pair(&a, 97, &b, 101), 1);
    SSL_set_bio(talk.client, a, a);
    SSL_set_bio(talk.server, b, b);
    assert_int_equal(SSL_set_max_send_fragment(talk.client, 512), 1);
    assert_int_equal(SSL_set_max_send_fragment(talk.server, 512), 1);
    bound_enter(&talk.bound);
    for (int turn = 0; turn < 10000 && !done; turn++) {
        int c = SSL_do_handshake(talk.client), s = SSL_do_handshake(talk.server);
        done = c == 1 && s == 1;
    }
    bound_leave();
    assert_true(done);
    assert_true(last_operation.u.rsa_master.length > HANDSHAKE_MAX / 2);
    assert_int_equal(kind_of(&talk), TLS_KIND_RSA);
    talk_clear(&talk);
}

/* ---- what is dropped ---- */

static void what_is_not_needed_is_dropped_with_server_hello(void **state)
{
    static const struct visit visits[] = {
        {.name = "rsa.example", .version = TLS1_3_VERSION},
        {.name = "rsa.example", .version = TLS1_3_VERSION, .groups = "X448:P-521"},
        {.name = "rsa.example", .version = TLS1_2_VERSION, .ciphers = "ECDHE-RSA-AES128-GCM-SHA256"},
        {.name = "p256.example", .version = TLS1_2_VERSION},
        {.name = "rsa.example", .version = TLS1_2_VERSION, .ciphers = "AES128-GCM-SHA256"}, /* no epoch */
    };
    (void)state;
    open_tls(NULL);
    for (size_t i = 0; i < sizeof visits / sizeof visits[0]; i++) {
        struct talk talk;
        bound_announce(i < 4);
        talk_begin(&visits[i], &talk);
        step_to_server_hello(&talk);
        assert_null(talk.bound.messages.bytes);
        talk_clear(&talk);
    }
}

static void a_session_that_goes_on_keeps_no_messages(void **state)
{
    struct talk first, second;
    struct visit visit = rsa_visit;
    (void)state;
    bound_announce(1);
    open_tls(NULL);
    talk_to(&visit, &first);
    visit.resume = SSL_get_session(first.client);
    talk_begin(&visit, &second);
    step_to_server_hello(&second);
    assert_null(second.bound.messages.bytes);
    talk_clear(&first);
    talk_clear(&second);
}

static void a_client_that_leaves_after_server_hello_leaves_nothing(void **state)
{
    struct talk talk;
    (void)state;
    bound_announce(1);
    open_tls(NULL);
    talk_begin(&rsa_visit, &talk);
    step_to_server_hello(&talk);
    assert_true(buffer_length(&talk.bound.messages) > 0);
    talk_clear(&talk);
    assert_forgotten(&talk.bound);
    assert_int_equal(asked, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_key_server_gets_the_transcript_of_the_client),
        TEST(messages_are_kept_up_to_their_limit),
        TEST(the_key_exchange_is_left_to_the_decryption),
        TEST(one_message_beyond_the_limit_is_not_kept),
        TEST(other_than_handshake_messages_are_not_looked_at),
        TEST(a_chain_that_is_too_long_makes_the_session_plain),
        TEST(a_long_chain_in_small_pieces_is_bound),
        TEST(what_is_not_needed_is_dropped_with_server_hello),
        TEST(a_session_that_goes_on_keeps_no_messages),
        TEST(a_client_that_leaves_after_server_hello_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
