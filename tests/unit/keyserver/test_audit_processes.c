/* Writers in processes of their own: two at one log, killed at any moment, and behind the sandbox. Whatever
 * was acknowledged stands in the log exactly once. */
#include "tests/unit/keyserver/audit_rig.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "common/sandbox.h"
#include "tests/lib/random_below.h"
#include "tests/unit/skip.h"

#define LIVES_MAX  400
#define ROUNDS     (PROCESS_SANITIZED ? 40 : 150)
#define USES_MAX   5    /* in one batch */
#define USES_SHIFT 24   /* a use's number: life, then its own */
#define LEAD       2000 /* uses: more than what a writer does in the moments that tests let pass */

/* What a writer says of itself, in memory that outlives it. */
struct life {
    _Atomic uint64_t begun, acknowledged; /* uses */
    _Atomic uint64_t wanted; /* what somebody waits for; it goes LEAD uses beyond, and then rests */
    _Atomic bool end;        /* it is to end */
    pid_t pid;
};

static struct rig rig;
static struct life *lives; /* shared */
static unsigned life_count;

static int set_up(void **state)
{
    (void)state;
    rig_set_up(&rig);
    rig.config.rotate_size = 30000;
    life_count = 0;
    lives = mmap(NULL, LIVES_MAX * sizeof *lives, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return lives == MAP_FAILED;
}

static int tear_down(void **state)
{
    (void)state;
    for (unsigned id = 0; id < life_count; id++)
        if (lives[id].pid != 0) { /* a test has failed */
            kill(lives[id].pid, SIGKILL);
            waitpid(lives[id].pid, NULL, 0);
        }
    munmap(lives, LIVES_MAX * sizeof *lives);
    rig_tear_down(&rig);
    return 0;
}

/* ---- a writer ---- */

static void live(uint64_t id)
{
    struct life *life = &lives[id];
    uint64_t next = 0;
    process_die_with_parent();
    rig_open(&rig);
    while (!life->end) {
        if (next >= life->wanted + LEAD) { /* or a slow reader would have an ever longer log to read */
            sched_yield();
            continue;
        }
        uint64_t count = 1 + next % USES_MAX;
        life->begun = next + count;
        for (uint64_t i = 0; i < count; i++)
            rig_add(&rig, id << USES_SHIFT | next++, AUDIT_OK);
        if (audit_commit(rig.audit) != 0)
            _exit(3);
        life->acknowledged = next;
        rig_pass(&rig, 100);
    }
    rig_close(&rig);
    _exit(0);
}

static unsigned give_birth(void)
{
    unsigned id = life_count++;
    assert_true(id < LIVES_MAX);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        live(id);
    lives[id].pid = pid;
    return id;
}

/* Waits until it has written something. */
static void await_work(unsigned id, uint64_t more)
{
    uint64_t end = clock_ms() + 60000, wanted = lives[id].acknowledged + more;
    int status = 0;
    lives[id].wanted = wanted;
    while (lives[id].acknowledged < wanted) {
        if (waitpid(lives[id].pid, &status, WNOHANG) != 0)
            lives[id].pid = 0;
        if (clock_ms() > end || lives[id].pid == 0)
            fail_msg("writer %u does not write (status %x)", id, (unsigned)status);
        sched_yield();
    }
}

static void end_life(unsigned id, bool killed)
{
    int status;
    if (killed)
        kill(lives[id].pid, SIGKILL);
    lives[id].end = true;
    assert_int_equal(waitpid(lives[id].pid, &status, 0), lives[id].pid);
    lives[id].pid = 0;
    if (killed)
        assert_true(WIFSIGNALED(status) || status == 0);
    else
        assert_int_equal(status, 0);
}

static void wait_a_moment(uint32_t most_us)
{
    const struct timespec moment = {.tv_nsec = 1000L * random_below(most_us)};
    nanosleep(&moment, NULL);
}

/* Every life's uses: each once, in order, all that were acknowledged and none that was not begun. */
static void assert_lives(void)
{
    static uint64_t seen[LIVES_MAX];
    struct rig_records records;
    memset(seen, 0, sizeof seen);
    rig_records(&rig, &records);
    for (size_t i = 0; i < records.count; i++) {
        if (records.item[i].type != AUDIT_USE)
            continue;
        uint64_t number = rig_number(&records.item[i]), id = number >> USES_SHIFT;
        assert_true(id < life_count);
        assert_int_equal(number & ((1u << USES_SHIFT) - 1), seen[id]);
        seen[id]++;
    }
    for (unsigned id = 0; id < life_count; id++)
        assert_in_range(seen[id], lives[id].acknowledged, lives[id].begun);
    free(records.item);
}

/* ---- many of them ---- */

static void two_writers_share_one_log(void **state)
{
    (void)state;
    unsigned a = give_birth(), b = give_birth();
    await_work(a, 300);
    await_work(b, 300);
    end_life(a, false);
    await_work(b, 100);
    end_life(b, false);
    assert_lives();
    assert_true(rig_count(&rig, AUDIT_SEGMENT) > 4);
    assert_int_equal(rig_count(&rig, AUDIT_DAMAGE), 0);
    rig_assert_whole(&rig, false);
}

/* As in a reload: the next one opens and serves while the one before still answers. */
static void one_takes_over_from_another_many_times(void **state)
{
    (void)state;
    unsigned old = give_birth();
    for (unsigned i = 0; i < 20; i++) {
        await_work(old, 5);
        unsigned next = give_birth();
        await_work(next, 5);
        end_life(old, false);
        old = next;
    }
    end_life(old, false);
    assert_lives();
    assert_int_equal(rig_count(&rig, AUDIT_STOP), 21);
    assert_int_equal(rig_count(&rig, AUDIT_DAMAGE), 0);
    rig_assert_whole(&rig, false);
}

static void killed_at_any_moment_nothing_acknowledged_is_lost(void **state)
{
    (void)state;
    rig.config.rotate_size = 5000;
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned id = give_birth();
        if (i % 3 != 0)
            await_work(id, 1);
        wait_a_moment(4000);
        end_life(id, true);
        if (i % 25 == 24)
            rig_assert_whole(&rig, true);
    }
    assert_lives();
    end_life(give_birth(), false);
    rig_assert_whole(&rig, false);
    assert_int_equal(rig_count(&rig, AUDIT_DAMAGE), 0);
}

