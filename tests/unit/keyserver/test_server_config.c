#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "keyserver/rules/server_config.h"
#include "tests/unit/common/conf_file.h"

static struct fault fault;

static int load(struct server_config *out, const char *text)
{
    conf_file_write(text);
    memset(&fault, 0, sizeof fault);
    return server_config_load(out, conf_file, &fault);
}

static void assert_fault(const char *text, const char *words)
{
    struct server_config config;
    assert_int_equal(load(&config, text), ERR_CONFIG);
    assert_conf_fault(&fault, text, words);
    assert_null(config.identity);
}

static void empty_file_gives_the_defaults(void **state)
{
    (void)state;
    struct server_config c;
    assert_int_equal(load(&c, ""), 0);
    assert_int_equal(c.listen.count, 1);
    assert_string_equal(c.listen.item[0], "*:2407");
    assert_string_equal(c.admin, "127.0.0.1:2406");
    assert_in_conf_folder(c.identity, "identity.key");
    assert_in_conf_folder(c.authorized_edges, "authorized_edges");
    assert_in_conf_folder(c.keys, "keys");
    assert_in_conf_folder(c.group_secret, "group.secret");
    assert_null(c.user);
    assert_int_equal(c.workers, 0);
    assert_int_equal(c.queue_max, 4096);
    assert_int_equal(c.in_flight_per_edge, 4096);
    assert_int_equal(c.deadline_max, 10000);
    assert_int_equal(c.handshake_timeout, 5000);
    assert_int_equal(c.idle_timeout, 60000);
    assert_int_equal(c.drain_timeout, 10000);
    assert_int_equal(c.half_open_max, 1024);
    assert_int_equal(c.handshakes_per_second, 50);
    assert_int_equal(c.log_level, LOG_INFO);
    assert_int_equal(c.log_format, LOG_LOGFMT);
    assert_null(c.key_default.title);
    assert_int_equal(c.key_default.operations.count, 4);
    assert_int_equal(c.key_default.modes.count, 1);
    assert_string_equal(c.key_default.modes.item[0], "bound");
    assert_int_equal(c.key_default.names.count, 0);
    assert_null(c.key_default.rate);
    for (size_t i = 0; i < KEY_OPTIONS; i++)
        assert_null(c.key_default.place[i]);
    assert_int_equal(c.key_sections.count, 0);
    assert_in_conf_folder(c.audit.folder, "audit");
    assert_in_conf_folder(c.audit.key, "audit.key");
    assert_int_equal(c.audit.rotate_size, 64 << 20);
    assert_int_equal(c.audit.checkpoint, 1000);
    assert_int_equal(c.audit.sync, SERVER_AUDIT_SYNC_INTERVAL);
    assert_int_equal(c.audit.on_failure, SERVER_AUDIT_REFUSE);
    server_config_clear(&c);
    assert_null(c.identity);
    assert_null(c.audit.folder);
}

static void the_audit_log_has_a_section(void **state)
{
    (void)state;
    struct server_config c;
    assert_int_equal(load(&c, "audit { folder = \"/var/lib/x\" key = \"/etc/y\" rotate_size = \"64k\" "
                              "checkpoint = 100ms sync = always on_failure = serve }"),
                     0);
    assert_string_equal(c.audit.folder, "/var/lib/x");
    assert_string_equal(c.audit.key, "/etc/y");
    assert_int_equal(c.audit.rotate_size, 65536);
    assert_int_equal(c.audit.checkpoint, 100);
    assert_int_equal(c.audit.sync, SERVER_AUDIT_SYNC_ALWAYS);
    assert_int_equal(c.audit.on_failure, SERVER_AUDIT_SERVE);
    server_config_clear(&c);
    assert_fault("audit { rotate_size = 65535 }", "rotate_size");
    assert_fault("audit { checkpoint = 99ms }", "it may be 100ms to 1h");
    assert_fault("audit { sync = sometimes }", "it may be interval, always");
    assert_fault("audit { on_failure = pray }", "it may be refuse, serve");
    assert_fault("on_failure = serve", "it belongs into section 'audit'");
}

