/* Whether files and folders are closed to others: who may read what is secret, and who may put another file
 * in its place. Start-up and reload only. */
#ifndef COMMON_PERMISSIONS_H
#define COMMON_PERMISSIONS_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/err.h"

/* Who may read the secret files of this process, from now on: their owner alone, or also their group, when
 * this process is in it (a Kubernetes secret with fsGroup is root's, mode 0440). For the process, because
 * every secret file is read by one rule; the configuration sets it before any is. Any thread. */
enum permissions_readers { PERMISSIONS_OWNER, PERMISSIONS_GROUP };
void permissions_set_readers(enum permissions_readers readers);
/* From now on files and folders may also belong to ACCOUNT: the user that this process, started as root,
 * becomes. So a start as root can use files that a start as ACCOUNT has made. 0: to nobody else. Any
 * thread. */
void permissions_set_account(uid_t account);
/* Whether OWNER may change what this process goes by, as the owner of a file or folder can whatever its mode:
 * root, this process's user and the account. */
bool permissions_is_trusted(uid_t owner);
/* Whether nobody but root and this process's user is in GROUP, as this machine's files know it: then its
 * right to write gives no further account one. Under umask 002 all files are so, of the group that useradd(8)
 * makes for an account.
 */
bool permissions_is_private(gid_t group);

/* ERR_CONFIG with a fault that names PATH, and its hint, unless FD, which is PATH's, is a regular file of
 * root or of this process's user, and others can neither read nor write it. ERR_SYSTEM. */
int permissions_check_file(int fd, const char *path, struct fault *fault) MUST_USE;
/* ERR_CONFIG with a fault that does not name PATH, but for the command that is its hint, when FD, which is
 * PATH's, is a regular file whose mode or list lets others write; a private group is nobody else. That it is
 * mounted read-only is no excuse: a unit with ProtectSystem= sees all of /etc so, and others do not.
 * ERR_SYSTEM. */
int permissions_check_writers(int fd, const char *path, struct fault *fault) MUST_USE;
/* ERR_CONFIG with a fault that names FOLDER, and its hint, when others can replace what is in it: its owner,
 * unless he is trusted, or who may write to it. They cannot in one that is mounted read-only, nor, but for
 * the owner, in one with the sticky bit; a group may that is private, or where secret files are its own. A
 * folder that cannot be looked at is no error here: opening the file reports it. */
int permissions_check_folder(const char *folder, struct fault *fault) MUST_USE;
/* The same of the folder in which PATH is, and, when PATH is a link, of each folder in which a link on the
 * way stands, and the file. */
int permissions_check_place(const char *path, struct fault *fault) MUST_USE;

#endif
