/* The folder of an audit log: what the first start makes, and which folders and files are refused. */
#include "tests/unit/keyserver/audit_log_rig.h"
#include "tests/unit/skip.h"

static mode_t mode_of(const char *path)
{
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    return info.st_mode & 07777;
}

static void the_first_start_makes_what_is_missing(void **state)
{
    char public[128];
    uint8_t key[SIGN_PUBLIC_SIZE];
    struct rig_records records;
    (void)state;
    rig_open(&rig);
    assert_int_equal(mode_of(rig.log), 0700);
    assert_int_equal(mode_of(rig.key), 0400);
    snprintf(public, sizeof public, "%s/audit.pub", rig.folder);
    assert_int_equal(mode_of(public), 0444);
    assert_int_equal(sign_load_public(key, public, &rig.fault), 0);
    rig_close(&rig);
    assert_int_equal(mode_of(rig_path(&rig, FIRST_FILE)), 0600);
    assert_int_equal(mode_of(rig_path(&rig, "head")), 0600);
    rig_records(&rig, &records);
    assert_int_equal(records.item[0].type, AUDIT_SEGMENT);
    assert_memory_equal(records.item[0].public_key, key, sizeof key);
    assert_int_equal(records.item[0].quotas, 0);
    const struct audit_record *start = rig_first_of(&records, AUDIT_START);
    assert_string_equal(start->version, KEYLESS_VERSION);
    assert_int_equal(start->edges, RIG_EDGES);
    assert_int_equal(start->keys, RIG_KEYS);
    assert_memory_equal(start->policy, rig_policy, sizeof rig_policy);
    assert_int_equal(start->torn, 0);
    assert_int_equal(records.item[records.count - 1].type, AUDIT_CHECKPOINT);
    assert_int_equal(records.item[records.count - 2].type, AUDIT_STOP);
    free(records.item);
    rig_assert_whole(&rig, false);
}

static void loose_modes_and_other_owners_are_refused_with_a_mend(void **state)
{
    (void)state;
    assert_int_equal(mkdir(rig.log, 0755), 0);
    assert_int_equal(rig_try_open(&rig, NULL), ERR_CONFIG);
    assert_non_null(strstr(rig.fault.text, "run: chmod 0700"));
    assert_int_equal(chmod(rig.log, 0700), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(rig.log, 12345, 12345), 0);
        assert_int_equal(rig_try_open(&rig, NULL), ERR_CONFIG);
        assert_non_null(strstr(rig.fault.text, "run: chown -R 0"));
        assert_int_equal(chown(rig.log, 0, 0), 0);
    }
    rig_open(&rig);
    rig_close(&rig);
    assert_int_equal(chmod(rig.key, 0440), 0);
    assert_int_equal(rig_try_open(&rig, NULL), ERR_CONFIG);
    assert_non_null(strstr(rig.fault.text, "run: chmod 0400"));
    rig.config.folder = rig.key;
    assert_int_equal(rig_try_open(&rig, NULL), ERR_CONFIG);
    char nowhere[] = "/nonexistent/audit";
    rig.config.folder = nowhere;
    assert_int_equal(rig_try_open(&rig, NULL), ERR_CONFIG);
}

/* Like /var/log: to make it the vault's, as is said of a folder of its own, would take it from the others. */
static void a_folder_with_files_of_others_is_left_to_them(void **state)
{
    char other[4096];
    (void)state;
    assert_int_equal(mkdir(rig.log, 0755), 0);
    snprintf(other, sizeof other, "%s/syslog", rig.log);
    close(creat(other, 0640));
    for (unsigned turn = 0; turn < (geteuid() == 0 ? 2 : 1); turn++) {
        assert_int_equal(rig_try_open(&rig, NULL), ERR_CONFIG);
        assert_null(strstr(rig.fault.text, "run: ch"));
        assert_non_null(strstr(rig.fault.text, "'syslog'"));
        assert_non_null(strstr(rig.fault.text, "/keyless-audit'"));
        if (geteuid() == 0)
            assert_int_equal(chown(rig.log, 12345, 12345), 0);
    }
    if (geteuid() == 0)
        assert_int_equal(chown(rig.log, 0, 0), 0);
    assert_int_equal(unlink(other), 0);
}

static void root_makes_the_files_for_the_user_of_the_vault(void **state)
{
    struct stat info;
    uid_t uid;
    gid_t gid;
    (void)state;
    if (geteuid() != 0)
        SKIP_FOR("needs root");
    assert_int_equal(audit_open(&rig.audit, &rig.config, "nobody", NULL, NULL, &rig.now, &rig.fault), 0);
    rig_close(&rig);
    assert_int_equal(stat(rig.log, &info), 0);
    assert_int_equal(privileges_find_user("nobody", &uid, &gid, &rig.fault), 0);
    assert_int_equal(info.st_uid, uid);
    assert_int_equal(stat(rig_path(&rig, FIRST_FILE), &info), 0);
    assert_int_equal(info.st_uid, uid);
    assert_int_equal(stat(rig.key, &info), 0);
    assert_int_equal(info.st_uid, 0); /* read before the user is dropped, and by nobody after */
    assert_int_equal(audit_open(&rig.audit, &rig.config, "no-such-user", NULL, NULL, &rig.now, &rig.fault),
                     ERR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_start_makes_what_is_missing),
        TEST(loose_modes_and_other_owners_are_refused_with_a_mend),
        TEST(a_folder_with_files_of_others_is_left_to_them),
        TEST(root_makes_the_files_for_the_user_of_the_vault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
