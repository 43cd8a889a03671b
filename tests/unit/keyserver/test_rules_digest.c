#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/secret.h"
#include "keyserver/vault/judge/rules_digest.h"

#define KEY    "IQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define PSK    " psk=QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="
#define EDGE   KEY " paris1" PSK
#define CONFIG "epoch = 30s\nkey_default { modes = {\"bound\"} }\nkey www { names = {\"a.test\"} }\n"

static void digest_of(uint8_t out[static RULES_DIGEST_SIZE], const char *config_text, const char *edges_text)
{
    char file[] = "/tmp/test_rules.XXXXXX";
    struct server_config config;
    struct authorized *edges = NULL;
    struct fault fault = {.text = ""};
    int fd = mkstemp(file);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, config_text, strlen(config_text)), strlen(config_text));
    close(fd);
    if (server_config_load(&config, file, &fault) != 0 ||
        authorized_parse(&edges, edges_text, strlen(edges_text), "edges", &fault) != 0)
        fail_msg("%s", fault.text);
    unlink(file);
    assert_int_equal(rules_digest(out, &config, edges), 0);
    authorized_free(edges);
    server_config_clear(&config);
}

static bool differ(const char *config, const char *edges)
{
    uint8_t usual[RULES_DIGEST_SIZE], other[RULES_DIGEST_SIZE];
    digest_of(usual, CONFIG, EDGE "\n");
    digest_of(other, config, edges);
    return memcmp(usual, other, sizeof usual) != 0;
}

static void what_means_the_same_has_the_same_digest(void **state)
{
    (void)state;
    assert_false(differ(CONFIG, EDGE "\n"));
    assert_false(differ("# a remark\nkey_default { modes = \"bound\" }\nkey www {\n names = {\"a.test\"}\n}\n"
                        "epoch = 30000ms\nworkers = 7\nlog_level = warn\n",
                        "\n# a remark\n" EDGE "\n"));
    assert_false(differ(CONFIG, KEY "   paris1 psk=QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=\n"));
}

static void every_rule_is_in_the_digest(void **state)
{
    static const char *const configs[] = {
        "epoch = 31s\nkey_default { modes = {\"bound\"} }\nkey www { names = {\"a.test\"} }\n",
        "key_default { modes = {\"bound\", \"plain\"} }\nkey www { names = {\"a.test\"} }\n",
        "key www { names = {\"b.test\"} }\n",
        "key www { names = {\"a.test\"} quota = \"5/h\" }\n",
        "key mail { names = {\"a.test\"} }\n",
        "",
    };
    static const char *const edges[] = {
        "",
        KEY " paris2" PSK "\n",
        EDGE " ops=sign_tls13\n",
        EDGE " keys=www\n",
        EDGE " keys=www,api\n",
        EDGE " from=10.0.0.0/8\n",
        EDGE " from=10.0.0.0/9\n",
        EDGE " not_before=2026-01-01\n",
        EDGE " not_after=2026-01-01\n",
        EDGE " rate=5/s\n",
        EDGE " quota=5/h\n",
        EDGE " quota=5/d\n",
        EDGE "\nIgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= paris2" PSK "\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof configs / sizeof configs[0]; i++)
        if (!differ(configs[i], EDGE "\n"))
            fail_msg("not in the digest: %s", configs[i]);
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++)
        if (!differ(CONFIG, edges[i]))
            fail_msg("not in the digest: %s", edges[i]);
}

static int start(void **state)
{
    (void)state;
    return secret_init();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_means_the_same_has_the_same_digest),
        cmocka_unit_test(every_rule_is_in_the_digest),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
