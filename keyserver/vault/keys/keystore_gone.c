#include "keyserver/vault/keys/keystore_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/log.h"

/* What was not there at the reading may be there by now: it is listed once more all the same. */
bool keystore_is_gone(const char *path, int err)
{
    struct stat info;
    if (err == ERR_NOT_FOUND)
        return true;
    return lstat(path, &info) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

size_t keystore_tell_gone(const struct keystore *store, const char *folder)
{
    size_t count = 0;
    for (size_t i = 0; i < store->list.count; i++) {
        const struct keystore_file *file = &store->file[i];
        if (!file->gone)
            continue;
        count++;
        log_finding(
            LOG_WARN, "key_file_gone",
            "file=%s error=\"%s/%s: has gone since the folder was listed, and counts as if it had never "
            "been there\" hint=\"if it is back, start or reload again\"",
            file->name, folder, file->name);
    }
    return count;
}

void keystore_drop_gone(struct keystore *store)
{
    size_t kept = 0;
    for (size_t i = 0; i < store->list.count; i++) {
        if (store->file[i].gone) {
            free(store->file[i].why);
            free(store->list.item[i].name);
            continue;
        }
        store->file[kept] = store->file[i];
        store->list.item[kept++] = store->list.item[i];
    }
    store->list.count = kept;
}
