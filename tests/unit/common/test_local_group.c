#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <grp.h>

#include "common/local_group.h"
#include "tests/unit/skip.h"

static int asked;

static bool is_anybody(uid_t uid)
{
    (void)uid;
    asked++;
    return true;
}

static bool is_nobody(uid_t uid)
{
    (void)uid;
    return false;
}

static bool is_root(uid_t uid)
{
    return uid == 0;
}

/* Root's primary group is root's on every Linux. */
static void each_account_of_the_group_is_asked_about(void **state)
{
    (void)state;
    asked = 0;
    assert_true(local_group_is_of(0, is_anybody));
    assert_true(asked > 0);
    assert_false(local_group_is_of(0, is_nobody));
}

static void a_group_of_another_account_is_not_roots(void **state)
{
    (void)state;
    const struct group *other = getgrnam("daemon");
    if (other == NULL)
        SKIP_FOR("no group daemon");
    assert_false(local_group_is_of(other->gr_gid, is_root));
}

static void a_group_that_the_files_do_not_know_is_nobodys(void **state)
{
    (void)state;
    assert_false(local_group_is_of(0x7ffffff1, is_anybody));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_account_of_the_group_is_asked_about),
        cmocka_unit_test(a_group_of_another_account_is_not_roots),
        cmocka_unit_test(a_group_that_the_files_do_not_know_is_nobodys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
