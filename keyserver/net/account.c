#include <stdlib.h>
#include <string.h>

#include "common/secret.h"

#define HASH_NONFATAL_OOM 1
#define HASH_FUNCTION     HASH_FNV
#include "keyserver/net/account.h"

struct account *accounts_find(struct accounts *accounts, const uint8_t key[static IDENTITY_KEY_SIZE])
{
    struct account *account = NULL;
    HASH_FIND(hh, accounts->table, key, IDENTITY_KEY_SIZE, account);
    return account;
}

struct account *accounts_open(struct accounts *accounts, const struct authorized_edge *edge)
{
    struct account *account = accounts_find(accounts, edge->key);
    if (account != NULL)
        return account;
    account = calloc(1, sizeof *account);
    if (account == NULL)
        return NULL;
    memcpy(account->key, edge->key, sizeof account->key);
    memcpy(account->name, edge->name, sizeof account->name);
    share_init(&account->share);
    HASH_ADD(hh, accounts->table, key, IDENTITY_KEY_SIZE, account);
    if (account->hh.tbl == NULL) {
        free(account);
        return NULL;
    }
    return account;
}

void accounts_close(struct accounts *accounts, struct account *account)
{
    if (account->channels > 0)
        return;
    HASH_DEL(accounts->table, account);
    wipe(account, sizeof *account);
    free(account);
}

size_t accounts_count(const struct accounts *accounts)
{
    return HASH_COUNT(accounts->table);
}
