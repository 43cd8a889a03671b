#include "common/output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/process.h"
#include "tests/unit/common/in_child.h"

static bool lead_to(const char *path, int mode)
{
    int fd = open(path, mode);
    return fd >= 0 && dup2(fd, STDOUT_FILENO) == STDOUT_FILENO;
}

/* Standard output is closed before the program begins: its number is no file's that is opened later. */
static int begin_without_output(void)
{
    close(STDOUT_FILENO);
    if (process_open_standard() != 0)
        return 1;
    if (open("/dev/null", O_WRONLY) <= STDERR_FILENO)
        return 2;
    return write(STDOUT_FILENO, "x", 1) < 0 && errno == EBADF ? 0 : 3;
}

static void closed_output_fails_and_no_file_takes_its_number(void **state)
{
    (void)state;
    assert_int_equal(in_child(begin_without_output), 0);
}

/* What is lost is said once, whichever way it was printed and however much of it. */
static int lose_all_kinds(void)
{
    static char much[3 * BUFSIZ];
    struct fault fault = {{0}};
    memset(much, 'x', sizeof much - 1);
    fputs("a word", stdout);
    if (output_finish("test", 0) != 1 || output_finish("test", 0) != 0)
        return 1;
    fputs(much, stdout);
    if (output_finish("test", 0) != 1 || output_finish("test", 0) != 0)
        return 2;
    fputs("a word", stdout);
    fflush(stdout);
    if (output_finish("test", 4) != 4)
        return 3;
    output_print("a word");
    if (output_finish("test", 0) != 1 || output_finish("test", 0) != 0)
        return 4;
    output_print("a word");
    if (output_flush(&fault) != ERR_SYSTEM || output_flush(&fault) != 0 || output_finish("test", 0) != 0)
        return 5;
    return strstr(fault.text, "standard output cannot be written: ") == fault.text ? 0 : 6;
}

static int lose_on_full_disk(void)
{
    return lead_to("/dev/full", O_WRONLY) ? lose_all_kinds() : 9;
}

static int lose_without_output(void)
{
    close(STDOUT_FILENO);
    return process_open_standard() == 0 ? lose_all_kinds() : 9;
}

static int lose_for_reading_only(void)
{
    return lead_to("/dev/null", O_RDONLY) ? lose_all_kinds() : 9;
}

static void lost_output_is_an_error_said_once(void **state)
{
    (void)state;
    assert_int_equal(in_child(lose_on_full_disk), 0);
    assert_int_equal(in_child(lose_without_output), 0);
    assert_int_equal(in_child(lose_for_reading_only), 0);
}

/* Who needs to know hears of it all the same. */
static int lose_the_reader(void)
{
    int ends[2];
    struct fault fault = {{0}};
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || pipe(ends) != 0 || dup2(ends[1], STDOUT_FILENO) < 0)
        return 9;
    close(ends[0]);
    puts("a line");
    if (output_finish("test", 0) != 0)
        return 1;
    output_print("a line\n");
    if (output_finish("test", 0) != 0)
        return 2;
    puts("a line");
    fflush(stdout); /* the C library keeps no reason */
    if (output_finish("test", 0) != 0)
        return 3;
    puts("a line");
    return output_flush(&fault) == ERR_SYSTEM ? 0 : 4;
}

/* A reader that is only slow has not had all. */
static int outrun_the_reader(void)
{
    int ends[2];
    if (pipe2(ends, O_NONBLOCK) != 0 || dup2(ends[1], STDOUT_FILENO) < 0)
        return 9;
    while (write(ends[1], "0123456789", 10) > 0)
        ;
    puts("a line");
    return output_finish("test", 0) == 1 ? 0 : 1;
}

static void a_reader_that_leaves_is_no_error_but_one_that_is_slow_is(void **state)
{
    (void)state;
    assert_int_equal(in_child(lose_the_reader), 0);
    assert_int_equal(in_child(outrun_the_reader), 0);
}

static void what_is_written_is_a_success(void **state)
{
    struct fault fault = {{0}};
    (void)state;
    assert_int_equal(output_flush(&fault), 0);
    assert_int_equal(output_finish("test", 0), 0);
    assert_int_equal(output_finish("test", 3), 3);
}

static void every_text_says_why_and_how_to_mend_it(void **state)
{
    char text[OUTPUT_TEXT_SIZE];
    (void)state;
    for (int why = 0; why < 140; why++) {
        output_explain(text, why);
        assert_ptr_equal(strstr(text, "standard output cannot be written: "), text);
        assert_non_null(strstr(text, "; "));
        assert_true(strlen(text) < sizeof text - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closed_output_fails_and_no_file_takes_its_number),
        cmocka_unit_test(lost_output_is_an_error_said_once),
        cmocka_unit_test(a_reader_that_leaves_is_no_error_but_one_that_is_slow_is),
        cmocka_unit_test(what_is_written_is_a_success),
        cmocka_unit_test(every_text_says_why_and_how_to_mend_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