static void dump_is_read_back(void **state)
{
    (void)state;
    struct server_config first, second;
    struct buffer once, twice;
    buffer_init(&once);
    buffer_init(&twice);
    assert_int_equal(load(&first,
                          "listen = {\"127.0.0.1:1\", \"unix:/run/x\"} workers = 3 user = keyless\n"
                          "log_level = debug log_format = json drain_timeout = 0s\n"
                          "key_default { modes = {\"plain\"} not_after = off }\n"
                          "key www { names = {\"*.example.com\"} rate = 100/s }\n"
                          "key ABABababababababababababababababababababababababababababababABAB { }\n"),
                     0);
    assert_int_equal(config_dump(server_config_table, &first, &once), 0);
    assert_int_equal(buffer_put(&once, "", 1), 0);
    assert_int_equal(load(&second, (const char *)buffer_bytes(&once)), 0);
    assert_int_equal(config_dump(server_config_table, &second, &twice), 0);
    assert_int_equal(buffer_length(&once), buffer_length(&twice) + 1);
    assert_memory_equal(buffer_bytes(&once), buffer_bytes(&twice), buffer_length(&twice));
    assert_int_equal(second.log_level, LOG_DEBUG);
    assert_int_equal(second.log_format, LOG_JSON);
    assert_int_equal(second.drain_timeout, 0);
    assert_int_equal(second.key_default.modes.count, 1);
    assert_string_equal(second.key_default.not_after, "off");
    assert_int_equal(second.key_sections.count, 2);
    const struct key_rules *sections = second.key_sections.item;
    assert_string_equal(sections[0].title, "www");
    assert_string_equal(sections[0].names.item[0], "*.example.com");
    for (size_t i = 0; i < KEY_OPTIONS;
         i++) { /* what was not set is not set, so that it still is inherited */
        assert_int_equal(sections[0].place[i] != NULL, i == KEY_NAMES || i == KEY_RATE);
        assert_null(sections[1].place[i]);
    }
    buffer_clear(&once);
    buffer_clear(&twice);
    server_config_clear(&first);
    server_config_clear(&second);
}

static void contradictions_name_the_file(void **state)
{
    (void)state;
    assert_fault("listen = {}", ": listen is empty; write for instance: listen = {\"*:2407\"}");
    assert_fault("admin = \"\"", ": admin is empty; to have none write: admin = \"off\"");
    assert_fault("user = \"\"", ": user is empty");
    assert_fault("group_secret = “group.secret”",
                 ": group_secret: '“group.secret”' begins with a typographic quotation mark");
    assert_fault("listen = {„127.0.0.1:2407“}", ": listen: '„127.0.0.1:2407“' begins with a typographic");
    assert_fault("keys = ‘keys’", ": keys: '‘keys’' begins with a typographic quotation mark");
    assert_fault("identity = \xc2\xa0"
                 "identity.key",
                 "begins with a typographic quotation mark or blank");
    assert_fault("group_secret = identity.key", ": group_secret and identity are one file, ");
    assert_fault("audit { key = identity.key }", ": key of audit { } and identity are one file, ");
    assert_fault("audit { key = s }\ngroup_secret = s", ": key of audit { } and group_secret are one file, ");
    assert_fault("key_default { passphrase_file = identity.key }",
                 ": passphrase_file of key_default and identity are one file, ");
    assert_fault("key www { passphrase_file = audit.key }",
                 ": passphrase_file of key www and key of audit { } are one file, ");
    assert_fault("\nlisten = {\"*:2406\"}", ": admin 127.0.0.1:2406 is an address of listen (");
    assert_fault("listen = {\"[::1]\"}\nadmin = \"[::1]:2407\"",
                 ":2: admin [::1]:2407 is an address of listen (");
    assert_fault("listen = {\"unix:/run/b\"}\nadmin = \"unix:/run/b\"",
                 ": edges connect there; give admin another path");
    assert_fault("\nidle_timeout = 5s",
                 ":2: idle_timeout: edges ping a channel that has been quiet for 5 s, and ");
    assert_fault("\nworkers = 1025", ":2: workers: 1025 is out of range; it may be 0 to 1024");
    assert_fault("queue_max = 0", ":1: queue_max: 0 is out of range");
    assert_fault("deadline_max = 61s", "out of range; it may be 1ms to 1m");
    assert_fault("log_level = loud", "it may be error, warn, info, debug");
    assert_fault("lisen = {\"x:1\"}", "did you mean 'listen'?");
}

