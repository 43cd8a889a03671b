/* Several files with one key: whose name the key has, so that no copy takes a key out of its rules. */
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

#define EDGES                                                                                                \
    "AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= e1 psk=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE= "      \
    "keys=granted,both\n"

static char folder[KEYS_PATH_SIZE];
static struct keystore *before, *after;
static struct fault fault;
static EVP_PKEY *key, *other;
static uint8_t group_secret[32];

/* Sections for www, both and shop, of which each says something, and one for phrase, which does not. */
static char place[] = "server.conf:1", www[] = "www", both[] = "both", shop[] = "shop", phrase[] = "phrase";
static struct key_rules sections[] = {
    {.title = www, .place = {[KEY_QUOTA] = place}},
    {.title = both, .place = {[KEY_OPERATIONS] = place}},
    {.title = shop, .place = {[KEY_NAMES] = place}},
    {.title = phrase, .passphrase_file = phrase},
};
static struct server_config config = {
    .key_sections = {.item = sections, .count = sizeof sections / sizeof sections[0]}};
static struct authorized *edges;

static int start(void **state)
{
    (void)state;
    log_init("test", LOG_ERROR, LOG_LOGFMT);
    assert_int_equal(secret_init(), 0);
    assert_int_equal(authorized_parse(&edges, EDGES, sizeof EDGES - 1, "edges", &fault), 0);
    key = keys_ec("P-256");
    other = keys_ec("P-256");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    authorized_free(edges);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    before = after = NULL;
    keys_make_folder(folder);
    return 0;
}

static void forget(void)
{
    keystore_free(after);
    keystore_free(before);
    before = after = NULL;
}

static int tear_down(void **state)
{
    char command[KEYS_PATH_SIZE + 16];
    (void)state;
    forget();
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

/* A stamp is relied on only when the change is a while ago. */
static void let_files_age(void)
{
    const struct timespec pause = {.tv_nsec = 150000000};
    nanosleep(&pause, NULL);
}

static int load(struct keystore **out, const struct keystore *after_this)
{
    const struct keystore_rules rules = {.config = &config, .edges = edges};
    let_files_age();
    return keystore_load(out, after_this, folder, group_secret, &rules, NULL, &fault);
}

static const char *name_of(const struct keystore *store, const EVP_PKEY *pkey)
{
    uint8_t id[KEY_ID_SIZE];
    keys_id(pkey, id);
    const struct key *found = keystore_find(store, id);
    return found != NULL ? found->name : "(none)";
}

static void assert_start(const char *name)
{
    forget();
    assert_int_equal(load(&before, NULL), 0);
    assert_string_equal(name_of(before, key), name);
}

static void assert_reload(const char *name)
{
    assert_int_equal(load(&after, before), 0);
    assert_string_equal(name_of(after, key), name);
    keystore_free(before);
    before = after;
    after = NULL;
}

static void assert_reload_refused(const char *file)
{
    char words[128];
    assert_int_equal(load(&after, before), ERR_CONFIG);
    assert_null(after);
    snprintf(words, sizeof words, "1 of its files cannot be used (%s)", file);
    if (strstr(fault.text, words) == NULL)
        fail_msg("'%s' lacks '%s'", fault.text, words);
}

/* ---- copies of a key that the rules name ---- */

static void no_copy_takes_a_key_out_of_its_section(void **state)
{
    static const char *const copies[] = {"old-www.key", "www-2025.key", "backup/www.key", "granted.key"};
    (void)state;
    assert_int_equal(mkdir(path_of("backup"), 0700), 0);
    keys_write(folder, "www.pem", key);
    for (size_t i = 0; i < sizeof copies / sizeof copies[0]; i++) {
        assert_start("www");
        keys_write(folder, copies[i], key);
        assert_reload("www");
        assert_reload("www"); /* now that the copy is known */
        assert_int_equal(keystore_skipped(before), 1);
        assert_start("www");
        assert_int_equal(keystore_skipped(before), 1);
        assert_int_equal(remove(path_of(copies[i])), 0);
    }
}

static void nor_out_of_what_edges_are_granted(void **state)
{
    (void)state;
    keys_write(folder, "granted.key", key);
    assert_start("granted");
    keys_write(folder, "a.key", key);
    assert_reload("granted");
    assert_start("granted");
}

static void one_key_in_two_forms_has_one_name(void **state)
{
    (void)state;
    keys_write(folder, "www.key", key);
    assert_start("www");
    keys_write(folder, "www.der", key);
    assert_reload("www");
    assert_int_equal(keystore_skipped(before), 1);
    assert_start("www");
    assert_int_equal(keystore_count(before), 1);
}

static void a_section_with_a_passphrase_alone_rules_nothing(void **state)
{
    (void)state;
    keys_write(folder, "phrase.key", key);
    keys_write(folder, "www.key", key);
    assert_start("www");
}

static void of_a_key_with_two_sections_neither_holds(void **state)
{
    (void)state;
    keys_write(folder, "a.key", key);
    keys_write(folder, "www.key", key);
    keys_write(folder, "shop.pem", key);
    keys_write(folder, "shop.key", key);
    keys_write(folder, "z.key", other);
    assert_start("(none)");
    assert_int_equal(keystore_skipped(before), 4);
    assert_reload("(none)"); /* known since the start: in nobody's way */
    assert_int_equal(remove(path_of("www.key")), 0);
    assert_reload("shop");
    keys_write(folder, "both.key", key);
    assert_int_equal(load(&after, before), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "(both.key, shop.key)"));
}

