#include "edge/bound/rsa_mode.h"

static const char *const mode_names[RSA_MODES] = {
    [RSA_MODE_NONE] = "none",
    [RSA_MODE_BOUND] = "bound",
    [RSA_MODE_NO_EPOCH] = "no_epoch",
    [RSA_MODE_TOO_LONG] = "too_long",
    [RSA_MODE_NO_EMS] = "no_extended_master_secret",
};

const char *rsa_mode_name(enum rsa_mode mode)
{
    return (unsigned)mode < RSA_MODES ? mode_names[mode] : mode_names[RSA_MODE_NONE];
}

static const char *const withheld_names[WITHHELD_REASONS] = {
    [WITHHELD_NOT] = "-",
    [WITHHELD_NOT_GRANTED] = "not_granted",
    [WITHHELD_NO_EMS] = "no_extended_master_secret",
    [WITHHELD_TOO_LONG] = "too_long",
};

const char *rsa_withheld_name(enum rsa_withheld withheld)
{
    return (unsigned)withheld < WITHHELD_REASONS ? withheld_names[withheld] : withheld_names[WITHHELD_NOT];
}

enum rsa_withheld rsa_mode_decide(uint32_t granted, bool extended_master_secret, bool fits)
{
    if ((granted & OPERATION_BIT(OP_RSA_PREMASTER)) != 0)
        return WITHHELD_NOT;
    if ((granted & OPERATION_BIT(OP_RSA_MASTER)) == 0)
        return WITHHELD_NOT_GRANTED;
    if (!extended_master_secret)
        return WITHHELD_NO_EMS;
    return fits ? WITHHELD_NOT : WITHHELD_TOO_LONG;
}
