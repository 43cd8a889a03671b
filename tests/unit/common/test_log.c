/* What a line of the log looks like, as text and as JSON. */
#include "tests/unit/common/log_capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/log_line.h"
#include "common/log_writer.h"
#include "common/shell.h"

static void a_line_has_time_level_program_event_and_fields(void **state)
{
    (void)state;
    log_init("keyless-edge", LOG_INFO, LOG_LOGFMT);
    capture();
    log_event(LOG_WARN, "key_server_lost", "server=%s error=\"%s\" n=%d", "main", "timed out", -3);
    assert_int_equal(release(), 1);
    assert_int_equal(logged[10], 'T');
    assert_int_equal(logged[23], 'Z');
    assert_string_equal(logged + 24,
                        " warn keyless-edge event=key_server_lost server=main error=\"timed out\" n=-3\n");
}

static void json_has_the_same_fields_as_members(void **state)
{
    (void)state;
    log_init("keyless-edge", LOG_INFO, LOG_JSON);
    capture();
    log_event(LOG_ERROR, "lost", "server=%s error=\"%s\" n=%d ms=%.1f id=%s hex=%08x up=%u", "main",
              "timed out", -3, 1.5, "12345", 18u, 7u);
    assert_int_equal(release(), 1);
    assert_memory_equal(logged, "{\"time\":\"20", 11);
    const char *rest = strstr(logged, ",\"level\"");
    assert_non_null(rest);
    assert_string_equal(rest, ",\"level\":\"error\",\"program\":\"keyless-edge\",\"event\":\"lost\","
                              "\"server\":\"main\",\"error\":\"timed out\",\"n\":-3,\"ms\":1.5,"
                              "\"id\":\"12345\",\"hex\":\"00000012\",\"up\":7}\n");
}

static void levels_below_the_threshold_are_not_written(void **state)
{
    (void)state;
    log_init("p", LOG_WARN, LOG_LOGFMT);
    capture();
    log_event(LOG_ERROR, "a", "x=%d", 1);
    log_event(LOG_WARN, "b", "x=%d", 1);
    log_event(LOG_INFO, "c", "x=%d", 1);
    log_event(LOG_DEBUG, "d", "x=%d", 1);
    assert_int_equal(release(), 2);
    assert_has("event=a ");
    assert_has("event=b ");
}

static void an_argument_never_becomes_a_field_a_quote_or_a_line(void **state)
{
    (void)state;
    log_init("p", LOG_INFO, LOG_LOGFMT);
    capture();
    log_event(LOG_INFO, "a", "x=\"%s\" y=%s z=%d", "1\" forged=\"yes\n2026 fake", "q forged=yes", 5);
    assert_int_equal(release(), 1);
    assert_has(" event=a x=\"1\\\" forged=\\\"yes\\n2026 fake\" y=\"q forged=yes\" z=5\n");
    log_init("p", LOG_INFO, LOG_JSON);
    capture();
    log_event(LOG_INFO, "a", "x=\"%s\" y=%s", "1\",\"forged\":\"\x1b[31m\\", "\t\r\x7f");
    assert_int_equal(release(), 1);
    assert_has("\"x\":\"1\\\",\\\"forged\\\":\\\"\\u001b[31m\\\\\",\"y\":\"\\t\\r\\u007f\"}\n");
}

static void a_command_with_a_quote_is_what_a_shell_reads(void **state)
{
    (void)state;
    log_init("p", LOG_INFO, LOG_LOGFMT);
    capture();
    log_event(LOG_INFO, "a", "hint=\"run: ls %s %s\" x=\"%s\"", SHELL_WORD("it's a"), SHELL_WORD("a\\'b"),
              "\\\\'\\n\\");
    assert_int_equal(release(), 1);
    assert_has(" hint=\"run: ls 'it'\\''s a' 'a\\'\\''b'\" x=\"\\\\\\'\\\\n\\\\\"\n");
    log_init("p", LOG_INFO, LOG_JSON);
    capture();
    log_event(LOG_INFO, "a", "hint=\"run: ls %s\"", SHELL_WORD("it's a"));
    assert_int_equal(release(), 1);
    assert_has("\"hint\":\"run: ls 'it'\\\\''s a'\"}\n");
}

static void only_whole_utf8_without_control_characters_passes(void **state)
{
    (void)state;
    /* good two, three and four bytes; then C1 control, overlong, surrogate, too large, cut. */
    static const char good[] = "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";
    static const char bad[] = "\xc2\x9b"
                              "\xc0\xaf"
                              "\xed\xa0\x80"
                              "\xf4\x90\x80\x80"
                              "\xe2\x82";
    log_init("p", LOG_INFO, LOG_LOGFMT);
    capture();
    log_event(LOG_INFO, "a", "g=%s b=%s", good, bad);
    assert_int_equal(release(), 1);
    assert_has(" g=\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\" ");
    assert_has(" b=\"\\xc2\\x9b\\xc0\\xaf\\xed\\xa0\\x80\\xf4\\x90\\x80\\x80\\xe2\\x82\"\n");
    log_init("p", LOG_INFO, LOG_JSON);
    capture();
    log_event(LOG_INFO, "a", "b=%s", "\xff");
    assert_int_equal(release(), 1);
    assert_has("\"b\":\"\\ufffd\"}");
}

