#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cli/trace_print.h"

static struct trace_run run;
static json_t *edge;

static int set_up(void **state)
{
    (void)state;
    memset(&run, 0, sizeof run);
    edge = json_pack("{s:{s:I, s:I, s:I}, s:{s:s, s:s, s:s, s:i, s:i, s:I}}", "ns", "key_begun",
                     (json_int_t)1000000, "key_sent", (json_int_t)1500000, "key_answered",
                     (json_int_t)3500000, "key", "server", "ks1", "operation", "sign_tls12", "status", "ok",
                     "sent_bytes", 100, "received_bytes", 256, "server_rtt_ns", (json_int_t)70000);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    json_decref(edge);
    return 0;
}

static void note(enum trace_step step, uint64_t us, size_t bytes)
{
    run.note[run.count++] = (struct trace_note){.step = step, .ns = us * 1000, .bytes = bytes};
}

/* Line NUMBER (from 0) of what is printed; free it. */
static char *line(int number, const struct trace_local *local)
{
    char *page = NULL, *found = NULL, *rest;
    size_t length = 0;
    FILE *out = open_memstream(&page, &length);
    trace_print_steps(out, false, &run, local == NULL ? edge : NULL, local);
    fclose(out);
    char *text = strtok_r(page, "\n", &rest);
    for (int i = 0; text != NULL && i < number; i++)
        text = strtok_r(NULL, "\n", &rest);
    if (text != NULL)
        found = strdup(text);
    free(page);
    assert_non_null(found);
    return found;
}

static void check_line(int number, const char *part)
{
    char *text = line(number, NULL);
    if (strstr(text, part) == NULL)
        fail_msg("line %d is: %s", number, text);
    free(text);
}

static void each_line_says_when_and_how_long_after_the_one_before(void **state)
{
    (void)state;
    note(STEP_CLIENT_HELLO, 250, 129);
    note(STEP_SERVER_HELLO, 4250, 89);
    check_line(1, " 1.     0.250 ms    +0.250  ClientHello            client → edge");
    check_line(2, " 2.     4.250 ms    +4.000  ServerHello            edge → client");
    json_t *all = trace_print_json(&run, edge, NULL);
    json_t *second = json_array_get(json_object_get(all, "steps"), 1);
    assert_int_equal(json_integer_value(json_object_get(second, "since_ns")), 4000000);
    assert_string_equal(json_string_value(json_object_get(second, "name")), "server_hello");
    json_decref(all);
}

static void an_encrypted_secret_goes_to_the_key_server_after_it_came(void **state)
{
    (void)state;
    run.exchange = EXCHANGE_RSA;
    note(STEP_CLIENT_KEY_EXCHANGE, 100, 262);
    note(STEP_CLIENT_FINISHED, 200, 16);
    check_line(1, "ClientKeyExchange");
    check_line(2, "the handshake pauses");
    check_line(3, "edge → key server 'ks1'   sign_tls12, 100 bytes of fields, after 0.500 ms in the batch");
    check_line(4, "ok, 256 bytes (the signature), 2.000 ms later");
    check_line(6, "Finished");
}

static void a_signature_is_made_before_the_message_that_carries_it(void **state)
{
    static const enum trace_step carriers[] = {STEP_SERVER_KEY_EXCHANGE, STEP_CERTIFICATE_VERIFY};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        run.count = 0;
        run.exchange = i == 0 ? EXCHANGE_ECDHE : EXCHANGE_TLS13;
        note(STEP_CERTIFICATE, 100, 900);
        note(carriers[i], 200, 300);
        note(STEP_CLIENT_KEY_EXCHANGE, 300, 37);
        note(STEP_CLOSED, 400, 0);
        check_line(1, "Certificate");
        check_line(2, "the handshake pauses");
        check_line(6, i == 0 ? "ServerKeyExchange" : "CertificateVerify");
        check_line(7, "ClientKeyExchange");
        check_line(8, "close_notify");
    }
}

static void a_local_key_stands_where_the_round_trip_would(void **state)
{
    struct trace_local local = {.key_ns = 1234000};
    (void)state;
    run.exchange = EXCHANGE_TLS13;
    note(STEP_CERTIFICATE_VERIFY, 200, 300);
    char *text = line(1, &local);
    assert_non_null(strstr(text, "private-key operation with the key in its own memory, 1.234 ms"));
    free(text);
}

static void every_key_exchange_has_words_of_its_own(void **state)
{
    static const struct {
        enum trace_exchange exchange;
        const char *words;
    } cases[] = {{EXCHANGE_RSA, "the 48-byte pre-master secret, encrypted to 256 bytes"},
                 {EXCHANGE_ECDHE, "the client's X25519 value; no secret is sent"},
                 {EXCHANGE_DHE, "the client's X25519 value; no secret is sent"},
                 {EXCHANGE_TLS13, ""},
                 {EXCHANGE_UNKNOWN, ""}};
    char text[TRACE_WORDS_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        trace_words_client_key_exchange(text, cases[i].exchange, "X25519", 256);
        assert_string_equal(text, cases[i].words);
    }
    trace_words_server_key_exchange(text, "DH-2048", "RSA-PSS and SHA256");
    assert_string_equal(text, "the server's DH-2048 value, signed with RSA-PSS and SHA256");
}

/* However many messages a peer sends. */
static void notes_are_bounded(void **state)
{
    (void)state;
    for (int i = 0; i < 3 * TRACE_NOTES_MAX; i++)
        assert_non_null(trace_note_add(&run, STEP_SERVER_HELLO, 1));
    assert_int_equal(run.count, TRACE_NOTES_MAX);
    assert_null(trace_note_find(&run, STEP_CLOSED));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_line_says_when_and_how_long_after_the_one_before, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_encrypted_secret_goes_to_the_key_server_after_it_came, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_signature_is_made_before_the_message_that_carries_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_local_key_stands_where_the_round_trip_would, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_key_exchange_has_words_of_its_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(notes_are_bounded, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("trace_print", tests, NULL, NULL);
}