static void values_of_keys_are_checked_at_their_line(void **state)
{
    (void)state;
    assert_fault(
        "key www {\n operations = {\"sign\"} }",
        ":2: operations: 'sign' is not known; it may be sign_tls13, sign_tls12, rsa_master, rsa_premaster");
    assert_fault("key_default {\n\n modes = {\"bound\", \"both\"} }",
                 ":3: modes: 'both' is not known; it may be bound, plain");
    assert_fault("key www { names = {\"\"} }", "names: the value is empty");
    assert_fault("key www {\n operations = {} }",
                 "server.conf:2: operations is empty; leave the option out for what key_default says, and");
    assert_fault("key_default {\n\n modes = {} }",
                 "server.conf:3: modes is empty; leave the option out for its default, and");
    assert_fault("key_default {\n names = {\n} }",
                 ":2: names is empty; leave the option out for its default, or");
    assert_fault("key www {\n from = { # nobody\n} }", ":2: from is empty; leave the option out for what");
    assert_fault("key www { names = {\"*\"} }", ":1: names: '*' is not a server name; write for instance");
    assert_fault("key www { names = {\"*.\"} }", "not a server name");
    assert_fault("key www { names = {\"a.*.b\"} }", "not a server name");
    assert_fault("key www { names = {\".b\"} }", "not a server name");
    assert_fault("key www { names = {\"a b\"} }", "not a server name");
    assert_fault("key www { from = {\"10.1.2.3/8\"} }",
                 "from: '10.1.2.3/8' is an address in 10.0.0.0/8; write");
    assert_fault("key www { from = {\"10.0.0.0/33\"} }", "from: '10.0.0.0/33' is not a network; write");
    assert_fault("key www { not_before = 2026-02-30 }", "not_before: '2026-02-30' is not a date; write");
    assert_fault("key www { not_after = \"\" }", "not_after: '' is not a date");
    assert_fault("key www { rate = 100 }", "rate: '100' is not a rate; write how many");
    assert_fault("key www { rate_per_edge = \"1/d\" }", "rate_per_edge: '1/d' is not a rate");
    assert_fault("key www { quota = \"1/s\" }", "quota: '1/s' is not a quota; write how many");
    assert_fault("key_default { quota_per_edge = \"0/h\" }", "quota_per_edge: '0/h' is not a quota");
    assert_fault("key www { mode = {\"plain\"} }", "did you mean 'modes'?");
    assert_fault("modes = {\"plain\"}", "it belongs into section 'key_default'");
}

static void sections_that_contradict_themselves_are_refused(void **state)
{
    (void)state;
    assert_fault("key www {\n not_before = 2026-01-02\n not_after = 2026-01-01 }", ": key www: not_after (");
    assert_fault("key_default {\n not_before = 2026-01-02\n}\nkey www {\n not_after = 2026-01-01 }",
                 "server.conf:2): it could never be used");
    assert_fault("key_default { not_before = 2026-01-02 not_after = 2026-01-01 }",
                 ": key_default: not_after (");
    assert_fault("key ab00000000000000000000000000000000000000000000000000000000000000 { }\n"
                 "key AB00000000000000000000000000000000000000000000000000000000000000 { }",
                 ": two sections for one key; join them");
    assert_fault("key www { }\nkey www { }", "title 'www' stands in ");
}

static void assert_helped(const struct config_option *table)
{
    for (const struct config_option *option = table; option->name != NULL; option++) {
        assert_non_null(option->help);
        if (option->options != NULL)
            assert_helped(option->options);
    }
}

static void every_option_has_help(void **state)
{
    (void)state;
    assert_helped(server_config_table);
}

static void the_options_of_keys_stand_in_the_order_of_their_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < KEY_OPTIONS; i++) {
        const struct config_option *common = &key_rules_default_table[i], *own = &key_rules_table[i];
        assert_string_equal(common->name, own->name);
        assert_int_equal(common->place_offset, offsetof(struct key_rules, place) + i * sizeof(char *));
        assert_int_equal(own->place_offset, common->place_offset);
        assert_null(own->fallback); /* it would hide what key_default says */
    }
    for (const struct config_option *rest = &key_rules_table[KEY_OPTIONS]; rest->name != NULL; rest++)
        assert_int_equal(rest->place_offset, 0); /* where a passphrase is: no rule */
}

static int make_file(void **state)
{
    (void)state;
    return conf_file_make("server.conf");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_file_gives_the_defaults),
        cmocka_unit_test(the_audit_log_has_a_section),
        cmocka_unit_test(dump_is_read_back),
        cmocka_unit_test(contradictions_name_the_file),
        cmocka_unit_test(values_of_keys_are_checked_at_their_line),
        cmocka_unit_test(sections_that_contradict_themselves_are_refused),
        cmocka_unit_test(every_option_has_help),
        cmocka_unit_test(the_options_of_keys_stand_in_the_order_of_their_numbers),
    };
    return cmocka_run_group_tests(tests, make_file, conf_file_remove);
}
