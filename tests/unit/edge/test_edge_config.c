#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "edge/config/edge_config.h"
#include "tests/unit/common/conf_file.h"

#define KEY    "\"ISEhISEhISEhISEhISEhISEhISEhISEhISEhISEhISE=\""
#define ORIGIN "origin = \"127.0.0.1:8080\"\n"
#define SERVER "key_server main { address = \"keys.example.com:2407\" key = " KEY " }\n"

static struct fault fault;

static int load(struct edge_config *out, const char *text)
{
    conf_file_write(text);
    memset(&fault, 0, sizeof fault);
    return edge_config_load(out, conf_file, &fault);
}

static void assert_fault(const char *text, const char *words)
{
    struct edge_config config;
    assert_int_equal(load(&config, text), ERR_CONFIG);
    assert_conf_fault(&fault, text, words);
    assert_null(config.identity);
}

static void shortest_file_gives_the_defaults(void **state)
{
    (void)state;
    struct edge_config c;
    assert_int_equal(load(&c, ORIGIN SERVER), 0);
    assert_string_equal(c.listen.item[0], "*:443");
    assert_string_equal(c.admin, "127.0.0.1:2405");
    assert_in_conf_folder(c.identity, "identity.key");
    assert_in_conf_folder(c.psk, "psk");
    assert_in_conf_folder(c.certificates, "certs");
    assert_null(c.default_certificate);
    assert_int_equal(c.threads, 0);
    assert_int_equal(c.connections_max, 20000);
    assert_int_equal(c.tls.minimum_version, 0);
    assert_int_equal(c.tls.maximum_version, 1);
    assert_false(c.tls.rsa_key_exchange);
    assert_null(c.tls.ciphers);
    assert_string_equal(c.tls.alpn.item[0], "http/1.1");
    assert_true(c.tls.tickets);
    assert_int_equal(c.tls.ticket_lifetime, 3600000);
    assert_true(c.tls.verify_rsa);
    assert_false(c.tls.verify_ecdsa);
    assert_false(c.tls.verify_ed25519);
    assert_int_equal(c.timeout.handshake, 10000);
    assert_int_equal(c.timeout.key, 3000);
    assert_int_equal(c.timeout.connect, 3000);
    assert_int_equal(c.timeout.idle, 60000);
    assert_int_equal(c.timeout.half_closed, 30000);
    assert_int_equal(c.timeout.close, 2000);
    assert_int_equal(c.timeout.silence, 200);
    assert_int_equal(c.timeout.drain, 30000);
    assert_true(c.access_log);
    edge_config_clear(&c);
    assert_null(c.key_servers.item);
}

static void key_servers_share_the_psk_unless_they_have_one(void **state)
{
    (void)state;
    struct edge_config c;
    assert_int_equal(load(&c, ORIGIN SERVER "key_server b { address = x key = " KEY " psk = other }"), 0);
    const struct edge_config_server *servers = c.key_servers.item;
    assert_int_equal(c.key_servers.count, 2);
    assert_string_equal(servers[0].title, "main");
    assert_string_equal(servers[0].address, "keys.example.com:2407");
    assert_in_conf_folder(servers[0].psk, "psk");
    assert_in_conf_folder(servers[1].psk, "other");
    edge_config_clear(&c);
}

static void dump_is_read_back(void **state)
{
    (void)state;
    struct edge_config first, second;
    struct buffer once, twice;
    buffer_init(&once);
    buffer_init(&twice);
    assert_int_equal(load(&first, ORIGIN SERVER "default_certificate = \"\" access_log = off\n"
                                                "tls { alpn = {} groups = \"X25519:P-256\" tickets = off }\n"
                                                "timeouts { key = 250ms idle = 1h }\n"),
                     0);
    assert_int_equal(config_dump(edge_config_table, &first, &once), 0);
    assert_int_equal(buffer_put(&once, "", 1), 0);
    assert_int_equal(load(&second, (const char *)buffer_bytes(&once)), 0);
    assert_int_equal(config_dump(edge_config_table, &second, &twice), 0);
    assert_int_equal(buffer_length(&once), buffer_length(&twice) + 1);
    assert_memory_equal(buffer_bytes(&once), buffer_bytes(&twice), buffer_length(&twice));
    assert_string_equal(second.default_certificate, "");
    assert_int_equal(second.tls.alpn.count, 0);
    assert_string_equal(second.tls.groups, "X25519:P-256");
    assert_int_equal(second.timeout.key, 250);
    buffer_clear(&once);
    buffer_clear(&twice);
    edge_config_clear(&first);
    edge_config_clear(&second);
}

static void a_link_to_the_identity_is_no_psk(void **state)
{
    char identity[64], link[64];
    (void)state;
    snprintf(identity, sizeof identity, "%s/identity.key", conf_folder);
    snprintf(link, sizeof link, "%s/psk", conf_folder);
    FILE *stream = fopen(identity, "w");
    assert_non_null(stream);
    fclose(stream);
    assert_int_equal(symlink("identity.key", link), 0);
    assert_fault(ORIGIN SERVER, ": psk and identity are one file, ");
    unlink(link);
    unlink(identity);
}

