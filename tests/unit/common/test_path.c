/* Parts of a path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/path.h"

static void the_extension_is_that_of_the_last_part(void **state)
{
    (void)state;
    assert_string_equal(path_extension("a.pem"), ".pem");
    assert_string_equal(path_extension("/x.d/a.b.pem"), ".pem");
    assert_string_equal(path_extension("a."), ".");
    assert_string_equal(path_extension("x.d/.pem"), ".pem");
    assert_null(path_extension("/x.d/a"));
    assert_null(path_extension("x.d/"));
    assert_null(path_extension(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_extension_is_that_of_the_last_part)};
    return cmocka_run_group_tests_name("path", tests, NULL, NULL);
}
