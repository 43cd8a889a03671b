/* What the next vault goes on with: quotas and the log's numbers, also when the log's files went meanwhile.
 */
#include "tests/unit/keyserver/vault_audit_rig.h"

#include "keyserver/audit/audit_chain.h"

static void a_quota_goes_on_after_a_restart(void **state)
{
    struct operation operation = signing();
    (void)state;
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(ask(EDGE_FEW, &operation), STATUS_OK);
    assert_int_equal(ask(EDGE_SIGNER, &operation), STATUS_OK);
    assert_int_equal(rig_end(&rig), 0);
    assert_true(rig_start(&rig));
    assert_int_equal(ask(EDGE_FEW, &operation), STATUS_OK);
    assert_int_equal(ask(EDGE_FEW, &operation), STATUS_REFUSED);
    assert_string_equal(find(AUDIT_USE, next_token)->reason, "quota");
    assert_int_equal(count(AUDIT_START), 2);
    assert_int_equal(count(AUDIT_STOP), 1);
}

/* Ends the other one before anything is asserted: nobody else would. */
static void a_quota_is_shared_by_two_vaults_at_once(void **state)
{
    struct operation operation = signing();
    struct rig other = rig;
    (void)state;
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(ask(EDGE_FEW, &operation), STATUS_OK);
    other.pid = 0;
    assert_true(rig_start(&other));
    enum operation_status third = rig_ask(&other, EDGE_FEW, &operation).status,
                          fourth = ask(EDGE_FEW, &operation),
                          fifth = rig_ask(&other, EDGE_FEW, &operation).status;
    assert_int_equal(rig_end(&other), 0);
    assert_int_equal(third, STATUS_OK);
    assert_int_equal(fourth, STATUS_REFUSED);
    assert_int_equal(fifth, STATUS_REFUSED);
}

/* As at a reload: the old one goes on until the new one has its first request, and that one counts from where
 * it is. */
static void a_quota_that_is_used_up_when_another_vault_takes_over_stays_so(void **state)
{
    struct operation operation = signing();
    struct rig other = rig;
    unsigned granted = 0;
    (void)state;
    other.pid = 0;
    assert_true(rig_start(&other));
    for (unsigned i = 0; i < 4; i++)
        granted += ask(EDGE_FEW, &operation) == STATUS_OK;
    enum operation_status first = rig_ask(&other, EDGE_FEW, &operation).status;
    assert_int_equal(rig_end(&other), 0);
    assert_int_equal(granted, 3);
    assert_int_equal(first, STATUS_REFUSED);
}

/* ---- a log that goes while vaults come and go ---- */

static bool use_up(void)
{
    struct operation operation = signing();
    uint64_t until = clock_ms() + PATIENCE_MS;
    bool good = true;
    for (unsigned i = 0; i < 3; i++)
        good = ask(EDGE_FEW, &operation) == STATUS_OK && good;
    while (left_used() < 3 && clock_ms() < until)
        let_pass(&rig);
    return good && ask(EDGE_FEW, &operation) == STATUS_REFUSED;
}

static uint64_t last_seq(void)
{
    read_records();
    return records[record_count - 1].seq;
}

static void empty_folder(void)
{
    keys_remove_folder(rig.audit);
    assert_int_equal(mkdir(rig.audit, 0700), 0);
}

/* The first record of the newest file, and whether all is refused that was used up. */
static void assert_log_goes_on(struct rig *vault, uint64_t after)
{
    struct operation operation = signing();
    glob_t files = files_of_log();
    assert_true(audit_file_seq(strrchr(files.gl_pathv[files.gl_pathc - 1], '/') + 1) > after);
    globfree(&files);
    assert_int_equal(rig_ask(vault, EDGE_FEW, &operation).status, STATUS_REFUSED);
}

static void what_was_used_of_a_quota_outlasts_the_log(void **state)
{
    (void)state;
    begin_handing_over();
    assert_true(use_up());
    uint64_t seq = last_seq();
    kill(rig.pid, SIGKILL);
    assert_int_equal(rig_end(&rig), 128 + SIGKILL);
    empty_folder();
    assert_true(rig_start(&rig));
    assert_log_goes_on(&rig, seq);
    assert_non_null(rig_find_in_log(&rig, "event=audit_damaged"));
}

/* A use that is answered, and was not the next one after another, is left by then: no moment passes until the
 * death. */
static void a_use_that_is_answered_counts_after_a_death(void **state)
{
    struct operation operation = signing();
    (void)state;
    begin_handing_over();
    for (unsigned i = 0; i < 3; i++) {
        let_pass(&rig);
        assert_int_equal(ask(EDGE_FEW, &operation), STATUS_OK);
    }
    kill(rig.pid, SIGKILL);
    assert_int_equal(rig_end(&rig), 128 + SIGKILL);
    empty_folder();
    assert_true(rig_start(&rig));
    assert_int_equal(ask(EDGE_FEW, &operation), STATUS_REFUSED);
}

