/* Files and folders that a verb makes: never over something that exists, with the mode they should have. One
 * thread. */
#ifndef CLI_FILES_H
#define CLI_FILES_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/err.h"

#define FILES_PATH_MAX 1024

/* FOLDER/NAME into OUT; ERR_LENGTH with a fault when it does not fit. */
int files_path(char out[static FILES_PATH_MAX], const char *folder, const char *name,
               struct fault *fault) MUST_USE;
/* The absolute path of FOLDER, which may be missing, in OUT; FOLDER itself where it has none. */
const char *files_absolute(char out[static PATH_MAX], const char *folder);
/* Makes FOLDER (one level) with MODE; an existing folder is fine. */
int files_make_folder(const char *folder, mode_t mode, struct fault *fault) MUST_USE;
/* Makes PATH with MODE and LENGTH bytes of CONTENT; ERR_REFUSED when it exists. */
int files_make(const char *path, mode_t mode, const void *content, size_t length,
               struct fault *fault) MUST_USE;
/* The whole of a file, in guarded memory: it may be a key. */
struct files_content {
    uint8_t *bytes; /* owned */
    size_t length;
};
/* Reads FILE, of at most 1 MB, into OUT. */
int files_read(struct files_content *out, const char *file, struct fault *fault) MUST_USE;
void files_content_clear(struct files_content *content);

/* Notes that this program has made PATH by other means than the functions above, which note it themselves. */
void files_note(const char *path);
/* Removes every file and folder that was made since the start, the newest first; what others have put into
 * such a folder stays, and so does the folder then. */
void files_undo(void);

/* The part of PATH after its last slash; borrowed. */
const char *files_base_name(const char *path);

#endif
