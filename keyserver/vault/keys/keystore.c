#include "keyserver/vault/keys/keystore_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/log.h"
#include "common/process.h"
#include "common/secret.h"
#include "keyserver/lanes/lanes.h"

#define GROUP_LABEL  "keyless keystore group" /* under the group secret */

#define LISTINGS_MAX 4 /* of the folder in one load */

static void tell_about(const struct key *key)
{
    char id[2 * KEY_ID_SIZE + 1];
    log_event(LOG_INFO, "key_loaded", "key=%s type=%s bits=%u id=%s", key->name, key_type_name(key->type),
              key->bits, hex_encode(id, key->id, KEY_ID_SIZE));
}

/* ---- the files ---- */

const struct keystore_file *keystore_find_file(const struct keystore *store, const char *name)
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

/* The file of OTHER that is the I-th of STORE and has not changed in between; NULL without its key. */
static const struct keystore_file *find_unchanged(const struct keystore *store, size_t i,
                                                  const struct keystore *other)
{
    const struct key_folder_file *listed = &store->list.item[i];
    const struct keystore_file *found = other != NULL ? keystore_find_file(other, listed->name) : NULL;
    bool same = found != NULL && found->key != NULL &&
                key_stamp_same(&listed->stamp, &other->list.item[found - other->file].stamp);
    return same ? found : NULL;
}

static void share_key(struct keystore_file *file, const struct keystore_file *with)
{
    file->wanted = false;
    file->key = with->key;
    file->key->references++;
}

/* Shares the keys of unchanged files with BEFORE. A file that was bad is read again even if it has not
 * changed, because its fault is not kept. */
static void take_over(struct keystore *store, const struct keystore *before)
{
    for (size_t i = 0; i < store->list.count; i++) {
        const struct keystore_file *old = find_unchanged(store, i, before);
        store->file[i].wanted = store->file[i].read = old == NULL;
        if (old != NULL)
            share_key(&store->file[i], old);
    }
}

/* The same with LAST, which this load has read and does not use. */
static void take_read(struct keystore *store, const struct keystore *last)
{
    for (size_t i = 0; i < store->list.count; i++) {
        const struct keystore_file *old = store->file[i].wanted ? find_unchanged(store, i, last) : NULL;
        if (old != NULL)
            share_key(&store->file[i], old);
    }
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

static void log_files(const struct keystore *store, const char *folder)
{
    for (size_t i = 0; i < store->list.count; i++)
        if (keystore_is_served(&store->file[i]) && store->file[i].read)
            tell_about(store->file[i].key);
    keystore_tell_skipped(store, folder);
    keystore_tell_ignored(&store->list, folder);
}

static void count_changes(struct keystore *store, const struct keystore *before)
{
    store->changes = (struct keystore_changes){.kept = store->list.count};
    for (size_t i = 0; i < store->list.count; i++)
        store->changes.loaded += store->file[i].read;
    store->changes.kept -= store->changes.loaded;
    for (size_t i = 0; before != NULL && i < before->list.count; i++)
        store->changes.removed += keystore_find_file(store, before->file[i].name) == NULL;
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

/* Reads what LIST, which it takes, has. *STORE is what was read by the list before (NULL: this is the first)
 * and becomes what is read now; it is freed by whoever calls, in any case. */
static int read_list(struct keystore **store, const struct keystore *before, struct key_folder *list,
                     const struct keystore_source *source, struct fault *fault)
{
    size_t count = list->count;
    keystore_prepare_heap(count);
    struct keystore *made = new_store(list, source->group_secret);
    if (made == NULL)
        return fault_set(fault, ERR_MEMORY, "%s: no memory for its %zu keys", source->folder, count);
    take_over(made, can_take_over(made, before) ? before : NULL);
    take_read(made, *store);
    keystore_free(*store);
    *store = made;
    keystore_read(made, source);
    return 0;
}

/* A file that goes between its listing and its reading is as if it had been gone from the start. It may have
 * another name now, so the folder is listed once more, until everything that is listed is there. */
static int read_settled(struct keystore **store, const struct keystore *before, struct key_folder *list,
                        const struct keystore_source *source, struct fault *fault)
{
    for (unsigned listings = 1;; listings++) {
        int err = read_list(store, before, list, source, fault);
        if (err != 0 || keystore_tell_gone(*store, source->folder) == 0)
            return err;
        if (listings == LISTINGS_MAX)
            break;
        if ((err = key_folder_list(list, source->folder, fault)) != 0)
            return err;
    }
    keystore_drop_gone(*store);
    return 0;
}

int keystore_load_listed(struct keystore **out, const struct keystore *before, struct key_folder *list,
                         const struct keystore_source *source, struct fault *fault)
{
    struct keystore *store = NULL;
    int err = read_settled(&store, before, list, source, fault);
    if (err == 0 && keystore_choose(store, before, source->rules) != 0)
        err = fault_set(fault, ERR_MEMORY, "%s: no memory for %zu keys", source->folder, store->list.count);
    if (err == 0) {
        count_changes(store, before);
        err = before != NULL ? keystore_refuse_news(store, before, source->folder, fault) : 0;
    }
    if (err != 0) {
        keystore_free(store);
        return err;
    }
    log_files(store, source->folder);
    if (before != NULL)
        keystore_tell_renamed(store, before);
    *out = store;
    return 0;
}

int keystore_load(struct keystore **out, const struct keystore *before, const char *folder,
                  const uint8_t group_secret[static GROUP_SECRET_SIZE], const struct keystore_rules *rules,
                  const struct keystore_progress *progress, struct fault *fault)
{
    const struct keystore_source source = {
        .folder = folder, .group_secret = group_secret, .rules = rules, .progress = progress};
    struct key_folder list;
    int err = key_folder_list(&list, folder, fault);
    return err != 0 ? err : keystore_load_listed(out, before, &list, &source, fault);
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
