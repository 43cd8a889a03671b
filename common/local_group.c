#include "common/local_group.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRY_SIZE (64 * 1024) /* of a line: a group with a longer one has many members */

/* Who is in GROUP, while the files are read. */
struct look {
    gid_t group;
    bool (*is_one)(uid_t uid);
    char *room; /* ENTRY_SIZE bytes, owned */
};

static bool read_to_the_end(int result)
{
    return result == ENOENT;
}

/* The account NAME is known and is one. */
static bool is_member_one(const struct look *look, const char *name)
{
    struct passwd entry, *found;
    bool is_one = false;
    char *room = malloc(ENTRY_SIZE);
    FILE *file = fopen("/etc/passwd", "re");
    while (file != NULL && room != NULL && fgetpwent_r(file, &entry, room, ENTRY_SIZE, &found) == 0)
        if (strcmp(entry.pw_name, name) == 0) {
            is_one = look->is_one(entry.pw_uid);
            break;
        }
    if (file != NULL)
        fclose(file);
    free(room);
    return is_one;
}

static bool are_members_ones(const struct look *look)
{
    struct group entry, *found;
    bool known = false, good = true;
    int result = ENOENT;
    FILE *file = fopen("/etc/group", "re");
    while (file != NULL && good &&
           (result = fgetgrent_r(file, &entry, look->room, ENTRY_SIZE, &found)) == 0) {
        if (entry.gr_gid != look->group)
            continue;
        known = true;
        for (char **member = entry.gr_mem; good && *member != NULL; member++)
            good = is_member_one(look, *member);
    }
    if (file != NULL)
        fclose(file);
    return known && good && read_to_the_end(result);
}

static bool are_primary_ones(const struct look *look)
{
    struct passwd entry, *found;
    bool good = true;
    int result = 0;
    FILE *file = fopen("/etc/passwd", "re");
    while (file != NULL && good && (result = fgetpwent_r(file, &entry, look->room, ENTRY_SIZE, &found)) == 0)
        good = entry.pw_gid != look->group || look->is_one(entry.pw_uid);
    if (file != NULL)
        fclose(file);
    return good && read_to_the_end(result);
}

bool local_group_is_of(gid_t group, bool (*is_one)(uid_t uid))
{
    const struct look look = {.group = group, .is_one = is_one, .room = malloc(ENTRY_SIZE)};
    bool good = look.room != NULL && are_members_ones(&look) && are_primary_ones(&look);
    free(look.room);
    return good;
}
