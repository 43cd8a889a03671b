/* A log that cannot be written: nothing half stands in it, the caller is told or the number is kept, and it
 * goes on by itself. */
#include "tests/unit/keyserver/audit_log_rig.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/unit/remove_tree.h"
#include "tests/unit/skip.h"

/* No file of this process grows beyond SIZE. */
static void limit_files(uint64_t size)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size == 0 ? limit.rlim_max : size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static uint64_t size_of(const char *name)
{
    struct stat info;
    assert_int_equal(stat(rig_path(&rig, name), &info), 0);
    return (uint64_t)info.st_size;
}

#define FIRST "audit-000000000001.jsonl"

static struct audit_record find_gap(void)
{
    struct rig_records records;
    struct audit_record gap = {.seq = 0};
    rig_records(&rig, &records);
    for (size_t i = 0; i < records.count; i++)
        if (records.item[i].type == AUDIT_GAP) {
            assert_int_equal(gap.seq, 0);
            gap = records.item[i];
        }
    free(records.item);
    assert_int_not_equal(gap.seq, 0);
    return gap;
}

static void add_three(uint64_t first)
{
    for (uint64_t i = first; i < first + 3; i++)
        rig_add(&rig, i, AUDIT_OK);
}

/* The limit falls on every part of a batch of three; the batch before is all that stands then. */
static void a_batch_that_does_not_fit_leaves_no_trace(void **state)
{
    (void)state;
    rig_open(&rig);
    rig_use_many(&rig, 0, 3);
    rig_pass(&rig, 1000);
    for (uint64_t room = 0; room < 900; room += 90) {
        uint64_t size = size_of(FIRST), records = rig_assert_whole(&rig, true);
        limit_files(size + room);
        add_three(1000);
        assert_int_equal(audit_commit(rig.audit), ERR_SYSTEM);
        assert_int_equal(size_of(FIRST), size);
        assert_int_equal(rig_assert_whole(&rig, true), records);
        assert_true(audit_is_failing(rig.audit));
        limit_files(0);
        rig_pass(&rig, 1000);
        assert_false(audit_is_failing(rig.audit));
    }
    rig_use_many(&rig, 3, 3);
    rig_close(&rig);
    rig_assert_uses(&rig, 0, 6);
    rig_assert_whole(&rig, false);
}

static void refused_meanwhile_and_the_number_is_recorded(void **state)
{
    (void)state;
    rig_open(&rig);
    rig_use_many(&rig, 0, 3);
    limit_files(size_of(FIRST) + 10);
    rig.now.unix_ms += 40;
    rig.now.mono_ms += 40;
    audit_tick(rig.audit, &rig.now);
    uint64_t since = rig.now.unix_ms;
    add_three(10);
    assert_int_equal(audit_commit(rig.audit), ERR_SYSTEM);
    /* Between two tries nothing is tried. */
    limit_files(0);
    add_three(20);
    rig_refuse(&rig, 1, REFUSAL_AUDIT);
    assert_int_equal(audit_commit(rig.audit), ERR_SYSTEM);
    assert_true(audit_is_failing(rig.audit));
    rig_pass(&rig, 1000);
    assert_false(audit_is_failing(rig.audit));
    rig_use_many(&rig, 3, 3);
    rig_close(&rig);
    struct audit_record gap = find_gap();
    assert_int_equal(gap.since_ms, since);
    assert_int_equal(gap.withheld, 6);
    assert_int_equal(gap.unrecorded, 0);
    assert_int_equal(rig_count(&rig, AUDIT_REFUSALS), 1); /* the refusal, as a number */
    rig_assert_uses(&rig, 0, 6);
    rig_assert_whole(&rig, false);
}

static void served_meanwhile_and_the_number_is_recorded(void **state)
{
    (void)state;
    rig.config.on_failure = SERVER_AUDIT_SERVE;
    rig_open(&rig);
    rig_use_many(&rig, 0, 3);
    limit_files(size_of(FIRST) + 10);
    for (unsigned i = 0; i < 5; i++) {
        add_three(10);
        rig_add(&rig, 1, AUDIT_EXPIRED);
        assert_int_equal(audit_commit(rig.audit), 0);
        assert_false(audit_is_failing(rig.audit));
        rig_pass(&rig, 1000);
    }
    limit_files(0);
    rig_pass(&rig, 1000);
    rig_use_many(&rig, 3, 3);
    rig_close(&rig);
    struct audit_record gap = find_gap();
    assert_int_equal(gap.unrecorded, 15);
    assert_int_equal(gap.withheld, 0);
    rig_assert_uses(&rig, 0, 6);
    assert_int_equal(rig_count(&rig, AUDIT_REFUSALS), 1);
    rig_assert_whole(&rig, false);
}

