/* The lock of an audit folder: one key server has it, with all its vaults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keyserver/vault/audit/audit_lock.h"
#include "tests/unit/skip.h"

#define RIVALS 8

static char path[64], file[96];
static int folder;
static struct fault fault;

static int set_up(void **state)
{
    (void)state;
    strcpy(path, "/tmp/test_audit_lock.XXXXXX");
    if (mkdtemp(path) == NULL)
        return 1;
    snprintf(file, sizeof file, "%s/" AUDIT_LOCK_FILE, path);
    folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fault.text[0] = 0;
    return folder < 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(file);
    close(folder);
    return rmdir(path);
}

/* By the key server NUMBER. */
static int take_lock(int *out, uint8_t number)
{
    const uint8_t id[HANDOVER_ID_SIZE] = {1, number};
    const struct audit_lock_owner owner = {.id = id, .pid = 1000 + number, .make = true};
    return audit_lock_take(out, folder, path, &owner, &fault);
}

static void vaults_of_one_key_server_share_it(void **state)
{
    int first, second, third, other;
    (void)state;
    assert_int_equal(take_lock(&first, 1), 0);
    assert_int_equal(take_lock(&second, 1), 0);
    close(first);
    assert_int_equal(take_lock(&third, 1), 0);
    close(second);
    assert_int_equal(take_lock(&other, 2), ERR_BUSY);
    assert_int_equal(other, -1);
    assert_non_null(strstr(fault.text, path));
    assert_non_null(strstr(fault.text, "process 1001 on"));
    close(third);
    assert_int_equal(take_lock(&other, 2), 0);
    close(other);
}

/* Whatever stood there, and however long it was. */
static void what_others_have_left_there_keeps_nobody_out(void **state)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600), lock;
    (void)state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(write(fd, "0123456789abcdef", 16), 16);
    close(fd);
    assert_int_equal(take_lock(&lock, 1), 0);
    assert_int_equal(take_lock(&fd, 1), 0);
    close(fd);
    close(lock);
}

/* After the first key server has written its id there, everything behind that says something else. */
static void rewrite_behind_the_id(const char *rest)
{
    int fd = open(file, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 2 * HANDOVER_ID_SIZE), 0);
    assert_int_equal(pwrite(fd, rest, strlen(rest), 2 * HANDOVER_ID_SIZE), strlen(rest));
    close(fd);
}

static void the_id_alone_says_whose_it_is(void **state)
{
    static const char *const rests[] = {" 1001 (none)\n",
                                        " 1001 \xc3\xbcn\xc3\xaf\n",
                                        " 1001 a b\n",
                                        " 1001 \n",
                                        " 1001",
                                        " one host\n",
                                        "\n",
                                        ""};
    int first, second, other;
    (void)state;
    assert_int_equal(take_lock(&first, 1), 0);
    for (size_t i = 0; i < sizeof rests / sizeof *rests; i++) {
        rewrite_behind_the_id(rests[i]);
        assert_int_equal(take_lock(&second, 1), 0);
        close(second);
    }
    rewrite_behind_the_id(" 1001 \x1b[2J\xc3\xbcn\n");
    assert_int_equal(take_lock(&other, 2), ERR_BUSY);
    assert_non_null(strstr(fault.text, "(process 1001 on ?[2J??n)"));
    close(first);
}

/* In a process whose host has the name HOST: 0; 1: it may not give it one. */
static int take_on(const char *host)
{
    int lock, second;
    if ((unshare(CLONE_NEWUTS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWUTS) != 0) ||
        sethostname(host, strlen(host)) != 0)
        return 1;
    return take_lock(&lock, 1) == 0 && take_lock(&second, 1) == 0 ? 0 : 2;
}

/* The kernel's default, other than ASCII, none, the longest, what a terminal obeys. */
static void it_is_taken_on_a_host_of_any_name(void **state)
{
    static const char *const hosts[] = {"(none)",
                                        "\xc3\xbcn\xc3\xaf",
                                        "",
                                        "a b",
                                        "\n",
                                        "\x1b[2J",
                                        "0123456789012345678901234567890123456789012345678901234567890123"};
    (void)state;
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        int status;
        fflush(NULL);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            _exit(take_on(hosts[i]));
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 1)
            SKIP_FOR("the right to name a host (CLONE_NEWUTS)");
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

static void no_file_is_made_unless_that_is_wanted(void **state)
{
    const uint8_t id[HANDOVER_ID_SIZE] = {1};
    const struct audit_lock_owner owner = {.id = id, .pid = 1};
    int lock;
    (void)state;
    assert_int_equal(audit_lock_take(&lock, folder, path, &owner, &fault), ERR_NOT_FOUND);
    assert_int_equal(lock, -1);
    assert_int_equal(access(file, F_OK), -1);
    assert_int_equal(take_lock(&lock, 2), 0);
    close(lock);
    assert_int_equal(audit_lock_take(&lock, folder, path, &owner, &fault), 0);
    close(lock);
}

