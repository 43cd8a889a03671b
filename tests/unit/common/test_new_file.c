/* Files that are written whole: their mode, what they replace, and what is left when writing fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/new_file.h"
#include "tests/unit/remove_tree.h"

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
    return remove_tree(folder);
}

static size_t count_entries(void)
{
    size_t count = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count - 2;
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

/* How a child process ends that does WHAT. */
static int run_in_child(void (*what)(void))
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        what();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
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
    assert_int_equal(count_entries(), 0);
}

/* The limit lets two bytes through; the signal of the next one kills. */
static void make_until_killed(void)
{
    struct fault fault;
    struct rlimit two = {.rlim_cur = 2, .rlim_max = 2}, none = {0};
    signal(SIGXFSZ, SIG_DFL);
    if (setrlimit(RLIMIT_CORE, &none) != 0 || setrlimit(RLIMIT_FSIZE, &two) != 0)
        _exit(2);
    _exit(new_file_make(path, 0400, "a secret\n", 9, &fault) == 0 ? 3 : 4);
}

static void whoever_is_killed_in_the_midst_leaves_nothing_of_that_name(void **state)
{
    struct fault fault;
    (void)state;
    int status = run_in_child(make_until_killed);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGXFSZ);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(new_file_make(path, 0400, "a secret\n", 9, &fault), 0);
    assert_holds("a secret\n");
}

#define FAIL_CALL(number, error)                                                                             \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1),                                                     \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))

/* As on a file system that knows neither hard links nor a renaming that replaces nothing. */
static void forbid_links(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        FAIL_CALL(SYS_renameat2, EINVAL),
        FAIL_CALL(SYS_linkat, EPERM),
#ifdef SYS_link
        FAIL_CALL(SYS_link, EPERM),
#endif
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(2);
}

static void make_twice_without_links(void)
{
    struct fault fault;
    forbid_links();
    if (link(folder, path) == 0 || errno != EPERM)
        _exit(3);
    if (new_file_make(path, 0400, "first", 5, &fault) != 0)
        _exit(4);
    if (new_file_make(path, 0400, "second", 6, &fault) != ERR_REFUSED)
        _exit(5);
}

static void a_file_system_without_links_will_do(void **state)
{
    struct stat status;
    (void)state;
    assert_int_equal(run_in_child(make_twice_without_links), 0);
    assert_holds("first");
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0400);
    assert_int_equal(count_entries(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_mode_is_exact_whatever_the_umask, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_exists_stays_as_it_is, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_file_that_cannot_be_filled_is_not_left_behind, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(whoever_is_killed_in_the_midst_leaves_nothing_of_that_name,
                                        make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_file_system_without_links_will_do, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