static void names_are_explained_again_after_a_failure(void **state)
{
    (void)state;
    rig_open(&rig);
    limit_files(size_of(FIRST) + 500); /* an edge and a key, and no use */
    add_three(0);
    assert_int_equal(audit_commit(rig.audit), ERR_SYSTEM);
    limit_files(0);
    rig_pass(&rig, 1000);
    rig_use_many(&rig, 0, 3);
    rig_close(&rig);
    assert_int_equal(rig_count(&rig, AUDIT_EDGE), 3);
    assert_int_equal(rig_count(&rig, AUDIT_KEY), 2);
    rig_assert_whole(&rig, false);
}

/* At every size there is between two files: the end of one, the head of the next, what stands in it. */
static void a_rotation_that_fails_is_made_later(void **state)
{
    (void)state;
    rig.config.rotate_size = 3000;
    rig_open(&rig);
    uint64_t number = 0, failures = 0;
    for (uint64_t limit = 3000; limit < 6000; limit += 50) {
        limit_files(limit);
        for (unsigned i = 0; i < 12; i++) {
            if (rig_use(&rig, number) == 0)
                number++;
            else
                failures++;
        }
        limit_files(0);
        rig_pass(&rig, 1000);
        assert_false(audit_is_failing(rig.audit));
    }
    rig_close(&rig);
    assert_true(failures > 10);
    rig_assert_uses(&rig, 0, number);
    rig_assert_whole(&rig, false);
}

/* The log's own thread may be writing a checkpoint's note meanwhile; then the folder is not empty yet. */
static void remove_log(const struct rig *removed)
{
    int tries = 0;
    while (remove_tree(removed->log) != 0)
        assert_true(errno == ENOTEMPTY && ++tries < 1000);
}

static void a_folder_that_is_removed_is_a_failure(void **state)
{
    (void)state;
    rig_open(&rig);
    rig_use_many(&rig, 0, 3);
    remove_log(&rig);
    assert_int_not_equal(rig_use(&rig, 3), 0);
    assert_true(audit_is_failing(rig.audit));
    assert_int_equal(mkdir(rig.log, 0700), 0); /* another folder: that takes a reload */
    rig_pass(&rig, 1000);
    assert_true(audit_is_failing(rig.audit));
    rig_close(&rig);
    rig_open(&rig);
    rig_use_many(&rig, 0, 3);
    rig_close(&rig);
    rig_assert_uses(&rig, 0, 3);
}

/* Of whom the folder was taken away, as by chown: root has to become another in the eyes of the file system.
 */
static void deny_folder(bool deny)
{
    if (geteuid() == 0)
        setfsuid(deny ? 65534 : 0);
    else
        assert_int_equal(chmod(rig.log, deny ? 0 : 0700), 0);
}

static void a_folder_that_may_not_be_searched_is_no_damage(void **state)
{
    (void)state;
    rig_open(&rig);
    rig_use_many(&rig, 0, 3);
    deny_folder(true);
    rig_pass(&rig, 1000);
    bool failing = audit_is_failing(rig.audit);
    deny_folder(false);
    assert_true(failing);
    rig_pass(&rig, 1000);
    assert_false(audit_is_failing(rig.audit));
    rig_use_many(&rig, 3, 3);
    rig_close(&rig);
    assert_int_equal(rig_count(&rig, AUDIT_DAMAGE), 0);
    rig_assert_uses(&rig, 0, 6);
    rig_assert_whole(&rig, false);
}

static void a_start_that_cannot_be_recorded_is_recorded_later(void **state)
{
    (void)state;
    rig_open(&rig);
    rig_close(&rig);
    limit_files(size_of(FIRST) + 10);
    rig_open(&rig);
    assert_true(audit_is_failing(rig.audit));
    assert_int_not_equal(rig_use(&rig, 0), 0);
    limit_files(0);
    rig_pass(&rig, 1000);
    assert_false(audit_is_failing(rig.audit));
    rig_use_many(&rig, 0, 1);
    rig_close(&rig);
    assert_int_equal(rig_count(&rig, AUDIT_START), 2);
    assert_int_equal(find_gap().withheld, 1);
    rig_assert_whole(&rig, false);
}

