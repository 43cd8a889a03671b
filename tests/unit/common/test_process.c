#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/process.h"
#include "tests/unit/common/in_child.h"
#include "tests/unit/skip.h"

static int harden(void)
{
    struct fault fault = {{0}};
    struct rlimit core;
    struct sigaction pipe_action;
    char name[17] = "";
    if (signal(SIGPIPE, SIG_DFL) == SIG_ERR || signal(SIGXFSZ, SIG_DFL) == SIG_ERR)
        return 9;
    if (process_harden("keyless-test", &fault) != 0)
        return 1;
    if (getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_cur != 0 || core.rlim_max != 0)
        return 2;
    if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
        return 3;
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        return 4;
    if (sigaction(SIGPIPE, NULL, &pipe_action) != 0 || pipe_action.sa_handler != SIG_IGN)
        return 5;
    if (sigaction(SIGXFSZ, NULL, &pipe_action) != 0 || pipe_action.sa_handler != SIG_IGN)
        return 8;
    if (prctl(PR_GET_NAME, name, 0, 0, 0) != 0 || strcmp(name, "keyless-test") != 0)
        return 6;
    return umask(0) == 077 ? 0 : 7;
}

static void hardening_does_what_it_says(void **state)
{
    (void)state;
    assert_int_equal(in_child(harden), 0);
}

/* The folder that stays, another beside it, and a file that was open before. */
static char stays[] = "/tmp/keyless-stays-XXXXXX", beside[] = "/tmp/keyless-beside-XXXXXX";

static int use_files(void)
{
    char path[64], buffer[8];
    int folder = open(stays, O_RDONLY | O_DIRECTORY), before = open(beside, O_RDONLY | O_DIRECTORY);
    if (!process_deny_files_but(folder))
        return 77;
    int fd = openat(folder, "new", O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0 || write(fd, "words", 5) != 5 || ftruncate(fd, 2) != 0)
        return 1;
    int again = openat(folder, "new", O_RDONLY);
    if (again < 0 || read(again, buffer, sizeof buffer) != 2)
        return 2;
    if (openat(folder, "new", O_WRONLY | O_TRUNC) < 0)
        return 3;
    snprintf(path, sizeof path, "%s/new", beside);
    if (open(path, O_WRONLY | O_CREAT, 0600) >= 0 || errno != EACCES)
        return 4;
    if (openat(before, "there", O_RDONLY) >= 0 || errno != EACCES)
        return 5;
    if (openat(folder, "/etc/passwd", O_RDONLY) >= 0 || errno != EACCES)
        return 6;
    if (mkdirat(folder, "sub", 0700) == 0 || unlinkat(folder, "new", 0) == 0 ||
        renameat(folder, "new", folder, "newer") == 0 || symlinkat("x", folder, "link") == 0)
        return 7;
    if (openat(folder, ".", O_RDONLY | O_DIRECTORY) >= 0)
        return 8;
    return 0;
}

static void one_folder_may_stay_for_regular_files(void **state)
{
    char path[64];
    (void)state;
    assert_non_null(mkdtemp(stays));
    assert_non_null(mkdtemp(beside));
    snprintf(path, sizeof path, "%s/there", beside);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    int result = in_child(use_files);
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof path, "%s/new", stays);
    (void)unlink(path);
    assert_int_equal(rmdir(stays), 0);
    assert_int_equal(rmdir(beside), 0);
    if (result == 77)
        SKIP_FOR("no Landlock in this kernel, or a sanitizer in this build");
    assert_int_equal(result, 0);
}

static int raise_descriptors(void)
{
    struct rlimit low;
    if (getrlimit(RLIMIT_NOFILE, &low) != 0 || low.rlim_max < 64)
        return 1;
    low.rlim_cur = 64;
    if (setrlimit(RLIMIT_NOFILE, &low) != 0)
        return 2;
    if (process_raise_descriptors() != low.rlim_max)
        return 3;
    return getrlimit(RLIMIT_NOFILE, &low) == 0 && low.rlim_cur == low.rlim_max ? 0 : 4;
}

static void *tell_stack_size(void *user)
{
    pthread_attr_t attributes;
    void *lowest;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        (void)pthread_attr_getstack(&attributes, &lowest, user);
        pthread_attr_destroy(&attributes);
    }
    return NULL;
}

/* The C library takes its default from the limit at the start of a program; this is what a thread has
 * whatever that was. */
static void a_thread_has_the_stack_that_was_asked_for(void **state)
{
    static const size_t sizes[] = {PROCESS_STACK_SIZE, 3 * PROCESS_STACK_SIZE};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t size = 0;
        pthread_t thread;
        assert_int_equal(process_start_thread(&thread, sizes[i], tell_stack_size, &size), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_in_range(size, sizes[i] - 65536, sizes[i] + 65536); /* guard and the library's own part */
    }
}

static void a_thread_that_cannot_be_is_an_error(void **state)
{
    pthread_t thread;
    (void)state;
    assert_int_equal(process_start_thread(&thread, 1, tell_stack_size, NULL), ERR_SYSTEM);
    assert_int_equal(errno, EINVAL);
}

