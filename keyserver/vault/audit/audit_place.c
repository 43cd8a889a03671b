#include "keyserver/vault/audit/audit_place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/identity.h"
#include "common/log.h"
#include "common/secret.h"
#include "common/shell.h"
#include "common/unmade.h"
#include "keyserver/audit/audit_checkpoint.h"

#define PATH_SIZE 4096

/* ---- the folder ---- */

static int check_folder(int fd, const char *path, bool give, uid_t uid, struct fault *fault)
{
    struct stat info;
    uid_t owner = give ? uid : geteuid();
    if (fstat(fd, &info) != 0)
        return fault_set(fault, ERR_SYSTEM, "%s: %s", path, strerror(errno));
    if (info.st_uid != owner)
        return fault_set(
            fault, ERR_CONFIG,
            "%s: owned by uid %u, but the vault, which writes there, is uid %u; run: chown -R %u %s", path,
            (unsigned)info.st_uid, (unsigned)owner, (unsigned)owner, SHELL_WORD(path));
    if ((info.st_mode & 077) != 0)
        return fault_set(fault, ERR_CONFIG,
                         "%s: mode %04o lets others into the audit log; run: chmod 0700 %s", path,
                         (unsigned)info.st_mode & 07777u, SHELL_WORD(path));
    if ((info.st_mode & 0300) != 0300)
        return fault_set(
            fault, ERR_CONFIG,
            "%s: mode %04o keeps its owner, the vault, from making files there; run: chmod 0700 %s", path,
            (unsigned)info.st_mode & 07777u, SHELL_WORD(path));
    return 0;
}

static bool is_empty(int folder)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    bool empty = dir != NULL;
    if (dir == NULL && fd >= 0)
        close(fd);
    for (struct dirent *entry; empty && (entry = readdir(dir)) != NULL;)
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    if (dir != NULL)
        closedir(dir);
    return empty;
}

/* A start that was killed has made the folder and not given it away. */
static bool is_half_made(int fd, bool give)
{
    struct stat info;
    return give && fstat(fd, &info) == 0 && info.st_uid == 0 && (info.st_mode & 077) == 0 && is_empty(fd);
}

/* The file NAME, if it is root's: not a link to one, since who owns the folder may have put that there. */
static int give_file(int folder, const char *name, uid_t uid, gid_t gid)
{
    struct stat info;
    if (fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode) || info.st_uid != 0)
        return 0;
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return ERR_SYSTEM;
    bool sole = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_nlink == 1;
    int err = sole && fchown(fd, uid, gid) != 0 ? ERR_SYSTEM : 0, why = errno;
    close(fd);
    errno = why;
    return err;
}

/* Files of root in the folder of another: made ahead, or put back by whoever keeps the log. The vault, which
 * is not root, could not write to them. */
static int give_files(int folder, uid_t uid, gid_t gid)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return ERR_SYSTEM;
    }
    for (struct dirent *entry; err == 0 && (entry = readdir(dir)) != NULL;)
        if (audit_file_seq(entry->d_name) != 0 || strcmp(entry->d_name, AUDIT_HEAD_FILE) == 0)
            err = give_file(folder, entry->d_name, uid, gid);
    int why = errno;
    closedir(dir);
    errno = why;
    return err;
}

int audit_place_open(const char *path, bool give, uid_t uid, gid_t gid, struct fault *fault)
{
    bool made = mkdir(path, 0700) == 0;
    if (!made && errno != EEXIST)
        return fault_set(fault, ERR_CONFIG, "%s: the folder of the audit log cannot be made: %s", path,
                         strerror(errno));
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fault_set(fault, ERR_CONFIG, "%s: the folder of the audit log cannot be opened: %s", path,
                         strerror(errno));
    if (((made && give) || is_half_made(fd, give)) && fchown(fd, uid, gid) != 0) {
        close(fd);
        return fault_set(fault, ERR_SYSTEM, "%s: cannot be given to uid %u: %s", path, (unsigned)uid,
                         strerror(errno));
    }
    int err = check_folder(fd, path, give, uid, fault);
    if (err == 0 && give && uid != 0 && give_files(fd, uid, gid) != 0)
        err = fault_set(fault, ERR_SYSTEM, "%s: a file in it cannot be given to uid %u: %s", path,
                        (unsigned)uid, strerror(errno));
    if (err == 0)
        return fd;
    close(fd);
    return err;
}

