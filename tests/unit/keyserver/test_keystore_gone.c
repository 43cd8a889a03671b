/* Files of keys that go, or get another name, between the listing of their folder and their reading. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/log.h"
#include "common/secret.h"
#include "keyserver/vault/keys/keystore_inside.h"
#include "tests/unit/keyserver/keys.h"

static char folder[KEYS_PATH_SIZE];
static struct keystore *before, *after;
static struct key_folder list;
static struct fault fault;
static EVP_PKEY *p256, *other;
static const uint8_t group_secret[GROUP_SECRET_SIZE] = {7};
static const struct keystore_source source = {.folder = folder, .group_secret = group_secret};

static int start(void **state)
{
    (void)state;
    log_init("test", LOG_ERROR, LOG_LOGFMT);
    assert_int_equal(secret_init(), 0);
    p256 = keys_ec("P-256");
    other = keys_ec("P-256");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    EVP_PKEY_free(p256);
    EVP_PKEY_free(other);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    before = after = NULL;
    fault.text[0] = 0;
    keys_make_folder(folder);
    return 0;
}

static int tear_down(void **state)
{
    char command[KEYS_PATH_SIZE + 16];
    (void)state;
    keystore_free(after);
    keystore_free(before);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static const char *path_of(const char *name)
{
    static char paths[2][KEYS_PATH_SIZE + 64];
    static unsigned turn;
    char *path = paths[turn++ % 2];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void move(const char *from, const char *to)
{
    assert_int_equal(rename(path_of(from), path_of(to)), 0);
}

/* A stamp is relied on only when the change is a while ago. */
static void let_stamps_settle(void)
{
    const struct timespec pause = {.tv_nsec = 150000000};
    nanosleep(&pause, NULL);
}

static void serve(void)
{
    let_stamps_settle();
    assert_int_equal(keystore_load(&before, NULL, folder, group_secret, NULL, NULL, &fault), 0);
}

static void list_folder(void)
{
    let_stamps_settle();
    assert_int_equal(key_folder_list(&list, folder, &fault), 0);
}

/* What was listed, read now. */
static int load_listed(void)
{
    return keystore_load_listed(&after, before, &list, &source, &fault);
}

static void assert_loaded(size_t loaded, size_t kept, size_t removed)
{
    assert_int_equal(load_listed(), 0);
    struct keystore_changes changes = keystore_changes(after);
    assert_int_equal(changes.loaded, loaded);
    assert_int_equal(changes.kept, kept);
    assert_int_equal(changes.removed, removed);
    assert_int_equal(keystore_skipped(after), 0);
}

static const char *name_of(const EVP_PKEY *pkey)
{
    uint8_t id[KEY_ID_SIZE];
    keys_id(pkey, id);
    const struct key *key = keystore_find(after, id);
    return key != NULL ? key->name : "none";
}

/* ---- what counts as gone ---- */

static void what_is_not_there_has_gone_and_nothing_else(void **state)
{
    (void)state;
    keys_write_text(folder, "there.pem", "nonsense\n");
    assert_int_equal(symlink("/nonexistent", path_of("dangling.pem")), 0);
    assert_false(keystore_is_gone(path_of("there.pem"), ERR_CONFIG));
    assert_false(keystore_is_gone(path_of("dangling.pem"), ERR_CONFIG));
    assert_true(keystore_is_gone(path_of("none.pem"), ERR_CONFIG));        /* bad, and gone since */
    assert_true(keystore_is_gone(path_of("none/a.pem"), ERR_CONFIG));      /* its folder */
    assert_true(keystore_is_gone(path_of("there.pem/a.pem"), ERR_SYSTEM)); /* a file where a folder was */
    assert_true(keystore_is_gone(path_of("there.pem"), ERR_NOT_FOUND));    /* it has come back since */
}

static void what_has_gone_leaves_the_list(void **state)
{
    (void)state;
    keys_write_text(folder, "a.pem", "nonsense\n");
    keys_write(folder, "b.pem", p256);
    keys_write_text(folder, "c.pem", "nonsense\n");
    serve();
    before->file[0].gone = before->file[2].gone = true;
    assert_int_equal(keystore_tell_gone(before, folder), 2);
    keystore_drop_gone(before);
    assert_int_equal(keystore_tell_gone(before, folder), 0);
    assert_int_equal(before->list.count, 1);
    assert_string_equal(before->list.item[0].name, "b.pem");
    assert_string_equal(before->file[0].name, "b.pem");
    assert_non_null(before->file[0].key);
}

