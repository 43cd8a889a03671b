#include "keyserver/vault/key_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"

#define NS_PER_S  1000000000
#define NS_PER_MS 1000000

/* A file that was changed as short a time ago could be changed once more and keep its times: they advance
 * with the kernel's tick, and on other machines' disks with those machines' clocks. */
#define SETTLED_MS 100

const char *key_folder_extension(const char *name)
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

static int64_t ns_of(const struct timespec *at)
{
    return (int64_t)at->tv_sec * NS_PER_S + at->tv_nsec;
}

/* Stays zero where there is no such file: whoever opens it finds out why. */
static void put_stamp(struct key_stamp *stamp, int folder, const char *name)
{
    struct stat info;
    if (fstatat(folder, name, &info, 0) != 0)
        return;
    int64_t changed_ns = ns_of(&info.st_ctim);
    if (changed_ns / NS_PER_MS + SETTLED_MS > (int64_t)clock_unix_ms())
        return;
    *stamp = (struct key_stamp){.device = info.st_dev,
                                .inode = info.st_ino,
                                .size = (uint64_t)info.st_size,
                                .modified_ns = ns_of(&info.st_mtim),
                                .changed_ns = changed_ns,
                                .mode = info.st_mode,
                                .owner = info.st_uid,
                                .group = info.st_gid};
}

bool key_stamp_same(const struct key_stamp *a, const struct key_stamp *b)
{
    return a->inode != 0 && a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified_ns == b->modified_ns && a->changed_ns == b->changed_ns && a->mode == b->mode &&
           a->owner == b->owner && a->group == b->group;
}

static int add(struct key_folder *list, size_t *room, int folder, const char *name)
{
    if (list->count == *room) {
        size_t wanted = *room > 0 ? 2 * *room : 16;
        struct key_folder_file *grown = reallocarray(list->item, wanted, sizeof *grown);
        if (grown == NULL)
            return ERR_MEMORY;
        list->item = grown;
        *room = wanted;
    }
    struct key_folder_file *file = &list->item[list->count];
    *file = (struct key_folder_file){.name = strdup(name)};
    if (file->name == NULL)
        return ERR_MEMORY;
    put_stamp(&file->stamp, folder, name);
    list->count++;
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct key_folder_file *)a)->name, ((const struct key_folder_file *)b)->name);
}

int key_folder_list(struct key_folder *out, const char *folder, struct fault *fault)
{
    DIR *dir = opendir(folder);
    size_t room = 0;
    int err = 0;
    *out = (struct key_folder){.item = NULL};
    if (dir == NULL)
        return fault_set(fault, ERR_CONFIG,
                         errno == ENOENT
                             ? "%s: the folder of keys cannot be read: %s; make it with: mkdir -m 0700 %s"
                             : "%s: the folder of keys cannot be read: %s; look at it with: namei -l %s",
                         folder, strerror(errno), folder);
    errno = 0;
    for (struct dirent *entry; err == 0 && (entry = readdir(dir)) != NULL; errno = 0)
        if (key_folder_extension(entry->d_name) != NULL)
            err = add(out, &room, dirfd(dir), entry->d_name);
    if (err != 0)
        fault_set(fault, err, "%s: no memory for its list of files", folder);
    else if (errno != 0)
        err = fault_set(fault, ERR_CONFIG, "%s: the folder of keys cannot be read: %s", folder,
                        strerror(errno));
    closedir(dir);
    if (err != 0)
        key_folder_clear(out);
    else if (out->count > 0)
        qsort(out->item, out->count, sizeof *out->item, compare_names);
    return err;
}

void key_folder_clear(struct key_folder *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->item[i].name);
    free(list->item);
    *list = (struct key_folder){.item = NULL};
}
