#include "common/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/identity.h"
#include "common/log.h"
#include "common/permissions.h"
#include "common/shell.h"

#define BIT(capability) (1ull << (capability))
#define CAPABILITIES    64 /* more than the kernel has; it says which it does not know */

/* Capabilities that the key server's supervisor keeps for its children: to change their user, to read the
 * files that the configuration names, to give the folder of the audit log to the vault's user, to lock
 * memory, and to end them. */
#define FOR_CHILDREN                                                                                         \
    (BIT(CAP_SETUID) | BIT(CAP_SETGID) | BIT(CAP_SETPCAP) | BIT(CAP_DAC_OVERRIDE) |                          \
     BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_CHOWN) | BIT(CAP_FOWNER) | BIT(CAP_KILL) | BIT(CAP_IPC_LOCK) |       \
     BIT(CAP_SYS_RESOURCE))

/* ---- capabilities, as one word a set ---- */

struct capabilities {
    uint64_t effective, permitted, inheritable;
};

static int get_capabilities(struct capabilities *out)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
    if (syscall(SYS_capget, &header, data) != 0)
        return ERR_SYSTEM;
    out->effective = data[0].effective | (uint64_t)data[1].effective << 32;
    out->permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
    out->inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
    return 0;
}

static int set_capabilities(uint64_t kept)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {
        {.effective = (uint32_t)kept, .permitted = (uint32_t)kept},
        {.effective = (uint32_t)(kept >> 32), .permitted = (uint32_t)(kept >> 32)},
    };
    return syscall(SYS_capset, &header, data) == 0 ? 0 : ERR_SYSTEM;
}

static bool may(int capability)
{
    struct capabilities now;
    return get_capabilities(&now) == 0 && (now.effective & BIT(capability)) != 0;
}

/* Drops all capabilities but KEPT from the bounding set. Without CAP_SETPCAP none can be dropped, and with
 * no_new_privs an executed program gains none. */
static int bound_capabilities(uint64_t kept)
{
    if (!may(CAP_SETPCAP))
        return 0;
    for (int i = 0; i < CAPABILITIES; i++)
        if ((kept & BIT(i)) == 0 && prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1 &&
            prctl(PR_CAPBSET_DROP, i, 0, 0, 0) != 0)
            return ERR_SYSTEM;
    return 0;
}

bool privileges_may_lock(size_t bytes)
{
    struct rlimit limit;
    return may(CAP_IPC_LOCK) || (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_max >= bytes);
}

/* ---- the user ---- */

bool privileges_is_root(void)
{
    uid_t real, effective, saved;
    return getresuid(&real, &effective, &saved) != 0 || real == 0 || effective == 0 || saved == 0;
}

static bool is_root_by_name(const char *user)
{
    return strcmp(user, PRIVILEGES_ROOT) == 0;
}

int privileges_find_user(const char *user, uid_t *uid, gid_t *gid, struct fault *fault)
{
    if (is_root_by_name(user)) {
        *uid = 0;
        *gid = 0;
        return 0;
    }
    errno = 0;
    struct passwd *entry = getpwnam(user);
    if (entry == NULL)
        return fault_set(fault, ERR_CONFIG,
                         "user %s: %s; run: useradd --system --no-create-home --shell /usr/sbin/nologin %s",
                         user, errno != 0 ? strerror(errno) : "no such user", SHELL_WORD(user));
    if (entry->pw_uid == 0)
        return fault_set(fault, ERR_CONFIG, "user %s: is root under another name; name one that is not",
                         user);
    *uid = entry->pw_uid;
    *gid = entry->pw_gid;
    return 0;
}

/* A process that is not root keeps its user. */
static void tell_ignored(const char *file, const char *user)
{
    struct fault why = {.text = ""};
    uid_t uid;
    gid_t gid;
    if (user == NULL || (privileges_find_user(user, &uid, &gid, &why) == 0 && uid == geteuid()))
        return;
    log_event(
        LOG_WARN, "user_ignored",
        "file=\"%s\" user=%s uid=%u error=\"only root can become another user, and this is not root\" "
        "hint=\"start it as that user (with systemd: User= in a drop-in of the unit), or take user out\"",
        file, user, (unsigned)geteuid());
}

void privileges_trust(const char *user)
{
    struct fault why;
    uid_t uid = 0;
    gid_t gid;
    if (!privileges_is_root() || user == NULL || privileges_find_user(user, &uid, &gid, &why) != 0)
        uid = 0;
    permissions_set_account(uid);
}

