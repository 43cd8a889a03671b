#include "keyserver/vault/keys/keystore_inside.h"

#include <stdlib.h>
#include <string.h>

static int compare_ids(const void *a, const void *b)
{
    const struct keystore_file *const *first = a, *const *second = b;
    return memcmp((*first)->key->id, (*second)->key->id, KEY_ID_SIZE);
}

static int compare_names(const void *a, const void *b)
{
    const struct keystore_file *const *first = a, *const *second = b;
    return strcmp((*first)->key->name, (*second)->key->name);
}

/* Puts those with a key into FILES; returns how many. */
static size_t gather(struct keystore_file **files, struct keystore *store)
{
    size_t count = 0;
    for (size_t i = 0; i < store->list.count; i++)
        if (store->file[i].key != NULL)
            files[count++] = &store->file[i];
    return count;
}

/* Numbers them, so that the same key, and the same name, has the same number. */
static void compare_all(struct keystore_file **files, size_t count)
{
    qsort(files, count, sizeof *files, compare_ids);
    for (size_t i = 0; i < count; i++)
        files[i]->same_key = i > 0 && compare_ids(&files[i - 1], &files[i]) == 0 ? files[i - 1]->same_key : i;
    qsort(files, count, sizeof *files, compare_names);
    for (size_t i = 0; i < count; i++)
        files[i]->same_name = i > 0 && compare_names(&files[i - 1], &files[i]) == 0 ? files[i - 1]->same_name
                                                                                    : i;
}

/* In the order of the files the first of each key and of each name stays; FILES becomes those. */
static size_t leave_first(struct keystore_file **files, const struct keystore_file **by_key,
                          const struct keystore_file **by_name, struct keystore *store)
{
    size_t kept = 0, count = gather(files, store);
    for (size_t i = 0; i < count; i++) {
        struct keystore_file *file = files[i];
        const struct keystore_file *same_key = by_key[file->same_key], *same_name = by_name[file->same_name];
        if (same_key == NULL && same_name == NULL) {
            by_key[file->same_key] = by_name[file->same_name] = files[kept++] = file;
            continue;
        }
        bool is_key = same_key != NULL && (same_name == NULL || same_key <= same_name);
        file->clash = is_key ? CLASH_KEY : CLASH_NAME;
        file->first = is_key ? same_key : same_name;
    }
    return kept;
}

static void put_keys(struct keystore *store, struct keystore_file **files, size_t count)
{
    qsort(files, count, sizeof *files, compare_ids);
    for (size_t i = 0; i < count; i++)
        store->item[i] = files[i]->key;
    store->count = count;
    store->skipped = store->list.count - count;
    keystore_number(store);
}

int keystore_choose(struct keystore *store)
{
    size_t room = store->list.count + 1;
    struct keystore_file **files = calloc(room, sizeof *files);
    const struct keystore_file **by_key = calloc(room, sizeof *by_key),
                               **by_name = calloc(room, sizeof *by_name);
    store->item = calloc(room, sizeof *store->item);
    bool good = files != NULL && by_key != NULL && by_name != NULL && store->item != NULL;
    if (good) {
        size_t count = gather(files, store);
        compare_all(files, count);
        put_keys(store, files, leave_first(files, by_key, by_name, store));
    }
    free(files);
    free(by_key);
    free(by_name);
    return good ? 0 : ERR_MEMORY;
}
