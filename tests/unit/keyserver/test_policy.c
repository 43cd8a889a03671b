#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "keyserver/rules/policy.h"
#include "keyserver/rules/server_config.h"
#include "tests/unit/common/conf_file.h"

#define ALL_KEY_OPERATIONS                                                                                   \
    (1u << OP_SIGN_TLS13 | 1u << OP_SIGN_TLS12 | 1u << OP_RSA_MASTER | 1u << OP_RSA_PREMASTER)
#define ID_TEXT "ab00000000000000000000000000000000000000000000000000000000000001"

static const uint8_t some_id[KEY_ID_SIZE] = {0xab, [31] = 1}, other_id[KEY_ID_SIZE] = {9};
static struct server_config config;
static struct policy *policy;

/* The policy of a server.conf with TEXT. */
static void load(const char *text)
{
    struct fault fault = {.text = ""};
    conf_file_write(text);
    if (server_config_load(&config, conf_file, &fault) != 0 ||
        policy_new(&policy, &config.key_default, &config.key_sections, &fault) != 0)
        fail_msg("%s", fault.text);
}

static int unload(void **state)
{
    (void)state;
    policy_free(policy);
    policy = NULL;
    server_config_clear(&config);
    return 0;
}

static const struct policy_rule *rule_of(const char *name)
{
    return policy_rule_of(policy, other_id, name);
}

static void assert_place(const struct policy_rule *rule, enum key_option option, unsigned line)
{
    char expected[80];
    snprintf(expected, sizeof expected, "%s:%u", conf_file, line);
    if (line == 0) {
        assert_null(rule->place[option]);
    } else {
        assert_non_null(rule->place[option]);
        assert_string_equal(rule->place[option], expected);
    }
}

static void without_sections_every_key_has_the_defaults(void **state)
{
    (void)state;
    load("");
    const struct policy_rule *rule = rule_of("www");
    assert_ptr_equal(rule, policy_rule_of(policy, some_id, "other"));
    assert_null(rule->title);
    assert_int_equal(rule->operations, ALL_KEY_OPERATIONS);
    assert_int_equal(rule->modes, MODE_BOUND);
    assert_true(policy_rule_name(rule, "") && policy_rule_name(rule, "any.test"));
    assert_int_equal(rule->from_count, 0);
    assert_true(date_span_has(&rule->valid, INT64_MIN) && date_span_has(&rule->valid, INT64_MAX));
    assert_int_equal(rule->rate.count + rule->quota.count, 0);
    assert_int_equal(rule->rate_per_edge.count + rule->quota_per_edge.count, 0);
    for (enum key_option i = 0; i < KEY_OPTIONS; i++)
        assert_place(rule, i, 0);
    assert_int_equal(policy_count(policy), 1);
    assert_ptr_equal(policy_at(policy, 0), rule);
}

static void every_option_is_compiled(void **state)
{
    (void)state;
    load("key www {\n operations = {\"sign_tls13\", \"rsa_premaster\"}\n modes = {\"plain\"}\n"
         " names = {\"a.test\"}\n from = {\"192.0.2.0/24\", \"2001:db8::/32\"}\n not_before = 2026-12-31\n"
         " not_after = \"2026-12-31T12:00:00Z\"\n rate = 100/s\n quota = 1000/h\n rate_per_edge = 10/m\n"
         " quota_per_edge = 50/d\n}\n");
    const struct policy_rule *rule = rule_of("www");
    assert_string_equal(rule->title, "www");
    assert_int_equal(rule->operations, 1u << OP_SIGN_TLS13 | 1u << OP_RSA_PREMASTER);
    assert_int_equal(rule->modes, MODE_PLAIN);
    assert_int_equal(rule->names->count, 1);
    assert_int_equal(rule->from_count, 2);
    assert_true(rule->valid.first == 1798675200 && rule->valid.last == 1798718400);
    assert_true(rule->rate.count == 100 && rule->rate.seconds == 1);
    assert_true(rule->quota.count == 1000 && rule->quota.seconds == 3600);
    assert_true(rule->rate_per_edge.count == 10 && rule->rate_per_edge.seconds == 60);
    assert_true(rule->quota_per_edge.count == 50 && rule->quota_per_edge.seconds == 86400);
    for (enum key_option i = 0; i < KEY_OPTIONS; i++)
        assert_place(rule, i, 2 + (unsigned)i);
    assert_int_equal(policy_count(policy), 2);
    assert_ptr_equal(policy_at(policy, 1), rule);
}

