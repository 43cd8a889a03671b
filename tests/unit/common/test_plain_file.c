/* Plain files: what is opened, what is refused, and that nobody waits. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/plain_file.h"

#define PATIENCE_S 60 /* whoever waits is ended */

static char folder[] = "/tmp/test_plain_file.XXXXXX", path[sizeof folder + 8];

static int set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file", folder);
    alarm(PATIENCE_S);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(folder);
}

static void expect_refused(const char *file, enum plain_file_kinds kinds, const char *what)
{
    const char *why = NULL;
    assert_int_equal(plain_file_open(file, kinds, &why), ERR_CONFIG);
    assert_non_null(why);
    assert_string_equal(why, what);
}

static void a_regular_file_is_opened(void **state)
{
    (void)state;
    const char *why;
    char text[8] = "";
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_int_equal(write(fd, "text", 4), 4);
    close(fd);
    fd = plain_file_open(path, PLAIN_FILE_ONLY, &why);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, text, sizeof text), 4);
    close(fd);
    assert_int_equal(unlink(path), 0);
}

static void what_is_missing_or_closed_is_said_as_the_system_says_it(void **state)
{
    (void)state;
    const char *why;
    assert_int_equal(plain_file_open(path, PLAIN_FILE_ONLY, &why), ERR_NOT_FOUND);
    assert_int_equal(errno, ENOENT);
    assert_string_equal(why, "No such file or directory");
    char below[sizeof path + 8];
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    close(fd);
    snprintf(below, sizeof below, "%s/x", path);
    assert_int_equal(plain_file_open(below, PLAIN_FILE_OR_GIVEN, &why), ERR_SYSTEM);
    assert_int_equal(errno, ENOTDIR);
    assert_string_equal(why, "Not a directory");
    assert_int_equal(unlink(path), 0);
}

static void what_is_no_file_is_refused_and_not_waited_for(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_refused(path, PLAIN_FILE_ONLY, "it is a FIFO, not a regular file");
    expect_refused(path, PLAIN_FILE_OR_GIVEN, "it is a FIFO, not a regular file");
    assert_int_equal(unlink(path), 0);

    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    memcpy(address.sun_path, path, sizeof path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    expect_refused(path, PLAIN_FILE_OR_GIVEN, "it is a socket, not a regular file");
    close(fd);
    assert_int_equal(unlink(path), 0);

    expect_refused(folder, PLAIN_FILE_OR_GIVEN, "it is a folder, not a regular file");
    expect_refused("/dev/zero", PLAIN_FILE_OR_GIVEN, "it is a device, not a regular file");
}

/* A writer that takes its time: the first byte comes when the reader has the descriptor. */
static void a_pipe_without_a_name_is_read_to_its_end_where_it_may_be(void **state)
{
    (void)state;
    const char *why;
    char text[8] = "", name[32];
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    snprintf(name, sizeof name, "/dev/fd/%d", ends[0]);
    expect_refused(name, PLAIN_FILE_ONLY, "it is a FIFO, not a regular file");
    int fd = plain_file_open(name, PLAIN_FILE_OR_GIVEN, &why);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(write(ends[1], "text", 4), 4);
    close(ends[1]);
    assert_int_equal(read(fd, text, sizeof text), 4);
    assert_int_equal(read(fd, text, sizeof text), 0);
    close(fd);
    close(ends[0]);
}

static void standard_input_may_be_anything_that_can_be_opened(void **state)
{
    (void)state;
    const char *why;
    int before = dup(STDIN_FILENO), null = open("/dev/null", O_RDONLY);
    assert_int_equal(dup2(null, STDIN_FILENO), STDIN_FILENO);
    int fd = plain_file_open("/dev/stdin", PLAIN_FILE_OR_GIVEN, &why);
    assert_true(fd >= 0);
    close(fd);
    expect_refused("/dev/stdin", PLAIN_FILE_ONLY, "it is a device, not a regular file");
    assert_int_equal(dup2(before, STDIN_FILENO), STDIN_FILENO);
    close(before);
    close(null);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_regular_file_is_opened),
        cmocka_unit_test(what_is_missing_or_closed_is_said_as_the_system_says_it),
        cmocka_unit_test(what_is_no_file_is_refused_and_not_waited_for),
        cmocka_unit_test(a_pipe_without_a_name_is_read_to_its_end_where_it_may_be),
        cmocka_unit_test(standard_input_may_be_anything_that_can_be_opened),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