static void a_link_is_not_followed(void **state)
{
    int lock;
    (void)state;
    assert_int_equal(symlink("elsewhere", file), 0);
    assert_int_equal(take_lock(&lock, 1), ERR_SYSTEM);
    assert_int_equal(errno, ELOOP);
    assert_int_equal(faccessat(folder, "elsewhere", F_OK, 0), -1);
}

/* Root gives away what root has made, and nothing that has another name, too. */
static void root_gives_away_its_own_file_only(void **state)
{
    const uint8_t id[HANDOVER_ID_SIZE] = {1};
    const struct audit_lock_owner owner = {
        .id = id, .pid = 1, .make = true, .give = true, .uid = 65534, .gid = 65534};
    struct stat info;
    char another[96];
    int lock;
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(audit_lock_take(&lock, folder, path, &owner, &fault), 0);
    assert_int_equal(fstat(lock, &info), 0);
    assert_int_equal(info.st_uid, 65534);
    assert_int_equal(info.st_mode & 07777, 0600);
    close(lock);
    assert_int_equal(unlink(file), 0);
    snprintf(another, sizeof another, "%s/another", path);
    assert_int_equal(close(open(another, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)), 0);
    assert_int_equal(link(another, file), 0);
    assert_int_equal(audit_lock_take(&lock, folder, path, &owner, &fault), ERR_SYSTEM);
    assert_int_equal(stat(another, &info), 0);
    assert_int_equal(info.st_uid, 0);
    assert_int_equal(info.st_size, 0);
    assert_int_equal(unlink(another), 0);
}

/* In a process of its own: waits for the end of GO, says of itself if it has the lock, and keeps it. */
static void rival(uint8_t number, int go, int say)
{
    char byte;
    int lock;
    (void)!read(go, &byte, 1);
    if (take_lock(&lock, number) != 0)
        _exit(2);
    (void)!write(say, "1", 1);
    pause();
    _exit(0);
}

static void forget(pid_t rivals[static RIVALS], pid_t ended)
{
    for (int i = 0; i < RIVALS; i++)
        if (rivals[i] == ended)
            rivals[i] = 0;
}

/* Of many that begin at the same time; the kernel lets go of a lock for a moment when it is to be shared. */
static void one_of_many_rivals_gets_it(void **state)
{
    int go[2], say[2], lost = 0;
    pid_t rivals[RIVALS];
    (void)state;
    assert_int_equal(pipe(go) | pipe(say), 0);
    for (uint8_t i = 0; i < RIVALS; i++) {
        fflush(NULL);
        rivals[i] = fork();
        assert_true(rivals[i] >= 0);
        if (rivals[i] == 0) {
            close(go[1]);
            rival(i, go[0], say[1]);
        }
    }
    close(go[1]);
    for (; lost < RIVALS - 1; lost++) {
        int status;
        pid_t ended = wait(&status);
        assert_int_equal(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 2);
        forget(rivals, ended);
    }
    for (int i = 0; i < RIVALS; i++)
        if (rivals[i] > 0)
            kill(rivals[i], SIGKILL);
    (void)wait(NULL);
    close(say[1]);
    char won[RIVALS];
    assert_int_equal(read(say[0], won, sizeof won), 1);
    close(say[0]);
    close(go[0]);
}

/* Whoever only looks judges as whoever takes it. */
static void what_is_no_regular_file_is_refused_by_both(void **state)
{
    static const char *const says[] = {"it is a folder", "it is a FIFO", "it is a symbolic link",
                                       "it is a symbolic link"};
    const struct audit_lock_owner owner = {.id = NULL};
    int fd;
    (void)state;
    assert_int_equal(audit_lock_check(folder, path, &owner, &fault), 0);
    assert_int_equal(access(file, F_OK), -1);
    for (int kind = 0; kind < 4; kind++) {
        int made = kind == 0   ? mkdir(file, 0700)
                   : kind == 1 ? mkfifo(file, 0600)
                   : kind == 2 ? symlink("/nowhere/at/all", file)
                               : symlink("/dev/null", file);
        assert_int_equal(made, 0);
        assert_int_equal(audit_lock_check(folder, path, &owner, &fault), ERR_SYSTEM);
        assert_non_null(strstr(fault.text, says[kind]));
        assert_int_equal(take_lock(&fd, 1), ERR_SYSTEM);
        assert_non_null(strstr(fault.text, says[kind]));
        assert_int_equal(remove(file), 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_no_regular_file_is_refused_by_both),
        TEST(vaults_of_one_key_server_share_it),
        TEST(what_others_have_left_there_keeps_nobody_out),
        TEST(the_id_alone_says_whose_it_is),
        TEST(it_is_taken_on_a_host_of_any_name),
        TEST(no_file_is_made_unless_that_is_wanted),
        TEST(a_link_is_not_followed),
        TEST(root_gives_away_its_own_file_only),
        TEST(one_of_many_rivals_gets_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