static void a_log_that_cannot_be_begun_says_why(void **state)
{
    (void)state;
    limit_files(100);
    assert_int_equal(rig_try_open(&rig, NULL), ERR_SYSTEM);
    assert_non_null(strstr(rig.fault.text, "File too large"));
    limit_files(0);
    rig_open(&rig);
    rig_use_many(&rig, 0, 1);
    rig_close(&rig);
    rig_assert_whole(&rig, false);
}

static void a_log_that_cannot_be_begun_is_begun_later_when_it_may_serve(void **state)
{
    (void)state;
    rig.config.on_failure = SERVER_AUDIT_SERVE;
    limit_files(100);
    rig_open(&rig);
    add_three(10);
    assert_int_equal(audit_commit(rig.audit), 0);
    rig_pass(&rig, 1000);
    limit_files(0);
    rig_pass(&rig, 1000);
    rig_use_many(&rig, 0, 3);
    rig_close(&rig);
    assert_int_equal(find_gap().unrecorded, 3);
    rig_assert_uses(&rig, 0, 3);
    rig_assert_whole(&rig, false);
}

/* ---- a disk that is really full ---- */

#define SHALL(what)                                                                                          \
    do {                                                                                                     \
        if (!(what))                                                                                         \
            _exit((int)(__LINE__ % 250) + 1);                                                                \
    } while (0)

static void fill(const char *path)
{
    static char block[4096];
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    SHALL(fd >= 0);
    while (write(fd, block, sizeof block) > 0)
        ;
    SHALL(errno == ENOSPC);
    close(fd);
}

/* In a process and a mount namespace of its own; _exit(0) when all is as it should be. */
static void use_a_full_disk(void)
{
    uint64_t number = 0;
    SHALL(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    SHALL(mkdir(rig.log, 0700) == 0);
    SHALL(mount("tmpfs", rig.log, "tmpfs", 0, "size=256k,mode=0700") == 0);
    rig.config.rotate_size = 20000;
    SHALL(rig_try_open(&rig, NULL) == 0);
    for (unsigned round = 0; round < 6; round++) {
        for (unsigned i = 0; i < 20; i++, number++)
            SHALL(rig_use(&rig, number) == 0);
        fill(rig_path(&rig, "filler"));
        bool failed = false;
        for (unsigned i = 0; i < 40; i++) {
            if (rig_use(&rig, number) == 0)
                number++;
            else
                failed = true;
        }
        SHALL(failed && audit_is_failing(rig.audit));
        rig_pass(&rig, 1000);
        SHALL(audit_is_failing(rig.audit));
        unlink(rig_path(&rig, "filler"));
        /* The thread may have failed, too, and says so later. */
        for (unsigned i = 0; i < 10 && audit_is_failing(rig.audit); i++)
            rig_pass(&rig, 1000);
        SHALL(!audit_is_failing(rig.audit));
    }
    rig_close(&rig);
    rig_assert_uses(&rig, 0, number);
    rig_assert_whole(&rig, false);
    _exit(0);
}

static void a_full_disk_loses_nothing_that_was_acknowledged(void **state)
{
    int status;
    (void)state;
    if (geteuid() != 0)
        SKIP_FOR("needs root");
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (unshare(CLONE_NEWNS) != 0)
            _exit(255);
        use_a_full_disk();
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 255)
        SKIP_FOR("no mount namespaces here");
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_batch_that_does_not_fit_leaves_no_trace),
        TEST(refused_meanwhile_and_the_number_is_recorded),
        TEST(served_meanwhile_and_the_number_is_recorded),
        TEST(names_are_explained_again_after_a_failure),
        TEST(a_rotation_that_fails_is_made_later),
        TEST(a_folder_that_is_removed_is_a_failure),
        TEST(a_folder_that_may_not_be_searched_is_no_damage),
        TEST(a_start_that_cannot_be_recorded_is_recorded_later),
        TEST(a_log_that_cannot_be_begun_says_why),
        TEST(a_log_that_cannot_be_begun_is_begun_later_when_it_may_serve),
        TEST(a_full_disk_loses_nothing_that_was_acknowledged),
    };
    signal(SIGXFSZ, SIG_IGN); /* as process_harden() does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
