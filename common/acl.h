/* Access control lists of files (acl(5)). In the mode of a file that has one, the group bits are the list's
 * mask: with a right for one user, mode 0400 reads as 0440. systemd gives a unit's user access to credentials
 * this way. Linux only. */
#ifndef COMMON_ACL_H
#define COMMON_ACL_H

#include <stdbool.h>
#include <sys/types.h>

#define ACL_RIGHT_WRITE 2u /* bits of a right, as in a file's mode */
#define ACL_RIGHT_ANY   7u

/* True when the file behind FD has a list, and it gives none of RIGHTS to anybody but the file's owner and
 * the users ONE and OTHER: to no group, no further user, and not to all others. */
bool acl_is_closed(int fd, unsigned rights, uid_t one, uid_t other);
/* True when the file behind FD has a list. */
bool acl_has(int fd);
/* The same of FOLDER; true as well for one that cannot be opened. */
bool acl_has_at(const char *folder);

#endif
