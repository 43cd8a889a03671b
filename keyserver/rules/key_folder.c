#include "keyserver/rules/key_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/permissions.h"
#include "common/shell.h"

/* A file that was changed as short a time ago could be changed once more and keep its times: they advance
 * with the kernel's tick, and on other machines' disks with those machines' clocks. */
#define SETTLED_MS 100

const char *key_folder_extension(const char *name)
{
    static const char *const extensions[] = {".pem", ".key", ".der"};
    const char *slash = strrchr(name, '/');
    const char *base = slash != NULL ? slash + 1 : name;
    const char *dot = strrchr(base, '.');
    if (dot == NULL || base[0] == '.')
        return NULL;
    for (size_t i = 0; i < sizeof extensions / sizeof extensions[0]; i++)
        if (strcasecmp(dot, extensions[i]) == 0)
            return dot;
    return NULL;
}

static int64_t ns_of(const struct timespec *at)
{
    return (int64_t)at->tv_sec * (int64_t)NS_PER_S + at->tv_nsec;
}

static struct key_stamp stamp_of(const struct stat *info)
{
    int64_t changed_ns = ns_of(&info->st_ctim);
    if (changed_ns / (int64_t)NS_PER_MS + SETTLED_MS > (int64_t)clock_unix_ms())
        return (struct key_stamp){.inode = 0};
    return (struct key_stamp){.device = info->st_dev,
                              .inode = info->st_ino,
                              .size = (uint64_t)info->st_size,
                              .modified_ns = ns_of(&info->st_mtim),
                              .changed_ns = changed_ns,
                              .mode = info->st_mode,
                              .owner = info->st_uid,
                              .group = info->st_gid};
}

bool key_stamp_same(const struct key_stamp *a, const struct key_stamp *b)
{
    return a->inode != 0 && a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified_ns == b->modified_ns && a->changed_ns == b->changed_ns && a->mode == b->mode &&
           a->owner == b->owner && a->group == b->group;
}

/* ---- the list ---- */

struct walk {
    struct key_folder *list;
    size_t room;
};

/* Takes NAME. */
static int add_file(struct walk *walk, char *name, struct key_stamp stamp)
{
    struct key_folder *list = walk->list;
    if (list->count == walk->room) {
        size_t wanted = walk->room > 0 ? 2 * walk->room : 16;
        struct key_folder_file *grown = reallocarray(list->item, wanted, sizeof *grown);
        if (grown == NULL) {
            free(name);
            return ERR_MEMORY;
        }
        list->item = grown;
        walk->room = wanted;
    }
    list->item[list->count++] = (struct key_folder_file){.name = name, .stamp = stamp};
    return 0;
}

/* Takes NAME. */
static int add_other(struct walk *walk, char *name)
{
    struct key_folder *list = walk->list;
    if (list->other == NULL)
        list->other = calloc(KEY_FOLDER_OTHERS, sizeof *list->other);
    if (list->other == NULL || list->others == KEY_FOLDER_OTHERS) {
        list->others_left_out++;
        free(name);
        return list->other == NULL ? ERR_MEMORY : 0;
    }
    list->other[list->others++] = name;
    return 0;
}

/* What stands beside the key of an ACME client, and is for the edge. */
static bool is_chain(const char *name)
{
    return strcmp(name, "cert.pem") == 0 || strcmp(name, "chain.pem") == 0 ||
           strcmp(name, "fullchain.pem") == 0;
}

/* What a disk of its own has in its uppermost folder. */
static bool is_of_file_system(const char *name)
{
    return strcmp(name, "lost+found") == 0;
}

static int walk_folder(struct walk *walk, DIR *dir, const char *prefix, unsigned depth);

/* Takes NAME. */
static int walk_sub_folder(struct walk *walk, int parent, const char *entry, char *name, unsigned depth)
{
    int fd = openat(parent, entry, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return add_file(walk, name, (struct key_stamp){.inode = 0});
    }
    int err = walk_folder(walk, dir, name, depth);
    closedir(dir);
    if (err != ERR_SYSTEM) {
        free(name);
        return err;
    }
    return add_file(walk, name, (struct key_stamp){.inode = 0});
}

/* The stamp stays zero where there is no such file: whoever opens it finds out why. */
static int walk_entry(struct walk *walk, int parent, const char *entry, const char *prefix, unsigned depth)
{
    struct stat info;
    bool there = fstatat(parent, entry, &info, 0) == 0, is_folder = there && S_ISDIR(info.st_mode);
    bool is_key = !is_folder && key_folder_extension(entry) != NULL;
    bool wanted = is_folder ? !is_of_file_system(entry) : is_key || (there && S_ISREG(info.st_mode));
    char *name;
    if (!wanted)
        return 0;
    if (asprintf(&name, "%s%s%s", prefix, prefix[0] != 0 ? "/" : "", entry) < 0)
        return ERR_MEMORY;
    if (is_folder && depth < KEY_FOLDER_DEPTH)
        return walk_sub_folder(walk, parent, entry, name, depth + 1);
    if (!is_key)
        return add_other(walk, name);
    return add_file(walk, name, there ? stamp_of(&info) : (struct key_stamp){.inode = 0});
}

/* ERR_SYSTEM with errno, ERR_MEMORY. */
static int walk_folder(struct walk *walk, DIR *dir, const char *prefix, unsigned depth)
{
    bool skip_chains = faccessat(dirfd(dir), "privkey.pem", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    int err = 0;
    errno = 0;
    for (struct dirent *entry; err == 0 && (entry = readdir(dir)) != NULL; errno = 0)
        if (entry->d_name[0] != '.' && !(skip_chains && is_chain(entry->d_name)))
            err = walk_entry(walk, dirfd(dir), entry->d_name, prefix, depth);
    return err != 0 ? err : errno != 0 ? ERR_SYSTEM : 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct key_folder_file *)a)->name, ((const struct key_folder_file *)b)->name);
}

int key_folder_list(struct key_folder *out, const char *folder, struct fault *fault)
{
    DIR *dir = opendir(folder);
    struct walk walk = {.list = out};
    *out = (struct key_folder){.item = NULL};
    if (dir == NULL)
        return fault_set(fault, ERR_CONFIG,
                         errno == ENOENT
                             ? "%s: the folder of keys cannot be read: %s; make it with: mkdir -m 0700 %s"
                             : "%s: the folder of keys cannot be read: %s; look at it with: namei -l %s",
                         folder, strerror(errno), SHELL_WORD(folder));
    int err = permissions_check_folder(folder, fault);
    if (err != 0) {
        closedir(dir);
        return err;
    }
    err = walk_folder(&walk, dir, "", 0);
    if (err == ERR_SYSTEM)
        err = fault_set(fault, ERR_CONFIG, "%s: the folder of keys cannot be read: %s", folder,
                        strerror(errno));
    else if (err != 0)
        fault_set(fault, err, "%s: no memory for its list of files", folder);
    closedir(dir);
    if (err != 0)
        key_folder_clear(out);
    else if (out->count > 0)
        qsort(out->item, out->count, sizeof *out->item, compare_names);
    return err;
}

bool key_folder_has(const struct key_folder *list, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < list->count; i++) {
        const char *file = list->item[i].name, *extension = key_folder_extension(file);
        if (extension != NULL && (size_t)(extension - file) == length && memcmp(file, name, length) == 0)
            return true;
    }
    return false;
}

void key_folder_clear(struct key_folder *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->item[i].name);
    for (size_t i = 0; i < list->others; i++)
        free(list->other[i]);
    free(list->item);
    free(list->other);
    *list = (struct key_folder){.item = NULL};
}
