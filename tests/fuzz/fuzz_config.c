/* Any file is a configuration of either daemon or a fault; what was read is written and read again to the
 * same text, and of a key server's it is known what follows for its keys. Files that include others by
 * absolute names are left out: the fuzzer would find its way into /dev. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "edge/config/edge_config.h"
#include "keyserver/rules/policy.h"
#include "keyserver/rules/server_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

union config {
    struct edge_config edge;
    struct server_config server;
};

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* Loads TEXT from a file that lives in memory only. */
static int load(const struct config_option *table, union config *out, const void *text, size_t length)
{
    char path[64];
    struct fault fault = {{0}};
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    must(fd >= 0 && write(fd, text, length) == (ssize_t)length);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    memset(out, 0, sizeof *out);
    int err = config_load(path, table, out, NULL, &fault);
    must((err == 0) == (fault.text[0] == 0));
    close(fd);
    return err;
}

static void check_key(const struct key_rules *key)
{
    for (size_t i = 0; i < KEY_OPTIONS; i++)
        must(key->place[i] == NULL || strncmp(key->place[i], "/proc/self/fd/", 14) == 0);
    must(key->names.count == 0 || key->place[KEY_NAMES] != NULL);
    must(key->rate == NULL || key->place[KEY_RATE] != NULL);
}

static void check_policy(const struct server_config *config)
{
    static const uint8_t id[KEY_ID_SIZE];
    struct fault fault = {{0}};
    struct policy *policy;
    const struct key_rules *sections = config->key_sections.item;
    check_key(&config->key_default);
    for (size_t i = 0; i < config->key_sections.count; i++)
        check_key(&sections[i]);
    if (policy_new(&policy, &config->key_default, &config->key_sections, &fault) != 0) {
        must(policy == NULL && fault.text[0] != 0);
        return;
    }
    must(policy_count(policy) == config->key_sections.count + 1);
    for (size_t i = 1; i < policy_count(policy); i++) {
        const struct policy_rule *rule = policy_at(policy, i);
        must(policy_title_is_id(rule->title) || policy_rule_of(policy, id, rule->title) == rule);
        must(rule->valid.first <= rule->valid.last);
        must(policy_rule_name(rule, "www.example.com") || rule->names->count > 0);
    }
    policy_free(policy);
}

static void try_table(const struct config_option *table, const uint8_t *bytes, size_t length)
{
    union config first;
    union config second;
    struct buffer once;
    struct buffer twice;
    if (load(table, &first, bytes, length) != 0)
        return;
    if (table == server_config_table)
        check_policy(&first.server);
    buffer_init(&once);
    buffer_init(&twice);
    must(config_dump(table, &first, &once) == 0);
    must(load(table, &second, buffer_bytes(&once), buffer_length(&once)) == 0);
    must(config_dump(table, &second, &twice) == 0);
    must(buffer_length(&once) == buffer_length(&twice));
    must(memcmp(buffer_bytes(&once), buffer_bytes(&twice), buffer_length(&once)) == 0);
    buffer_clear(&once);
    buffer_clear(&twice);
    config_clear(table, &first);
    config_clear(table, &second);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    if (memmem(bytes, length, "include", 7) != NULL && memchr(bytes, '/', length) != NULL)
        return 0;
    try_table(edge_config_table, bytes, length);
    try_table(server_config_table, bytes, length);
    return 0;
}
