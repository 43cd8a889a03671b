#include "keyserver/vault/keys/keystore_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/log.h"
#include "common/process.h"
#include "common/secret.h"
#include "keyserver/lanes/lanes.h"

#define GROUP_LABEL "keyless keystore group" /* under the group secret */

static void tell_about(const struct key *key)
{
    char id[2 * KEY_ID_SIZE + 1];
    log_event(LOG_INFO, "key_loaded", "key=%s type=%s bits=%u id=%s", key->name, key_type_name(key->type),
              key->bits, hex_encode(id, key->id, KEY_ID_SIZE));
}

/* ---- the files ---- */

static const struct keystore_file *find_file(const struct keystore *store, const char *name)
{
    size_t low = 0, high = store->list.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(store->file[middle].name, name);
        if (order == 0)
            return &store->file[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* Shares the keys of unchanged files with BEFORE. A file that was bad is read again even if it has not
 * changed, because its fault is not kept. Returns how many files remain to be read. */
static size_t take_over(struct keystore *store, const struct keystore *before)
{
    size_t wanted = 0;
    for (size_t i = 0; i < store->list.count; i++) {
        struct keystore_file *file = &store->file[i];
        const struct keystore_file *old = before != NULL ? find_file(before, file->name) : NULL;
        file->name = store->list.item[i].name;
        file->wanted = old == NULL || old->key == NULL ||
                       !key_stamp_same(&store->list.item[i].stamp,
                                       &before->list.item[old - before->file].stamp);
        wanted += file->wanted;
        if (file->wanted)
            continue;
        file->key = old->key;
        file->key->references++;
    }
    return wanted;
}

/* ---- what of it is served ---- */

/* Writes only where the number changes: a forked vault shares these pages with the loader, and each write
 * would copy one. */
void keystore_number(struct keystore *store)
{
    for (size_t i = 0; i < store->count; i++)
        if (store->item[i]->index != i)
            store->item[i]->index = i;
}

/* The fault of a file. If there was no memory to keep its text, one that says so, in LIMIT. */
static const char *why_not(const struct keystore_file *file, struct fault *limit)
{
    if (file->why != NULL)
        return file->why;
    limit->text[0] = 0;
    (void)process_name_limit(limit, ERR_MEMORY);
    return limit->text;
}

static void tell_skipped(const struct keystore_file *file, const char *folder)
{
    struct fault limit;

    if (file->key == NULL)
        log_finding(LOG_ERROR, "key_skipped", "file=%s error=\"%s\"", file->name, why_not(file, &limit));
    else if (file->clash == CLASH_KEY)
        log_finding(LOG_ERROR, "key_skipped",
                    "key=%s error=\"%s/%s: the same key as %s; remove one of the two files\"",
                    file->key->name, folder, file->name, file->first->name);
    else if (file->clash == CLASH_NAME)
        log_finding(LOG_ERROR, "key_skipped",
                    "key=%s error=\"%s/%s: %s is the name of another key, too, that of %s; rename one of the "
                    "two files\"",
                    file->key->name, folder, file->name, file->key->name, file->first->name);
}

static void log_files(const struct keystore *store, const char *folder)
{
    for (size_t i = 0; i < store->list.count; i++) {
        const struct keystore_file *file = &store->file[i];
        if (file->key == NULL || file->clash != CLASH_NONE)
            tell_skipped(file, folder);
        else if (file->wanted)
            tell_about(file->key);
    }
    keystore_tell_ignored(&store->list, folder);
}

/* ---- what a reload may not do ---- */

/* True for a file that would newly fail: its owner counts on that key. One that failed before the reload is
 * known to them, and does not hold up the reload. */
static bool is_news(const struct keystore_file *file, const struct keystore *before)
{
    const struct keystore_file *old = find_file(before, file->name);
    if (file->key == NULL)
        return old == NULL || old->key != NULL;
    return file->clash == CLASH_NAME && (old == NULL || old->clash != CLASH_NAME);
}

static int refuse_news(const struct keystore *store, const struct keystore *before, const char *folder,
                       struct fault *fault)
{
    char names[sizeof fault->text / 2] = "";
    struct fault limit;
    size_t count = 0, length = 0;
    for (size_t i = 0; i < store->list.count; i++) {
        const struct keystore_file *file = &store->file[i];
        if (!is_news(file, before))
            continue;
        count++;
        if (length < sizeof names)
            length += (size_t)snprintf(names + length, sizeof names - length, "%s%s", length > 0 ? ", " : "",
                                       file->name);
        log_finding(LOG_ERROR, "key_unusable", "file=%s error=\"%s\"", file->name,
                    file->key != NULL ? "another file has this name with another extension; rename one"
                                      : why_not(file, &limit));
    }
    if (count == 0)
        return 0;
    return fault_set(
        fault, ERR_CONFIG,
        "%s: %zu of its files cannot be used (%s%s), and nothing has changed; the log says what is "
        "wrong with each; mend or remove them, then reload",
        folder, count, names, length < sizeof names ? "" : " …");
}

static void count_changes(struct keystore *store, const struct keystore *before, size_t wanted)
{
    store->changes = (struct keystore_changes){.loaded = wanted, .kept = store->list.count - wanted};
    for (size_t i = 0; before != NULL && i < before->list.count; i++)
        store->changes.removed += find_file(store, before->file[i].name) == NULL;
}

/* ---- life ---- */

static unsigned lanes_ready(void)
{
    unsigned ready = 0;
    for (unsigned id = LANES_NONE + 1; id < LANES_IDS; id++)
        ready |= lanes_state((enum lanes_id)id) == LANES_READY ? 1u << id : 0;
    return ready;
}

/* Keys carry what follows from the group secret, and what the lanes want: with others they are made anew. */
static bool can_take_over(const struct keystore *store, const struct keystore *before)
{
    return before != NULL && before->lanes == store->lanes &&
           same_bytes(before->group, store->group, SHA256_SIZE);
}

static struct keystore *new_store(struct key_folder *list,
                                  const uint8_t group_secret[static GROUP_SECRET_SIZE])
{
    struct keystore *store = calloc(1, sizeof *store);
    if (store == NULL) {
        key_folder_clear(list);
        return NULL;
    }
    store->list = *list;
    store->lanes = lanes_ready();
    store->file = calloc(list->count + 1, sizeof *store->file);
    store->group = secret_new(32);
    if (store->file == NULL || store->group == NULL) {
        keystore_free(store);
        return NULL;
    }
    for (size_t i = 0; i < list->count; i++)
        store->file[i].name = store->list.item[i].name;
    hmac_sha256(store->group, group_secret, GROUP_SECRET_SIZE, GROUP_LABEL, sizeof GROUP_LABEL - 1);
    return store;
}

static int load_store(struct keystore *store, const struct keystore *before, const char *folder,
                      const uint8_t group_secret[static GROUP_SECRET_SIZE],
                      const struct server_config *phrases, const struct keystore_progress *progress,
                      struct fault *fault)
{
    size_t wanted = take_over(store, can_take_over(store, before) ? before : NULL);
    keystore_read(store, wanted, folder, group_secret, phrases, progress);
    if (keystore_choose(store) != 0)
        return fault_set(fault, ERR_MEMORY, "%s: no memory for %zu keys", folder, store->list.count);
    count_changes(store, before, wanted);
    return before != NULL ? refuse_news(store, before, folder, fault) : 0;
}

int keystore_load(struct keystore **out, const struct keystore *before, const char *folder,
                  const uint8_t group_secret[static GROUP_SECRET_SIZE], const struct server_config *phrases,
                  const struct keystore_progress *progress, struct fault *fault)
{
    struct key_folder list;
    int err = key_folder_list(&list, folder, fault);
    if (err != 0)
        return err;
    keystore_prepare_heap(list.count);
    struct keystore *store = new_store(&list, group_secret);
    if (store == NULL)
        return fault_set(fault, ERR_MEMORY, "%s: no memory for its keys", folder);
    err = load_store(store, before, folder, group_secret, phrases, progress, fault);
    if (err != 0) {
        keystore_free(store);
        return err;
    }
    log_files(store, folder);
    *out = store;
    return 0;
}

void keystore_free(struct keystore *store)
{
    if (store == NULL)
        return;
    for (size_t i = 0; store->file != NULL && i < store->list.count; i++) {
        keystore_release(store->file[i].key);
        free(store->file[i].why);
    }
    free(store->file);
    free(store->item);
    key_folder_clear(&store->list);
    secret_free(store->group);
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

struct keystore_changes keystore_changes(const struct keystore *store)
{
    return store->changes;
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
