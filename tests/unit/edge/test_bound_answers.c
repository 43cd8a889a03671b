/* What an edge makes of a key server's answer that is none, in bound mode and in plain. */
#include "tests/unit/edge/bound_visit_rig.h"

#include "edge/provider/openssl_error.h"
#include "tests/unit/edge/spoil.h"

static void a_wrong_master_secret_fails_at_finished_and_nowhere_else(void **state)
{
    void (*const spoilers[])(struct outcome *) = {spoil_all_bytes, spoil_last_bit};
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
    void (*const spoilers[])(struct outcome *) = {spoil_one_byte_less, spoil_one_byte_more, spoil_length_zero,
                                                  spoil_refused,       spoil_expired,       NULL};
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_wrong_master_secret_fails_at_finished_and_nowhere_else),
        TEST(what_is_no_answer_fails_in_one_and_the_same_way),
    };
    return cmocka_run_group_tests(tests, setup_all, teardown_all);
}
