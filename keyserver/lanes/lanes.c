#include "keyserver/lanes/lanes.h"

#include "common/log.h"
#include "keyserver/lanes/ec_kernel.h"
#include "keyserver/lanes/ec_lanes.h"
#include "keyserver/lanes/ed_kernel.h"
#include "keyserver/lanes/rsa_kernel.h"

#ifdef __x86_64__
#include <cpuid.h>
#endif

/* ---- what the machine has ---- */

#ifdef __x86_64__

#define XCR0_VECTORS 0xe6 /* xmm, ymm, mask registers, both halves of zmm */

static uint64_t saved_registers(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

unsigned lanes_features(void)
{
    static const struct {
        unsigned in_ebx, in_ecx; /* of leaf 7 */
        unsigned feature;
    } bits[] = {
        {bit_AVX512F, 0, LANES_AVX512F},
        {bit_AVX512DQ, 0, LANES_AVX512DQ},
        {bit_AVX512BW, 0, LANES_AVX512BW},
        {bit_AVX512VL, 0, LANES_AVX512VL},
        {bit_AVX512IFMA, 0, LANES_AVX512IFMA},
        {0, bit_AVX512VBMI, LANES_AVX512VBMI},
        {bit_BMI2, 0, LANES_BMI2},
    };
    unsigned eax, ebx, ecx, edx, features = 0;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx))
        return 0;
    if ((ecx & bit_OSXSAVE) != 0 && (saved_registers() & XCR0_VECTORS) == XCR0_VECTORS)
        features |= LANES_REGISTERS;
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx))
        return features;
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++)
        if ((ebx & bits[i].in_ebx) != 0 || (ecx & bits[i].in_ecx) != 0)
            features |= bits[i].feature;
    return features;
}

#else

unsigned lanes_features(void)
{
    return 0;
}

#endif

/* ---- the kernels ---- */

#ifdef __x86_64__
static const struct rsa_kernel *const rsa_kernel = &rsa_kernel_ifma;
static const struct ec_kernel *const p256_kernel = &ec_p256_ifma, *const p384_kernel = &ec_p384_ifma;
static const struct ed_kernel *const ed_kernel = &ed25519_ifma;
#else
static const struct rsa_kernel *const rsa_kernel = NULL;
static const struct ec_kernel *const p256_kernel = NULL, *const p384_kernel = NULL;
static const struct ed_kernel *const ed_kernel = NULL;
#endif

static bool rsa_self_test(void)
{
    return rsa_lanes_self_test(rsa_kernel);
}

static bool p256_self_test(void)
{
    p256_kernel->prepare();
    return ec_kernel_test(p256_kernel);
}

static bool p384_self_test(void)
{
    p384_kernel->prepare();
    return ec_kernel_test(p384_kernel);
}

static bool ed25519_self_test(void)
{
    ed_kernel->prepare();
    return ed_kernel_test(ed_kernel);
}

static const struct lanes_row rows[LANES_IDS] = {
    [LANES_RSA] = {"rsa", LANES_IFMA, rsa_self_test},
    [LANES_P256] = {"p256", LANES_IFMA, p256_self_test},
    [LANES_P384] = {"p384", LANES_IFMA, p384_self_test},
    [LANES_ED25519] = {"ed25519", LANES_IFMA, ed25519_self_test},
};
static enum lanes_state states[LANES_IDS];

enum lanes_state lanes_judge(const struct lanes_row *row, unsigned features)
{
    if ((features & row->needs) != row->needs)
        return LANES_LACKING;
    if (row->self_test())
        return LANES_READY;
    log_event(
        LOG_ERROR, "lanes_wrong",
        "kernel=%s error=\"a known answer did not come out; OpenSSL does its work; the processor may be "
        "faulty\"",
        row->name);
    return LANES_WRONG;
}

void lanes_start(bool wanted, unsigned allowed)
{
    unsigned features = lanes_features() & allowed;
    for (size_t id = LANES_NONE + 1; id < LANES_IDS; id++) {
        states[id] = wanted ? lanes_judge(&rows[id], features) : LANES_OFF;
        log_event(LOG_INFO, "lanes", "kernel=%s state=%s", rows[id].name, lanes_state_text(states[id]));
    }
}

enum lanes_state lanes_state(enum lanes_id id)
{
    return states[id];
}

const char *lanes_state_text(enum lanes_state state)
{
    static const char *const texts[] = {
        [LANES_OFF] = "off", [LANES_LACKING] = "lacking", [LANES_WRONG] = "wrong", [LANES_READY] = "ready"};
    return texts[state];
}

const struct rsa_kernel *lanes_rsa(void)
{
    return states[LANES_RSA] == LANES_READY ? rsa_kernel : NULL;
}

const struct ec_kernel *lanes_ec(enum lanes_id id)
{
    const struct ec_kernel *const kernels[LANES_IDS] = {
        [LANES_P256] = p256_kernel, [LANES_P384] = p384_kernel};
    return states[id] == LANES_READY ? kernels[id] : NULL;
}

const struct ed_kernel *lanes_ed(void)
{
    return states[LANES_ED25519] == LANES_READY ? ed_kernel : NULL;
}
