#include "common/path.h"

#include <string.h>

const char *path_extension(const char *path)
{
    const char *slash = strrchr(path, '/');
    return strrchr(slash != NULL ? slash : path, '.');
}
