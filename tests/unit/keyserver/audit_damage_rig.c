#include "tests/unit/keyserver/audit_damage_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct audit_check damage_check;
struct rig_files damage_files;

/* Twenty uses, 0 to 19, and an orderly end. */
void damage_write_some(void)
{
    rig_open(&rig);
    rig_use_many(&rig, 0, 20);
    rig_close(&rig);
}

/* Three more by another vault, and an orderly end. */
void damage_write_more(void)
{
    rig_open(&rig);
    rig_use_many(&rig, 20, 3);
    rig_pass(&rig, 1000);
    rig_close(&rig);
}

enum audit_flaw_kind damage_verify(void)
{
    memset(&damage_check, 0, sizeof damage_check);
    rig_read(&rig, &damage_files);
    enum audit_flaw_kind kind = rig_check(&damage_check, &damage_files);
    rig_forget(&damage_files);
    return kind;
}

/* The only record of damage; COUNT of them must be there. */
struct audit_record damage_find(size_t count)
{
    struct rig_records records;
    struct audit_record damage = {.seq = 0};
    size_t found = 0;
    rig_records(&rig, &records);
    for (size_t i = 0; i < records.count; i++)
        if (records.item[i].type == AUDIT_DAMAGE) {
            damage = records.item[i];
            found++;
        }
    free(records.item);
    assert_int_equal(found, count);
    return damage;
}

/* Where line NUMBER (1 …) of the text begins. */
char *damage_line(char *text, unsigned number)
{
    while (--number > 0)
        text = strchr(text, '\n') + 1;
    return text;
}

/* Puts BYTES at the end of the first file. */
void damage_append(const char *bytes, size_t length)
{
    int fd = open(rig_path(&rig, FIRST_FILE), O_WRONLY | O_APPEND);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), length);
    close(fd);
}
