#include "common/creatable.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/dangling_link.h"
#include "common/output.h"
#include "common/permissions.h"
#include "common/shell.h"

/* The folder in which PATH is; cut where it is longer than any path may be. */
static void folder_of(char out[static PATH_MAX], const char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    while (length > 0 && path[length - 1] != '/')
        length--;
    while (length > 1 && path[length - 1] == '/')
        length--;
    if (length == 0)
        snprintf(out, PATH_MAX, ".");
    else
        snprintf(out, PATH_MAX, "%.*s", (int)length, path);
}

static bool can_write(const char *folder)
{
    return faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) == 0;
}

/* Why not is in errno. */
static int refuse_folder(const char *folder, struct fault *fault)
{
    if (errno == EROFS)
        return fault_set(fault, ERR_CONFIG,
                         "%s: is on a file system that is mounted read-only, and files must be made there; "
                         "name another folder, or mount it writable (in a unit of systemd: write "
                         "ReadWritePaths=%s into its section [Service])",
                         folder, folder);
    if (errno == EACCES)
        return fault_set(fault, ERR_CONFIG, "%s: uid %u cannot make files there, and must be able to", folder,
                         (unsigned)geteuid());
    return fault_set(fault, ERR_CONFIG, "%s: no files can be made there: %s", folder, strerror(errno));
}

int creatable_check_folder(const char *folder, struct fault *fault)
{
    return can_write(folder) ? 0 : refuse_folder(folder, fault);
}

static int find_folder(char folder[static PATH_MAX], const char *path, struct fault *fault)
{
    struct stat info;

    if (strlen(path) >= PATH_MAX)
        return fault_set(fault, ERR_CONFIG, "%s: the path is too long", path);
    folder_of(folder, path);
    if (stat(folder, &info) != 0 && errno == ENOENT && dangling_link_explain(folder, fault))
        return ERR_CONFIG;
    if (stat(folder, &info) != 0 && errno == ENOENT)
        return fault_set(fault, ERR_CONFIG,
                         "%s: is missing, and so is the folder for it, %s; make it with: mkdir -p %s", path,
                         folder, SHELL_WORD(folder));
    if (stat(folder, &info) == 0 && !S_ISDIR(info.st_mode))
        return fault_set(fault, ERR_CONFIG, "%s: is missing, and %s is no folder; correct the path", path,
                         folder);
    return 0;
}

int creatable_check_parent(const char *path, struct fault *fault)
{
    char folder[PATH_MAX];

    return find_folder(folder, path, fault);
}

/* Whether PATH could be made; HINT says what to do where this user may not. */
static int check_missing(const char *path, const char *hint, struct fault *fault)
{
    char folder[PATH_MAX];
    if (dangling_link_explain(path, fault)) /* a start would find the name taken */
        return ERR_CONFIG;
    int err = find_folder(folder, path, fault);

    if (err != 0 || can_write(folder))
        return err;
    if (errno != EACCES)
        return refuse_folder(folder, fault);
    return fault_set(fault, ERR_CONFIG, "%s: is missing, and uid %u cannot make files in %s; %s", path,
                     (unsigned)geteuid(), folder, hint);
}

int creatable_check(const char *path, struct fault *fault)
{
    return check_missing(path, "name a file in a folder that this user may write to", fault);
}

int creatable_check_new_folder(const char *path, struct fault *fault)
{
    char hint[SHELL_WORD_SIZE + 64];

    snprintf(hint, sizeof hint, "make it with: install -d -o %u -m 0700 %s", (unsigned)geteuid(),
             SHELL_WORD(path));
    return check_missing(path, hint, fault);
}

int creatable_check_secret(const char *path, struct fault *fault)
{
    int err = creatable_check(path, fault);
    return err != 0 ? err : permissions_check_place(path, fault);
}

void creatable_say(const char *path, const char *what)
{
    char line[PATH_MAX + 128];
    int length = snprintf(line, sizeof line, CREATABLE_PREFIX "%s: %s\n", what, path);

    if (length > 0 && (size_t)length < sizeof line)
        output_print(line);
}