static int set_stack_limit(rlim_t soft, rlim_t hard)
{
    struct rlimit limit = {soft, hard};
    return setrlimit(RLIMIT_STACK, &limit);
}

static int raise_stack(void)
{
    struct rlimit limit;
    struct fault fault = {{0}};
    if (set_stack_limit(1 << 17, 1 << 21) != 0)
        return 77;
    if (process_check_stack(1 << 20, "a test", &fault) != 0)
        return 1;
    if (getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur != 1 << 20 || limit.rlim_max != 1 << 21)
        return 2;
    if (process_check_stack(1 << 19, "a test", &fault) != 0)
        return 3;
    return getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur == 1 << 20 ? 0 : 4; /* it is not lowered */
}

static int miss_stack(void)
{
    struct fault fault = {{0}};
    if (set_stack_limit(1 << 17, 1 << 19) != 0)
        return 77;
    if (process_check_stack(1 << 20, "a test", &fault) != ERR_SYSTEM)
        return 1;
    return strstr(fault.text,
                  "the limit of a stack is 512 KiB, and a test needs 1024 KiB; write LimitSTACK=1024K") !=
                       NULL &&
                   strstr(fault.text, "ulimit -s 1024)") != NULL
               ? 0
               : 2;
}

static void a_stack_is_raised_as_far_as_it_must(void **state)
{
    (void)state;
    int result = in_child(raise_stack);
    if (result == 77)
        SKIP_FOR("the limit here is lower already");
    assert_int_equal(result, 0);
}

static void a_stack_that_cannot_be_raised_is_said(void **state)
{
    (void)state;
    int result = in_child(miss_stack);
    if (result == 77)
        SKIP_FOR("the limit here is lower already");
    assert_int_equal(result, 0);
}

static void a_limit_is_named_where_there_is_one(void **state)
{
    (void)state;
    assert_non_null(strstr(process_limit_hint(EFBIG), "RLIMIT_FSIZE"));
    assert_non_null(strstr(process_limit_hint(EAGAIN), "RLIMIT_NPROC"));
    assert_non_null(strstr(process_limit_hint(EMFILE), "RLIMIT_NOFILE"));
    assert_non_null(strstr(process_limit_hint(ENOMEM), "RLIMIT_AS"));
    assert_non_null(strstr(process_limit_hint(ENFILE), "fs.file-max"));
    assert_string_equal(process_limit_hint(EACCES), "");
}

/* A fault that was made of an errno names its limit, once. */
static void a_fault_of_too_many_files_names_the_limit(void **state)
{
    struct fault fault = {.text = ""}, other = {.text = ""};
    (void)state;
    (void)fault_set(&fault, ERR_SYSTEM, "a.conf: cannot be read: %s", strerror(EMFILE));
    (void)fault_set(&other, ERR_SYSTEM, "a.conf: cannot be read: %s", strerror(EACCES));
    for (int i = 0; i < 2; i++)
        assert_int_equal(process_name_limit(&fault, ERR_SYSTEM), ERR_SYSTEM);
    char *named = strstr(fault.text, "RLIMIT_NOFILE");
    assert_non_null(named);
    assert_null(strstr(named + 1, "RLIMIT_NOFILE"));
    assert_int_equal(process_name_limit(&other, ERR_SYSTEM), ERR_SYSTEM);
    assert_null(strstr(other.text, "RLIMIT_"));
}

/* With what is set here, and only what can be met. */
static int name_values(void)
{
    struct fault fault = {.text = ""}, named = {.text = "1; RLIMIT_DATA is 2"};
    struct rlimit files = {.rlim_cur = 77, .rlim_max = 77},
                  memory = {.rlim_cur = 1ull << 45, .rlim_max = 1ull << 45};
    if (setrlimit(RLIMIT_NOFILE, &files) != 0 || setrlimit(RLIMIT_AS, &memory) != 0)
        return 77;
    if (strstr(process_limit_hint(EMFILE), "(RLIMIT_NOFILE is 77), with LimitNOFILE= ") == NULL)
        return 1;
    if (strstr(process_limit_hint(ENOMEM),
               "(RLIMIT_AS is 35184372088832; or the control group's, MemoryMax=)") == NULL)
        return 2;
    if (process_name_limit(&fault, ERR_MEMORY) != ERR_MEMORY ||
        strncmp(fault.text, "out of memory; raise the limit of memory (RLIMIT_AS is 35184372088832", 68) != 0)
        return 3;
    if (process_name_limit(&named, ERR_MEMORY) != ERR_MEMORY ||
        strcmp(named.text, "1; RLIMIT_DATA is 2") != 0)
        return 4;
    memset(fault.text, 'x', sizeof fault.text - 1);
    if (process_name_limit(&fault, ERR_MEMORY) != ERR_MEMORY || strstr(fault.text, "ulimit -v)") == NULL)
        return 5;
    fault.text[0] = 0;
    return process_name_limit(&fault, ERR_CONFIG) == ERR_CONFIG && fault.text[0] == 0 ? 0 : 6;
}

