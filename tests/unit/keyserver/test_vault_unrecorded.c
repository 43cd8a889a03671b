/* While nothing can be recorded: there is no answer, or the owner prefers service and the uses count. */
#include "tests/unit/keyserver/vault_audit_rig.h"

#include <fcntl.h>

#include <sys/file.h>
#include <sys/resource.h>

/* No file of the vault grows beyond SIZE; 0: as large as it likes. Its own log is one of them. */
static void limit_files(uint64_t size)
{
    struct rlimit limit;
    assert_int_equal(prlimit(rig.pid, RLIMIT_FSIZE, NULL, &limit), 0);
    limit.rlim_cur = size == 0 ? limit.rlim_max : size;
    assert_int_equal(prlimit(rig.pid, RLIMIT_FSIZE, &limit, NULL), 0);
}

static void await_failing(uint32_t failing)
{
    uint64_t until = clock_ms() + PATIENCE_MS;
    do
        rig_await_stats(&rig);
    while (rig.stats.audit_failing != failing && clock_ms() < until);
    assert_int_equal(rig.stats.audit_failing, failing);
}

static void without_a_record_there_is_no_answer(void **state)
{
    struct operation operation = signing();
    (void)state;
    assert_int_equal(ask(EDGE_SIGNER, &operation), STATUS_OK);
    limit_files(1);
    assert_int_equal(ask(EDGE_SIGNER, &operation), STATUS_UNAVAILABLE); /* computed, and withheld */
    assert_int_equal(ask(EDGE_SIGNER, &operation), STATUS_UNAVAILABLE); /* not computed any more */
    assert_int_equal(ask(EDGE_OTHER_KEY, &operation), STATUS_UNAVAILABLE);
    await_failing(1);
    assert_int_equal(rig.stats.audit_withheld, 1);
    assert_int_equal(rig.stats.audit_unrecorded, 0);
    assert_int_equal(rig.stats.refusals[REFUSAL_AUDIT], 2);
    limit_files(0);
    await_failing(0);
    assert_int_equal(ask(EDGE_SIGNER, &operation), STATUS_OK);
    assert_int_equal(count(AUDIT_USE), 2);
    const struct audit_record *gap = find(AUDIT_GAP, 0);
    assert_non_null(gap);
    assert_int_equal(gap->withheld, 1);
    assert_int_equal(gap->unrecorded, 0);
}

/* Holds the lock of the newest file, so that nothing can be recorded; the descriptor is the caller's. */
static int hold_log(void)
{
    glob_t files = files_of_log();
    int fd = open(files.gl_pathv[files.gl_pathc - 1], O_RDONLY | O_CLOEXEC);
    globfree(&files);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    return fd;
}

/* Two of three are used while nothing can be recorded. */
static int use_up_unrecorded(void)
{
    struct operation operation = signing();
    rig.config.audit.on_failure = SERVER_AUDIT_SERVE;
    begin_handing_over();
    assert_int_equal(ask(EDGE_FEW, &operation), STATUS_OK);
    int fd = hold_log();
    assert_int_equal(ask(EDGE_FEW, &operation), STATUS_OK);
    assert_int_equal(ask(EDGE_FEW, &operation), STATUS_OK);
    await_failing(1);
    assert_int_equal(ask(EDGE_FEW, &operation), STATUS_REFUSED);
    assert_int_equal(rig.stats.audit_unrecorded, 2);
    return fd;
}

static void what_was_used_unrecorded_counts_after_a_death(void **state)
{
    (void)state;
    int fd = use_up_unrecorded();
    kill(rig.pid, SIGKILL);
    assert_int_equal(rig_end(&rig), 128 + SIGKILL);
    close(fd);
    assert_used_up_for_good();
}

static void what_was_used_unrecorded_counts_after_a_recovery(void **state)
{
    (void)state;
    int fd = use_up_unrecorded();
    close(fd);
    assert_non_null(rig_find_in_log(&rig, "event=audit_recovered"));
    assert_int_equal(rig_end(&rig), 0);
    assert_used_up_for_good();
}

/* Of the vault that runs: its log is longer than SIZE then, and its memory file is not. */
static void stop_recording(void)
{
    const uint64_t size = 2 * 4096 + (EDGE_FEW + 1) * 256;
    struct operation operation = signing();
    for (uint64_t i = 0; i < size / 256; i++) /* a record is longer */
        assert_int_equal(ask(EDGE_SIGNER, &operation), STATUS_OK);
    limit_files(size);
}

