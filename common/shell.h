/* Text in commands that a person is told to run.
 *
 * A command in a hint is copied into a shell, often one of root's: a path in it is written as one word,
 * whatever is in its name. A quote becomes \', the one backslash that log lines do not escape. Pure; any
 * thread. */
#ifndef COMMON_SHELL_H
#define COMMON_SHELL_H

#include <stddef.h>

#define SHELL_WORD_SIZE 1024 /* with the 0 at its end */
/* In place of a text for whose word there is no room: a part of a path would name something else. */
#define SHELL_WORD_TOO_LONG "THE-PATH"

struct shell_room {
    char text[SHELL_WORD_SIZE];
};

/* The first LENGTH bytes of TEXT, which has no 0 among them, as a word of the POSIX shell (XCU 2.2): as they
 * are when none of them means anything to a shell, in single quotes otherwise. What begins with '-' is no
 * option: "./" precedes it. More may follow a word at once, as in "%s.new". Returns what it writes into ROOM.
 */
const char *shell_word(struct shell_room *room, const char *text, size_t length);

/* A whole text as a word, for the arguments of printf(3); it lasts as long as the block around the call. */
#define SHELL_WORD(text)              shell_word(&(struct shell_room){""}, text, strlen(text))
#define SHELL_WORD_PART(text, length) shell_word(&(struct shell_room){""}, text, length)

#endif
