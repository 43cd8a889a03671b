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
#include "tests/unit/remove_tree.h"

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

static void read_takes_files_below_one_megabyte(void **state)
{
    static char big[(1 << 20) - 1];
    struct files_content content;
    (void)state;
    memset(big, 'x', sizeof big);
    assert_int_equal(files_make(in_folder("big"), 0600, big, sizeof big, &fault), 0);
    assert_int_equal(files_read(&content, in_folder("big"), &fault), 0);
    assert_int_equal(content.length, sizeof big);
    assert_memory_equal(content.bytes, big, sizeof big);
    files_content_clear(&content);
    assert_int_equal(truncate(in_folder("big"), 1 << 20), 0);
    assert_int_equal(files_read(&content, in_folder("big"), &fault), ERR_LENGTH);
    assert_non_null(strstr(fault.text, "1 MB"));
}

static void read_says_why_it_cannot(void **state)
{
    struct files_content content;
    (void)state;
    assert_int_equal(files_read(&content, in_folder("none"), &fault), ERR_NOT_FOUND);
    assert_int_equal(files_read(&content, folder, &fault), ERR_NOT_FOUND);
    assert_non_null(strstr(fault.text, "it is a folder, not a regular file"));
}

static void undo_removes_what_was_made_and_nothing_else(void **state)
{
    (void)state;
    files_undo();
    assert_int_equal(mkdir(in_folder("old"), 0700), 0);
    assert_int_equal(files_make_folder(in_folder("old"), 0700, &fault), 0);
    assert_int_equal(files_make_folder(in_folder("young"), 0700, &fault), 0);
    assert_int_equal(files_make(in_folder("young/file"), 0400, "x", 1, &fault), 0);
    assert_int_equal(files_make(in_folder("old/file"), 0400, "x", 1, &fault), 0);
    assert_int_equal(files_make(in_folder("old/file"), 0400, "y", 1, &fault), ERR_REFUSED);
    files_undo();
    assert_int_equal(access(in_folder("young"), F_OK), -1);
    assert_int_equal(access(in_folder("old/file"), F_OK), -1);
    assert_int_equal(access(in_folder("old"), F_OK), 0);
    files_undo();
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
    (void)state;
    return remove_tree(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(path_joins_up_to_its_limit),
        cmocka_unit_test(make_gives_content_and_mode),
        cmocka_unit_test(make_never_overwrites),
        cmocka_unit_test(make_says_why_it_cannot),
        cmocka_unit_test(folder_may_exist_but_not_as_a_file),
        cmocka_unit_test(read_takes_files_below_one_megabyte),
        cmocka_unit_test(read_says_why_it_cannot),
        cmocka_unit_test(undo_removes_what_was_made_and_nothing_else),
        cmocka_unit_test(base_name_is_what_follows_the_last_slash),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
