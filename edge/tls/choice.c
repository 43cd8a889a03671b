#include "edge/tls/choice.h"

static uint32_t all_of(const uint32_t granted[static KEY_TYPES])
{
    uint32_t all = 0;

    for (int type = 0; type < KEY_TYPES; type++)
        all |= granted[type];
    return all;
}

/* Leaves the choice to OpenSSL: everything may be shown. */
static void make_free(struct choice *out)
{
    *out = (struct choice){.rsa_signs = true, .others_sign = true};
    for (int type = 0; type < KEY_TYPES; type++)
        out->shown[type] = true;
}

/* Shows the certificates that may sign and, with EXCHANGE, the RSA one. Returns whether there is any. */
static bool show_granted(struct choice *out, const uint32_t granted[static KEY_TYPES], uint32_t signature,
                         bool exchange)
{
    bool any = false;

    out->rsa_signs = (granted[KEY_RSA] & signature) != 0;
    out->others_sign = false;
    for (int type = 0; type < KEY_TYPES; type++) {
        bool signs = (granted[type] & signature) != 0;
        out->shown[type] = signs || (type == KEY_RSA && exchange);
        out->others_sign = out->others_sign || (signs && type != KEY_RSA);
        any = any || out->shown[type];
    }
    return any;
}

/* Neither a certificate that signs nor RSA key exchange is granted: no suite is left, which tells the client.
 * OpenSSL comes to that result only with certificates. */
static void show_all(struct choice *out)
{
    for (int type = 0; type < KEY_TYPES; type++)
        out->shown[type] = true;
}

void choice_make(struct choice *out, const uint32_t granted[static KEY_TYPES],
                 const struct choice_facts *facts)
{
    uint32_t signature = OPERATION_BIT(facts->tls13 ? OP_SIGN_TLS13 : OP_SIGN_TLS12);
    uint32_t secrets = facts->rsa_key_exchange && !facts->tls13
                           ? OPERATION_BIT(OP_RSA_PREMASTER) | OPERATION_BIT(OP_RSA_MASTER)
                           : 0;

    make_free(out);
    if ((all_of(granted) & (signature | secrets)) == 0)
        return;
    if (secrets != 0 && (granted[KEY_RSA] & secrets) != 0)
        out->plain = (granted[KEY_RSA] & OPERATION_BIT(OP_RSA_MASTER)) == 0;
    if (secrets != 0)
        out->withheld = rsa_mode_decide(granted[KEY_RSA], facts->extended_master_secret, facts->fits);
    if (!show_granted(out, granted, signature, secrets != 0 && out->withheld == WITHHELD_NOT))
        show_all(out);
    out->suites_limited = !facts->tls13;
}
