#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/config_peek.h"

static char path[] = "/tmp/keyless-peek-XXXXXX";

/* What is found in TEXT, "" for nothing. */
static const char *peek(const char *text)
{
    static char out[8];
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    bool found = config_peek(path, "log_format", out, sizeof out);
    assert_int_equal(found, out[0] != 0);
    return out;
}

static void the_value_is_found_however_it_is_written(void **state)
{
    (void)state;
    assert_string_equal(peek("log_format = json\n"), "json");
    assert_string_equal(peek("listen = {\"x\"}\n\t log_format=\"json\" # so\nworkers = 3"), "json");
    assert_string_equal(peek("log_format='json'\r\n"), "json");
    assert_string_equal(peek("log_format = json// for the collector"), "json");
    assert_string_equal(peek("log_format = json"), "json");
}

static void the_last_one_counts(void **state)
{
    (void)state;
    assert_string_equal(peek("log_format = json\nlog_format = logfmt\n"), "logfmt");
}

static void what_only_looks_like_it_is_nothing(void **state)
{
    static const char *const texts[] = {
        "",
        "# log_format = json\n",
        "//log_format = json\n",
        "log_formats = json\n",
        "log_format json\n",
        "my_log_format = json\n",
        "log_format =\njson\n",
        "log_format = muchtoolong\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_string_equal(peek(texts[i]), "");
}

/* A sparse file of this size takes no room, and reading it takes longer than anybody waits for a start. */
static void of_a_large_file_the_beginning_is_read(void **state)
{
    char out[8];
    struct rusage before, after;
    (void)state;
    assert_string_equal(peek("log_format = json\n"), "json");
    if (truncate(path, (off_t)1 << 40) != 0)
        skip(); /* the file system has no files as large as this */
    getrusage(RUSAGE_SELF, &before);
    assert_true(config_peek(path, "log_format", out, sizeof out));
    getrusage(RUSAGE_SELF, &after);
    assert_string_equal(out, "json");
    assert_in_range(after.ru_utime.tv_sec + after.ru_stime.tv_sec - before.ru_utime.tv_sec -
                        before.ru_stime.tv_sec,
                    0, 1);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, CONFIG_PEEK_MAX, SEEK_SET), 0);
    fputs("\nlog_format = logfmt\n", file);
    fclose(file);
    assert_true(config_peek(path, "log_format", out, sizeof out));
    assert_string_equal(out, "json");
}

/* What stands in the middle of a line is not at its beginning, however long the line is. */
static void a_long_line_is_one_line(void **state)
{
    static char text[8192];
    (void)state;
    for (size_t before = 1000; before < 4200; before++) {
        memset(text, ' ', before);
        text[0] = '#';
        strcpy(text + before, "log_format = json\n");
        assert_string_equal(peek(text), "");
    }
}

static void a_file_that_cannot_be_read_has_nothing(void **state)
{
    char out[8] = "x";
    (void)state;
    assert_false(config_peek("/nonexistent/keyless", "log_format", out, sizeof out));
    assert_string_equal(out, "");
    assert_false(config_peek("/tmp", "log_format", out, sizeof out));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_false(config_peek(path, "log_format", out, sizeof out)); /* and does not wait for a writer */
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_value_is_found_however_it_is_written),
        cmocka_unit_test(the_last_one_counts),
        cmocka_unit_test(what_only_looks_like_it_is_nothing),
        cmocka_unit_test(of_a_large_file_the_beginning_is_read),
        cmocka_unit_test(a_long_line_is_one_line),
        cmocka_unit_test(a_file_that_cannot_be_read_has_nothing),
    };
    int fd = mkstemp(path);
    if (fd < 0)
        return 1;
    close(fd);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
