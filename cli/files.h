/* Files and folders that a verb makes: never over something that exists, with the mode they should have. One
 * thread. */
#ifndef CLI_FILES_H
#define CLI_FILES_H

#include <stddef.h>
#include <sys/types.h>

#include "common/err.h"

#define FILES_PATH_MAX 1024

/* FOLDER/NAME into OUT; ERR_LENGTH with a fault when it does not fit. */
int files_path(char out[static FILES_PATH_MAX], const char *folder, const char *name,
               struct fault *fault) MUST_USE;
/* Makes FOLDER (one level) with MODE; an existing folder is fine. */
int files_make_folder(const char *folder, mode_t mode, struct fault *fault) MUST_USE;
/* Makes PATH with MODE and LENGTH bytes of CONTENT; ERR_REFUSED when it exists. */
int files_make(const char *path, mode_t mode, const void *content, size_t length,
               struct fault *fault) MUST_USE;
/* Copies FROM to the new file TO with MODE. */
int files_copy(const char *from, const char *to, mode_t mode, struct fault *fault) MUST_USE;
/* The part of PATH after its last slash; borrowed. */
const char *files_base_name(const char *path);

#endif
