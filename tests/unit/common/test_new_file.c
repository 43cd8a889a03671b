/* Files that are written whole: their mode, what they replace, and what is left when writing fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/new_file.h"

static char folder[64], path[128];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/keyless-new-file-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/file", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void assert_holds(const char *text)
{
    char found[64] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, found, sizeof found - 1), strlen(text));
    close(fd);
    assert_string_equal(found, text);
}

static void the_mode_is_exact_whatever_the_umask(void **state)
{
    struct fault fault;
    struct stat status;
    (void)state;
    mode_t before = umask(0077);
    int err = new_file_make(path, 0444, "a line\n", 7, &fault);
    umask(before);
    assert_int_equal(err, 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0444);
    assert_holds("a line\n");
}

static void what_exists_stays_as_it_is(void **state)
{
    struct fault fault;
    (void)state;
    assert_int_equal(new_file_make(path, 0600, "first", 5, &fault), 0);
    assert_int_equal(new_file_make(path, 0600, "second", 6, &fault), ERR_REFUSED);
    assert_non_null(strstr(fault.text, "exists already"));
    assert_holds("first");
}

static void a_file_that_cannot_be_filled_is_not_left_behind(void **state)
{
    struct fault fault;
    struct rlimit before, none;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    int err = new_file_make(path, 0600, "text", 4, &fault);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(err, ERR_SYSTEM);
    assert_non_null(strstr(fault.text, strerror(EFBIG)));
    assert_int_equal(access(path, F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_mode_is_exact_whatever_the_umask, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_exists_stays_as_it_is, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_file_that_cannot_be_filled_is_not_left_behind, make_folder,
                                        remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
