/* Parts of a path, as text. Pure; any thread. */
#ifndef COMMON_PATH_H
#define COMMON_PATH_H

/* The extension of PATH with its dot (".pem"), which is that of its last part; NULL when it has none. */
const char *path_extension(const char *path);

#endif