/* The one before goes on in another file as soon as it sees that its own is gone; there is one chain. */
static void a_log_that_goes_in_a_reload_goes_on(void **state)
{
    struct rig other;
    (void)state;
    begin_handing_over();
    assert_true(use_up());
    uint64_t seq = last_seq();
    glob_t files;
    char found[PATH_MAX];
    snprintf(found, sizeof found, "%s/*", rig.audit);
    assert_int_equal(glob(found, 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++)
        assert_int_equal(unlink(files.gl_pathv[i]), 0);
    globfree(&files);
    other = rig;
    other.pid = 0;
    other.served = true;
    bool ready = rig_start(&other);
    rig.before_fd = 0; /* the other's now */
    assert_true(ready);
    assert_log_goes_on(&other, seq);
    assert_int_equal(rig_end(&other), 0);
    rig_forget_left(&other);
}

/* The counts came to another log than that which they are counted in now: it must tell of them from then on,
 * also to who begins with nothing but the folder. */
static void a_folder_that_is_changed_and_changed_back_gives_no_quota_again(void **state)
{
    char other[KEYS_PATH_SIZE];
    (void)state;
    begin_handing_over();
    assert_int_equal(rig_end(&rig), 0);
    keys_make_folder(other);
    rig.config.audit.folder = other;
    assert_true(rig_start(&rig));
    bool used = use_up();
    int status = rig_end(&rig);
    keys_remove_folder(other);
    rig.config.audit.folder = rig.audit;
    assert_true(used);
    assert_int_equal(status, 0);
    assert_used_up_for_good();
}

/* The one before serves until the next one has begun to, and writes to a log that this one does not read. */
static void what_is_used_while_the_folder_is_changed_counts(void **state)
{
    char folder[KEYS_PATH_SIZE];
    struct operation operation = signing();
    struct rig other;
    unsigned granted = 0;
    (void)state;
    begin_handing_over();
    granted += ask(EDGE_FEW, &operation) == STATUS_OK;
    other = rig;
    other.pid = 0;
    other.served = true;
    keys_make_folder(folder);
    other.config.audit.folder = folder;
    bool ready = rig_start(&other);
    rig.before_fd = 0; /* the other's now */
    for (unsigned i = 0; ready && i < 3; i++) {
        let_pass(&rig); /* each of them is left when it is answered */
        granted += ask(EDGE_FEW, &operation) == STATUS_OK;
    }
    if (ready)
        let_pass(&other); /* it has looked since */
    enum operation_status first = ready ? rig_ask(&other, EDGE_FEW, &operation).status : STATUS_OK;
    int status = rig_end(&other);
    rig_forget_left(&other);
    bool again = rig_start(&other); /* with the folder alone */
    enum operation_status second = again ? rig_ask(&other, EDGE_FEW, &operation).status : STATUS_OK;
    (void)rig_end(&other);
    keys_remove_folder(folder);
    assert_true(ready && again);
    assert_int_equal(status, 0);
    assert_int_equal(granted, 3);
    assert_int_equal(first, STATUS_REFUSED);
    assert_int_equal(second, STATUS_REFUSED);
}

static void a_vault_that_serves_is_not_left_behind_in_another_folder(void **state)
{
    char moved[KEYS_PATH_SIZE + 8];
    struct rig other;
    (void)state;
    begin_handing_over();
    assert_true(use_up());
    snprintf(moved, sizeof moved, "%s.moved", rig.audit);
    assert_int_equal(rename(rig.audit, moved), 0);
    assert_int_equal(mkdir(rig.audit, 0700), 0);
    other = rig;
    other.pid = 0;
    other.served = true;
    other.before_fd = dup(rig.before_fd);
    bool ready = rig_start(&other);
    bool said = rig_find_in_log(&other, "move it back and reload") != NULL;
    int status = rig_end(&other);
    rig_forget_left(&other);
    bool empty = rmdir(rig.audit) == 0;
    assert_int_equal(rename(moved, rig.audit), 0);
    assert_false(ready);
    assert_true(said);
    assert_int_equal(status, 2);
    assert_true(empty);
    other = rig;
    other.pid = 0;
    other.served = true;
    ready = rig_start(&other);
    rig.before_fd = 0;
    assert_true(ready);
    assert_int_equal(rig_end(&other), 0);
    rig_forget_left(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_quota_goes_on_after_a_restart),
        TEST(a_quota_is_shared_by_two_vaults_at_once),
        TEST(a_quota_that_is_used_up_when_another_vault_takes_over_stays_so),
        TEST(what_was_used_of_a_quota_outlasts_the_log),
        TEST(a_use_that_is_answered_counts_after_a_death),
        TEST(a_log_that_goes_in_a_reload_goes_on),
        TEST(a_folder_that_is_changed_and_changed_back_gives_no_quota_again),
        TEST(what_is_used_while_the_folder_is_changed_counts),
        TEST(a_vault_that_serves_is_not_left_behind_in_another_folder),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