static void killed_at_any_moment_the_other_one_goes_on(void **state)
{
    (void)state;
    rig.config.rotate_size = 5000;
    unsigned steady = give_birth();
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned id = give_birth();
        await_work(id, 1);
        wait_a_moment(2000);
        end_life(id, true);
    }
    await_work(steady, 1);
    end_life(steady, false);
    assert_lives();
    rig_assert_whole(&rig, false);
    assert_int_equal(rig_count(&rig, AUDIT_DAMAGE), 0);
}

static pid_t fork_large(uint64_t id)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid != 0)
        return pid;
    process_die_with_parent();
    rig_open(&rig);
    for (uint64_t n = 0;; n += 1500) {
        lives[id].begun = n + 1500;
        for (uint64_t k = 0; k < 1500; k++)
            rig_add(&rig, id << USES_SHIFT | (n + k), AUDIT_OK);
        if (audit_commit(rig.audit) != 0)
            _exit(3);
        lives[id].acknowledged = n + 1500;
    }
}

/* Writes of many pages, so that a kill may fall between two of them. */
static void killed_in_a_large_batch_it_is_there_or_not(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ROUNDS / 4; i++) {
        unsigned id = life_count++;
        fflush(NULL);
        lives[id].pid = fork_large(id);
        await_work(id, 1500);
        wait_a_moment(3000);
        end_life(id, true);
    }
    assert_lives();
    rig_open(&rig);
    rig_close(&rig);
    rig_assert_whole(&rig, false);
}

/* ---- the lock ---- */

