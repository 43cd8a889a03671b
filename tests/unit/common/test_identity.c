#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <endian.h>
#include <fcntl.h>
#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/identity.h"
#include "common/permissions.h"
#include "common/secret.h"
#include "tests/unit/skip.h"

static char folder[] = "/tmp/keyless-identity-XXXXXX";
static char path[64];

static void put_file(const char *content, mode_t mode)
{
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

/* RFC 7748, section 6.1: Bob's key pair. */
static void derive_gives_the_published_public_key(void **state)
{
    (void)state;
    struct identity bob;
    char text[65];
    assert_int_equal(
        hex_decode(bob.secret, 32, "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"), 0);
    identity_derive(&bob);
    assert_string_equal(hex_encode(text, bob.public, 32),
                        "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
}

static void what_is_saved_is_loaded(void **state)
{
    (void)state;
    struct identity made, *loaded = NULL;
    struct fault fault = {0};
    struct stat info;
    unlink(path);
    identity_generate(&made);
    assert_int_equal(identity_save_secret(path, made.secret, &fault), 0);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0400);
    assert_int_equal(identity_load(&loaded, path, &fault), 0);
    assert_memory_equal(loaded, &made, sizeof made);
    secret_free(loaded);
}

static void saving_never_overwrites(void **state)
{
    (void)state;
    uint8_t secret[32] = {1};
    struct fault fault = {0};
    put_file("precious", 0400);
    assert_int_equal(identity_save_secret(path, secret, &fault), ERR_REFUSED);
    assert_non_null(strstr(fault.text, "exists already"));
    assert_non_null(strstr(fault.text, path));
}

static void a_loose_mode_is_refused_with_its_mend(void **state)
{
    (void)state;
    const mode_t loose[] = {0440, 0404, 0420, 0402, 0410, 0401, 0644, 0666};
    for (size_t i = 0; i < sizeof loose / sizeof loose[0]; i++) {
        uint8_t secret[32];
        struct fault fault = {0};
        put_file("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n", loose[i]);
        assert_int_equal(identity_load_secret(secret, path, &fault), ERR_CONFIG);
        assert_non_null(strstr(fault.text, "chmod 0400"));
    }
}

/* Root is in every group; others meet one that they are not in. */
static void a_group_may_read_where_that_is_allowed(void **state)
{
    (void)state;
    const struct {
        mode_t mode;
        bool good;
    } cases[] = {{0400, true},  {0440, true},  {0640, true},  {0460, false},
                 {0444, false}, {0441, false}, {0450, false}, {0404, false}};
    struct fault fault = {0};
    uint8_t secret[32];
    put_file("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n", 0440);
    assert_int_equal(identity_load_secret(secret, path, &fault), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "secret_files = \"group\""));
    permissions_set_readers(PERMISSIONS_GROUP);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put_file("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n", cases[i].mode);
        assert_int_equal(identity_load_secret(secret, path, &fault), cases[i].good ? 0 : ERR_CONFIG);
    }
    permissions_set_readers(PERMISSIONS_OWNER);
    put_file("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n", 0440);
    assert_int_equal(identity_load_secret(secret, path, &fault), ERR_CONFIG);
}

struct list {
    struct posix_acl_xattr_header header;
    struct posix_acl_xattr_entry entry[5];
};

/* The file's list: a right for USER, and GROUP as the right of its group. False where the file system has no
 * lists. */
static bool set_list(uid_t user, uint16_t user_right, uint16_t group)
{
    const struct list list = {.header = {htole32(POSIX_ACL_XATTR_VERSION)},
                              .entry = {{htole16(ACL_USER_OBJ), htole16(4), htole32((uint32_t)-1)},
                                        {htole16(ACL_USER), htole16(user_right), htole32(user)},
                                        {htole16(ACL_GROUP_OBJ), htole16(group), htole32((uint32_t)-1)},
                                        {htole16(ACL_MASK), htole16(4), htole32((uint32_t)-1)},
                                        {htole16(ACL_OTHER), 0, htole32((uint32_t)-1)}}};
    return setxattr(path, "system.posix_acl_access", &list, sizeof list, 0) == 0;
}

static int read_it(struct fault *fault)
{
    struct buffer content = {0};
    int err = identity_read_secret_file(path, 100, &content, fault);
    buffer_clear(&content);
    return err;
}

/* As systemd gives a credential to the user of its unit: mode 0440, and the group has no right. */
static void a_list_may_give_it_to_this_user_and_the_account_alone(void **state)
{
    const uid_t mine = 4711, another = 4712;
    struct fault fault = {0};
    struct stat info;
    (void)state;
    put_file("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n", 0400);
    if (!set_list(geteuid(), 4, 0))
        SKIP_FOR("no access control lists in /tmp");
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0440);
    assert_int_equal(read_it(&fault), 0);
    assert_true(set_list(mine, 4, 0));
    assert_int_equal(read_it(&fault), ERR_CONFIG);
    permissions_set_account(mine);
    assert_int_equal(read_it(&fault), 0);
    assert_true(set_list(another, 4, 0));
    assert_int_equal(read_it(&fault), ERR_CONFIG);
    assert_true(set_list(another, 0, 0));
    assert_int_equal(read_it(&fault), 0);
    assert_true(set_list(mine, 4, 4));
    assert_int_equal(read_it(&fault), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "lets others use it"));
    permissions_set_account(0);
    unlink(path);
}