static void a_limit_is_named_with_its_value(void **state)
{
    (void)state;
    if (PROCESS_SANITIZED)
        SKIP_FOR("a sanitizer's address space has no limit");
    assert_int_equal(in_child(name_values), 0);
}

/* Without memory for a stack. */
static int start_log_without_memory(void)
{
    struct fault fault = {.text = ""};
    struct rlimit none = {1, 1};
    if (setrlimit(RLIMIT_AS, &none) != 0)
        return 1;
    if (log_start(&fault) != ERR_SYSTEM)
        return 2;
    if (strstr(fault.text, "cannot start the thread that writes the log: Resource temporarily") == NULL)
        return 3;
    return strstr(fault.text, "RLIMIT_NPROC") != NULL && strstr(fault.text, "RLIMIT_AS") != NULL ? 0 : 4;
}

static void a_log_that_has_no_thread_names_the_limits(void **state)
{
    (void)state;
    if (PROCESS_SANITIZED)
        SKIP_FOR("a sanitizer needs memory of its own");
    assert_int_equal(in_child(start_log_without_memory), 0);
}

static void descriptors_are_raised_to_the_hard_limit(void **state)
{
    (void)state;
    assert_int_equal(in_child(raise_descriptors), 0);
}

/* The grandchild holds the pipe's only writing end: it closes when the grandchild is gone. */
static void a_child_dies_with_its_parent(void **state)
{
    (void)state;
    int alive[2];
    int ready[2];
    char byte;
    assert_int_equal(pipe(alive), 0);
    assert_int_equal(pipe(ready), 0);
    pid_t parent = fork();
    assert_true(parent >= 0);
    if (parent == 0) {
        if (fork() == 0) {
            process_die_with_parent();
            if (write(ready[1], "r", 1) != 1)
                _exit(1);
            for (;;)
                pause();
        }
        _exit(read(ready[0], &byte, 1) == 1 ? 0 : 1);
    }
    close(alive[1]);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    assert_int_equal(read(alive[0], &byte, 1), 0);
    close(alive[0]);
    close(ready[0]);
    close(ready[1]);
}

/* A datagram socket at NAME, where a leading '@' means Linux's abstract names. */
static int listen_for_notifications(const char *name)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    assert_true(length < sizeof at.sun_path);
    memcpy(at.sun_path, name, length);
    if (name[0] == '@')
        at.sun_path[0] = 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, size), 0);
    return fd;
}

static void assert_notified(const char *name)
{
    char text[64] = "";
    int fd = listen_for_notifications(name);
    setenv("NOTIFY_SOCKET", name, 1);
    process_notify("READY=1");
    unsetenv("NOTIFY_SOCKET");
    assert_int_equal(recv(fd, text, sizeof text - 1, 0), 7);
    assert_string_equal(text, "READY=1");
    close(fd);
}

static void systemd_is_told_through_both_kinds_of_socket(void **state)
{
    (void)state;
    char folder[] = "/tmp/keyless-test-XXXXXX";
    char path[64];
    char abstract[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/notify", folder);
    snprintf(abstract, sizeof abstract, "@%s", folder);
    assert_notified(path);
    assert_notified(abstract);
    unlink(path);
    rmdir(folder);
}

static void nobody_to_tell_is_no_error(void **state)
{
    (void)state;
    static const char *const names[] = {"", "@", "relative", "/nonexistent/socket"};
    char longer[200];
    unsetenv("NOTIFY_SOCKET");
    process_notify("READY=1");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        setenv("NOTIFY_SOCKET", names[i], 1);
        process_notify("READY=1");
    }
    memset(longer, '/', sizeof longer);
    longer[sizeof longer - 1] = 0;
    setenv("NOTIFY_SOCKET", longer, 1);
    process_notify("READY=1");
    unsetenv("NOTIFY_SOCKET");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_log_that_has_no_thread_names_the_limits), /* before threads leave stacks to reuse */
        cmocka_unit_test(hardening_does_what_it_says),
        cmocka_unit_test(one_folder_may_stay_for_regular_files),
        cmocka_unit_test(descriptors_are_raised_to_the_hard_limit),
        cmocka_unit_test(a_thread_has_the_stack_that_was_asked_for),
        cmocka_unit_test(a_thread_that_cannot_be_is_an_error),
        cmocka_unit_test(a_stack_is_raised_as_far_as_it_must),
        cmocka_unit_test(a_stack_that_cannot_be_raised_is_said),
        cmocka_unit_test(a_limit_is_named_where_there_is_one),
        cmocka_unit_test(a_fault_of_too_many_files_names_the_limit),
        cmocka_unit_test(a_limit_is_named_with_its_value),
        cmocka_unit_test(a_child_dies_with_its_parent),
        cmocka_unit_test(systemd_is_told_through_both_kinds_of_socket),
        cmocka_unit_test(nobody_to_tell_is_no_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
