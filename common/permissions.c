#include "common/permissions.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/acl.h"
#include "common/local_group.h"
#include "common/shell.h"

#define LINKS_MAX 40 /* one to another, as the kernel has it */

static _Atomic enum permissions_readers readers = PERMISSIONS_OWNER;

void permissions_set_readers(enum permissions_readers who)
{
    readers = who;
}

static _Atomic uid_t account; /* 0: none but root's and the caller's own */

void permissions_set_account(uid_t who)
{
    account = who;
}

/* Root counts as a member of every group: it starts the program for another account, whose groups are not
 * known here. */
static bool is_in_group(gid_t group)
{
    gid_t groups[1024];
    if (geteuid() == 0 || group == getegid())
        return true;
    int count = getgroups(sizeof groups / sizeof groups[0], groups);
    for (int i = 0; i < count; i++)
        if (groups[i] == group)
            return true;
    return false;
}

static bool is_of_group(gid_t group)
{
    return readers == PERMISSIONS_GROUP && is_in_group(group);
}

static int check_mode(int fd, const struct stat *info, const char *path, struct fault *fault)
{
    unsigned mode = info->st_mode & 07777u;
    bool is_group_only = (mode & 077) == 040;
    if ((mode & 077) == 0 || (is_group_only && is_of_group(info->st_gid)) ||
        acl_is_closed(fd, ACL_RIGHT_ANY, geteuid(), account))
        return 0;
    if (is_group_only && readers == PERMISSIONS_GROUP)
        return fault_set(
            fault, ERR_CONFIG,
            "%s: mode %04o lets the group %u use it, which this process is not in; run: chmod 0400 "
            "%s, or chgrp it",
            path, mode, (unsigned)info->st_gid, SHELL_WORD(path));
    return fault_set(fault, ERR_CONFIG, "%s: mode %04o lets others use it; run: chmod 0400 %s%s", path, mode,
                     SHELL_WORD(path),
                     is_group_only
                         ? " (or, where its group has only this program, as that of a Kubernetes "
                           "secret with fsGroup, set in the configuration: secret_files = \"group\")"
                         : "");
}

bool permissions_is_trusted(uid_t owner)
{
    return owner == 0 || owner == geteuid() || owner == account;
}

static bool is_caller(uid_t uid)
{
    return uid == 0 || uid == geteuid();
}

bool permissions_is_private(gid_t group)
{
    return local_group_is_of(group, is_caller);
}

int permissions_check_file(int fd, const char *path, struct fault *fault)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return fault_set(fault, ERR_SYSTEM, "%s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return fault_set(fault, ERR_CONFIG, "%s: not a regular file; name the file itself", path);
    if (!permissions_is_trusted(info.st_uid))
        return fault_set(fault, ERR_CONFIG, "%s: owned by uid %u, who could replace it; run: chown %u %s",
                         path, (unsigned)info.st_uid, (unsigned)geteuid(), SHELL_WORD(path));
    return check_mode(fd, &info, path, fault);
}

static bool is_read_only(const struct statvfs *system)
{
    return (system->f_flag & ST_RDONLY) != 0;
}

int permissions_check_writers(int fd, const char *path, struct fault *fault)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return fault_set(fault, ERR_SYSTEM, "%s", strerror(errno));
    if (!S_ISREG(info.st_mode) || (info.st_mode & (S_IWGRP | S_IWOTH)) == 0 ||
        ((info.st_mode & S_IWOTH) == 0 && !acl_has(fd) && permissions_is_private(info.st_gid)) ||
        acl_is_closed(fd, ACL_RIGHT_WRITE, geteuid(), account))
        return 0;
    return fault_set(fault, ERR_CONFIG, "mode %04o lets others change it; run: chmod go-w %s",
                     (unsigned)(info.st_mode & 07777), SHELL_WORD(path));
}

static int check_folder_mode(const struct stat *info, const char *folder, struct fault *fault)
{
    bool others = (info->st_mode & S_IWOTH) != 0;
    bool group = (info->st_mode & S_IWGRP) != 0 && !is_of_group(info->st_gid) &&
                 (others || acl_has_at(folder) || !permissions_is_private(info->st_gid));
    if ((info->st_mode & S_ISVTX) != 0 || (!group && !others))
        return 0;
    return fault_set(fault, ERR_CONFIG, "%s: mode %04o lets others replace files in it; run: chmod %s%s-w %s",
                     folder, (unsigned)(info->st_mode & 07777), group ? "g" : "", others ? "o" : "",
                     SHELL_WORD(folder));
}

int permissions_check_folder(const char *folder, struct fault *fault)
{
    struct stat info;
    struct statvfs system;
    if (stat(folder, &info) != 0 || !S_ISDIR(info.st_mode) || statvfs(folder, &system) != 0 ||
        is_read_only(&system))
        return 0;
    if (!permissions_is_trusted(info.st_uid))
        return fault_set(fault, ERR_CONFIG,
                         "%s: owned by uid %u, who could replace files in it; run: chown %u %s", folder,
                         (unsigned)info.st_uid, (unsigned)geteuid(), SHELL_WORD(folder));
    return check_folder_mode(&info, folder, fault);
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

/* AT becomes what the link at AT leads to; false when there is no link, or none that could be opened. */
static bool follow(char at[static PATH_MAX])
{
    char target[PATH_MAX];
    const char *slash = strrchr(at, '/');
    ssize_t length = readlink(at, target, sizeof target);
    if (length <= 0)
        return false;
    size_t folder = target[0] == '/' || slash == NULL ? 0 : (size_t)(slash - at) + 1;
    if (folder + (size_t)length >= PATH_MAX)
        return false;
    memcpy(at + folder, target, (size_t)length);
    at[folder + (size_t)length] = 0;
    return true;
}

int permissions_check_place(const char *path, struct fault *fault)
{
    char at[PATH_MAX], folder[PATH_MAX];
    int err = 0;
    if (strlen(path) >= sizeof at)
        return 0; /* who opens it says so */
    strcpy(at, path);
    for (int links = 0; err == 0 && links <= LINKS_MAX; links++) {
        strcpy(folder, at);
        err = permissions_check_folder(folder_of(folder), fault);
        if (!follow(at))
            break;
    }
    return err;
}
