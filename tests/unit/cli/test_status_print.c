#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "cli/status_print.h"

static char *page;
static struct status_view view;

static const char *print(const char *text, const char *why)
{
    size_t length = 0;
    json_t *status = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(status);
    free(page);
    page = NULL;
    FILE *out = open_memstream(&page, &length);
    assert_non_null(out);
    status_print(out, status, "127.0.0.1:1", why, &view);
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
    assert_has("  KEY SERVER  ADDRESS        STATE      RTT ms  IN FLIGHT  ANSWERED  PER s  REFUSED  TIMED "
               "OUT  FAILED  "
               "LOST  LAST ERROR\n"
               "  main        10.0.0.1:2407  connected    1.25          4         5    5.0        6          "
               "8       1  "
               "   2  timed out\n");
    assert_has("  certificates 1, 1 end within 14 days, 2 skipped (`keyless check` says why)\n"
               "  CERTIFICATE     KEY  DAYS LEFT  FILE\n"
               "  a.test, b.test  rsa         12  /c/a.pem\n");
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
          " \"connected_seconds\": 61, \"requests\": 122, \"refused\": 3, \"in_flight\": 1, \"rtt_seconds\": "
          "0.0015}]}",
          NULL);
    assert_has("  vault        3 keys, 2 workers, 1 queued, 4 working, 1 key files skipped (`keyless check` "
               "says why), 5 faults, 6 restarts, epochs 61 s ahead of the clock\n");
    assert_has(
        "  audit        record 12, cannot be written (the log says why), 2 results withheld, 3 answers "
        "unrecorded\n");
    assert_has("  refused      unknown_key 2\n");
    assert_has("  requests     ping 8\n");
    assert_has("  EDGE    ADDRESS     CONNECTED  RTT ms  IN FLIGHT  REQUESTS  PER s  REFUSED  SOFTWARE\n"
               "  paris1  10.0.0.2:5     1m 01s    1.50          1       122    2.0        3  x 1\n");
    assert_null(strstr(page, "dropped"));
    assert_null(strstr(page, "expired"));
}

static void a_server_without_edges_says_so(void **state)
{
    (void)state;
    print(
        "{\"program\": \"keyless-server\", \"edges\": [], \"vault\": {\"epoch_ahead_seconds\": 0.9, "
        "\"audit\": {\"sequence\": 7, \"failing\": false}}, \"sandbox\": {\"net\": {\"system_calls\": true, "
        "\"files\": false}, \"vault\": {\"memory\": true}}}",
        NULL);
    assert_has("  edges        none connected\n");
    assert_has("  audit        record 7\n");
    assert_has("  sandbox      net: system calls, NO files; vault: memory\n");
    assert_null(strstr(page, "ahead"));
}

static void what_a_peer_calls_itself_cannot_steer_the_terminal(void **state)
{
    (void)state;
    print("{\"program\": \"keyless-server\", \"edges\": [{\"name\": \"a\", \"software\": "
          "\"\\u001b[2Jevil\\r\\u007f\"}]}",
          NULL);
    assert_has("  ?[2Jevil??\n");
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

/* An edge with COUNT certificates, the last of which ends first. */
static void print_many(size_t count)
{
    json_t *certs = json_array(), *status;
    for (size_t i = 0; i < count; i++) {
        char file[64];
        snprintf(file, sizeof file, "/c/%zu.pem", i);
        json_array_append_new(certs, json_pack("{s:s, s:[s, s, s, s], s:s, s:I}", "file", file, "names",
                                               "a.test", "b.test", "c.test", "d.test", "key_type", "p256",
                                               "days_left", (json_int_t)(count - i) - 2));
    }
    status = json_pack("{s:s, s:o}", "program", "keyless-edge", "certificates", certs);
    char *text = json_dumps(status, 0);
    print(text, NULL);
    free(text);
    json_decref(status);
}

static size_t lines(void)
{
    size_t count = 0;
    for (const char *at = page; *at != 0; at++)
        count += *at == '\n';
    return count;
}

static void three_thousand_certificates_fit_a_screen_worst_first(void **state)
{
    (void)state;
    print_many(3000);
    assert_in_range(lines(), 10, 24);
    assert_has("  certificates 3000, 1 ended, 15 end within 14 days\n");
    assert_has(
        "DAYS LEFT  FILE\n  a.test, b.test +2  p256         -1  /c/2999.pem\n  a.test, b.test +2  p256   "
        "       0  /c/2998.pem\n");
    assert_has("  ... and 2992 more, with 7 days left or more; --all lists them\n");
    view.all = true;
    print_many(3000);
    view.all = false;
    assert_in_range(lines(), 3000, 3020);
    assert_has("  a.test, b.test, c.test, d.test  p256       2998  /c/0.pem\n");
    assert_null(strstr(page, "more"));
}

static void the_channels_that_are_refused_most_are_shown(void **state)
{
    json_t *edges = json_array();
    (void)state;
    for (int i = 0; i < 100; i++)
        json_array_append_new(edges, json_pack("{s:s, s:s, s:i, s:i}", "name", i == 77 ? "bad" : "good",
                                               "address", "10.0.0.1:1", "requests", i, "refused", i == 77));
    json_t *status = json_pack("{s:s, s:o}", "program", "keyless-server", "edges", edges);
    char *text = json_dumps(status, 0);
    print(text, NULL);
    assert_in_range(lines(), 10, 24);
    assert_has("SOFTWARE\n  bad ");
    assert_has("  ... and 92 channels more; --all lists them\n");
    free(text);
    json_decref(status);
}

static void colour_marks_what_is_wrong_and_only_where_it_is_wanted(void **state)
{
    static const char text[] =
        "{\"program\": \"keyless-edge\", \"key_servers\": [{\"name\": \"a\", \"state\": \"connected\"},"
        " {\"name\": \"b\", \"state\": \"disconnected\"}, {\"name\": \"c\", \"state\": \"connected\","
        " \"answers_other\": 1}], \"certificates\": [{\"days_left\": 3}, {\"days_left\": 80}]}";
    (void)state;
    assert_null(strchr(print(text, "no"), '\033'));
    view.colour = true;
    print(text, "no");
    view.colour = false;
    assert_has(": \033[31mnot ready: no\033[0m, up");
    assert_has("\n  a  ");
    assert_has("\n  \033[31mb  ");
    assert_has("\n  \033[33mc  ");
    assert_has("DAYS LEFT  FILE\n  \033[33m");
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
        cmocka_unit_test(three_thousand_certificates_fit_a_screen_worst_first),
        cmocka_unit_test(the_channels_that_are_refused_most_are_shown),
        cmocka_unit_test(colour_marks_what_is_wrong_and_only_where_it_is_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
