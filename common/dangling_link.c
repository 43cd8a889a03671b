#include "common/dangling_link.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "common/shell.h"

bool dangling_link_explain(const char *path, struct fault *fault)
{
    char target[PATH_MAX];
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length < 0)
        return false;
    target[length] = 0;
    (void)fault_set(
        fault, ERR_CONFIG,
        "%s: a link to %s, where nothing is; put it there (is a disk not mounted?), or correct the "
        "link with: ln -sfn TARGET %s",
        path, target, SHELL_WORD(path));
    return true;
}
