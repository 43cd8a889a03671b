#include "keyserver/vault/audit/audit_place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/creatable.h"
#include "common/dangling_link.h"
#include "common/identity.h"
#include "common/log.h"
#include "common/secret.h"
#include "common/shell.h"
#include "keyserver/audit/audit_checkpoint.h"
#include "keyserver/vault/audit/audit_lock.h"

#define PATH_SIZE 4096

/* ---- the folder ---- */

static bool is_of_empty(const char *name)
{
    (void)name;
    return false;
}

/* Also one that its owner has compressed where it is, and what a disk of its own has in its root. */
static bool is_of_log(const char *name)
{
    return strncmp(name, AUDIT_FILE_PREFIX, strlen(AUDIT_FILE_PREFIX)) == 0 ||
           strcmp(name, AUDIT_HEAD_FILE) == 0 || strcmp(name, AUDIT_LOCK_FILE) == 0 ||
           strcmp(name, "lost+found") == 0;
}

/* The first entry of FOLDER that EXPECTED does not know, into OUT; found, too, where FOLDER
 * cannot be read. */
static bool find_other(int folder, bool (*expected)(const char *name), char out[static NAME_MAX + 1])
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    bool found = dir == NULL;
    snprintf(out, NAME_MAX + 1, "?");
    if (dir == NULL && fd >= 0)
        close(fd);
    for (struct dirent *entry; dir != NULL && !found && (entry = readdir(dir)) != NULL;) {
        found = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
                !expected(entry->d_name);
        snprintf(out, NAME_MAX + 1, "%s", entry->d_name);
    }
    if (dir != NULL)
        closedir(dir);
    return found;
}

/* Where it has the files of others it is theirs: to give it to the vault would take it from them. */
static int refuse_folder(int fd, const char *path, const char *what, const char *hint, struct fault *fault)
{
    char other[NAME_MAX + 1];
    if (find_other(fd, is_of_log, other))
        return fault_set(fault, ERR_CONFIG,
                         "%s: %s, and holds what is no audit log's ('%.100s'); the log needs a folder of its "
                         "own: name one that a start can make, like folder = '%s/keyless-audit'",
                         path, what, other, path);
    return fault_set(fault, ERR_CONFIG, "%s: %s; run: %s %s", path, what, hint, SHELL_WORD(path));
}

static int check_folder(int fd, const char *path, bool give, uid_t uid, struct fault *fault)
{
    struct stat info;
    unsigned owner = give ? uid : geteuid(), mode;
    char what[96] = "", hint[32] = "chmod 0700";
    if (fstat(fd, &info) != 0)
        return fault_set(fault, ERR_SYSTEM, "%s: %s", path, strerror(errno));
    mode = (unsigned)info.st_mode & 07777u;
    if (info.st_uid != owner) {
        snprintf(what, sizeof what, "owned by uid %u, but the vault, which writes there, is uid %u",
                 (unsigned)info.st_uid, owner);
        snprintf(hint, sizeof hint, "chown -R %u", owner);
    } else if ((mode & 077) != 0) {
        snprintf(what, sizeof what, "mode %04o lets others into the audit log", mode);
    } else if ((mode & 0300) != 0300) {
        snprintf(what, sizeof what, "mode %04o keeps its owner, the vault, from making files there", mode);
    }
    return what[0] == 0 ? 0 : refuse_folder(fd, path, what, hint, fault);
}

/* A start that was killed has made the folder and not given it away. */
static bool is_half_made(int fd, bool give)
{
    char other[NAME_MAX + 1];
    struct stat info;
    return give && fstat(fd, &info) == 0 && info.st_uid == 0 && (info.st_mode & 077) == 0 &&
           !find_other(fd, is_of_empty, other);
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
    bool ours = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_nlink == 1 && info.st_uid == 0;
    int err = ours && fchown(fd, uid, gid) != 0 ? ERR_SYSTEM : 0, why = errno;
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

/* ERR_NOT_FOUND: nothing is there. ERR_CONFIG: it cannot be opened, or is a link to nowhere. */
static int open_folder(const char *path, struct fault *fault)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        return fd;
    const int why = errno;
    if (why == ENOENT && dangling_link_explain(path, fault))
        return ERR_CONFIG;
    return fault_set(fault, why == ENOENT ? ERR_NOT_FOUND : ERR_CONFIG,
                     "%s: the folder of the audit log cannot be opened: %s", path, strerror(why));
}

int audit_place_open(const char *path, bool give, uid_t uid, gid_t gid, struct fault *fault)
{
    bool made = mkdir(path, 0700) == 0;
    if (!made && errno != EEXIST) {
        int why = errno;
        return (why == EROFS || why == EACCES) && creatable_check_new_folder(path, fault) != 0
                   ? ERR_CONFIG
                   : fault_set(fault, ERR_CONFIG, "%s: the folder of the audit log cannot be made: %s", path,
                               strerror(why));
    }
    int fd = open_folder(path, fault);
    if (fd < 0)
        return ERR_CONFIG;
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
    int fd = open_folder(path, fault);
    if (fd == ERR_NOT_FOUND) {
        int err = creatable_check_new_folder(path, fault);
        if (err == 0)
            creatable_say(path, "the folder of the audit log");
        return err;
    }
    if (fd < 0)
        return fd;
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

/* When another vault was first, theirs it is. */
static int make_key(const char *path, struct fault *fault)
{
    uint8_t seed[SIGN_SEED_SIZE];
    random_bytes(seed, sizeof seed);
    int err = identity_save_secret(path, seed, fault);
    wipe(seed, sizeof seed);
    return err == ERR_REFUSED ? 0 : err;
}

/* The public half is for people to copy: that it is missing, or that of another key, keeps nobody from work.
 */
static void look_after_public(const struct sign_key *key, const char *path, bool make)
{
    uint8_t there[SIGN_PUBLIC_SIZE];
    struct fault fault = {0};
    int err = sign_load_public(there, path, &fault);
    bool missing = err == ERR_NOT_FOUND;
    if (missing)
        err = creatable_check(path, &fault);
    if (err == 0 && missing && make)
        err = sign_save_public(path, key->public, &fault);
    if (err == 0 && !missing && memcmp(there, key->public, sizeof there) != 0)
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
    err = creatable_check_secret(path, fault);
    if (err == 0)
        creatable_say(path, "the key that signs the audit log, with its public half beside it");
    return err == 0 ? make_passing_key(out, fault) : err;
}
