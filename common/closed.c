#include "common/closed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "common/identity.h"
#include "common/shell.h"

static bool is_read_only(const char *folder)
{
    struct statvfs info;
    return statvfs(folder, &info) == 0 && (info.f_flag & ST_RDONLY) != 0;
}

int closed_check_folder(const char *folder, struct fault *fault)
{
    struct stat info;
    if (stat(folder, &info) != 0 || !S_ISDIR(info.st_mode) || (info.st_mode & S_ISVTX) != 0)
        return 0;
    bool group = (info.st_mode & S_IWGRP) != 0 && !identity_is_of_group(info.st_gid);
    bool others = (info.st_mode & S_IWOTH) != 0;
    if ((!group && !others) || is_read_only(folder))
        return 0;
    return fault_set(fault, ERR_CONFIG, "%s: mode %04o lets others replace files in it; run: chmod %s%s-w %s",
                     folder, (unsigned)(info.st_mode & 07777), group ? "g" : "", others ? "o" : "",
                     SHELL_WORD(folder));
}

/* Cuts the last part off PATH. */
static const char *folder_of(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash == NULL)
        return ".";
    if (slash == path)
        return "/";
    *slash = 0;
    return path;
}

static int check_copy(char *path, struct fault *fault)
{
    if (path == NULL)
        return errno == ENOMEM ? fault_set(fault, ERR_MEMORY, "no memory for a path") : 0;
    int err = closed_check_folder(folder_of(path), fault);
    free(path);
    return err;
}

int closed_check_place(const char *path, struct fault *fault)
{
    struct stat info;
    int err = check_copy(strdup(path), fault);
    if (err == 0 && lstat(path, &info) == 0 && S_ISLNK(info.st_mode))
        err = check_copy(realpath(path, NULL), fault);
    return err;
}