/* What turns a text round, or ends a line for some readers, is seen as what it is. */
static void what_a_reader_would_not_see_is_escaped(void **state)
{
    static const char text[] = "a\xe2\x80\xae"
                               "b\xe2\x80\xa8"
                               "c\xf3\xa0\x81\x81";
    (void)state;
    log_init("p", LOG_INFO, LOG_LOGFMT);
    capture();
    log_event(LOG_INFO, "a", "g=%s", text);
    assert_int_equal(release(), 1);
    assert_has(" g=\"a\\xe2\\x80\\xaeb\\xe2\\x80\\xa8c\\xf3\\xa0\\x81\\x81\"\n");
    log_init("p", LOG_INFO, LOG_JSON);
    capture();
    log_event(LOG_INFO, "a", "g=%s", text);
    assert_int_equal(release(), 1);
    assert_has("\"g\":\"a\\u202eb\\u2028c\\udb40\\udc41\"}");
}

static void every_conversion_is_understood(void **state)
{
    (void)state;
    const int width = 5;
    const char *volatile nothing = NULL;
    log_init("p", LOG_INFO, LOG_LOGFMT);
    capture();
    log_event(LOG_INFO, "a", "d=%d u=%u ld=%ld lu=%lu lld=%lld llu=%llu zu=%zu", -1, 2u, -3L, 4UL, -5LL,
              UINT64_MAX + 0ULL, (size_t)6);
    log_event(LOG_INFO, "b", "s=%.*s w=\"%*d\" x=%02x X=%lX c=%c p=100%% f=%.2f h=%hu m=%.3s", 2, "abcdef",
              width, 42, 7u, 255UL, 'k', 2.5, (unsigned short)9, "wxyz");
    log_event(LOG_INFO, "c", "null=%s addr=%s:%d empty=%s end=", nothing, "1.2.3.4", 80, "");
    assert_int_equal(release(), 3);
    assert_has(" d=-1 u=2 ld=-3 lu=4 lld=-5 llu=18446744073709551615 zu=6\n");
    assert_has(" s=ab w=\"   42\" x=07 X=FF c=k p=100% f=2.50 h=9 m=wxy\n");
    assert_has(" null=(null) addr=1.2.3.4:80 empty= end=\n");
}

static void json_writes_only_numbers_as_numbers(void **state)
{
    (void)state;
    log_init("p", LOG_INFO, LOG_JSON);
    capture();
    log_event(LOG_INFO, "a", "a=%d b=%04d c=-1 d=1.25 e=1. f=.5 g=0 h=0.5 i=%d:%d j=on k=- l= m=%f n=\"5\"",
              0, 7, 1, 2, (double)1e300 * 1e300);
    assert_int_equal(release(), 1);
    assert_has("\"a\":0,\"b\":\"0007\",\"c\":-1,\"d\":1.25,\"e\":\"1.\",\"f\":\".5\",\"g\":0,\"h\":0.5,"
               "\"i\":\"1:2\",\"j\":\"on\",\"k\":\"-\",\"l\":\"\",\"m\":\"inf\",\"n\":\"5\"}\n");
}

static void a_percent_s_in_a_names_place_stands_for_whole_fields(void **state)
{
    (void)state;
    log_init("p", LOG_INFO, LOG_JSON);
    capture();
    log_event(LOG_INFO, "a", "%s last=%d", "one=1 two=\"b \\\"c\\\"\"", 3);
    log_event(LOG_INFO, "b", "%s", "");
    assert_int_equal(release(), 2);
    assert_has("\"event\":\"a\",\"one\":1,\"two\":\"b \\\"c\\\"\",\"last\":3}\n");
    assert_has("\"event\":\"b\"}\n");
}

static void long_lines_are_cut_and_stay_well_formed(void **state)
{
    (void)state;
    static char filler[LOG_VALUE_SIZE + 2];
    for (int format = LOG_LOGFMT; format <= LOG_JSON; format++) {
        for (size_t length = LOG_VALUE_SIZE - 20; length <= LOG_VALUE_SIZE + 1; length++) {
            struct log_line line;
            memset(filler, length % 2 ? 'x' : '"', length);
            filler[length] = 0;
            log_line_start(&line, format == LOG_JSON, "");
            log_line_field(&line, "a", filler);
            log_line_field(&line, "b", filler);
            log_line_field(&line, "c", "z");
            size_t size = log_line_finish(&line);
            assert_true(size <= LOG_LINE_SIZE);
            assert_int_equal(line.text[size - 1], '\n');
            line.text[size - 1] = 0;
            assert_non_null(
                strstr(line.text, format == LOG_JSON ? "\",\"truncated\":true}" : " truncated=yes"));
        }
    }
}

