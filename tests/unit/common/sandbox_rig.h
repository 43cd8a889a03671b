/* Processes that enter a sandbox, do something there, and what they die of and log. Not a test program by
 * itself. */
#ifndef TESTS_UNIT_COMMON_SANDBOX_RIG_H
#define TESTS_UNIT_COMMON_SANDBOX_RIG_H

#include <errno.h>

#include "common/process.h"
#include "common/sandbox.h"

#define SURVIVED  77
#define TEXT_SIZE 8192
#define V         (1u << SANDBOX_VAULT)
#define N         (1u << SANDBOX_NET)
#define S         (1u << SANDBOX_SUPERVISOR)
#define L         (1u << SANDBOX_LOADER)

extern const char *const role_names[SANDBOX_ROLES];
extern pid_t parent; /* whose the processes here are */

void try_exec(void);
void *nothing(void *argument);

/* In a process of its own, after it has entered what ENTER does: ACT. What it wrote to its log is in TEXT;
 * returns its wait status. */
struct trial {
    enum sandbox_role role;
    enum sandbox_mode mode;
    void (*before)(void);
    void (*act)(void);
    bool keep_files; /* as on a kernel without Landlock */
    char text[TEXT_SIZE];
};

int run(struct trial *trial);
bool died_of_the_call(const struct trial *trial, int status, const char *call);
bool survived(int status);

void must(bool good);
void do_what_all_do(void);

#endif
