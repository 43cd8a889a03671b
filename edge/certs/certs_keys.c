#include "edge/certs/certs_keys.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/contents.h"
#include "common/plain_file.h"
#include "common/secret.h"
#include "edge/certs/certs_file.h"
#include "edge/certs/certs_ignored.h"

/* A walk through the folders. */
struct walk {
    struct certs_paths *out, *ignored;
    const char *folder; /* the first */
    const struct certs_paths *known;
    uint8_t *room; /* CERTS_FILE_MAX bytes, owned, wiped at the end */
    struct fault *fault;
    size_t seen;
    unsigned depth;
    struct { /* the folders on the way down: one that comes again is a circle of links */
        dev_t device;
        ino_t inode;
    } above[CERTS_KEYS_DEPTH + 1];
};

/* ---- one file ---- */

static int add_text(struct certs_paths *list, const struct fault *why)
{
    char *text = strdup(why->text);
    return text == NULL ? ERR_MEMORY : certs_paths_add(list, text);
}

static size_t read_start(int fd, uint8_t *out)
{
    size_t length = 0;
    while (length < CERTS_FILE_MAX) {
        ssize_t got = read(fd, out + length, CERTS_FILE_MAX - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    return length;
}

/* Takes PATH. Adds it to the keys when it holds one, else what is said of it, if anything, to the ignored
 * files. */
static int look_at(struct walk *walk, char *path)
{
    struct fault why;
    const char *reason;
    int fd = plain_file_open(path, PLAIN_FILE_ONLY, &reason);
    int error = fd < 0 && fd != ERR_CONFIG ? errno : 0;
    size_t length = fd >= 0 ? read_start(fd, walk->room) : 0;
    if (fd >= 0)
        close(fd);
    bool key = (contents_tell(walk->room, length) & CONTENTS_KEYS) != 0;
    bool ignored = !key && !certs_folder_leaves_out(walk->folder, path) &&
                   certs_ignored_look(path, error != 0 ? NULL : walk->room, length, error, &why);
    wipe(walk->room, length);
    if (key)
        return certs_paths_add(walk->out, path);
    free(path);
    return ignored ? add_text(walk->ignored, &why) : 0;
}

static int by_path(const void *a, const void *b)
{
    char *const *left = a;
    char *const *right = b;
    return strcmp(*left, *right);
}

static bool is_known(const struct walk *walk, const char *path)
{
    return walk->known->count > 0 &&
           bsearch(&path, walk->known->item, walk->known->count, sizeof *walk->known->item, by_path) != NULL;
}

/* ---- folders ---- */

static int walk_folder(struct walk *walk, const char *folder, const struct stat *info);

static bool is_above(const struct walk *walk, const struct stat *info)
{
    for (unsigned i = 0; i < walk->depth; i++)
        if (walk->above[i].device == info->st_dev && walk->above[i].inode == info->st_ino)
            return true;
    return false;
}

static int walk_sub_folder(struct walk *walk, const char *path, const struct stat *info)
{
    struct fault why;
    if (is_above(walk, info))
        return 0;
    if (walk->depth <= CERTS_KEYS_DEPTH)
        return walk_folder(walk, path, info);
    if (certs_folder_leaves_out(walk->folder, path))
        return 0;
    certs_ignored_folder(path, &why);
    return add_text(walk->ignored, &why) == 0
               ? 0
               : fault_set(walk->fault, ERR_MEMORY, "%s", err_string(ERR_MEMORY));
}

/* Takes PATH. */
static int walk_entry(struct walk *walk, char *path)
{
    struct stat info;
    int err = 0;
    if (++walk->seen > CERTS_KEYS_FILES_MAX)
        err = fault_set(walk->fault, ERR_LENGTH,
                        "%s: more than %d files in the folder of certificates; leave only certificates there",
                        path, CERTS_KEYS_FILES_MAX);
    else if (stat(path, &info) != 0)
        err = 0;
    else if (S_ISDIR(info.st_mode))
        err = walk_sub_folder(walk, path, &info);
    else if (S_ISREG(info.st_mode) && !is_known(walk, path))
        return look_at(walk, path) == 0 ? 0
                                        : fault_set(walk->fault, ERR_MEMORY, "%s", err_string(ERR_MEMORY));
    free(path);
    return err;
}

static int walk_folder(struct walk *walk, const char *folder, const struct stat *info)
{
    int err = 0;
    DIR *stream = opendir(folder);
    if (stream == NULL)
        return 0; /* certs_folder_list() has complained of those that matter */
    walk->above[walk->depth].device = info->st_dev;
    walk->above[walk->depth++].inode = info->st_ino;
    for (struct dirent *entry; err == 0 && (entry = readdir(stream)) != NULL;) {
        char *path = NULL;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (asprintf(&path, "%s/%s", folder, entry->d_name) < 0)
            err = fault_set(walk->fault, ERR_MEMORY, "%s: no memory", folder);
        else
            err = walk_entry(walk, path);
    }
    walk->depth--;
    closedir(stream);
    return err;
}

static void sort(struct certs_paths *list)
{
    if (list->count > 1)
        qsort(list->item, list->count, sizeof *list->item, by_path);
}

int certs_keys_list(struct certs_paths *out, struct certs_paths *ignored, const char *folder,
                    const struct certs_paths *known, struct fault *fault)
{
    struct walk walk = {.out = out,
                        .ignored = ignored,
                        .folder = folder,
                        .known = known,
                        .fault = fault,
                        .room = malloc(CERTS_FILE_MAX)};
    struct stat info;
    *out = *ignored = (struct certs_paths){0};
    if (walk.room == NULL)
        return fault_set(fault, ERR_MEMORY, "%s: no memory", folder);
    int err = stat(folder, &info) == 0 ? walk_folder(&walk, folder, &info) : 0;
    free(walk.room);
    if (err != 0) {
        certs_folder_clear(out);
        certs_folder_clear(ignored);
    }
    sort(out);
    sort(ignored);
    return err;
}