static void only_one_line_of_32_bytes_is_taken(void **state)
{
    (void)state;
    const struct {
        const char *content;
        int result;
    } cases[] = {
        {"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n", 0},
        {"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", 0},
        {"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE= \r\n\n", 0},
        {"", ERR_CONFIG},
        {"\n", ERR_CONFIG},
        {"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MA==\n", ERR_CONFIG},
        {"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEy\n", ERR_CONFIG},
        {"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\nMDEy\n", ERR_CONFIG},
        {"-----BEGIN PRIVATE KEY-----\n", ERR_CONFIG},
        {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", ERR_CONFIG},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t secret[32];
        struct fault fault = {0};
        put_file(cases[i].content, 0600);
        assert_int_equal(identity_load_secret(secret, path, &fault), cases[i].result);
        if (cases[i].result == 0)
            assert_memory_equal(secret, "01234567890123456789012345678901", 32);
        else
            assert_non_null(strstr(fault.text,
                                   "put the copy of a backup there; where there is none left, make "
                                   "a new one with: keyless genkey"));
    }
}

static void what_others_have_too_is_copied_from_them(void **state)
{
    (void)state;
    uint8_t secret[32];
    struct fault fault = {0};
    put_file("", 0400);
    assert_int_equal(identity_load_shared(secret, path, "somebody", &fault), ERR_CONFIG);
    assert_non_null(strstr(fault.text, ": is empty; put the copy of somebody or of a backup there; "));
    put_file("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", 0400);
    assert_int_equal(identity_load_shared(secret, path, "somebody", &fault), ERR_CONFIG);
    assert_non_null(
        strstr(fault.text, "zeros only, which anybody can guess; put the copy of somebody or of a "));
}

static void a_missing_file_says_how_to_make_it(void **state)
{
    (void)state;
    uint8_t secret[32];
    struct fault fault = {0};
    unlink(path);
    assert_int_equal(identity_load_secret(secret, path, &fault), ERR_NOT_FOUND);
    assert_non_null(strstr(fault.text, "keyless genkey > "));
    assert_non_null(strstr(fault.text, "its copy of a backup"));
}

/* Not "make it": the start would write a new secret beside the one that is meant. */
static void a_link_to_nothing_is_mended_as_a_link(void **state)
{
    (void)state;
    uint8_t secret[32];
    struct fault fault = {0};
    unlink(path);
    assert_int_equal(symlink("../archive/key1", path), 0);
    assert_int_equal(identity_load_secret(secret, path, &fault), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "a link to ../archive/key1, where nothing is"));
    assert_non_null(strstr(fault.text, "ln -sfn"));
    assert_null(strstr(fault.text, "genkey"));
}

static void what_is_no_regular_file_is_refused(void **state)
{
    (void)state;
    struct fault fault = {0};
    unlink(path);
    assert_int_equal(mkfifo(path, 0400), 0);
    assert_int_equal(identity_open_secret(path, &fault), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "not a regular file"));
    assert_int_equal(identity_open_secret(folder, &fault), ERR_CONFIG);
}

static void a_file_over_the_limit_is_refused(void **state)
{
    (void)state;
    struct buffer content = {0};
    struct fault fault = {0};
    put_file("0123456789", 0400);
    assert_int_equal(identity_read_secret_file(path, 10, &content, &fault), 0);
    assert_int_equal(buffer_length(&content), 10);
    buffer_clear(&content);
    assert_int_equal(identity_read_secret_file(path, 9, &content, &fault), ERR_CONFIG);
    assert_int_equal(buffer_length(&content), 0);
}

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/key", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(derive_gives_the_published_public_key),
        cmocka_unit_test(what_is_saved_is_loaded),
        cmocka_unit_test(saving_never_overwrites),
        cmocka_unit_test(a_loose_mode_is_refused_with_its_mend),
        cmocka_unit_test(a_group_may_read_where_that_is_allowed),
        cmocka_unit_test(a_list_may_give_it_to_this_user_and_the_account_alone),
        cmocka_unit_test(only_one_line_of_32_bytes_is_taken),
        cmocka_unit_test(what_others_have_too_is_copied_from_them),
        cmocka_unit_test(a_missing_file_says_how_to_make_it),
        cmocka_unit_test(a_link_to_nothing_is_mended_as_a_link),
        cmocka_unit_test(what_is_no_regular_file_is_refused),
        cmocka_unit_test(a_file_over_the_limit_is_refused),
    };
    return secret_init() == 0 ? cmocka_run_group_tests(tests, make_folder, remove_folder) : 1;
}
