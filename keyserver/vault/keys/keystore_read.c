#include "keyserver/vault/keys/keystore_inside.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/process.h"
#include "common/secret.h"
#include "common/secret_slot.h"
#include "keyserver/vault/keys/key_file.h"
#include "keyserver/vault/keys/key_numbers.h"

#define FALLBACK_LABEL "keyless rsa premaster fallback" /* before the key id, under the group secret */
#define PATH_MAX_HERE  4096

/* The heap where OpenSSL keeps the numbers of private keys: guarded, left out of dumps, locked where the
 * limit allows. It never grows, so it has room to spare. */
#define SECURE_HEAP_BASE     (1u << 20) /* bytes for work in progress */
#define SECURE_HEAP_A_KEY    (1u << 14) /* RSA-4096 takes 6 KiB */
#define SECURE_HEAP_MAX      (1u << 30)
#define SECURE_HEAP_SMALLEST 64
#define SECURE_HEAP_SPARE    1024 /* keys that reloads may add */

#define LOADERS_MAX          16 /* threads */
#define LOADER_FILES         16 /* from so many on one more thread is worth its start */
#define PROGRESS_MS          1000

struct loading {
    struct keystore *store;
    const struct keystore_source *source;
    atomic_size_t next, done;
    size_t wanted;
};

/* ---- one ---- */

void keystore_release(struct key *key)
{
    if (key == NULL || --key->references > 0)
        return;
    secret_slot_free(key->fallback_secret);
    key_numbers_free(key);
    EVP_PKEY_free(key->pkey);
    free(key);
}

static int make_fallback_secret(struct key *key, const uint8_t group_secret[static GROUP_SECRET_SIZE])
{
    uint8_t input[sizeof FALLBACK_LABEL - 1 + KEY_ID_SIZE];
    key->fallback_secret = secret_slot_new(SHA256_SIZE);
    if (key->fallback_secret == NULL)
        return ERR_MEMORY;
    memcpy(input, FALLBACK_LABEL, sizeof FALLBACK_LABEL - 1);
    memcpy(input + sizeof FALLBACK_LABEL - 1, key->id, KEY_ID_SIZE);
    hmac_sha256(key->fallback_secret, group_secret, GROUP_SECRET_SIZE, input, sizeof input);
    return 0;
}

static int load_one(struct key **out, const struct keystore_source *source, const char *name,
                    const char *path, struct fault *fault)
{
    struct key *key = calloc(1, sizeof *key);
    if (key == NULL)
        return fault_set(fault, ERR_MEMORY, "%s: no memory%s", path, process_limit_hint(ENOMEM));
    key->references = 1;
    const char *extension = key_folder_extension(name); /* a folder that cannot be read has none */
    int length = (int)(extension != NULL ? (size_t)(extension - name) : strlen(name));
    int err = length < KEY_NAME_MAX
                  ? 0
                  : fault_set(fault, ERR_LENGTH, "%s: a key's name has at most %d characters; rename it",
                              path, KEY_NAME_MAX - 1);
    const struct server_config *config = source->rules != NULL ? source->rules->config : NULL;
    struct passphrase_place place = passphrase_place(config, name, (size_t)length);
    if (err == 0)
        err = key_file_load(key, path, &place, fault);
    if (err == 0 && (make_fallback_secret(key, source->group_secret) != 0 || key_numbers_make(key) != 0))
        err = fault_set(fault, ERR_MEMORY, "%s: no guarded memory%s", path, process_limit_hint(ENOMEM));
    if (err != 0) {
        keystore_release(key);
        return err;
    }
    snprintf(key->name, sizeof key->name, "%.*s", length, name);
    *out = key;
    return 0;
}

/* Before the first key. A process that has such a heap already keeps it; where there can be none, OpenSSL
 * uses its common one. */
void keystore_prepare_heap(size_t keys)
{
    size_t size = SECURE_HEAP_BASE;
    while (size < SECURE_HEAP_MAX && size < SECURE_HEAP_BASE + (keys + SECURE_HEAP_SPARE) * SECURE_HEAP_A_KEY)
        size *= 2; /* a power of two is asked for */
    if (CRYPTO_secure_malloc_initialized() == 0)
        (void)CRYPTO_secure_malloc_init(size, SECURE_HEAP_SMALLEST);
}

/* ---- all ---- */

static void load_file(struct loading *loading, struct keystore_file *file)
{
    const char *folder = loading->source->folder;
    struct fault why = {0};
    char path[PATH_MAX_HERE];
    if (snprintf(path, sizeof path, "%s/%s", folder, file->name) >= (int)sizeof path) {
        (void)fault_set(&why, ERR_LENGTH, "%s/%s: the path is too long", folder, file->name);
        file->why = strdup(why.text);
    } else {
        int err = load_one(&file->key, loading->source, file->name, path, &why);
        file->why = err != 0 ? strdup(why.text) : NULL;
        file->gone = err != 0 && keystore_is_gone(path, err);
    }
    atomic_fetch_add(&loading->done, 1);
}

static struct keystore_file *next_wanted(struct loading *loading)
{
    for (size_t at; (at = atomic_fetch_add(&loading->next, 1)) < loading->store->list.count;)
        if (loading->store->file[at].wanted)
            return &loading->store->file[at];
    return NULL;
}

static void *load_some(void *user)
{
    for (struct keystore_file *file; (file = next_wanted(user)) != NULL;)
        load_file(user, file);
    wipe_stack(); /* what reading them left below */
    return NULL;
}

/* The same in the thread that called, which also tells how far all are. */
static void load_and_tell(struct loading *loading)
{
    uint64_t told_ms = clock_ms();
    for (struct keystore_file *file; (file = next_wanted(loading)) != NULL;) {
        load_file(loading, file);
        if (clock_ms() < told_ms + PROGRESS_MS)
            continue;
        told_ms = clock_ms();
        log_event(LOG_INFO, "keys_loading", "done=%zu of=%zu", atomic_load(&loading->done), loading->wanted);
        const struct keystore_progress *progress = loading->source->progress;
        if (progress != NULL)
            progress->on_progress(progress->user);
    }
}

static size_t count_wanted(const struct keystore *store)
{
    size_t wanted = 0;
    for (size_t i = 0; i < store->list.count; i++)
        wanted += store->file[i].wanted;
    return wanted;
}

/* Nearly all of the time goes into the check of the numbers. The threads are gone when it returns. */
void keystore_read(struct keystore *store, const struct keystore_source *source)
{
    struct loading loading = {.store = store, .source = source, .wanted = count_wanted(store)};
    pthread_t thread[LOADERS_MAX];
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t most = loading.wanted / LOADER_FILES, count = 0;
    if (most > LOADERS_MAX)
        most = LOADERS_MAX;
    while (count < most && (long)count + 1 < cores &&
           process_start_thread(&thread[count], PROCESS_STACK_SIZE, load_some, &loading) == 0)
        count++;
    load_and_tell(&loading);
    wipe_stack();
    while (count > 0)
        pthread_join(thread[--count], NULL);
}