static void what_a_section_leaves_unset_is_inherited(void **state)
{
    (void)state;
    load("key_default {\n operations = {\"sign_tls13\"}\n names = {\"a.test\"}\n from = {\"10.0.0.0/8\"}\n"
         " rate = 5/s\n not_after = 2030-01-01\n}\n"
         "key own {\n operations = {\"sign_tls12\"}\n names = {\"b.test\"}\n from = {\"0.0.0.0/0\", "
         "\"::/0\"}\n rate = off\n not_after = off\n}\n"
         "key bare { }\nkey one {\n quota = 7/h\n}\n");
    const struct policy_rule *common = policy_at(policy, 0);
    const struct policy_rule *own = rule_of("own"), *bare = rule_of("bare"), *one = rule_of("one");
    assert_int_equal(common->operations, 1u << OP_SIGN_TLS13);
    assert_int_equal(own->operations, 1u << OP_SIGN_TLS12);
    assert_true(policy_rule_name(own, "b.test"));
    assert_int_equal(own->from_count, 2);
    assert_int_equal(own->rate.count, 0);
    assert_true(date_span_has(&own->valid, INT64_MAX));
    assert_place(own, KEY_RATE, 12);
    assert_place(own, KEY_MODES, 0);
    assert_int_equal(bare->operations, 1u << OP_SIGN_TLS13);
    assert_false(policy_rule_name(bare, ""));
    assert_int_equal(bare->from_count, 1);
    assert_int_equal(bare->rate.count, 5);
    assert_place(bare, KEY_RATE, 5);
    assert_int_equal(one->quota.count, 7);
    assert_place(one, KEY_QUOTA, 17);
    assert_place(one, KEY_NAMES, 3);
    assert_int_equal(one->modes, MODE_BOUND);
    assert_ptr_equal(rule_of("else"), common);
}

static void a_section_names_a_key_by_its_name_or_its_id(void **state)
{
    struct fault fault;
    (void)state;
    load("key AB00000000000000000000000000000000000000000000000000000000000001 { rate = 1/s }\nkey www { }\n"
         "key zzz { }\nkey aaa { }\n");
    assert_int_equal(policy_rule_of(policy, some_id, "else")->rate.count, 1);
    assert_string_equal(policy_rule_of(policy, other_id, "www")->title, "www");
    assert_string_equal(policy_rule_of(policy, other_id, "zzz")->title, "zzz");
    assert_string_equal(policy_rule_of(policy, other_id, "aaa")->title, "aaa");
    assert_null(policy_rule_of(policy, other_id, "WWW")->title);
    assert_null(policy_rule_of(policy, other_id, "")->title);
    assert_int_equal(policy_check_key(policy, some_id, "else", &fault), 0);
    assert_int_equal(policy_check_key(policy, other_id, "www", &fault), 0);
    assert_int_equal(policy_check_key(policy, other_id, "else", &fault), 0);
    assert_int_equal(policy_check_key(policy, some_id, ID_TEXT, &fault), 0); /* a file of that very name */
    assert_int_equal(policy_check_key(policy, some_id, "www", &fault), ERR_CONFIG);
    assert_string_equal(
        fault.text,
        "key www and key AB00000000000000000000000000000000000000000000000000000000000001: two sections "
        "for one key; join them");
    assert_true(policy_title_is_id(ID_TEXT));
    assert_false(policy_title_is_id("www"));
    assert_false(policy_title_is_id("ab"));
}

static void modes_are_about_rsa_key_exchange_alone(void **state)
{
    static const struct {
        const char *text;
        bool master, premaster;
    } cases[] = {{"key_default { modes = {bound} }", true, false},
                 {"key_default { modes = {plain} }", false, true},
                 {"key_default { modes = {plain, bound} }", true, true}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        load(cases[i].text);
        const struct policy_rule *rule = rule_of("www");
        assert_int_equal(policy_rule_mode(rule, OP_RSA_MASTER), cases[i].master);
        assert_int_equal(policy_rule_mode(rule, OP_RSA_PREMASTER), cases[i].premaster);
        assert_true(policy_rule_mode(rule, OP_SIGN_TLS13) && policy_rule_mode(rule, OP_SIGN_TLS12));
        unload(NULL);
    }
    load("");
}

