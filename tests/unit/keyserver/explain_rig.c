#include "tests/unit/keyserver/explain_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/log.h"
#include "keyserver/vault/judge/gate.h"

#define OTHER_KEY "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="
#define PSK       " psk=AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM= "

const uint8_t explain_group_secret[32] = {1};
EVP_PKEY *explain_rsa;
struct judge explain_judge;
char explain_said[8192];

static char folder[KEYS_PATH_SIZE], keys_folder[KEYS_PATH_SIZE], conf[KEYS_PATH_SIZE + 32];
static struct keystore *keys;
static EVP_PKEY *p256;
static struct authorized *edges;
static struct server_config config;
static struct policy *policy;
static struct usage *usage;
static struct hasher hasher;

static void unload(void)
{
    usage_free(usage);
    policy_free(policy);
    authorized_free(edges);
    server_config_clear(&config);
    usage = NULL;
    policy = NULL;
    edges = NULL;
}

int explain_tear_down(void **state)
{
    (void)state;
    unload();
    return 0;
}

int explain_start(void **state)
{
    struct fault fault;
    (void)state;
    log_init("test", LOG_ERROR, LOG_LOGFMT);
    if (secret_init() != 0 || gate_start() != 0 || hasher_init(&hasher) != 0)
        return -1;
    explain_rsa = keys_rsa(2048);
    p256 = keys_ec("P-256");
    keys_make_folder(folder);
    keys_make_folder(keys_folder);
    snprintf(conf, sizeof conf, "%s/server.conf", folder);
    keys_write(keys_folder, "www.pem", explain_rsa);
    keys_write(keys_folder, "ec.pem", p256);
    return keystore_load(&keys, NULL, keys_folder, explain_group_secret, NULL, NULL, &fault);
}

int explain_stop(void **state)
{
    (void)state;
    keystore_free(keys);
    keys_remove_folder(folder);
    keys_remove_folder(keys_folder);
    EVP_PKEY_free(explain_rsa);
    EVP_PKEY_free(p256);
    hasher_clear(&hasher);
    gate_stop();
    return 0;
}

/* server.conf with TEXT, and authorized_edges with paris1 in line 3, which has OPTIONS. */
void explain_load(const char *text, const char *options)
{
    char lines[1024];
    struct fault fault = {.text = ""};
    unload();
    keys_write_text(folder, "server.conf", text);
    snprintf(lines, sizeof lines, OTHER_KEY " rome1" PSK "\n\n" EDGE_KEY " paris1" PSK "%s\n", options);
    if (server_config_load(&config, conf, &fault) != 0 ||
        policy_new(&policy, &config.key_default, &config.key_sections, &fault) != 0 ||
        authorized_parse(&edges, lines, strlen(lines), "authorized_edges", &fault) != 0)
        fail_msg("%s", fault.text);
    usage = usage_new(edges, keys, policy);
    explain_judge = (struct judge){.edges = edges,
                                   .keys = keys,
                                   .policy = policy,
                                   .usage = usage,
                                   .epoch_secret = explain_group_secret,
                                   .hasher = &hasher};
}

bool explain_ask(const struct question *question)
{
    const struct explain_files files = {.edges = "authorized_edges", .keys = "keys"};
    memset(explain_said, 0, sizeof explain_said);
    FILE *out = fmemopen(explain_said, sizeof explain_said - 1, "w");
    assert_non_null(out);
    bool granted = explain(&explain_judge, &files, question, out);
    assert_int_equal(fclose(out), 0);
    return granted;
}

struct question explain_question(const char *key, enum operation_kind operation)
{
    return (struct question){.edge = "paris1", .key = key, .operation = operation, .at = NOON};
}

/* A line that begins with ANSWER and STEP, and goes on with WORDS, where @ is for the name of server.conf. */
void assert_said(const char *answer, const char *step, const char *words)
{
    char line[2048], full[1024] = "";
    const char *at = strchr(words, '@');
    if (at != NULL)
        snprintf(full, sizeof full, "%.*s%s%s", (int)(at - words), words, conf, at + 1);
    snprintf(line, sizeof line, "%-8s %-11s %s\n", answer, step, at != NULL ? full : words);
    if (strncmp(explain_said, line, strlen(line)) == 0)
        return;
    memmove(line + 1, line, strlen(line) + 1);
    line[0] = '\n';
    if (strstr(explain_said, line) == NULL)
        fail_msg("no line '%s' in\n%s", line + 1, explain_said);
}

const char *explain_last_line(void)
{
    size_t length = strlen(explain_said);
    assert_true(length > 1 && explain_said[length - 1] == '\n');
    size_t at = length - 1;
    while (at > 0 && explain_said[at - 1] != '\n')
        at--;
    return explain_said + at;
}
