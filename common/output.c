#include "common/output.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int print_failed; /* errno of the first output_print() that was lost, or 0 */

void output_print(const char *text)
{
    size_t length = strlen(text);
    while (length > 0) {
        ssize_t written = write(STDOUT_FILENO, text, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            if (print_failed == 0)
                print_failed = written < 0 ? errno : EIO;
            return;
        }
        text += written;
        length -= (size_t)written;
    }
}

/* Why standard output fails, when the C library has not kept it; 0 when that cannot be found. */
static int look_why(void)
{
    return write(STDOUT_FILENO, "", 0) < 0 ? errno : 0;
}

/* True when something is lost; WHY is then its errno, or 0. Says it once. */
static bool take_lost(int *why)
{
    bool lost = fflush(stdout) != 0;
    *why = lost ? errno : print_failed;
    lost = lost || print_failed != 0 || ferror(stdout) != 0;
    if (lost && *why == 0)
        *why = look_why();
    __fpurge(stdout); /* or the end of the program would try once more */
    clearerr(stdout);
    print_failed = 0;
    return lost;
}

/* Whoever read the output has had enough. */
static bool reader_left(int why)
{
    struct stat info;
    if (why != 0)
        return why == EPIPE || why == ECONNRESET;
    return fstat(STDOUT_FILENO, &info) == 0 && (S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode));
}

void output_explain(char out[static OUTPUT_TEXT_SIZE], int why)
{
    static const struct {
        int why;
        const char *error, *hint;
    } known[] = {
        {0, "is the disk full?", "make room on it, or write elsewhere (>FILE)"},
        {EBADF, "it is closed, or open for reading only",
         "name a place for it (>FILE), which is /dev/null where nobody is to read it"},
        {ENOSPC, "the disk is full", "make room on it, or write elsewhere (>FILE)"},
        {EDQUOT, "the quota of the disk is used up", "make room on it, or write elsewhere (>FILE)"},
        {EFBIG, "the file would be larger than RLIMIT_FSIZE allows",
         "raise that limit (ulimit -f unlimited)"},
        {EAGAIN, "it is non-blocking, and its reader is too slow", "let it block (… | cat)"},
        {EPIPE, "its reader has closed it", "let the reader read to the end"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].why == why) {
            snprintf(out, OUTPUT_TEXT_SIZE, "standard output cannot be written: %s; %s", known[i].error,
                     known[i].hint);
            return;
        }
    snprintf(out, OUTPUT_TEXT_SIZE, "standard output cannot be written: %s; write elsewhere (>FILE)",
             strerror(why));
}

int output_flush(struct fault *fault)
{
    char text[OUTPUT_TEXT_SIZE];
    int why;
    if (!take_lost(&why))
        return 0;
    output_explain(text, why);
    return fault_set(fault, ERR_SYSTEM, "%s", text);
}

int output_finish(const char *program, int status)
{
    char text[OUTPUT_TEXT_SIZE];
    int why;
    if (!take_lost(&why) || reader_left(why))
        return status;
    output_explain(text, why);
    fprintf(stderr, "%s: %s\n", program, text);
    return status == EXIT_SUCCESS ? EXIT_FAILURE : status;
}
