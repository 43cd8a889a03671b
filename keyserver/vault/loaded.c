#include "keyserver/vault/loaded.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/process.h"
#include "common/secret.h"
#include "keyserver/lanes/lanes.h"
#include "keyserver/rules/authorized_snapshot.h"
#include "keyserver/vault/judge/epoch.h"
#include "keyserver/vault/judge/gate.h"
#include "keyserver/vault/keys/openssl_heap.h"
#include "keyserver/vault/keys/openssl_ready.h"

/* ---- keys ---- */

/* A folder without keys is a disk that is not mounted, or the wrong folder: to serve it would take every key
 * away from the edges, and say that all is well. */
static int check_has_key(const struct loaded *loaded, bool again, struct fault *fault)
{
    const char *folder = loaded->config->keys;
    size_t skipped = keystore_skipped(loaded->keys);
    if (keystore_count(loaded->keys) > 0)
        return 0;
    if (skipped > 0)
        return fault_set(fault, ERR_CONFIG,
                         "%s: none of its %zu key files can be used; the log says what is wrong with each",
                         folder, skipped);
    if (again)
        return fault_set(
            fault, ERR_CONFIG,
            "%s: holds no key any more, and nothing has changed; put the keys back (is a disk not "
            "mounted?), then reload; to take the last key away, stop the key server",
            folder);
    return fault_set(fault, ERR_CONFIG, "%s: " KEYSTORE_NONE, folder);
}

/* The group secret itself is needed no longer than this. */
static int load_keys(struct loaded *loaded, const struct keystore *before, enum group_secret_use use,
                     struct fault *fault)
{
    const struct server_config *config = loaded->config;
    uint8_t *group_secret = secret_new(GROUP_SECRET_SIZE);
    loaded->epoch_secret = secret_new(EPOCH_SECRET_SIZE);
    int err = group_secret == NULL || loaded->epoch_secret == NULL
                  ? fault_set(fault, ERR_MEMORY, "no guarded memory%s", process_limit_hint(ENOMEM))
                  : group_secret_load(group_secret, config, use, fault);
    if (err == 0) {
        epoch_secret(loaded->epoch_secret, group_secret, config->epoch);
        const struct keystore_rules rules = {.config = config, .edges = loaded->edges};
        err = keystore_load(&loaded->keys, before, config->keys, group_secret, &rules, loaded->progress,
                            fault);
    }
    if (err == 0 && use != GROUP_SECRET_TO_LOOK)
        err = check_has_key(loaded, before != NULL, fault);
    secret_free(group_secret);
    return err;
}

/* ---- policy ---- */

static int compare_rules(const void *a, const void *b)
{
    const struct policy_rule *const *first = a, *const *second = b;
    return *first < *second ? -1 : *first > *second;
}

/* The rules that some key goes by, in the order of their addresses; NULL without memory. */
static const struct policy_rule **rules_in_use(const struct loaded *loaded, size_t *count)
{
    *count = keystore_count(loaded->keys);
    const struct policy_rule **rules = calloc(*count + 1, sizeof *rules);
    for (size_t i = 0; rules != NULL && i < *count; i++) {
        const struct key *key = keystore_at(loaded->keys, i);
        rules[i] = policy_rule_of(loaded->policy, key->id, key->name);
    }
    if (rules != NULL)
        qsort(rules, *count, sizeof *rules, compare_rules);
    return rules;
}

/* A section that is for no key is most likely a slip of the pen: the key that it was meant for has other
 * rights than its owner thinks. */
static void warn_of_idle_sections(const struct loaded *loaded)
{
    size_t count;
    const struct policy_rule **used = rules_in_use(loaded, &count);
    for (size_t i = 1; used != NULL && i < policy_count(loaded->policy); i++) {
        const struct policy_rule *rule = policy_at(loaded->policy, i);
        if (bsearch(&rule, used, count, sizeof *used, compare_rules) == NULL)
            log_finding(
                LOG_WARN, "key_section_idle",
                "error=\"key %s: the configuration has this section, and there is no such key; put it into "
                "the folder of keys, or correct the title\"",
                rule->title);
    }
    free(used);
}

static int load_policy(struct loaded *loaded, struct fault *fault)
{
    int err = policy_new(&loaded->policy, &loaded->config->key_default, &loaded->config->key_sections, fault);
    for (size_t i = 0; i < keystore_count(loaded->keys) && err == 0; i++) {
        const struct key *key = keystore_at(loaded->keys, i);
        err = policy_check_key(loaded->policy, key->id, key->name, fault);
    }
    if (err == 0)
        warn_of_idle_sections(loaded);
    return err;
}

/* ---- all ---- */

int loaded_begin(const char *name, struct fault *fault)
{
    int err;
    if ((err = process_harden(name, fault)) != 0 || (err = secret_start(fault)) != 0)
        return err;
    if (openssl_heap_start() != 0)
        return fault_set(
            fault, ERR_CRYPTO,
            "OpenSSL has memory already that it would not wipe; what was loaded before this program "
            "uses OpenSSL as well (LD_PRELOAD, /etc/ld.so.preload): take it out");
    if ((err = openssl_ready_check(fault)) != 0)
        return err;
    return gate_start() == 0 ? 0 : fault_set(fault, ERR_CRYPTO, "OpenSSL has no arithmetic of curves");
}

void loaded_use_lanes(const struct loaded *loaded, const struct loaded *before)
{
    if (before == NULL || before->config->lanes != loaded->config->lanes)
        lanes_start(loaded->config->lanes, LANES_EVERYTHING);
}

int loaded_make(struct loaded *out, const struct server_config *config, int edges_fd,
                const struct loaded *before, enum group_secret_use use, struct fault *fault)
{
    int err;
    out->config = config;
    loaded_use_lanes(out, before);
    if ((err = authorized_snapshot_load(&out->edges, edges_fd, config->authorized_edges, fault)) == 0 &&
        (err = load_keys(out, before != NULL ? before->keys : NULL, use, fault)) == 0 &&
        (err = load_policy(out, fault)) == 0) {
        authorized_forget_psks(out->edges);
        err = rules_digest(out->rules, config, out->edges);
    }
    if (err == 0)
        return 0;
    if (before != NULL)
        loaded_use_lanes(before, out);
    loaded_clear(out);
    return err;
}

void loaded_clear(struct loaded *loaded)
{
    policy_free(loaded->policy);
    keystore_free(loaded->keys);
    authorized_free(loaded->edges);
    secret_free(loaded->epoch_secret);
    *loaded = (struct loaded){.config = NULL};
}
