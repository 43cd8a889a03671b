#include "tests/unit/edge/tls_rig.h"

#include "edge/bound/bound_internal.h"
#include "edge/provider/openssl_error.h"
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

static const struct visit rsa_visit = {
    .name = "rsa.example", .version = TLS1_2_VERSION, .ciphers = "AES128-GCM-SHA256"};

static void assert_marked(SSL_SESSION *session)
{
    unsigned length = 0;
    const uint8_t *id = SSL_SESSION_get_id(session, &length);
    assert_int_equal(length, SESSION_ID_SIZE);
    assert_true(session_id_check(id, bound_announced.key));
}

/* Nothing of the exchange is in memory any more. */
static void assert_forgotten(const struct bound_exchange *exchange)
{
    const struct bound_deferred nothing = {.held = false};
    assert_null(exchange->messages.bytes);
    assert_memory_equal(&exchange->deferred, &nothing, sizeof nothing);
}

static enum tls_kind kind_of(const struct talk *talk)
{
    return tls_session_kind(talk->server, bound_mode(&talk->bound) == RSA_MODE_BOUND);
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

/* Steps the server until it has written ServerHello, no further. */
static void step_to_server_hello(struct talk *talk)
{
    bound_enter(&talk->bound);
    (void)SSL_do_handshake(talk->client);
    (void)SSL_do_handshake(talk->server);
    bound_leave();
    assert_false(SSL_is_init_finished(talk->server));
}

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

/* ---- answers that are none ---- */

static void another_secret(struct outcome *outcome)
{
    memset(outcome->bytes, 0x5a, outcome->length);
}
static void one_bit(struct outcome *outcome)
{
    outcome->bytes[47] ^= 1;
}
static void one_byte_less(struct outcome *outcome)
{
    outcome->length--;
}
static void one_byte_more(struct outcome *outcome)
{
    outcome->length++;
}
static void nothing_at_all(struct outcome *outcome)
{
    outcome->length = 0;
}
static void refused(struct outcome *outcome)
{
    outcome->status = STATUS_REFUSED;
}
static void expired(struct outcome *outcome)
{
    outcome->status = STATUS_EXPIRED;
}

static void a_wrong_master_secret_fails_at_finished_and_nowhere_else(void **state)
{
    void (*const spoilers[])(struct outcome *) = {another_secret, one_bit};
    (void)state;
    bound_announce(1);
    open_tls(NULL);
    for (size_t i = 0; i < 4; i++) {
        struct talk talk;
        struct visit visit = rsa_visit;
        visit.options = i < 2 ? 0 : SSL_OP_NO_EXTENDED_MASTER_SECRET;
        spoil = spoilers[i % 2];
        talk_to(&visit, &talk);
        assert_false(talk.done);
        assert_int_equal(talk.alert, SSL_AD_BAD_RECORD_MAC); /* of the client's Finished */
        talk_clear(&talk);
        talk_to(&visit, &talk);
        assert_true(talk.done);
        talk_clear(&talk);
    }
}

static void what_is_no_answer_fails_in_one_and_the_same_way(void **state)
{
    void (*const spoilers[])(struct outcome *) = {one_byte_less, one_byte_more, nothing_at_all,
                                                  refused,       expired,       NULL};
    char first[256] = "", text[256];
    (void)state;
    bound_announce(1);
    open_tls(NULL);
    for (size_t i = 0; i < 2 * sizeof spoilers / sizeof spoilers[0]; i++) {
        struct talk talk;
        struct visit visit = rsa_visit;
        visit.options = i % 2 ? 0 : SSL_OP_NO_EXTENDED_MASTER_SECRET;
        spoil = spoilers[i / 2];
        perform_error = spoil == NULL ? ERR_TIMEOUT : 0;
        talk_begin(&visit, &talk);
        step_to_server_hello(&talk);
        bound_enter(&talk.bound);
        (void)SSL_do_handshake(talk.client);
        assert_int_not_equal(SSL_do_handshake(talk.server), 1);
        bound_leave();
        openssl_error(text, sizeof text);
        (void)SSL_do_handshake(talk.client);
        assert_int_equal(talk.alert, SSL_AD_INTERNAL_ERROR);
        assert_non_null(strstr(text, "remote key"));
        if (i == 0)
            memcpy(first, text, sizeof first);
        assert_string_equal(text, first);
        assert_forgotten(&talk.bound);
        talk_clear(&talk);
        perform_error = 0;
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_rsa_suite_is_bound_and_comes_back_by_its_session_id),
        TEST(the_key_server_gets_the_transcript_of_the_client),
        TEST(a_client_that_could_do_tls13_is_bound_as_well),
        TEST(every_session_has_a_mark_of_its_own),
        TEST(without_resumption_sessions_are_marked_and_do_not_come_back),
        TEST(without_an_epoch_sessions_are_plain),
        TEST(a_client_without_extended_master_secret_is_plain),
        TEST(a_client_without_extended_master_secret_is_known_by_its_hello),
        TEST(messages_are_kept_up_to_their_limit),
        TEST(the_key_exchange_is_left_to_the_decryption),
        TEST(one_message_beyond_the_limit_is_not_kept),
        TEST(other_than_handshake_messages_are_not_looked_at),
        TEST(a_chain_that_is_too_long_makes_the_session_plain),
        TEST(a_long_chain_in_small_pieces_is_bound),
        TEST(what_is_not_needed_is_dropped_with_server_hello),
        TEST(a_session_that_goes_on_keeps_no_messages),
        TEST(a_client_that_leaves_after_server_hello_leaves_nothing),
        TEST(sessions_with_ephemeral_keys_are_as_without_bound_mode),
        TEST(a_wrong_master_secret_fails_at_finished_and_nowhere_else),
        TEST(what_is_no_answer_fails_in_one_and_the_same_way),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
