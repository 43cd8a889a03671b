#include "tests/unit/keyserver/audit_log_rig.h"

struct rig rig;

int set_up(void **state)
{
    (void)state;
    rig_set_up(&rig);
    return 0;
}

int tear_down(void **state)
{
    (void)state;
    rig_tear_down(&rig);
    return 0;
}
