/* A judge over many keys and a few edges, for what must not look at all of them at once. One a program. */
#ifndef TESTS_UNIT_KEYSERVER_MANY_KEYS_H
#define TESTS_UNIT_KEYSERVER_MANY_KEYS_H

#include "keyserver/vault/judge/judge.h"
#include "tests/unit/keyserver/keys.h"

struct many {
    char folder[KEYS_PATH_SIZE];
    struct keystore *keys;
    struct authorized *edges;
    struct policy *policy;
    struct judge judge;
};

extern struct many many;

void many_write_key(const char *name, EVP_PKEY *pkey);
/* The folder, with keys of Ed25519: key0 … */
void many_write_keys(unsigned count);
void many_edge_key(uint8_t out[static 32], size_t edge);
/* What was written, and COUNT edges with OPTIONS, judged by CONFIG, which is borrowed. */
void many_load(struct server_config *config, const char *const options[], size_t count);
int many_unload(void **state);

#endif
