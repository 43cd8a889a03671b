/* Who is in a group, by the machine's own /etc/group and /etc/passwd: these are read at once and the same
 * from within a sandbox, where a directory service would be asked over a socket. Start-up and reload only. */
#ifndef COMMON_LOCAL_GROUP_H
#define COMMON_LOCAL_GROUP_H

#include <stdbool.h>
#include <sys/types.h>

/* Whether every account in GROUP, as its primary group or as a member, is one that IS_ONE says yes to. False
 * for a group that the files do not know, that has a member whom they do not know, or when they cannot be
 * read. Any thread. */
bool local_group_is_of(gid_t group, bool (*is_one)(uid_t uid));

#endif