/* A lesser name of a key whose own name another key has would be one without rules. */
static void a_key_whose_name_is_taken_gets_no_other(void **state)
{
    (void)state;
    keys_write(folder, "old-www.pem", key);
    keys_write(folder, "www.pem", key);
    keys_write(folder, "www.key", other);
    assert_start("(none)");
    assert_string_equal(name_of(before, other), "www");
    assert_reload("(none)");
}

/* ---- copies of a key that they do not ---- */

static void what_is_served_keeps_its_key(void **state)
{
    (void)state;
    keys_write(folder, "m.key", key);
    assert_start("m");
    keys_write(folder, "a.key", key);
    assert_reload("m");
    assert_reload("m");
    assert_start("a"); /* nobody names either: the first */
}

static void a_file_may_be_renamed_by_way_of_a_copy(void **state)
{
    (void)state;
    keys_write(folder, "m.key", key);
    assert_start("m");
    keys_write(folder, "z.key", key);
    assert_reload("m");
    assert_int_equal(remove(path_of("m.key")), 0);
    assert_reload("z");
    assert_int_equal(rename(path_of("z.key"), path_of("b.key")), 0);
    assert_reload("b");
}

/* The next key gets the old one's name, that becomes a backup, and the file it came from stays. */
static void a_renewal_keeps_the_name(void **state)
{
    (void)state;
    keys_write(folder, "m.key", other);
    assert_start("(none)");
    assert_int_equal(rename(path_of("m.key"), path_of("old.key")), 0);
    keys_write(folder, "m.key", key);
    keys_write(folder, "a.key", key);
    assert_reload("m");
    assert_string_equal(name_of(before, other), "old");
}

/* ---- what a reload does not accept ---- */

static void a_file_that_loses_its_key_to_another_fails_the_reload(void **state)
{
    (void)state;
    keys_write(folder, "m.key", key);
    keys_write(folder, "z.key", other);
    assert_start("m");
    assert_int_equal(remove(path_of("z.key")), 0);
    keys_write(folder, "z.key", key); /* over another key, which is gone */
    assert_reload_refused("z.key");
    assert_int_equal(remove(path_of("z.key")), 0);
    keys_write(folder, "www.key", key); /* its section would not be for m any more */
    assert_reload_refused("m.key");
    assert_int_equal(remove(path_of("m.key")), 0);
    assert_reload("www");
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(no_copy_takes_a_key_out_of_its_section),
        IN_FOLDER(nor_out_of_what_edges_are_granted),
        IN_FOLDER(one_key_in_two_forms_has_one_name),
        IN_FOLDER(a_section_with_a_passphrase_alone_rules_nothing),
        IN_FOLDER(of_a_key_with_two_sections_neither_holds),
        IN_FOLDER(a_key_whose_name_is_taken_gets_no_other),
        IN_FOLDER(what_is_served_keeps_its_key),
        IN_FOLDER(a_file_may_be_renamed_by_way_of_a_copy),
        IN_FOLDER(a_renewal_keeps_the_name),
        IN_FOLDER(a_file_that_loses_its_key_to_another_fails_the_reload),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
