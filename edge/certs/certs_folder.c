#include "edge/certs/certs_folder.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/path.h"

void certs_folder_clear(struct certs_paths *paths)
{
    for (size_t i = 0; i < paths->count; i++)
        free(paths->item[i]);
    free(paths->item);
    *paths = (struct certs_paths){0};
}

int certs_paths_add(struct certs_paths *paths, char *path)
{
    if (paths->count == paths->size) {
        size_t size = paths->size == 0 ? 64 : 2 * paths->size;
        char **item = realloc(paths->item, size * sizeof *item);
        if (item == NULL) {
            free(path);
            return ERR_MEMORY;
        }
        paths->item = item;
        paths->size = size;
    }
    paths->item[paths->count++] = path;
    return 0;
}

bool certs_folder_is_name(const char *name)
{
    const char *end = path_extension(name);
    return end != NULL &&
           (strcasecmp(end, ".pem") == 0 || strcasecmp(end, ".crt") == 0 || strcasecmp(end, ".cer") == 0);
}

static bool is_part(const char *name)
{
    return strcmp(name, "cert.pem") == 0 || strcmp(name, "chain.pem") == 0;
}

static bool has_full_chain(const char *folder)
{
    struct stat info;
    char *path = NULL;
    if (asprintf(&path, "%s/fullchain.pem", folder) < 0)
        return false;
    bool there = stat(path, &info) == 0 && S_ISREG(info.st_mode);
    free(path);
    return there;
}

bool certs_folder_leaves_out(const char *folder, const char *path)
{
    const char *slash = strrchr(path, '/');
    char above[PATH_MAX];
    if (strstr(path + strlen(folder), "/.") != NULL)
        return true;
    if (slash == NULL || !is_part(slash + 1) || slash - path >= (ptrdiff_t)sizeof above)
        return false;
    snprintf(above, sizeof above, "%.*s", (int)(slash - path), path);
    return has_full_chain(above);
}

static int explain(const char *folder, int why, struct fault *fault)
{
    const char *hint = why == ENOENT    ? "make it, or correct the option 'certificates'"
                       : why == ENOTDIR ? "the option 'certificates' names the folder, not a file in it"
                       : why == EACCES
                           ? "let this user list and enter it, as with: chmod a+rx"
                           : "look at the disk, or name another folder in the option 'certificates'";
    return fault_set(fault, ERR_CONFIG, "%s: the folder of certificates cannot be read: %s; %s%s%s", folder,
                     strerror(why), hint, why == EACCES ? " " : "", why == EACCES ? folder : "");
}

static int list(struct certs_paths *out, const char *folder, unsigned depth, struct fault *fault);

static int list_entry(struct certs_paths *out, const char *folder, const char *name, bool skip_parts,
                      unsigned depth, struct fault *fault)
{
    struct stat info;
    char *path = NULL;
    if (name[0] == '.' || (skip_parts && is_part(name)))
        return 0;
    if (asprintf(&path, "%s/%s", folder, name) < 0)
        return fault_set(fault, ERR_MEMORY, "%s: no memory", folder);
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
        int err = depth < CERTS_FOLDER_DEPTH ? list(out, path, depth + 1, fault) : 0;
        free(path);
        return err;
    }
    if (certs_folder_is_name(name)) /* one that cannot be read is reported when it is loaded */
        return certs_paths_add(out, path) == 0 ? 0 : fault_set(fault, ERR_MEMORY, "%s: no memory", folder);
    free(path);
    return 0;
}

static int list(struct certs_paths *out, const char *folder, unsigned depth, struct fault *fault)
{
    int err = 0;
    DIR *stream = opendir(folder);
    if (stream == NULL)
        return explain(folder, errno, fault);
    bool skip_parts = has_full_chain(folder);
    for (struct dirent *entry; err == 0 && (entry = readdir(stream)) != NULL;)
        err = list_entry(out, folder, entry->d_name, skip_parts, depth, fault);
    closedir(stream);
    return err;
}

static int by_path(const void *a, const void *b)
{
    char *const *left = a;
    char *const *right = b;
    return strcmp(*left, *right);
}

int certs_folder_list(struct certs_paths *out, const char *folder, struct fault *fault)
{
    *out = (struct certs_paths){0};
    int err = list(out, folder, 0, fault);
    if (err != 0)
        certs_folder_clear(out);
    else if (out->count > 1)
        qsort(out->item, out->count, sizeof *out->item, by_path);
    return err;
}