int privileges_check(const char *file, const char *user, struct fault *fault)
{
    struct fault why = {.text = ""};
    uid_t uid;
    gid_t gid;
    if (!privileges_is_root()) {
        tell_ignored(file, user);
        return 0;
    }
    if (user == NULL)
        return fault_set(
            fault, ERR_CONFIG,
            "%s: started as root, and no user is named to become: what parses the network would keep "
            "root; write user = \"NAME\" with an account that has no other use (make install makes "
            "keyless-server and keyless-edge), or user = \"" PRIVILEGES_ROOT "\" to keep root",
            file);
    int err = privileges_find_user(user, &uid, &gid, &why);
    if (err != 0)
        return fault_set(fault, err, "%s: %s", file, why.text);
    if (uid == 0)
        log_event(LOG_WARN, "root_kept",
                  "file=\"%s\" error=\"user = root: uid 0 stays, and root's files with it\" "
                  "hint=\"name an account that has no other use\"",
                  file);
    return 0;
}

int privileges_check_named(const char *file, const char *user, struct fault *fault)
{
    struct fault why = {.text = ""};
    uid_t uid;
    gid_t gid;
    if (privileges_is_root() || user == NULL)
        return privileges_check(file, user, fault);
    int err = privileges_find_user(user, &uid, &gid, &why);
    return err != 0 ? fault_set(fault, err, "%s: %s", file, why.text) : 0;
}

static int set_groups(const char *user, gid_t gid, enum privileges_groups groups)
{
    return groups == PRIVILEGES_OWN_GROUPS ? initgroups(user, gid) : setgroups(0, NULL);
}

static int become(const char *user, enum privileges_groups groups, struct fault *fault)
{
    static const char need[] =
        "root without CAP_SETUID and CAP_SETGID cannot become another user: give it both, or "
        "start the program as that user";
    uid_t uid;
    gid_t gid;
    int err = privileges_find_user(user, &uid, &gid, fault);
    if (err != 0)
        return err;
    if (set_groups(user, gid, groups) != 0)
        return fault_set(fault, ERR_SYSTEM, "user %s: cannot set its groups: %s; %s", user, strerror(errno),
                         need);
    if (setresgid(gid, gid, gid) != 0)
        return fault_set(fault, ERR_SYSTEM, "user %s: cannot become group %u: %s; %s", user, (unsigned)gid,
                         strerror(errno), need);
    if (setresuid(uid, uid, uid) != 0)
        return fault_set(fault, ERR_SYSTEM, "user %s: cannot become uid %u: %s; %s", user, (unsigned)uid,
                         strerror(errno), need);
    return 0;
}

/* ---- whether it held ---- */

/* Names a privilege that is still there or could be regained; NULL when there is none. */
static const char *regained(bool left_root, bool bounded)
{
    struct capabilities now;
    if (left_root && (setuid(0) == 0 || seteuid(0) == 0 || setresuid(0, 0, 0) == 0 || privileges_is_root()))
        return "root";
    if (left_root && (setgroups(0, NULL) == 0 || setegid(0) == 0))
        return "a group";
    if (get_capabilities(&now) != 0 || (now.effective | now.permitted | now.inheritable) != 0 ||
        set_capabilities(BIT(CAP_SETUID)) == 0)
        return "a capability";
    for (int i = 0; i < CAPABILITIES; i++) {
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, i, 0, 0) == 1)
            return "an ambient capability";
        if (bounded && prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1)
            return "a capability of the bounding set";
    }
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? NULL : "privileges by executing";
}

static int give_up_capabilities(void)
{
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); /* checked below */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return ERR_SYSTEM;
    return set_capabilities(0);
}

int privileges_drop(const char *user, enum privileges_groups groups, struct fault *fault)
{
    bool leave_root = privileges_is_root() && user != NULL && !is_root_by_name(user);
    bool bounded = may(CAP_SETPCAP);
    int death_signal = 0;
    prctl(PR_GET_PDEATHSIG, &death_signal, 0, 0, 0);
    if (bound_capabilities(0) != 0)
        return fault_set(fault, ERR_SYSTEM, "capabilities cannot be given up for good: %s", strerror(errno));
    int err = leave_root ? become(user, groups, fault) : 0;
    if (err != 0)
        return err;
    if (give_up_capabilities() != 0)
        return fault_set(fault, ERR_SYSTEM, "capabilities cannot be given up: %s", strerror(errno));
    const char *left = regained(leave_root, bounded);
    if (left != NULL)
        return fault_set(fault, ERR_SYSTEM, "user %s: %s could be regained; refusing to go on",
                         user == NULL ? "(the same)" : user, left);
    /* The kernel resets both when the user changes (proc(5) suid_dumpable, prctl(2) PR_SET_PDEATHSIG). */
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0);
    return 0;
}

int privileges_keep_for_children(struct fault *fault)
{
    struct capabilities now;
    if (bound_capabilities(FOR_CHILDREN) != 0 || get_capabilities(&now) != 0 ||
        set_capabilities(now.permitted & FOR_CHILDREN) != 0)
        return fault_set(fault, ERR_SYSTEM, "capabilities cannot be given up: %s", strerror(errno));
    return 0;
}
