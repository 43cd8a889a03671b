/* Standard output of a command. What is printed and cannot be written is never a success.
 *
 * Commands print with stdio, or with output_print() where a sandbox allows stdio no more. Both are accounted
 * for when the command ends. One thread. */
#ifndef COMMON_OUTPUT_H
#define COMMON_OUTPUT_H

#include "common/err.h"

/* Room for the longest text of output_explain(). */
#define OUTPUT_TEXT_SIZE 256

/* Writes TEXT to standard output at once, with write() alone. What is lost, output_finish() says. */
void output_print(const char *text);
/* Writes what is printed, for who must know whether it was, pipe or not. ERR_SYSTEM when some of it is lost:
 * FAULT says why and how to mend it, the caller says it, and output_finish() does not say it again. */
int output_flush(struct fault *fault) MUST_USE;
/* The exit status of PROGRAM, which would end with STATUS, once all that it printed is written. What is lost
 * is complained of on standard error, and 0 becomes 1. A reader that closes its pipe early is no error. */
int output_finish(const char *program, int status) MUST_USE;
/* Puts into OUT that standard output cannot be written because of the errno WHY, 0 when that is not known,
 * and how to mend it. Makes no system call. */
void output_explain(char out[static OUTPUT_TEXT_SIZE], int why);

#endif
