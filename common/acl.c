#include "common/acl.h"

#include <endian.h>
#include <fcntl.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ENTRIES_MAX 32 /* entries read; a file with a longer list counts as open to others */

struct list {
    struct posix_acl_xattr_header header;
    struct posix_acl_xattr_entry entry[ENTRIES_MAX];
};

static bool is_closed(const struct posix_acl_xattr_entry *entry, unsigned rights, uid_t one, uid_t other)
{
    bool gives = (le16toh(entry->e_perm) & rights) != 0;
    uid_t id = le32toh(entry->e_id);
    switch (le16toh(entry->e_tag)) {
    case ACL_USER_OBJ: /* the owner */
    case ACL_MASK:     /* grants nothing: limits the other entries */
        return true;
    case ACL_USER:
        return !gives || id == one || id == other;
    default:
        return !gives;
    }
}

bool acl_is_closed(int fd, unsigned rights, uid_t one, uid_t other)
{
    struct list list;
    ssize_t length = fgetxattr(fd, "system.posix_acl_access", &list, sizeof list);
    if (length < (ssize_t)sizeof list.header || le32toh(list.header.a_version) != POSIX_ACL_XATTR_VERSION)
        return false;
    size_t count = ((size_t)length - sizeof list.header) / sizeof list.entry[0];
    for (size_t i = 0; i < count; i++)
        if (!is_closed(&list.entry[i], rights, one, other))
            return false;
    return count > 0;
}

bool acl_has(int fd)
{
    return fgetxattr(fd, "system.posix_acl_access", NULL, 0) > 0;
}

/* The sandboxes let no file be asked by its path. */
bool acl_has_at(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool has = fd < 0 || acl_has(fd);
    if (fd >= 0)
        close(fd);
    return has;
}
