/* Who may change what a daemon goes by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/permissions.h"
#include "tests/unit/remove_tree.h"
#include "tests/unit/skip.h"

#define STRANGER 4711
#define ANOTHER  4712

static char folder[sizeof "/tmp/keyless-permissions-XXXXXX"], path[64];
static struct fault fault;

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/keyless-permissions-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/file", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return fd < 0 ? -1 : close(fd);
}

static int remove_folder(void **state)
{
    (void)state;
    permissions_set_account(0);
    remove_tree(folder);
    return 0;
}

static int check_writers(void)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    int err = permissions_check_writers(fd, path, &fault);
    close(fd);
    return err;
}

static void a_file_may_be_read_by_all_and_written_by_its_owner(void **state)
{
    static const mode_t good[] = {0400, 0600, 0640, 0644, 0755}, bad[] = {0620, 0602, 0664, 0646, 0666, 0777};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(chmod(path, good[i]), 0);
        assert_int_equal(check_writers(), 0);
    }
    const bool given = chown(path, (uid_t)-1, STRANGER) == 0; /* else its group may be this user's own */
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char said[128];
        if (!given && (bad[i] & S_IWOTH) == 0)
            continue;
        assert_int_equal(chmod(path, bad[i] | 0400), 0);
        assert_int_equal(check_writers(), ERR_CONFIG);
        snprintf(said, sizeof said, "mode %04o lets others change it; run: chmod go-w %s", bad[i] | 0400,
                 path);
        assert_string_equal(fault.text, said);
    }
}

struct list {
    struct posix_acl_xattr_header header;
    struct posix_acl_xattr_entry entry[5];
};

/* The list of WHAT: USER may write, its GROUP has a right, and all may read. False where the file system has
 * no lists. */
static bool set_list(const char *what, uid_t user, uint16_t group)
{
    const struct list list = {.header = {htole32(POSIX_ACL_XATTR_VERSION)},
                              .entry = {{htole16(ACL_USER_OBJ), htole16(6), htole32((uint32_t)-1)},
                                        {htole16(ACL_USER), htole16(6), htole32(user)},
                                        {htole16(ACL_GROUP_OBJ), htole16(group), htole32((uint32_t)-1)},
                                        {htole16(ACL_MASK), htole16(6), htole32((uint32_t)-1)},
                                        {htole16(ACL_OTHER), htole16(4), htole32((uint32_t)-1)}}};
    return setxattr(what, "system.posix_acl_access", &list, sizeof list, 0) == 0;
}

/* Root's own group, in which there is nobody else: as under umask 002. */
static void a_group_of_this_user_alone_may_write(void **state)
{
    struct stat info;
    (void)state;
    if (geteuid() != 0 || stat(path, &info) != 0 || info.st_gid != 0 || !permissions_is_private(0))
        SKIP_FOR("not root with a group of its own");
    assert_int_equal(chmod(path, 0664), 0);
    assert_int_equal(check_writers(), 0);
    assert_int_equal(chmod(folder, 0775), 0);
    assert_int_equal(permissions_check_place(path, &fault), 0);
    if (set_list(folder, STRANGER, 4)) /* in whose mask the right shows as the group's */
        assert_int_equal(permissions_check_place(path, &fault), ERR_CONFIG);
    assert_int_equal(chown(folder, (uid_t)-1, STRANGER), 0);
    assert_int_equal(chmod(folder, 0775), 0);
    assert_int_equal(permissions_check_place(path, &fault), ERR_CONFIG);
}

static void what_is_no_file_has_no_writers_to_judge(void **state)
{
    int ends[2];
    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(permissions_check_writers(ends[0], "/dev/stdin", &fault), 0);
    close(ends[0]);
    close(ends[1]);
}

static void a_list_says_who_may_write(void **state)
{
    (void)state;
    if (!set_list(path, geteuid(), 4))
        SKIP_FOR("no access control lists in /tmp");
    assert_int_equal(check_writers(), 0);
    assert_true(set_list(path, STRANGER, 4));
    assert_int_equal(check_writers(), ERR_CONFIG);
    permissions_set_account(STRANGER);
    assert_int_equal(check_writers(), 0);
    assert_true(set_list(path, STRANGER, 6));
    assert_int_equal(check_writers(), ERR_CONFIG);
}

static void owners_are_root_this_user_and_the_account(void **state)
{
    (void)state;
    assert_true(permissions_is_trusted(0));
    assert_true(permissions_is_trusted(geteuid()));
    assert_false(permissions_is_trusted(STRANGER));
    permissions_set_account(STRANGER);
    assert_true(permissions_is_trusted(STRANGER));
    assert_false(permissions_is_trusted(ANOTHER));
}

static void a_folder_is_of_an_owner_that_may_change_what_is_in_it(void **state)
{
    (void)state;
    if (geteuid() != 0)
        SKIP_FOR("not root, who alone gives folders away");
    for (mode_t sticky = 0; sticky <= S_ISVTX; sticky += S_ISVTX) {
        assert_int_equal(chmod(folder, sticky | 0755), 0);
        assert_int_equal(chown(folder, STRANGER, STRANGER), 0);
        assert_int_equal(permissions_check_place(path, &fault), ERR_CONFIG);
        assert_non_null(
            strstr(fault.text, ": owned by uid 4711, who could replace files in it; run: chown 0 /tmp/"));
        permissions_set_account(STRANGER);
        assert_int_equal(permissions_check_place(path, &fault), 0);
        permissions_set_account(0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_may_be_read_by_all_and_written_by_its_owner, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_group_of_this_user_alone_may_write, make_folder, remove_folder),
        cmocka_unit_test(what_is_no_file_has_no_writers_to_judge),
        cmocka_unit_test_setup_teardown(a_list_says_who_may_write, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(owners_are_root_this_user_and_the_account, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_folder_is_of_an_owner_that_may_change_what_is_in_it, make_folder,
                                        remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
