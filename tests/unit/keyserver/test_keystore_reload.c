/* What a reload of the folder of keys reads, keeps, removes and refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/log.h"
#include "common/secret.h"
#include "keyserver/vault/keys/keystore_inside.h"
#include "tests/unit/keyserver/keys.h"
#include "tests/unit/mappings.h"

#define MANY 200

static char folder[KEYS_PATH_SIZE];
static struct keystore *before, *after;
static struct fault fault;
static EVP_PKEY *p256, *other;
static uint8_t group_secret[32];

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
    memset(group_secret, 7, sizeof group_secret);
    keys_make_folder(folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    keystore_free(after);
    keystore_free(before);
    keys_remove_folder(folder);
    return 0;
}

static const char *path_of(const char *name)
{
    static char path[KEYS_PATH_SIZE + 64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* The time of the last change is the kernel's to set, and one that is too fresh is not relied on: what the
 * test writes has to become older than that. */
static void let_files_age(void)
{
    const struct timespec pause = {.tv_nsec = 150000000};
    nanosleep(&pause, NULL);
}

static void load(void)
{
    let_files_age();
    assert_int_equal(keystore_load(&before, NULL, folder, group_secret, NULL, NULL, &fault), 0);
}

static void assert_reload(size_t loaded, size_t kept, size_t removed)
{
    let_files_age();
    assert_int_equal(keystore_load(&after, before, folder, group_secret, NULL, NULL, &fault), 0);
    struct keystore_changes changes = keystore_changes(after);
    assert_int_equal(changes.loaded, loaded);
    assert_int_equal(changes.kept, kept);
    assert_int_equal(changes.removed, removed);
}

static void assert_reload_refused(const char *words)
{
    let_files_age();
    memset(&fault, 0, sizeof fault);
    assert_int_equal(keystore_load(&after, before, folder, group_secret, NULL, NULL, &fault), ERR_CONFIG);
    assert_null(after);
    if (strstr(fault.text, words) == NULL)
        fail_msg("'%s' lacks '%s'", fault.text, words);
}

static const struct key *find(const struct keystore *store, const EVP_PKEY *pkey)
{
    uint8_t id[KEY_ID_SIZE];
    keys_id(pkey, id);
    return keystore_find(store, id);
}

/* ---- tests ---- */

static void what_has_not_changed_is_shared_and_outlives_the_old_store(void **state)
{
    char name[32];
    (void)state;
    for (int i = 0; i < MANY; i++) {
        EVP_PKEY *pkey = keys_ec("P-256");
        snprintf(name, sizeof name, "k%d.pem", i);
        keys_write(folder, name, pkey);
        EVP_PKEY_free(pkey);
    }
    keys_write(folder, "one.pem", p256);
    load();
    assert_reload(0, MANY + 1, 0);
    assert_ptr_equal(find(after, p256), find(before, p256));
    keystore_free(before);
    before = NULL;
    assert_int_equal(keystore_count(after), MANY + 1);
    assert_string_equal(find(after, p256)->name, "one");
    for (size_t i = 0; i <= MANY; i++)
        assert_int_equal(keystore_at(after, i)->index, i);
}

static void only_what_is_new_or_changed_is_read(void **state)
{
    (void)state;
    keys_write(folder, "stays.pem", p256);
    keys_write(folder, "goes.pem", other);
    load();
    assert_int_equal(remove(path_of("goes.pem")), 0);
    keys_write(folder, "comes.pem", other);
    assert_reload(1, 1, 1);
    assert_string_equal(find(after, other)->name, "comes");
    assert_string_equal(find(before, other)->name, "goes");
}

static void a_file_that_was_replaced_is_another(void **state)
{
    (void)state;
    keys_write(folder, "www.pem", p256);
    load();
    assert_int_equal(remove(path_of("www.pem")), 0);
    keys_write(folder, "www.pem", other);
    assert_reload(1, 0, 0);
    assert_null(find(after, p256));
    assert_non_null(find(after, other));
}

static void with_another_group_secret_everything_is_made_anew(void **state)
{
    (void)state;
    keys_write(folder, "www.pem", p256);
    load();
    group_secret[0]++;
    assert_reload(1, 0, 0);
    assert_memory_not_equal(find(after, p256)->fallback_secret, find(before, p256)->fallback_secret, 32);
}

static void files_that_became_bad_are_all_named_and_nothing_changes(void **state)
{
    (void)state;
    keys_write(folder, "a.pem", p256);
    keys_write(folder, "b.pem", other);
    load();
    assert_int_equal(chmod(path_of("a.pem"), 0644), 0);
    assert_int_equal(remove(path_of("b.pem")), 0);
    keys_write_text(folder, "b.pem", "nonsense\n");
    assert_reload_refused("2 of its files cannot be used (a.pem, b.pem)");
    assert_int_equal(keystore_count(before), 2);
}

static void a_new_file_that_is_bad_is_refused(void **state)
{
    (void)state;
    keys_write(folder, "a.pem", p256);
    load();
    keys_write_text(folder, "b.pem", "");
    assert_reload_refused("(b.pem)");
}

static void a_file_that_was_bad_at_the_start_is_in_nobodys_way(void **state)
{
    (void)state;
    keys_write(folder, "a.pem", p256);
    keys_write_text(folder, "b.pem", "nonsense\n");
    load();
    assert_int_equal(keystore_skipped(before), 1);
    assert_reload(1, 1, 0);
    assert_int_equal(keystore_skipped(after), 1);
    assert_ptr_equal(find(after, p256), find(before, p256));
}

static void a_second_key_of_a_name_is_refused(void **state)
{
    (void)state;
    keys_write(folder, "a.key", p256);
    load();
    keys_write(folder, "a.der", other); /* comes first at a start */
    assert_reload_refused("(a.der)");
}

/* What a fork copies and an exit takes down, at each reload. */
static void keys_by_the_hundred_take_few_mappings(void **state)
{
    (void)state;
    keystore_prepare_heap(MANY);
    size_t at_first = mappings_count();
    for (int i = 0; i < MANY; i++) {
        char name[32];
        EVP_PKEY *pkey = keys_ec("P-256");
        snprintf(name, sizeof name, "%03d.key", i);
        keys_write(folder, name, pkey);
        EVP_PKEY_free(pkey);
    }
    load();
    assert_int_equal(keystore_count(before), MANY);
    assert_in_range(mappings_count(), at_first, at_first + MANY / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_has_not_changed_is_shared_and_outlives_the_old_store, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(only_what_is_new_or_changed_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_was_replaced_is_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(with_another_group_secret_everything_is_made_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_that_became_bad_are_all_named_and_nothing_changes, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_new_file_that_is_bad_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_was_bad_at_the_start_is_in_nobodys_way, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_second_key_of_a_name_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_by_the_hundred_take_few_mappings, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
