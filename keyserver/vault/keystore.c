#include "keyserver/vault/keystore.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/log.h"
#include "common/secret.h"
#include "keyserver/vault/key_file.h"
#include "keyserver/vault/key_numbers.h"

#define FALLBACK_LABEL "keyless rsa premaster fallback" /* before the key id, under the group secret */
#define PATH_MAX_HERE  4096

/* The heap where OpenSSL keeps the numbers of private keys: guarded, left out of dumps, locked where the
 * limit allows. It never grows, so it has room to spare. */
#define SECURE_HEAP_BASE     (1u << 20) /* bytes for work in progress */
#define SECURE_HEAP_A_KEY    (1u << 14) /* RSA-4096 takes 6 KiB */
#define SECURE_HEAP_MAX      (1u << 30)
#define SECURE_HEAP_SMALLEST 64

struct keystore {
    struct key **item; /* owned, `count`, in the order of their ids */
    size_t count;
    size_t skipped;
};

static void key_free(struct key *key)
{
    if (key == NULL)
        return;
    secret_free(key->fallback_secret);
    key_numbers_free(key);
    EVP_PKEY_free(key->pkey);
    free(key);
}

/* The extension that makes NAME a key file, or NULL. */
static const char *key_extension(const char *name)
{
    static const char *const extensions[] = {".pem", ".key", ".der"};
    const char *dot = strrchr(name, '.');
    if (dot == NULL || dot == name || name[0] == '.')
        return NULL;
    for (size_t i = 0; i < sizeof extensions / sizeof extensions[0]; i++)
        if (strcmp(dot, extensions[i]) == 0)
            return dot;
    return NULL;
}

static int make_fallback_secret(struct key *key, const uint8_t group_secret[static 32])
{
    uint8_t input[sizeof FALLBACK_LABEL - 1 + KEY_ID_SIZE];
    key->fallback_secret = secret_new(32);
    if (key->fallback_secret == NULL)
        return ERR_MEMORY;
    memcpy(input, FALLBACK_LABEL, sizeof FALLBACK_LABEL - 1);
    memcpy(input + sizeof FALLBACK_LABEL - 1, key->id, KEY_ID_SIZE);
    hmac_sha256(key->fallback_secret, group_secret, 32, input, sizeof input);
    return 0;
}

static int load_one(struct key **out, const char *folder, const char *name,
                    const uint8_t group_secret[static 32], struct fault *fault)
{
    char path[PATH_MAX_HERE];
    struct key *key = calloc(1, sizeof *key);
    if (key == NULL || snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) {
        free(key);
        return fault_set(fault, ERR_LENGTH, "%s/%s: the path is too long", folder, name);
    }
    int length = (int)(key_extension(name) - name);
    int err = length < KEY_NAME_MAX
                  ? 0
                  : fault_set(fault, ERR_LENGTH, "%s: a key's name has at most %d characters; rename it",
                              path, KEY_NAME_MAX - 1);
    if (err == 0)
        err = key_file_load(key, path, fault);
    if (err == 0 && (make_fallback_secret(key, group_secret) != 0 || key_numbers_make(key) != 0))
        err = fault_set(fault, ERR_MEMORY,
                        "%s: no guarded memory; raise the limit of locked memory (ulimit -l)", path);
    if (err != 0) {
        key_free(key);
        return err;
    }
    snprintf(key->name, sizeof key->name, "%.*s", length, name);
    *out = key;
    return 0;
}

