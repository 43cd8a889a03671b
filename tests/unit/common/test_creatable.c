#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/creatable.h"

static char top[] = "/tmp/keyless-creatable-XXXXXX";

static int make_top(void **state)
{
    (void)state;
    return mkdtemp(top) != NULL && chdir(top) == 0 && mkdir("open", 0700) == 0 ? 0 : -1;
}

static int remove_top(void **state)
{
    (void)state;
    return unlink("file") == 0 && rmdir("open") == 0 && chdir("/") == 0 && rmdir(top) == 0 ? 0 : -1;
}

static void where_a_folder_is_there_it_can_be_made(void **state)
{
    static const char *const paths[] = {"one", "./one", "open/one", "open/one/", "open//one", "/one"};
    struct fault fault = {.text = ""};
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        assert_int_equal(creatable_check_parent(paths[i], &fault), 0);
        assert_int_equal(access(paths[i], F_OK), -1);
    }
    assert_int_equal(creatable_check("open/one", &fault), 0);
    assert_int_equal(creatable_check_secret("open/one", &fault), 0);
    assert_string_equal(fault.text, "");
}

static void where_none_is_the_folder_is_named(void **state)
{
    struct fault fault = {.text = ""};
    (void)state;
    assert_int_equal(creatable_check("no where/two/one", &fault), ERR_CONFIG);
    assert_non_null(
        strstr(fault.text, "the folder for it, no where/two; make it with: mkdir -p 'no where/two'"));
    fclose(fopen("file", "w"));
    assert_int_equal(creatable_check("file/one", &fault), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "file is no folder"));
}

static void where_a_link_leads_to_nowhere_the_link_is_named(void **state)
{
    struct fault fault = {.text = ""};
    (void)state;
    assert_int_equal(symlink("/nowhere/at/all", "link"), 0);
    assert_int_equal(creatable_check("link", &fault), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "link: a link to /nowhere/at/all, where nothing is"));
    fault.text[0] = 0;
    assert_int_equal(creatable_check_new_folder("link/one", &fault), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "link: a link to /nowhere/at/all, where nothing is"));
    assert_int_equal(unlink("link"), 0);
}

static void a_folder_that_others_write_to_is_none_for_secrets(void **state)
{
    struct fault fault = {.text = ""};
    (void)state;
    assert_int_equal(chmod("open", 0777), 0);
    assert_int_equal(creatable_check("open/one", &fault), 0);
    assert_int_equal(creatable_check_secret("open/one", &fault), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "run: chmod go-w open"));
    assert_int_equal(chmod("open", 0700), 0);
}

/* As nobody, who may not write to the folder: the hint makes what is missing, and gives no folder away. */
static int look_as_nobody(void)
{
    struct fault fault = {.text = ""};
    if (geteuid() == 0 && (chmod(".", 0755) != 0 || setresuid(65534, 65534, 65534) != 0))
        return 1;
    if (creatable_check_new_folder("shut/a b", &fault) != ERR_CONFIG ||
        strstr(fault.text, "make it with: install -d -o ") == NULL ||
        strstr(fault.text, " -m 0700 'shut/a b'") == NULL || strstr(fault.text, "chown") != NULL)
        return 3;
    if (creatable_check("shut/one", &fault) != ERR_CONFIG ||
        strstr(fault.text, "cannot make files in shut; ") == NULL || strstr(fault.text, "chown") != NULL)
        return 4;
    if (creatable_check_folder("shut", &fault) != ERR_CONFIG || strstr(fault.text, "chown") != NULL)
        return 5;
    return 0;
}

static void no_mend_gives_a_folder_away(void **state)
{
    int status = 0;
    (void)state;
    assert_int_equal(mkdir("shut", 0500), 0);
    assert_int_equal(chmod("shut", 0555), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(look_as_nobody());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(rmdir("shut"), 0);
    assert_int_equal(status, 0);
}

static void a_path_may_be_too_long(void **state)
{
    char path[8192];
    struct fault fault = {.text = ""};
    (void)state;
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = 0;
    assert_int_equal(creatable_check(path, &fault), ERR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_a_link_leads_to_nowhere_the_link_is_named),
        cmocka_unit_test(where_a_folder_is_there_it_can_be_made),
        cmocka_unit_test(where_none_is_the_folder_is_named),
        cmocka_unit_test(a_folder_that_others_write_to_is_none_for_secrets),
        cmocka_unit_test(no_mend_gives_a_folder_away),
        cmocka_unit_test(a_path_may_be_too_long),
    };
    return cmocka_run_group_tests(tests, make_top, remove_top);
}
