#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cli/status_print.h"

static char *page;

static const char *print(const char *text, const char *why)
{
    size_t length = 0;
    json_t *status = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(status);
    free(page);
    page = NULL;
    FILE *out = open_memstream(&page, &length);
    assert_non_null(out);
    status_print(out, status, "127.0.0.1:1", why);
    fclose(out);
    json_decref(status);
    return page;
}

static void assert_has(const char *text)
{
    if (strstr(page, text) == NULL)
        fail_msg("'%s' is not in:\n%s", text, page);
}

static void uptime_is_in_units_that_fit(void **state)
{
    static const struct {
        const char *seconds, *text;
    } cases[] = {
        {"0", "up 0s\n"},         {"59.9", "up 59s\n"},    {"60", "up 1m 00s\n"},
        {"3599", "up 59m 59s\n"}, {"3600", "up 1h 00m\n"}, {"86399", "up 23h 59m\n"},
        {"86400", "up 1d 00h\n"}, {"-1", "up 0s\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[128];
        snprintf(text, sizeof text, "{\"program\": \"keyless-edge\", \"uptime_seconds\": %s}",
                 cases[i].seconds);
        print(text, NULL);
        assert_has(cases[i].text);
    }
}

static void readiness_is_in_the_first_line(void **state)
{
    static const char text[] =
        "{\"program\": \"keyless-server\", \"version\": \"1.2.3\", \"uptime_seconds\": 1}";
    static const char good[] = "keyless-server 1.2.3 at 127.0.0.1:1: ready, up 1s\n";
    static const char bad[] = "keyless-server 1.2.3 at 127.0.0.1:1: not ready: no vault, up 1s\n";
    (void)state;
    assert_memory_equal(print(text, NULL), good, sizeof good - 1);
    assert_memory_equal(print(text, "no vault"), bad, sizeof bad - 1);
}

static void an_edge_shows_servers_and_certificates(void **state)
{
    (void)state;
    print("{\"program\": \"keyless-edge\", \"version\": \"1\", \"uptime_seconds\": 1,"
          " \"listeners\": [\"127.0.0.1:443\", \"[::1]:443\"], \"origin\": \"127.0.0.1:80\","
          " \"connections\": {\"accepted\": 9, \"active\": 2, \"waiting_for_key\": 1, \"handshakes\": 7,"
          " \"handshakes_failed\": 3}, \"certificates_skipped\": 2,"
          " \"key_servers\": [{\"name\": \"main\", \"address\": \"10.0.0.1:2407\", \"state\": \"connected\","
          " \"rtt_ns\": 1250000, \"in_flight\": 4, \"answers_ok\": 5, \"answers_other\": 6, \"timeouts\": 8,"
          " \"connects_failed\": 1, \"channels_lost\": 2, \"last_error\": \"timed out\"}],"
          " \"certificates\": [{\"file\": \"/c/a.pem\", \"names\": [\"a.test\", \"b.test\"],"
          " \"key_type\": \"rsa\", \"days_left\": 12}]}",
          NULL);
    assert_has("  listening    127.0.0.1:443, [::1]:443\n");
    assert_has("  origin       127.0.0.1:80\n");
    assert_has("  connections  2 open, 9 accepted\n");
    assert_has("  handshakes   7 done, 3 failed, 1 waiting for a key\n");
    assert_has("    main 10.0.0.1:2407: connected, rtt 1.25 ms, 4 in flight, 5 answered, 6 refused, 8 timed "
               "out, channels: 1 failed, 2 lost, last error: timed out\n");
    assert_has("  certificates (2 skipped; `keyless check` says why)\n");
    assert_has("    a.test, b.test: rsa, 12 days left (/c/a.pem)\n");
}

static void a_server_shows_vault_edges_and_refusals(void **state)
{
    (void)state;
    print("{\"program\": \"keyless-server\", \"version\": \"1\", \"uptime_seconds\": 1, \"listeners\": [],"
          " \"vault\": {\"keys\": 3, \"workers\": 2, \"queued\": 1, \"working\": 4, \"key_files_skipped\": 1,"
          " \"faults\": 5, \"restarts\": 6, \"epoch_ahead_seconds\": 61.4, \"audit\": {\"sequence\": 12,"
          " \"failing\": true, \"withheld\": 2, \"unrecorded\": 3}, \"refusals\": {\"unknown_key\": 2, "
          "\"expired\": 0}},"
          " \"requests\": {\"ping\": 8}, \"answers\": {\"ok\": 7}, \"dropped\": {\"unknown\": 0},"
          " \"edges\": [{\"name\": \"paris1\", \"address\": \"10.0.0.2:5\", \"software\": \"x 1\","
          " \"connected_seconds\": 61, \"requests\": 9, \"in_flight\": 1, \"rtt_seconds\": 0.0015}]}",
          NULL);
    assert_has("  vault        3 keys, 2 workers, 1 queued, 4 working, 1 key files skipped (`keyless check` "
               "says why), 5 faults, 6 restarts, epochs 61 s ahead of the clock\n");
    assert_has(
        "  audit        record 12, cannot be written (the log says why), 2 results withheld, 3 answers "
        "unrecorded\n");
    assert_has("  refused      unknown_key 2\n");
    assert_has("  requests     ping 8\n");
    assert_has("    paris1 10.0.0.2:5: connected for 1m 01s, 1 in flight, 9 requests, rtt 1.50 ms, x 1\n");
    assert_null(strstr(page, "dropped"));
    assert_null(strstr(page, "expired"));
}

static void a_server_without_edges_says_so(void **state)
{
    (void)state;
    print("{\"program\": \"keyless-server\", \"edges\": [], \"vault\": {\"epoch_ahead_seconds\": 0.9, "
          "\"audit\": {\"sequence\": 7, \"failing\": false}}}",
          NULL);
    assert_has("  edges        none connected\n");
    assert_has("  audit        record 7\n");
    assert_null(strstr(page, "ahead"));
}

static void what_a_peer_calls_itself_cannot_steer_the_terminal(void **state)
{
    (void)state;
    print("{\"program\": \"keyless-server\", \"edges\": [{\"name\": \"a\", \"software\": "
          "\"\\u001b[2Jevil\\r\\u007f\"}]}",
          NULL);
    assert_has(", ?[2Jevil??\n");
    assert_null(strchr(page, '\033'));
}

static void members_of_other_types_do_no_harm(void **state)
{
    (void)state;
    print(
        "{\"program\": \"keyless-edge\", \"listeners\": 7, \"connections\": [], \"key_servers\": {\"a\": 1},"
        " \"certificates\": [1, {\"names\": [1, \"a\"]}], \"uptime_seconds\": \"x\"}",
        NULL);
    assert_has("keyless-edge ?");
    print("{\"program\": \"keyless-server\", \"vault\": 1, \"edges\": [null], \"requests\": [1]}", NULL);
    assert_has("  vault        0 keys");
}

static int teardown(void **state)
{
    (void)state;
    free(page);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uptime_is_in_units_that_fit),
        cmocka_unit_test(readiness_is_in_the_first_line),
        cmocka_unit_test(an_edge_shows_servers_and_certificates),
        cmocka_unit_test(a_server_shows_vault_edges_and_refusals),
        cmocka_unit_test(a_server_without_edges_says_so),
        cmocka_unit_test(what_a_peer_calls_itself_cannot_steer_the_terminal),
        cmocka_unit_test(members_of_other_types_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