/* A process that keeps the lock for good keeps nobody for good. */
static void a_lock_that_is_never_let_go_is_a_failure(void **state)
{
    int fds[2];
    char byte;
    (void)state;
    rig_open(&rig);
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        process_die_with_parent();
        int fd = open(rig_path(&rig, "audit-000000000001.jsonl"), O_RDONLY);
        if (flock(fd, LOCK_EX) != 0 || write(fds[1], "1", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(fds[0], &byte, 1), 1);
    assert_int_not_equal(rig_use(&rig, 0), 0);
    assert_true(audit_is_failing(rig.audit));
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    rig_pass(&rig, 1000);
    assert_false(audit_is_failing(rig.audit));
    rig_use_many(&rig, 1, 1);
    rig_close(&rig);
    close(fds[0]);
    close(fds[1]);
    rig_assert_uses(&rig, 1, 1);
    rig_assert_whole(&rig, false);
}

/* ---- behind the sandbox ---- */

static int enter(void)
{
    struct fault fault = {0};
    if (process_harden("test", &fault) != 0 ||
        audit_open(&rig.audit, &rig.config, NULL, NULL, NULL, &rig.now, &rig.fault) != 0)
        return 1;
    struct sandbox_state state = {.files_denied = process_deny_files_but(audit_folder(rig.audit))};
    if (audit_start(rig.audit, rig.edges, rig.keys, rig_policy, &rig.now) != 0)
        return 2;
    return sandbox_enter(&state, SANDBOX_VAULT, SANDBOX_ON, audit_folder(rig.audit), &fault) != 0 ? 3 : 0;
}

static int run_inside(void (*act)(void))
{
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int failed = enter();
        if (failed != 0)
            _exit(failed);
        act();
        _exit(77);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void write_much(void)
{
    rig.config.rotate_size = 5000;
    for (uint64_t i = 0; i < 100; i++) {
        if (rig_use(&rig, i) != 0)
            _exit(4);
        rig_pass(&rig, 300);
    }
    for (unsigned i = 0; i < 200; i++)
        rig_refuse(&rig, 1, REFUSAL_RATE);
    if (audit_commit(rig.audit) != 0)
        _exit(5);
    rig_pass(&rig, 1000);
    unlink("/nowhere"); /* not allowed: unless this kills, the sandbox is not there */
}

static void write_and_end(void)
{
    for (uint64_t i = 0; i < 100; i++) {
        if (rig_use(&rig, i) != 0)
            _exit(4);
        rig_pass(&rig, 300);
    }
    rig_close(&rig);
}

static void the_log_is_written_behind_the_sandbox(void **state)
{
    (void)state;
    rig.config.rotate_size = 5000;
    rig.config.sync = SERVER_AUDIT_SYNC_ALWAYS;
    assert_int_equal(run_inside(write_and_end), 77);
    rig_assert_uses(&rig, 0, 100);
    rig_assert_whole(&rig, false);
    assert_true(rig_count(&rig, AUDIT_SEGMENT) > 5);
}

static void and_the_sandbox_is_there(void **state)
{
    (void)state;
    if (PROCESS_SANITIZED)
        SKIP_FOR("no sandbox under a sanitizer");
    assert_int_equal(run_inside(write_much), 1000 + SIGSYS);
    assert_true(rig_count(&rig, AUDIT_USE) >= 200);
    rig_assert_whole(&rig, true);
}

static void open_elsewhere(void)
{
    (void)!open("/etc/passwd", O_RDONLY);
}

static void open_by_a_path_that_leads_out(void)
{
    int folder = audit_folder(rig.audit);
    if (openat(folder, "/etc/passwd", O_RDONLY) >= 0 || errno != EACCES)
        _exit(4);
    if (openat(folder, "../audit.key", O_RDONLY) >= 0 || errno != EACCES)
        _exit(5);
    if (openat(folder, "audit-000000000001.jsonl", O_RDONLY) < 0 ||
        openat(folder, "new", O_WRONLY | O_CREAT, 0600) < 0)
        _exit(6);
}

static void nothing_but_the_folder_can_be_opened(void **state)
{
    (void)state;
    if (PROCESS_SANITIZED)
        SKIP_FOR("no sandbox under a sanitizer");
    assert_int_equal(run_inside(open_elsewhere), 1000 + SIGSYS);
    assert_int_equal(run_inside(open_by_a_path_that_leads_out), 77);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(two_writers_share_one_log),
        TEST(one_takes_over_from_another_many_times),
        TEST(killed_at_any_moment_nothing_acknowledged_is_lost),
        TEST(killed_at_any_moment_the_other_one_goes_on),
        TEST(killed_in_a_large_batch_it_is_there_or_not),
        TEST(a_lock_that_is_never_let_go_is_a_failure),
        TEST(the_log_is_written_behind_the_sandbox),
        TEST(and_the_sandbox_is_there),
        TEST(nothing_but_the_folder_can_be_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