/* ---- at a start ---- */

static void at_a_start_it_is_as_if_it_had_never_been_there(void **state)
{
    (void)state;
    keys_write(folder, "a.pem", p256);
    keys_write(folder, "b.pem", other);
    list_folder();
    assert_int_equal(remove(path_of("a.pem")), 0);
    assert_loaded(1, 0, 0);
    assert_string_equal(name_of(other), "b");
    assert_string_equal(name_of(p256), "none");
}

/* ---- at a reload ---- */

static void a_key_that_served_is_removed(void **state)
{
    (void)state;
    keys_write(folder, "a.pem", p256);
    keys_write(folder, "b.pem", other);
    serve();
    keys_write(folder, "a.pem", p256); /* changed: it would be read again */
    list_folder();
    assert_int_equal(remove(path_of("a.pem")), 0);
    assert_loaded(0, 1, 1);
    assert_string_equal(name_of(other), "b");
}

static void a_key_whose_file_got_another_name_is_served_by_that(void **state)
{
    (void)state;
    keys_write(folder, "a.pem", p256);
    list_folder();
    move("a.pem", "b.pem");
    assert_loaded(1, 0, 0);
    assert_string_equal(name_of(p256), "b");
}

static void a_new_file_that_takes_the_place_of_one_is_read_there(void **state)
{
    (void)state;
    keys_write(folder, "a.pem", p256);
    serve();
    keys_write(folder, "a-new.pem", other);
    list_folder();
    move("a-new.pem", "a.pem");
    assert_loaded(1, 0, 0);
    assert_string_equal(name_of(other), "a");
    assert_string_equal(name_of(p256), "none");
}

static void a_folder_that_goes_takes_its_keys_along(void **state)
{
    (void)state;
    assert_int_equal(mkdir(path_of("sub"), 0700), 0);
    keys_write(folder, "sub/a.pem", p256);
    keys_write(folder, "b.pem", other);
    list_folder();
    assert_int_equal(remove(path_of("sub/a.pem")), 0);
    assert_int_equal(remove(path_of("sub")), 0);
    assert_loaded(1, 0, 0);
    assert_string_equal(name_of(other), "b");
}

static void a_folder_that_becomes_a_file_takes_its_keys_along(void **state)
{
    (void)state;
    assert_int_equal(mkdir(path_of("sub"), 0700), 0);
    keys_write(folder, "sub/a.pem", p256);
    keys_write(folder, "b.pem", other);
    list_folder();
    assert_int_equal(remove(path_of("sub/a.pem")), 0);
    assert_int_equal(remove(path_of("sub")), 0);
    keys_write_text(folder, "sub", "no key\n");
    assert_loaded(1, 0, 0);
}

static void without_the_folder_of_keys_nothing_changes(void **state)
{
    (void)state;
    keys_write(folder, "a.pem", p256);
    list_folder();
    assert_int_equal(remove(path_of("a.pem")), 0);
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(load_listed(), ERR_CONFIG);
    assert_null(after);
    assert_non_null(strstr(fault.text, "the folder of keys cannot be read: No such file or directory"));
}

static void a_link_that_leads_nowhere_is_a_fault(void **state)
{
    (void)state;
    keys_write(folder, "a.pem", p256);
    serve();
    keys_write(folder, "a.pem", p256);
    list_folder();
    assert_int_equal(remove(path_of("a.pem")), 0);
    assert_int_equal(symlink("/nonexistent", path_of("a.pem")), 0);
    assert_int_equal(load_listed(), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "1 of its files cannot be used (a.pem)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_not_there_has_gone_and_nothing_else, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_has_gone_leaves_the_list, set_up, tear_down),
        cmocka_unit_test_setup_teardown(at_a_start_it_is_as_if_it_had_never_been_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_that_served_is_removed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_whose_file_got_another_name_is_served_by_that, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_new_file_that_takes_the_place_of_one_is_read_there, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_folder_that_goes_takes_its_keys_along, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_folder_that_becomes_a_file_takes_its_keys_along, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_the_folder_of_keys_nothing_changes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_link_that_leads_nowhere_is_a_fault, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
