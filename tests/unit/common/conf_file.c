#include "tests/unit/common/conf_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char conf_folder[sizeof "/tmp/keyless-conf-XXXXXX"] = "/tmp/keyless-conf-XXXXXX";
char conf_file[64];

int conf_file_make(const char *name)
{
    if (mkdtemp(conf_folder) == NULL)
        return -1;
    snprintf(conf_file, sizeof conf_file, "%s/%s", conf_folder, name);
    return 0;
}

int conf_file_remove(void **state)
{
    (void)state;
    return unlink(conf_file) != 0 || rmdir(conf_folder) != 0;
}

void conf_file_write(const char *text)
{
    FILE *stream = fopen(conf_file, "w");
    assert_non_null(stream);
    assert_true(fputs(text, stream) >= 0);
    assert_int_equal(fclose(stream), 0);
}

void assert_in_conf_folder(const char *path, const char *name)
{
    char expected[128];
    snprintf(expected, sizeof expected, "%s/%s", conf_folder, name);
    assert_string_equal(path, expected);
}

void assert_conf_fault(const struct fault *fault, const char *text, const char *words)
{
    if (strncmp(fault->text, conf_file, strlen(conf_file)) != 0 || strstr(fault->text, words) == NULL)
        fail_msg("'%s' gave '%s', expected '%s'", text, fault->text, words);
}