static void an_address_has_one_use(void **state)
{
    (void)state;
    assert_fault("listen = {\"*:8080\"}\n" ORIGIN SERVER,
                 "edge.conf:2: origin 127.0.0.1:8080 is an address of listen (");
    assert_non_null(
        strstr(fault.text, "edge.conf:1): what clients send would come back to this edge without end;"));
    assert_fault("origin = \"[::1]:443\"\n" SERVER,
                 ":1: origin [::1]:443 is an address of listen (its default): ");
    assert_fault(ORIGIN SERVER "origin_for \"http/1.1\" {\n address = \"localhost:443\"\n}",
                 ":4: origin_for http/1.1 localhost:443 is an address of listen (its default): ");
    assert_fault(ORIGIN SERVER "listen = {\"unix:/run/a\", \"unix:/run/b\"}\nadmin = \"unix:/run/b\"",
                 ":4: admin unix:/run/b is an address of listen (");
    assert_fault(ORIGIN SERVER "listen = {\"unix:/run/b\"}\nadmin = \"unix:/run/b\"",
                 ": clients connect there; give admin another path");
    assert_fault(ORIGIN SERVER "listen = {\"127.0.0.1:9\"}\nadmin = \"127.0.0.1:9\"",
                 ": clients connect there; give admin another port");
    assert_fault(ORIGIN SERVER "\nlisten = {\"127.0.0.1:2405\"}",
                 ": admin 127.0.0.1:2405 is an address of listen (");
    assert_fault("origin = \"127.0.0.1:2405\"\n" SERVER,
                 ":1: origin 127.0.0.1:2405 is an address of admin (its default): that is this edge's admin "
                 "endpoint;");
    assert_fault(ORIGIN "key_server a {\n address = \"127.0.0.1:443\"\n key = " KEY "\n}",
                 ":3: key_server a 127.0.0.1:443 is an address of listen (its default): ");
    assert_fault(ORIGIN "admin = \"127.0.0.1:2407\"\nkey_server a { address = \"127.0.0.1\" key = " KEY " }",
                 ":3: key_server a 127.0.0.1 is an address of admin (");
    struct edge_config config;
    assert_int_equal(load(&config,
                          ORIGIN SERVER "admin = \"127.0.0.1:8081\" origin_for \"http/1.1\" { address = "
                                        "\"127.0.0.1:8080\" }"),
                     0);
    edge_config_clear(&config);
}

static void contradictions_name_the_file(void **state)
{
    (void)state;
    assert_fault(SERVER, ": no origin; add: origin = ");
    assert_fault("origin = \"\"" SERVER, ": no origin; add: origin = ");
    assert_fault(ORIGIN SERVER "origin_for h2 { address = x }",
                 "origin_for \"h2\": clients cannot agree on it; add");
    assert_fault(ORIGIN SERVER "origin_for \"http/1.1\" { }", "origin_for \"http/1.1\" has no address");
    assert_fault(ORIGIN SERVER "origin_for default { address = x }",
                 "origin_for \"default\": write origin = \"x\"");
    assert_fault(ORIGIN, ": no key server; add: key_server NAME {");
    assert_fault(ORIGIN "key_server a { key = " KEY " }", ": key_server a has no address");
    assert_fault(ORIGIN "key_server a { address = x }", ": key_server a has no key");
    assert_fault(ORIGIN "key_server a { address = x key = \"ISEh\" }", "key is not 32 bytes in base64");
    assert_fault(ORIGIN "key_server a { address = x key = \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\" }",
                 "key_server a: key is all zeros");
    assert_fault(ORIGIN SERVER "psk = identity.key", ": psk and identity are one file, ");
    assert_fault(ORIGIN SERVER "key_server b { address = x key = " KEY " psk = identity.key }",
                 ": psk and identity are one file, ");
    assert_fault(ORIGIN SERVER "listen = {}", "listen is empty");
    assert_fault(ORIGIN SERVER "admin = \"\"", "admin is empty");
    assert_fault(ORIGIN SERVER "user = \"\"", "user is empty");
    assert_fault(ORIGIN SERVER "tls { minimum_version = tls1.3 maximum_version = tls1.2 }",
                 "minimum_version tls1.3 is newer than maximum_version tls1.2");
    assert_fault(ORIGIN SERVER "tls { minimum_version = tls1.3 rsa_key_exchange = on }",
                 "rsa_key_exchange = on needs TLS 1.2");
    assert_fault("orign = x", ":1: unknown option 'orign'; did you mean 'origin'?");
    assert_fault("minimum_version = tls1.2", "belongs into section 'tls'");
    assert_fault("timeouts { idle = 10 }", "like 500ms");
}

static void alpn_names_have_255_bytes_and_not_more(void **state)
{
    (void)state;
    struct edge_config c;
    char text[1024];
    char name[257];
    memset(name, 'a', sizeof name);
    name[255] = 0;
    snprintf(text, sizeof text, ORIGIN SERVER "tls { alpn = {\"%s\"} }", name);
    assert_int_equal(load(&c, text), 0);
    edge_config_clear(&c);
    name[255] = 'a';
    name[256] = 0;
    snprintf(text, sizeof text, ORIGIN SERVER "tls { alpn = {\"%s\"} }", name);
    assert_fault(text, "longer than 255 bytes");
}

static void every_option_has_help(void **state)
{
    (void)state;
    for (const struct config_option *option = edge_config_table; option->name != NULL; option++) {
        assert_non_null(option->help);
        for (const struct config_option *inner = option->options; inner != NULL && inner->name != NULL;
             inner++)
            assert_non_null(inner->help);
    }
}

static int make_file(void **state)
{
    (void)state;
    return conf_file_make("edge.conf");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shortest_file_gives_the_defaults),
        cmocka_unit_test(key_servers_share_the_psk_unless_they_have_one),
        cmocka_unit_test(dump_is_read_back),
        cmocka_unit_test(a_link_to_the_identity_is_no_psk),
        cmocka_unit_test(an_address_has_one_use),
        cmocka_unit_test(contradictions_name_the_file),
        cmocka_unit_test(alpn_names_have_255_bytes_and_not_more),
        cmocka_unit_test(every_option_has_help),
    };
    return cmocka_run_group_tests(tests, make_file, conf_file_remove);
}