static void names_are_exact_or_any_one_label_before_one(void **state)
{
    static const struct {
        const char *name;
        bool fits;
    } names[] = {
        {"www.example.com", true},
        {"WWW.Example.COM", true},
        {"a.example.org", true},
        {"A.EXAMPLE.ORG", true},
        {"a-b_c.example.org", true},
        {"", false},
        {"example.com", false},
        {"ww.example.com", false},
        {"xwww.example.com", false},
        {"www.example.com.", false},
        {"a.www.example.com", false},
        {"example.org", false},
        {".example.org", false},
        {"a.b.example.org", false},
        {"a.example.orgx", false},
        {"aexample.org", false},
        {"*.example.org", true} /* no client asks for that; one label it is */,
        {"a.example.org.", false},
    };
    (void)state;
    load("key_default { names = {\"www.example.com\", \"*.example.ORG\"} }");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (policy_rule_name(rule_of("www"), names[i].name) != names[i].fits)
            fail_msg("%s", names[i].name);
}

static void networks_limit_where_a_key_is_used_from(void **state)
{
    static const struct {
        const char *text;
        bool allowed;
    } cases[] = {{"192.0.2.1:5", true},      {"192.0.3.1:5", false},         {"[2001:db8::1]:5", true},
                 {"[2001:db9::1]:5", false}, {"[::ffff:192.0.2.9]:5", true}, {"unix:/x", false}};
    struct fault fault;
    struct address address;
    (void)state;
    load("key www { from = {\"192.0.2.0/24\", \"2001:db8::/32\"} }");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(address_parse(&address, cases[i].text, 0, &fault), 0);
        assert_int_equal(policy_rule_from(rule_of("www"), &address), cases[i].allowed);
        assert_true(policy_rule_from(rule_of("other"), &address));
    }
}

static void contradictions_have_words(void **state)
{
    struct fault fault;
    char before[] = "2027-01-02", after[] = "2027-01-01", here[] = "x.conf:7", there[] = "x.conf:9";
    struct server_config bad = {.key_default = {.not_before = before,
                                                .not_after = after,
                                                .place = {[KEY_NOT_BEFORE] = here, [KEY_NOT_AFTER] = there}}};
    (void)state;
    load("");
    struct policy *none = policy;
    assert_int_equal(policy_new(&none, &bad.key_default, &bad.key_sections, &fault), ERR_CONFIG);
    assert_null(none);
    assert_string_equal(fault.text,
                        "key_default: not_after (x.conf:9) is before not_before (x.conf:7): it could "
                        "never be used; mend one of them");
}

static void operations_that_no_mode_lets_be_done_are_an_error(void **state)
{
    char premaster[] = "rsa_premaster", master[] = "rsa_master", bound[] = "bound", plain[] = "plain";
    char here[] = "x.conf:7";
    const struct {
        char *operation, *mode;
        bool good;
    } cases[] = {
        {premaster, bound, false}, {master, bound, true}, {premaster, plain, true}, {master, plain, false}};
    struct fault fault;
    struct policy *made;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *operation = cases[i].operation, *mode = cases[i].mode;
        const struct config_sections none = {.count = 0};
        const struct key_rules common = {
            .operations = {&operation, 1}, .modes = {&mode, 1}, .place = {[KEY_OPERATIONS] = here}};
        assert_int_equal(policy_new(&made, &common, &none, &fault), cases[i].good ? 0 : ERR_CONFIG);
        policy_free(made);
        if (!cases[i].good)
            assert_string_equal(fault.text,
                                "key_default: modes (their default) let none of its operations (x.conf:7) be "
                                "done: it could never be used; rsa_master needs bound, rsa_premaster needs "
                                "plain");
    }
}

static int make_file(void **state)
{
    (void)state;
    return conf_file_make("server.conf");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(without_sections_every_key_has_the_defaults, unload),
        cmocka_unit_test_teardown(every_option_is_compiled, unload),
        cmocka_unit_test_teardown(what_a_section_leaves_unset_is_inherited, unload),
        cmocka_unit_test_teardown(a_section_names_a_key_by_its_name_or_its_id, unload),
        cmocka_unit_test_teardown(modes_are_about_rsa_key_exchange_alone, unload),
        cmocka_unit_test_teardown(names_are_exact_or_any_one_label_before_one, unload),
        cmocka_unit_test_teardown(networks_limit_where_a_key_is_used_from, unload),
        cmocka_unit_test(operations_that_no_mode_lets_be_done_are_an_error),
        cmocka_unit_test_teardown(contradictions_have_words, unload),
    };
    return cmocka_run_group_tests(tests, make_file, conf_file_remove);
}