/* The one before serves until the next one has begun to, and no log tells of it. */
static void what_is_used_unrecorded_during_a_reload_counts(void **state)
{
    struct operation operation = signing();
    struct rig other;
    (void)state;
    rig.config.audit.on_failure = SERVER_AUDIT_SERVE;
    begin_handing_over();
    assert_int_equal(ask(EDGE_FEW, &operation), STATUS_OK);
    stop_recording();
    assert_int_equal(ask(EDGE_FEW, &operation), STATUS_OK);
    await_failing(1);
    other = rig;
    other.pid = 0;
    other.served = true;
    bool ready = rig_start(&other);
    rig.before_fd = 0; /* the other's now */
    enum operation_status third = ask(EDGE_FEW, &operation);
    let_pass(&rig);
    if (ready)
        let_pass(&other);
    enum operation_status fourth = ready ? rig_ask(&other, EDGE_FEW, &operation).status : STATUS_OK;
    int status = rig_end(&other);
    rig_forget_left(&other);
    assert_true(ready);
    assert_int_equal(status, 0);
    assert_int_equal(third, STATUS_OK);
    assert_int_equal(fourth, STATUS_REFUSED);
}

/* The log is written again before the one that takes over has looked at what the one before leaves: it finds
 * the use there and in the log. */
static void what_is_recorded_again_during_a_reload_counts_once(void **state)
{
    struct operation operation = signing();
    struct rig other;
    (void)state;
    rig.config.audit.on_failure = SERVER_AUDIT_SERVE;
    begin_handing_over();
    assert_int_equal(ask(EDGE_FEW, &operation), STATUS_OK);
    stop_recording();
    assert_int_equal(ask(EDGE_SIGNER, &operation), STATUS_OK);
    await_failing(1);
    other = rig;
    other.pid = 0;
    other.served = true;
    bool ready = rig_start(&other);
    rig.before_fd = 0; /* the other's now */
    if (ready)
        kill(other.pid, SIGSTOP);
    limit_files(0);
    await_failing(0);
    enum operation_status second = ask(EDGE_FEW, &operation);
    let_pass(&rig);
    if (ready) {
        kill(other.pid, SIGCONT);
        let_pass(&other);
    }
    enum operation_status third = ready ? rig_ask(&other, EDGE_FEW, &operation).status : STATUS_REFUSED;
    enum operation_status fourth = ready ? rig_ask(&other, EDGE_FEW, &operation).status : STATUS_OK;
    int status = rig_end(&other);
    rig_forget_left(&other);
    assert_true(ready);
    assert_int_equal(status, 0);
    assert_int_equal(second, STATUS_OK);
    assert_int_equal(third, STATUS_OK);
    assert_int_equal(fourth, STATUS_REFUSED);
}

/* The files of the log are below the limit, the memory file would be above it. */
static void what_cannot_be_left_is_told_once_and_left_later(void **state)
{
    struct operation operation = signing();
    uint64_t until = clock_ms() + PATIENCE_MS;
    (void)state;
    begin_handing_over();
    limit_files(2 * 4096 + EDGE_FEW * 256);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(ask(EDGE_FEW, &operation), STATUS_OK);
    rig_await_stats(&rig);
    const char *line = rig_find_in_log(&rig, "event=audit_counts_lost");
    bool said = line != NULL, once = said && strstr(line + 1, "event=audit_counts_lost") == NULL;
    uint64_t before = left_used();
    limit_files(0);
    while (left_used() < 3 && clock_ms() < until)
        rig_await_stats(&rig);
    assert_true(said && once);
    assert_int_equal(before, 0);
    assert_int_equal(left_used(), 3);
}

static void who_prefers_service_has_the_number(void **state)
{
    struct operation operation = signing();
    (void)state;
    assert_int_equal(rig_end(&rig), 0);
    rig.config.audit.on_failure = SERVER_AUDIT_SERVE;
    assert_true(rig_start(&rig));
    limit_files(1);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(ask(EDGE_SIGNER, &operation), STATUS_OK);
    assert_int_equal(ask(EDGE_OTHER_KEY, &operation), STATUS_REFUSED);
    await_failing(1);
    assert_int_equal(rig.stats.audit_unrecorded, 3);
    limit_files(0);
    assert_non_null(rig_find_in_log(&rig, "event=audit_recovered"));
    assert_int_equal(find(AUDIT_GAP, 0)->unrecorded, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_a_record_there_is_no_answer),
        TEST(what_was_used_unrecorded_counts_after_a_death),
        TEST(what_was_used_unrecorded_counts_after_a_recovery),
        TEST(what_is_used_unrecorded_during_a_reload_counts),
        TEST(what_is_recorded_again_during_a_reload_counts_once),
        TEST(what_cannot_be_left_is_told_once_and_left_later),
        TEST(who_prefers_service_has_the_number),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
