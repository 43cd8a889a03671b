#include "keyserver/vault/judge/rules_digest.h"

#include <inttypes.h>
#include <string.h>

#include <openssl/evp.h>

/* Those of server_config_table. */
static const char *const options[] = {"epoch", "key_default", "key"};
#define OPTIONS     (sizeof options / sizeof options[0])
#define OPTIONS_MAX (KEY_OPTIONS + 2) /* of a section */

/* Where a passphrase is says nothing of what may be done: replicas may keep theirs in different places. */
static bool is_rule(const struct config_option *option)
{
    return strcmp(option->name, "passphrase_file") != 0 && strcmp(option->name, "passphrase_credential") != 0;
}

/* Those of TABLE that are rules, into OUT of OPTIONS_MAX and an end. */
static const struct config_option *rules_of(struct config_option *out, const struct config_option *table)
{
    size_t count = 0;
    for (; table != NULL && table->name != NULL && count < OPTIONS_MAX; table++)
        if (is_rule(table))
            out[count++] = *table;
    out[count] = (struct config_option){.name = NULL};
    return out;
}

static int put_options(struct buffer *out, const struct server_config *config)
{
    struct config_option table[OPTIONS + 1] = {{.name = NULL}}, inside[OPTIONS][OPTIONS_MAX + 1];
    for (size_t i = 0; i < OPTIONS; i++)
        for (const struct config_option *option = server_config_table; option->name != NULL; option++)
            if (strcmp(option->name, options[i]) == 0) {
                table[i] = *option;
                table[i].options = rules_of(inside[i], option->options);
            }
    return config_dump(table, config, out);
}

static int put_networks(struct buffer *out, const struct authorized_edge *edge)
{
    int err = 0;
    for (size_t i = 0; i < edge->from_count && err == 0; i++) {
        char bytes[2 * sizeof edge->from[i].bytes + 1];
        err = buffer_printf(out, " %u:%s/%u", edge->from[i].family,
                            hex_encode(bytes, edge->from[i].bytes, sizeof edge->from[i].bytes),
                            edge->from[i].prefix);
    }
    return err;
}

static int put_edge(struct buffer *out, const struct authorized_edge *edge)
{
    char id[2 * IDENTITY_KEY_SIZE + 1], rate[RATE_LIMIT_TEXT_SIZE], quota[RATE_LIMIT_TEXT_SIZE];
    int err = buffer_printf(out,
                            "edge %s %s ops=%x valid=%" PRId64 "..%" PRId64 " rate=%s quota=%s all=%d keys",
                            hex_encode(id, edge->key, sizeof edge->key), edge->name, edge->operations,
                            edge->valid.first, edge->valid.last, rate_limit_text(rate, &edge->rate),
                            rate_limit_text(quota, &edge->quota), edge->all_keys);
    for (size_t i = 0; i < edge->key_count && err == 0; i++)
        err = buffer_printf(out, " %s", edge->keys[i]);
    if (err == 0)
        err = buffer_printf(out, " from");
    if (err == 0)
        err = put_networks(out, edge);
    return err == 0 ? buffer_printf(out, "\n") : err;
}

int rules_digest(uint8_t out[static RULES_DIGEST_SIZE], const struct server_config *config,
                 const struct authorized *edges)
{
    struct buffer text = {.bytes = NULL};
    int err = put_options(&text, config);
    for (size_t i = 0; i < authorized_count(edges) && err == 0; i++)
        err = put_edge(&text, authorized_at(edges, i));
    if (err == 0 && EVP_Digest(buffer_bytes(&text), buffer_length(&text), out, NULL, EVP_sha256(), NULL) != 1)
        err = ERR_CRYPTO;
    buffer_clear(&text);
    return err;
}