int audit_place_find(int *out, const char *path, bool give, uid_t uid, struct fault *fault)
{
    *out = -1;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        int err = unmade_check(path, fault);
        if (err == 0)
            unmade_say(path, "the folder of the audit log");
        return err;
    }
    if (fd < 0)
        return fault_set(fault, ERR_CONFIG, "%s: the folder of the audit log cannot be opened: %s", path,
                         strerror(errno));
    int err = is_half_made(fd, give) ? 0 : check_folder(fd, path, give, uid, fault);
    if (err == 0)
        *out = fd;
    else
        close(fd);
    return err;
}

/* ---- the key ---- */

static int public_path(char out[static PATH_SIZE], const char *path, struct fault *fault)
{
    size_t length = strlen(path);
    if (length > 4 && strcmp(path + length - 4, ".key") == 0)
        length -= 4;
    if (snprintf(out, PATH_SIZE, "%.*s.pub", (int)length, path) >= PATH_SIZE)
        return fault_set(fault, ERR_CONFIG, "%s: the path is too long", path);
    return 0;
}

/* It gets its name when it is complete: whoever is killed here leaves no half of a key. When another vault
 * was first, theirs it is. */
static int make_key(const char *path, struct fault *fault)
{
    uint8_t seed[SIGN_SEED_SIZE];
    char unnamed[PATH_SIZE];
    if (snprintf(unnamed, sizeof unnamed, "%s.new.%d", path, (int)getpid()) >= (int)sizeof unnamed)
        return fault_set(fault, ERR_CONFIG, "%s: the path is too long", path);
    unlink(unnamed); /* of one that had this number and was killed */
    random_bytes(seed, sizeof seed);
    int err = identity_save_secret(unnamed, seed, fault);
    wipe(seed, sizeof seed);
    if (err != 0)
        return err;
    if (link(unnamed, path) != 0 && errno != EEXIST)
        err = fault_set(fault, ERR_SYSTEM, "%s: cannot be made: %s", path, strerror(errno));
    unlink(unnamed);
    return err;
}

/* The public half is for people to copy: that it is missing, or that of another key, keeps nobody from work.
 */
static void look_after_public(const struct sign_key *key, const char *path, bool make)
{
    uint8_t there[SIGN_PUBLIC_SIZE];
    struct fault fault = {0};
    int err = sign_load_public(there, path, &fault);
    if (err == ERR_NOT_FOUND)
        err = make ? sign_save_public(path, key->public, &fault) : unmade_check(path, &fault);
    else if (err == 0 && memcmp(there, key->public, sizeof there) != 0)
        err = fault_set(&fault, ERR_CONFIG, "%s: belongs to another key; move it away and reload", path);
    if (err != 0)
        log_event(LOG_WARN, "audit_public_key", "error=\"%s\"", fault.text);
}

int audit_place_load_key(struct sign_key **out, const char *path, struct fault *fault)
{
    char public[PATH_SIZE];
    int err = public_path(public, path, fault);
    if (err != 0)
        return err;
    err = sign_load(out, path, fault);
    bool made = err == ERR_NOT_FOUND;
    if (made && (err = make_key(path, fault)) == 0)
        err = sign_load(out, path, fault);
    if (err != 0)
        return err;
    look_after_public(*out, public, true);
    if (made)
        log_event(LOG_WARN, "audit_key_made",
                  "file=%s hint=\"keep a copy of %s elsewhere, for keyless audit verify --key\"", path,
                  public);
    return 0;
}

/* A key that signs nothing: with it the log is read as a start reads it with a new one. */
static int make_passing_key(struct sign_key **out, struct fault *fault)
{
    uint8_t seed[SIGN_SEED_SIZE];
    *out = secret_new(sizeof **out);
    if (*out == NULL)
        return fault_set(fault, ERR_MEMORY, "the key of the audit log: no guarded memory for it");
    random_bytes(seed, sizeof seed);
    sign_derive(*out, seed);
    wipe(seed, sizeof seed);
    return 0;
}

int audit_place_find_key(struct sign_key **out, const char *path, struct fault *fault)
{
    char public[PATH_SIZE];
    int err = public_path(public, path, fault);
    if (err == 0)
        err = sign_load(out, path, fault);
    if (err == 0)
        look_after_public(*out, public, false);
    if (err != ERR_NOT_FOUND)
        return err;
    err = unmade_check_secret(path, fault);
    if (err == 0)
        unmade_say(path, "the key that signs the audit log, with its public half beside it");
    return err == 0 ? make_passing_key(out, fault) : err;
}
