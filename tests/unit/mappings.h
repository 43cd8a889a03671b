/* How much of its address space a process has mapped. */
#ifndef TESTS_UNIT_MAPPINGS_H
#define TESTS_UNIT_MAPPINGS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* The mappings of this process, a line each in /proc/self/maps. Fails the test without that file. */
static inline size_t mappings_count(void)
{
    size_t count = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    assert_non_null(maps);
    for (int c; (c = fgetc(maps)) != EOF;)
        count += c == '\n';
    fclose(maps);
    return count;
}

#endif
