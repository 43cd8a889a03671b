#include "common/config_files.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/permissions.h"
#include "common/shell.h"

int config_files_add(struct config_files *files, const char *path, const struct stat *info)
{
    struct config_file *item = reallocarray(files->item, files->count + 1, sizeof *item);
    if (item == NULL)
        return ERR_MEMORY;
    files->item = item;
    item[files->count] = (struct config_file){
        .path = strdup(path), .owner = S_ISREG(info->st_mode) ? info->st_uid : 0}; /* a pipe has no owner */
    if (item[files->count].path == NULL)
        return ERR_MEMORY;
    files->count++;
    return 0;
}

int config_files_judge(const struct config_files *files, struct fault *fault)
{
    int err = 0;
    for (size_t i = 0; err == 0 && i < files->count; i++) {
        const struct config_file *file = &files->item[i];
        err = permissions_is_trusted(file->owner)
                  ? permissions_check_place(file->path, fault)
                  : fault_set(fault, ERR_CONFIG, "%s: owned by uid %u, who could change it; run: chown %u %s",
                              file->path, (unsigned)file->owner, (unsigned)geteuid(), SHELL_WORD(file->path));
    }
    return err;
}

void config_files_clear(struct config_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        free(files->item[i].path);
    free(files->item);
    *files = (struct config_files){.count = 0};
}