static int compare_ids(const void *a, const void *b)
{
    return memcmp((*(struct key *const *)a)->id, (*(struct key *const *)b)->id, KEY_ID_SIZE);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void free_names(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

/* The names of FOLDER's key files in alphabetical order, so that every start takes them in the same order. */
static int list_names(char ***out, size_t *count, const char *folder, struct fault *fault)
{
    DIR *dir = opendir(folder);
    char **names = NULL;
    size_t used = 0, size = 0;
    if (dir == NULL)
        return fault_set(fault, ERR_CONFIG,
                         "%s: the folder of keys cannot be read: %s; make it with: mkdir -m 0700 %s", folder,
                         strerror(errno), folder);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (key_extension(entry->d_name) == NULL)
            continue;
        if (used == size) {
            size = size ? 2 * size : 16;
            char **grown = reallocarray(names, size, sizeof *names);
            if (grown == NULL)
                goto no_memory;
            names = grown;
        }
        if ((names[used] = strdup(entry->d_name)) == NULL)
            goto no_memory;
        used++;
    }
    closedir(dir);
    if (used > 0)
        qsort(names, used, sizeof *names, compare_names);
    *out = names;
    *count = used;
    return 0;
no_memory:
    closedir(dir);
    free_names(names, used);
    return fault_set(fault, ERR_MEMORY, "%s: no memory for its list of files", folder);
}

/* Before the first key. A process that has such a heap already keeps it; where there can be none, OpenSSL
 * uses its common one. */
static void prepare_secure_heap(size_t keys)
{
    size_t size = SECURE_HEAP_BASE;
    while (size < SECURE_HEAP_MAX && size < SECURE_HEAP_BASE + keys * SECURE_HEAP_A_KEY)
        size *= 2; /* a power of two is asked for */
    if (CRYPTO_secure_malloc_initialized() == 0)
        (void)CRYPTO_secure_malloc_init(size, SECURE_HEAP_SMALLEST);
}

static void tell_about(const struct key *key)
{
    char id[2 * KEY_ID_SIZE + 1];
    log_event(LOG_INFO, "key_loaded", "key=%s type=%s bits=%u id=%s", key->name, key_type_name(key->type),
              key->bits, hex_encode(id, key->id, KEY_ID_SIZE));
}

static void drop(struct keystore *store, size_t at)
{
    store->skipped++;
    key_free(store->item[at]);
    memmove(&store->item[at], &store->item[at + 1], (store->count - at - 1) * sizeof store->item[0]);
    store->count--;
}

/* Leaves one of each id and one of each name, the first by file name: rights and limits go by names. */
static void drop_repeated(struct keystore *store)
{
    for (size_t i = 0; i < store->count; i++)
        for (size_t j = i + 1; j < store->count;) {
            const struct key *first = store->item[i], *key = store->item[j];
            bool same = memcmp(first->id, key->id, KEY_ID_SIZE) == 0;
            if (!same && strcmp(first->name, key->name) != 0) {
                j++;
                continue;
            }
            if (same)
                log_event(LOG_WARN, "key_skipped",
                          "key=%s error=\"the same key as %s; remove one of the two files\"", key->name,
                          first->name);
            else
                log_event(LOG_ERROR, "key_skipped",
                          "key=%s error=\"%s is the name of another key, too; rename one of the two files\"",
                          key->name, key->name);
            drop(store, j);
        }
}

int keystore_load(struct keystore **out, const char *folder, const uint8_t group_secret[static 32],
                  struct fault *fault)
{
    char **names = NULL;
    size_t count = 0;
    int err = list_names(&names, &count, folder, fault);
    if (err != 0)
        return err;
    prepare_secure_heap(count);
    struct keystore *store = calloc(1, sizeof *store);
    if (store != NULL)
        store->item = calloc(count + 1, sizeof *store->item);
    for (size_t i = 0; store != NULL && store->item != NULL && i < count; i++) {
        struct fault why = {0};
        if (load_one(&store->item[store->count], folder, names[i], group_secret, &why) == 0) {
            store->count++;
            continue;
        }
        store->skipped++;
        log_event(LOG_ERROR, "key_skipped", "file=%s error=\"%s\"", names[i], why.text);
    }
    wipe_stack(); /* what reading them left below */
    free_names(names, count);
    if (store == NULL || store->item == NULL) {
        keystore_free(store);
        return fault_set(fault, ERR_MEMORY, "%s: no memory for %zu keys", folder, count);
    }
    drop_repeated(store);
    qsort(store->item, store->count, sizeof *store->item, compare_ids);
    for (size_t i = 0; i < store->count; i++) {
        store->item[i]->index = i;
        tell_about(store->item[i]);
    }
    *out = store;
    return 0;
}

void keystore_free(struct keystore *store)
{
    if (store == NULL)
        return;
    for (size_t i = 0; store->item != NULL && i < store->count; i++)
        key_free(store->item[i]);
    free(store->item);
    free(store);
}

size_t keystore_count(const struct keystore *store)
{
    return store->count;
}

size_t keystore_skipped(const struct keystore *store)
{
    return store->skipped;
}

const struct key *keystore_at(const struct keystore *store, size_t index)
{
    return index < store->count ? store->item[index] : NULL;
}

const struct key *keystore_find(const struct keystore *store, const uint8_t id[static KEY_ID_SIZE])
{
    size_t low = 0, high = store->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = memcmp(store->item[middle]->id, id, KEY_ID_SIZE);
        if (order == 0)
            return store->item[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

uint32_t keystore_operations(enum key_type type)
{
    uint32_t signatures = 1u << OP_SIGN_TLS12 | 1u << OP_SIGN_TLS13;
    return type == KEY_RSA ? signatures | 1u << OP_RSA_PREMASTER | 1u << OP_RSA_MASTER : signatures;
}
