/* A folder of a test, removed with all that is in it. Not a test program by itself. */
#ifndef TESTS_UNIT_REMOVE_TREE_H
#define TESTS_UNIT_REMOVE_TREE_H

#include <ftw.h>
#include <stdio.h>

static inline int remove_tree_one(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info, (void)type, (void)at;
    return remove(path);
}

/* Not 0, and errno, when something is left. */
static inline int remove_tree(const char *top)
{
    return nftw(top, remove_tree_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
