/* Which files of a folder are keys, and what their names are: sub-folders, links, the layouts of ACME clients
 * and of Kubernetes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/stat.h>

#include "common/log.h"
#include "keyserver/rules/key_folder.h"
#include "keyserver/vault/keys/keystore.h"
#include "tests/unit/keyserver/keys.h"
#include "tests/unit/remove_tree.h"

static char folder[KEYS_PATH_SIZE];
static struct key_folder list;
static struct fault fault;

static int set_up(void **state)
{
    (void)state;
    log_init("test", LOG_ERROR, LOG_LOGFMT);
    assert_int_equal(secret_init(), 0);
    keys_make_folder(folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    key_folder_clear(&list);
    return remove_tree(folder);
}

static void make_folder(const char *name)
{
    char path[KEYS_PATH_SIZE + 64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void make_link(const char *target, const char *name)
{
    char path[KEYS_PATH_SIZE + 64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(symlink(target, path), 0);
}

static void put(const char *name)
{
    keys_write_text(folder, name, "x");
}

/* The list is NAMES, a line each. */
static void assert_lists(const char *names)
{
    char found[1024] = "";
    key_folder_clear(&list);
    assert_int_equal(key_folder_list(&list, folder, &fault), 0);
    for (size_t i = 0; i < list.count; i++) {
        strncat(found, list.item[i].name, sizeof found - strlen(found) - 1);
        strncat(found, "\n", sizeof found - strlen(found) - 1);
    }
    assert_string_equal(found, names);
}

static void sub_folders_are_searched_and_name_their_keys(void **state)
{
    (void)state;
    make_folder("a");
    make_folder("a/b");
    make_folder("a/b/c");
    make_folder("a/b/c/d");
    make_folder(".hidden");
    make_folder("lost+found");
    put("www.pem");
    put("a/www.pem");
    put("a/b/c/www.key");
    put("a/b/c/d/www.key");
    put(".hidden/www.pem");
    put("a/README");
    assert_lists("a/b/c/www.key\na/www.pem\nwww.pem\n");
    assert_true(key_folder_has(&list, "a/www"));
    assert_true(key_folder_has(&list, "www"));
    assert_false(key_folder_has(&list, "a"));
    assert_false(key_folder_has(&list, "b/www"));
}

static void an_acme_clients_folder_is_read_as_it_is(void **state)
{
    (void)state;
    make_folder("archive");
    make_folder("live");
    make_folder("live/example.com");
    put("archive/privkey1.txt");
    make_link("../../archive/privkey1.txt", "live/example.com/privkey.pem");
    put("live/example.com/cert.pem");
    put("live/example.com/chain.pem");
    put("live/example.com/fullchain.pem");
    put("live/README");
    assert_lists("live/example.com/privkey.pem\n");
    assert_true(list.item[0].stamp.inode == 0 ||
                list.item[0].stamp.size == 1); /* the file's, not the link's */
}

static void a_kubernetes_volume_is_read_as_it_is(void **state)
{
    (void)state;
    make_folder("www");
    make_folder("www/..2026_01");
    put("www/..2026_01/tls.key");
    put("www/..2026_01/tls.crt");
    make_link("..2026_01", "www/..data");
    make_link("..data/tls.key", "www/tls.key");
    make_link("..data/tls.crt", "www/tls.crt");
    make_link("www", "api");
    assert_lists("api/tls.key\nwww/tls.key\n");
}

static void a_circle_of_links_ends(void **state)
{
    (void)state;
    make_link(".", "a");
    put("k.pem");
    assert_lists("a/a/a/k.pem\na/a/k.pem\na/k.pem\nk.pem\n");
}

/* The key is found whichever of the two ways leads to it, under its own name. */
static void keys_of_sub_folders_are_loaded_under_their_paths(void **state)
{
    static const uint8_t group_secret[32] = {7};
    struct keystore *store;
    EVP_PKEY *first = keys_ec("P-256"), *second = keys_ec("P-256");
    uint8_t id[KEY_ID_SIZE];
    (void)state;
    make_folder("a");
    make_folder("b");
    keys_write(folder, "a/privkey.pem", first);
    keys_write(folder, "b/privkey.pem", second);
    make_link("../gone.pem", "b/gone.pem");
    assert_int_equal(keystore_load(&store, NULL, folder, group_secret, NULL, NULL, &fault), 0);
    assert_int_equal(keystore_count(store), 2);
    assert_int_equal(keystore_skipped(store), 1);
    keys_id(second, id);
    assert_string_equal(keystore_find(store, id)->name, "b/privkey");
    keystore_free(store);
    EVP_PKEY_free(first);
    EVP_PKEY_free(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sub_folders_are_searched_and_name_their_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_acme_clients_folder_is_read_as_it_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_kubernetes_volume_is_read_as_it_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_circle_of_links_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_of_sub_folders_are_loaded_under_their_paths, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
