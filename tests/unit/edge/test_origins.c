/* Which origin a session goes to, by the protocol it has agreed on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "edge/relay/origins.h"

static struct edge_config_origin elsewhere[ORIGINS_MAX];
static char first[] = "127.0.0.1:8080", other[] = "unix:/o", nonsense[] = "nonsense", h2[] = "h2";
static struct edge_config config = {.origin = first, .origins = {.item = elsewhere}};
static struct origins origins;
static struct fault fault;
static struct names names;

static void load(size_t count, char *const protocols[])
{
    for (size_t i = 0; i < count; i++)
        elsewhere[i] = (struct edge_config_origin){.title = protocols[i], .address = other};
    config.origins.count = count;
    assert_int_equal(origins_load(&origins, &config, &names, &fault), 0);
    assert_int_equal(origins.count, count + 1);
}

static const char *found(const char *protocol)
{
    return origins_find(&origins, (const uint8_t *)protocol, strlen(protocol))->protocol;
}

static void without_sections_all_go_to_the_same(void **state)
{
    (void)state;
    load(0, NULL);
    assert_string_equal(found(""), "default");
    assert_string_equal(found("h2"), "default");
    assert_string_equal(origins_find(&origins, NULL, 0)->protocol, "default");
}

static void each_protocol_goes_to_its_own(void **state)
{
    static char imap[] = "imap";
    static char *const protocols[] = {h2, imap};
    (void)state;
    load(2, protocols);
    assert_string_equal(found("h2"), "h2");
    assert_string_equal(found("imap"), "imap");
    assert_int_equal(origins_find(&origins, (const uint8_t *)"imap", 4)->number, 2);
    assert_string_equal(found("http/1.1"), "default");
    assert_string_equal(found("http/1.0"), "default");
    assert_string_equal(found("h"), "default");
    assert_string_equal(found("h2c"), "default");
    assert_string_equal(found("default"), "default");
    assert_string_equal(origins_find(&origins, NULL, 0)->protocol, "default");
}

static void old_http_goes_where_http_goes(void **state)
{
    static char new[] = "http/1.1", old[] = "http/1.0";
    static char *const protocols[] = {new, old};
    (void)state;
    load(1, protocols);
    assert_string_equal(found("http/1.0"), "http/1.1");
    load(2, protocols);
    assert_string_equal(found("http/1.0"), "http/1.0");
}

static void what_cannot_be_is_named(void **state)
{
    (void)state;
    elsewhere[0] = (struct edge_config_origin){.title = h2, .address = nonsense};
    config.origins.count = 1;
    assert_int_equal(origins_load(&origins, &config, &names, &fault), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "nonsense"));
    config.origins.count = ORIGINS_MAX;
    assert_int_equal(origins_load(&origins, &config, &names, &fault), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "origin_for"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_sections_all_go_to_the_same),
        cmocka_unit_test(each_protocol_goes_to_its_own),
        cmocka_unit_test(old_http_goes_where_http_goes),
        cmocka_unit_test(what_cannot_be_is_named),
    };
    return cmocka_run_group_tests_name("origins", tests, NULL, NULL);
}
