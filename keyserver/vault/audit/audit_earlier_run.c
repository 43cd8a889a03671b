#include "keyserver/vault/audit/audit_earlier_run.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "keyserver/audit/audit_checkpoint.h"

/* Also a file that its owner has compressed. */
static bool is_of_log(const char *name)
{
    return strncmp(name, AUDIT_FILE_PREFIX, strlen(AUDIT_FILE_PREFIX)) == 0 ||
           strcmp(name, AUDIT_HEAD_FILE) == 0;
}

static bool find_in_folder(const char *folder, char out[static PATH_MAX])
{
    DIR *dir = opendir(folder);
    bool found = dir == NULL && errno != ENOENT;
    snprintf(out, PATH_MAX, "%s", folder);
    if (dir == NULL)
        return found;
    for (struct dirent *entry; !found && (entry = readdir(dir)) != NULL;) {
        found = is_of_log(entry->d_name);
        if (found && snprintf(out, PATH_MAX, "%s/%s", folder, entry->d_name) >= PATH_MAX)
            snprintf(out, PATH_MAX, "%s", folder);
    }
    closedir(dir);
    return found;
}

bool audit_earlier_run_find(const struct server_audit *config, char out[static PATH_MAX])
{
    struct stat info;
    if (find_in_folder(config->folder, out))
        return true;
    snprintf(out, PATH_MAX, "%s", config->key);
    return lstat(config->key, &info) == 0 || errno != ENOENT;
}