static void errno_survives_a_log_line(void **state)
{
    (void)state;
    log_init("p", LOG_INFO, LOG_LOGFMT);
    capture();
    close(STDERR_FILENO);
    errno = ENOENT;
    log_event(LOG_INFO, "a", "x=%d", 1);
    int after = errno;
    release();
    assert_int_equal(after, ENOENT);
    assert_int_equal(log_writer_take_gap(), 1); /* nobody was there to read it */
}

static void fields_without_a_format_are_written_as_with_one(void **state)
{
    static const char *const values[] = {"plain", "with a space", "quote\"", "", "12", "b\xff\n", "-"};
    (void)state;
    for (int json = 0; json < 2; json++) {
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
            const struct log_field fields[] = {{"first", values[i]}, {"second.name", "x"}};
            static char with[sizeof logged];
            log_init("p", LOG_INFO, json ? LOG_JSON : LOG_LOGFMT);
            capture();
            log_record("a", "first=%s second.name=%s", values[i], "x");
            release();
            strcpy(with, strstr(logged, "level") != NULL ? strstr(logged, "level") : strstr(logged, "info"));
            capture();
            log_record_fields("a", fields, 2);
            release();
            assert_string_equal(
                strstr(logged, "level") != NULL ? strstr(logged, "level") : strstr(logged, "info"), with);
        }
    }
    log_init("p", LOG_WARN, LOG_LOGFMT);
    capture();
    log_record_fields("a", NULL, 0);
    assert_int_equal(release(), 0);
}

static void a_configuration_says_level_and_format_before_it_is_read(void **state)
{
    static const struct {
        const char *text;
        enum log_level level;
        enum log_format format;
    } cases[] = {
        {"log_level = \"debug\"\nlog_format = \"json\"\n", LOG_DEBUG, LOG_JSON},
        {"log_level = \"error\"\nlog_format = \"logfmt\"\n", LOG_ERROR, LOG_LOGFMT},
        {"log_level = \"Error\"\nlog_format = \"xml\"\n", LOG_INFO, LOG_LOGFMT},
        {"log_level = \"\"\n", LOG_INFO, LOG_LOGFMT},
        {"", LOG_INFO, LOG_LOGFMT},
    };
    char path[] = "/tmp/keyless-log-XXXXXX";
    int fd = mkstemp(path);
    (void)state;
    assert_true(fd >= 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, cases[i].text, strlen(cases[i].text), 0), strlen(cases[i].text));
        assert_int_equal(log_level_peek(path), cases[i].level);
        assert_int_equal(log_format_peek(path), cases[i].format);
    }
    close(fd);
    unlink(path);
    assert_int_equal(log_level_peek(path), LOG_INFO);
}

static void trace_ids_are_random_and_written_in_hex(void **state)
{
    enum { MANY = 100 };
    (void)state;
    struct trace_id ids[MANY];
    char out[2 * TRACE_ID_SIZE + 1];
    for (size_t i = 0; i < MANY; i++) {
        trace_id_new(&ids[i]);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(&ids[i], &ids[j], sizeof ids[i]);
    }
    assert_ptr_equal(trace_id_text(&ids[0], out), out);
    assert_int_equal(strlen(out), 32);
    assert_int_equal(strspn(out, "0123456789abcdef"), 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_time_level_program_event_and_fields),
        cmocka_unit_test(json_has_the_same_fields_as_members),
        cmocka_unit_test(levels_below_the_threshold_are_not_written),
        cmocka_unit_test(an_argument_never_becomes_a_field_a_quote_or_a_line),
        cmocka_unit_test(a_command_with_a_quote_is_what_a_shell_reads),
        cmocka_unit_test(only_whole_utf8_without_control_characters_passes),
        cmocka_unit_test(what_a_reader_would_not_see_is_escaped),
        cmocka_unit_test(every_conversion_is_understood),
        cmocka_unit_test(json_writes_only_numbers_as_numbers),
        cmocka_unit_test(a_percent_s_in_a_names_place_stands_for_whole_fields),
        cmocka_unit_test(long_lines_are_cut_and_stay_well_formed),
        cmocka_unit_test(errno_survives_a_log_line),
        cmocka_unit_test(fields_without_a_format_are_written_as_with_one),
        cmocka_unit_test(a_configuration_says_level_and_format_before_it_is_read),
        cmocka_unit_test(trace_ids_are_random_and_written_in_hex),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
