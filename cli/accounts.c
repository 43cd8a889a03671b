#include "cli/accounts.h"

#include <pwd.h>
#include <spawn.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "common/config_write.h"
#include "common/privileges.h"
#include "common/shell.h"

#define TRIAL_USER "nobody"
#define PROGRAM    "/usr/sbin/useradd"

static bool make(const char *name)
{
    char program[] = PROGRAM, system_account[] = "--system", group[] = "--user-group",
         home[] = "--no-create-home";
    char home_is[] = "--home-dir=/nonexistent", shell[] = "--shell=/usr/sbin/nologin", copy[64];
    char *const arguments[] = {program, system_account, group, home, home_is, shell, copy, NULL};
    char *const environment[] = {NULL};
    pid_t pid;
    int status = 0;
    if (snprintf(copy, sizeof copy, "%s", name) >= (int)sizeof copy ||
        posix_spawn(&pid, PROGRAM, NULL, NULL, arguments, environment) != 0)
        return false;
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int accounts_put_user(struct buffer *text, const char *user, const char *account, bool trial)
{
    if (user == NULL && privileges_is_root())
        user = trial ? TRIAL_USER : account;
    if (user == NULL)
        return 0;
    int err = buffer_printf(
        text, "# Whom to become when started as root; secrets are read before and stay files of root's.\n");
    return err != 0 ? err : config_write_text(text, 0, "user", user);
}

void accounts_make(const char *account)
{
    if (getpwnam(account) != NULL)
        return;
    bool made = make(account);
    if (getpwnam(account) == NULL)
        fprintf(stderr,
                "keyless init: the account %s could not be made; before the start run: useradd --system "
                "--no-create-home --shell /usr/sbin/nologin %s\n",
                account, SHELL_WORD(account));
    else if (made)
        fprintf(stderr, "keyless init: made the system account %s\n", account);
}
