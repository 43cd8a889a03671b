#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/files.h"
#include "common/secret.h"

static char folder[] = "/tmp/keyless-cli-files-XXXXXX";
static struct fault fault;

static const char *in_folder(const char *name)
{
    static char path[2][128];
    static unsigned turn;
    char *out = path[turn++ % 2];
    snprintf(out, sizeof path[0], "%s/%s", folder, name);
    return out;
}

static mode_t mode_of(const char *path)
{
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    return info.st_mode & 07777;
}

static void assert_content(const char *path, const char *expected)
{
    char content[64] = "";
    FILE *stream = fopen(path, "r");
    assert_non_null(stream);
    size_t length = fread(content, 1, sizeof content - 1, stream);
    fclose(stream);
    assert_int_equal(length, strlen(expected));
    assert_string_equal(content, expected);
}

static void path_joins_up_to_its_limit(void **state)
{
    char out[FILES_PATH_MAX], name[FILES_PATH_MAX + 1];
    (void)state;
    assert_int_equal(files_path(out, "/a", "b", &fault), 0);
    assert_string_equal(out, "/a/b");
    memset(name, 'x', sizeof name);
    name[FILES_PATH_MAX - 4] = 0; /* with "/a/" one less than the room */
    assert_int_equal(files_path(out, "/a", name, &fault), 0);
    assert_int_equal(strlen(out), FILES_PATH_MAX - 1);
    name[FILES_PATH_MAX - 4] = 'x';
    name[FILES_PATH_MAX - 3] = 0;
    assert_int_equal(files_path(out, "/a", name, &fault), ERR_LENGTH);
    assert_non_null(strstr(fault.text, "too long"));
}

static void make_gives_content_and_mode(void **state)
{
    (void)state;
    assert_int_equal(files_make(in_folder("new"), 0400, "text", 4, &fault), 0);
    assert_content(in_folder("new"), "text");
    assert_int_equal(mode_of(in_folder("new")), 0400);
    assert_int_equal(files_make(in_folder("empty"), 0644, "", 0, &fault), 0);
    assert_content(in_folder("empty"), "");
}

static void make_never_overwrites(void **state)
{
    (void)state;
    assert_int_equal(files_make(in_folder("there"), 0600, "first", 5, &fault), 0);
    assert_int_equal(files_make(in_folder("there"), 0600, "second", 6, &fault), ERR_REFUSED);
    assert_non_null(strstr(fault.text, "exists already"));
    assert_content(in_folder("there"), "first");
    assert_int_equal(symlink("there", in_folder("link")), 0);
    assert_int_equal(files_make(in_folder("link"), 0600, "second", 6, &fault), ERR_REFUSED);
    assert_content(in_folder("there"), "first");
}

static void make_says_why_it_cannot(void **state)
{
    (void)state;
    assert_int_equal(files_make(in_folder("none/x"), 0600, "x", 1, &fault), ERR_SYSTEM);
    assert_non_null(strstr(fault.text, "No such file"));
}

static void folder_may_exist_but_not_as_a_file(void **state)
{
    (void)state;
    assert_int_equal(files_make_folder(in_folder("sub"), 0700, &fault), 0);
    assert_int_equal(mode_of(in_folder("sub")), 0700);
    assert_int_equal(files_make_folder(in_folder("sub"), 0755, &fault), 0);
    assert_int_equal(mode_of(in_folder("sub")), 0700);
    assert_int_equal(files_make(in_folder("file"), 0600, "x", 1, &fault), 0);
    assert_int_equal(files_make_folder(in_folder("file"), 0755, &fault), ERR_SYSTEM);
    assert_int_equal(files_make_folder(in_folder("none/sub"), 0755, &fault), ERR_SYSTEM);
}

static void copy_takes_files_below_one_megabyte(void **state)
{
    static char big[(1 << 20) - 1];
    struct stat info;
    (void)state;
    memset(big, 'x', sizeof big);
    assert_int_equal(files_make(in_folder("big"), 0600, big, sizeof big, &fault), 0);
    assert_int_equal(files_copy(in_folder("big"), in_folder("copy"), 0400, &fault), 0);
    assert_int_equal(stat(in_folder("copy"), &info), 0);
    assert_int_equal(info.st_size, sizeof big);
    assert_int_equal(info.st_mode & 07777, 0400);
    assert_int_equal(truncate(in_folder("big"), 1 << 20), 0);
    assert_int_equal(files_copy(in_folder("big"), in_folder("copy2"), 0400, &fault), ERR_LENGTH);
    assert_non_null(strstr(fault.text, "1 MB"));
    assert_int_equal(access(in_folder("copy2"), F_OK), -1);
}

static void copy_says_why_it_cannot(void **state)
{
    (void)state;
    assert_int_equal(files_copy(in_folder("none"), in_folder("x"), 0400, &fault), ERR_NOT_FOUND);
    assert_int_equal(files_copy(folder, in_folder("x"), 0400, &fault), ERR_SYSTEM);
    assert_int_equal(files_make(in_folder("a"), 0600, "a", 1, &fault), 0);
    assert_int_equal(files_copy(in_folder("a"), in_folder("a"), 0400, &fault), ERR_REFUSED);
}

static void base_name_is_what_follows_the_last_slash(void **state)
{
    (void)state;
    assert_string_equal(files_base_name("/a/b.pem"), "b.pem");
    assert_string_equal(files_base_name("b.pem"), "b.pem");
    assert_string_equal(files_base_name("a/"), "");
}

static int setup(void **state)
{
    (void)state;
    umask(0);
    return secret_init() != 0 || mkdtemp(folder) == NULL;
}

static int teardown(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(path_joins_up_to_its_limit),
        cmocka_unit_test(make_gives_content_and_mode),
        cmocka_unit_test(make_never_overwrites),
        cmocka_unit_test(make_says_why_it_cannot),
        cmocka_unit_test(folder_may_exist_but_not_as_a_file),
        cmocka_unit_test(copy_takes_files_below_one_megabyte),
        cmocka_unit_test(copy_says_why_it_cannot),
        cmocka_unit_test(base_name_is_what_follows_the_last_slash),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
