/* The group secret is made at a first start, and never unasked after that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/secret.h"
#include "keyserver/vault/group_secret.h"
#include "tests/unit/remove_tree.h"

#define PATH_SIZE 256

static char folder[64], secret_path[PATH_SIZE], audit_folder[PATH_SIZE], audit_key[PATH_SIZE];
static struct server_config config;
static struct fault fault;
static uint8_t secret[32];

static int set_up(void **state)
{
    (void)state;
    log_init("test", LOG_ERROR, LOG_LOGFMT);
    snprintf(folder, sizeof folder, "/tmp/keyless-group-secret-XXXXXX");
    if (secret_init() != 0 || mkdtemp(folder) == NULL)
        return -1;
    snprintf(secret_path, PATH_SIZE, "%s/group.secret", folder);
    snprintf(audit_folder, PATH_SIZE, "%s/audit", folder);
    snprintf(audit_key, PATH_SIZE, "%s/audit.key", folder);
    config = (struct server_config){.group_secret = secret_path,
                                    .audit = {.folder = audit_folder, .key = audit_key}};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return remove_tree(folder);
}

static bool is_there(void)
{
    return access(secret_path, F_OK) == 0;
}

/* What an earlier run may have left, made empty. */
static void leave(const char *name)
{
    char path[2 * PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
}

static void assert_refused(enum group_secret_use use, const char *words)
{
    assert_int_equal(group_secret_load(secret, &config, use, &fault), ERR_CONFIG);
    assert_non_null(strstr(fault.text, words));
    assert_non_null(strstr(fault.text, "make a new one with: keyless genkey > "));
    assert_false(is_there());
}

static void one_that_is_none_is_copied_from_another_key_server(void **state)
{
    static const char *const contents[] = {"", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", "junk\n"};
    (void)state;
    for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
        FILE *file = fopen(secret_path, "w");
        assert_non_null(file);
        assert_true(fputs(contents[i], file) >= 0);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(chmod(secret_path, 0400), 0);
        assert_int_equal(group_secret_load(secret, &config, GROUP_SECRET_AT_START, &fault), ERR_CONFIG);
        assert_non_null(
            strstr(fault.text, "put the copy of another key server of the group or of a backup there"));
        assert_int_equal(unlink(secret_path), 0);
    }
}

static void a_first_start_makes_it_and_the_next_one_reads_it(void **state)
{
    uint8_t again[32];
    (void)state;
    assert_int_equal(mkdir(audit_folder, 0700), 0); /* made ahead, and empty */
    assert_int_equal(group_secret_load(secret, &config, GROUP_SECRET_AT_START, &fault), 0);
    assert_true(is_there());
    leave("audit/audit-000000000001.jsonl");
    for (int use = GROUP_SECRET_AT_START; use <= GROUP_SECRET_TO_LOOK; use++) {
        assert_int_equal(group_secret_load(again, &config, (enum group_secret_use)use, &fault), 0);
        assert_memory_equal(again, secret, 32);
    }
}

static void it_is_not_made_while_the_key_server_runs(void **state)
{
    (void)state;
    assert_refused(GROUP_SECRET_LATER, "none is made while the key server runs");
}

static void it_is_not_made_where_anything_shows_an_earlier_run(void **state)
{
    static const char *const traces[] = {"audit.key", "audit/head", "audit/audit-000000000001.jsonl",
                                         "audit/audit-000000000812.jsonl.zst"};
    char path[2 * PATH_SIZE];
    (void)state;
    assert_int_equal(mkdir(audit_folder, 0700), 0);
    for (size_t i = 0; i < sizeof traces / sizeof traces[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, traces[i]);
        leave(traces[i]);
        assert_refused(GROUP_SECRET_AT_START, path);
        assert_refused(GROUP_SECRET_TO_LOOK, path);
        assert_refused(GROUP_SECRET_TO_LOOK, "has been set up or has run before (");
        assert_int_equal(unlink(path), 0);
    }
}

static void looking_says_what_a_first_start_makes(void **state)
{
    (void)state;
    assert_int_equal(group_secret_load(secret, &config, GROUP_SECRET_TO_LOOK, &fault), 0);
    assert_false(is_there());
}

static void a_folder_that_cannot_be_looked_into_is_no_first_start(void **state)
{
    (void)state;
    leave("audit"); /* no folder */
    assert_refused(GROUP_SECRET_AT_START, audit_folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_first_start_makes_it_and_the_next_one_reads_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_none_is_copied_from_another_key_server, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(it_is_not_made_while_the_key_server_runs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_is_not_made_where_anything_shows_an_earlier_run, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(looking_says_what_a_first_start_makes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_folder_that_cannot_be_looked_into_is_no_first_start, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
