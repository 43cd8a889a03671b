#include "tests/unit/keyserver/many_keys.h"

#include <string.h>

#include "common/bytes.h"
#include "common/secret.h"

struct many many;

void many_write_key(const char *name, EVP_PKEY *pkey)
{
    keys_write(many.folder, name, pkey);
    EVP_PKEY_free(pkey);
}

void many_write_keys(unsigned count)
{
    char name[32];
    keys_make_folder(many.folder);
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof name, "key%u.pem", i);
        many_write_key(name, keys_edwards("ED25519"));
    }
}

void many_edge_key(uint8_t out[static 32], size_t edge)
{
    memset(out, 0x51, 32);
    out[0] = (uint8_t)edge;
}

/* Edges with OPTIONS: edge0 … */
static void many_load_edges(const char *const options[], size_t count)
{
    struct buffer text = {0};
    struct fault fault;
    for (size_t i = 0; i < count; i++) {
        uint8_t key[32], psk[32] = {1};
        char key_text[45], psk_text[45];
        many_edge_key(key, i);
        assert_int_equal(buffer_printf(&text, "%s edge%zu psk=%s %s\n", base64_encode(key_text, key, 32), i,
                                       base64_encode(psk_text, psk, 32), options[i]),
                         0);
    }
    assert_int_equal(authorized_parse(&many.edges, (const char *)buffer_bytes(&text), buffer_length(&text),
                                      "edges", &fault),
                     0);
    buffer_clear(&text);
}

void many_load(struct server_config *config, const char *const options[], size_t count)
{
    static const uint8_t group_secret[32] = {1};
    struct fault fault;
    assert_int_equal(keystore_load(&many.keys, NULL, many.folder, group_secret, NULL, NULL, &fault), 0);
    many_load_edges(options, count);
    assert_int_equal(policy_new(&many.policy, &config->key_default, &config->key_sections, &fault), 0);
    many.judge = (struct judge){.edges = many.edges, .keys = many.keys, .policy = many.policy};
}

int many_unload(void **state)
{
    (void)state;
    policy_free(many.policy);
    authorized_free(many.edges);
    keystore_free(many.keys);
    keys_remove_folder(many.folder);
    return 0;
}
