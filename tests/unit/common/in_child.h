/* A check in a process of its own. Not a test program by itself. */
#ifndef TESTS_UNIT_COMMON_IN_CHILD_H
#define TESTS_UNIT_COMMON_IN_CHILD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

/* Runs CHECK in a child, since what it does cannot be undone; 0 is success. */
static inline int in_child(int (*check)(void))
{
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(check());
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

#endif
