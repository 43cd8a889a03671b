/* How well a file's name stands for its key, where several files hold the same one: what the rules say of
 * names, and which file was served before. Decides nothing: keystore_choose() does. A part of the key store.
 */
#ifndef KEYSERVER_VAULT_KEYS_KEYSTORE_RANK_H
#define KEYSERVER_VAULT_KEYS_KEYSTORE_RANK_H

#include "keyserver/vault/keys/keystore_inside.h"

/* The rules that name keys, in the order in which they win. A section restricts its key, so no other name may
 * take the key out of it; `keys=` only grants. */
enum keystore_named { NAMED_NOWHERE, NAMED_BY_EDGES, NAMED_BY_SECTION };

/* What a file was in the store before a reload. */
enum keystore_kept {
    KEPT_NOTHING,
    KEPT_NAME, /* it was served, with another key: this one is the key's next */
    KEPT_KEY   /* it was served with this key */
};

/* The names in the rules; borrows from them. */
struct keystore_names {
    const char **section, **edges; /* owned; both in order */
    size_t sections, edge_names;
};

/* Fills NAMES from RULES (NULL: none). ERR_MEMORY; cleared then. */
int keystore_names_init(struct keystore_names *names, const struct keystore_rules *rules) MUST_USE;
void keystore_names_clear(struct keystore_names *names);
enum keystore_named keystore_names_find(const struct keystore_names *names, const char *name);
/* BEFORE may be NULL. */
enum keystore_kept keystore_kept(const struct keystore_file *file, const struct keystore *before);

#endif
