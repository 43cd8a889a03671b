/* Lanes: may this machine do eight private-key operations at once, in the lanes of its vector unit? Decided
 * once, at start, by what the processor and the system offer and by a known answer of each kernel.
 *
 * Not a kernel: those are the other files of this folder. A kernel that is not ready here is not used, and
 * OpenSSL does its work. lanes_start() before any other thread; the rest from any thread after it. */
#ifndef KEYSERVER_LANES_LANES_H
#define KEYSERVER_LANES_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What kernels need, as bits: instructions, and that the system keeps their registers when it changes
 * threads. */
enum lanes_feature {
    LANES_AVX512F = 1 << 0,
    LANES_AVX512DQ = 1 << 1,
    LANES_AVX512BW = 1 << 2,
    LANES_AVX512VL = 1 << 3,
    LANES_AVX512IFMA = 1 << 4,
    LANES_AVX512VBMI = 1 << 5,
    LANES_BMI2 = 1 << 6,
    LANES_REGISTERS = 1 << 7, /* XCR0 has the state of zmm and mask registers */
};
#define LANES_EVERYTHING (~0u)
/* What the compiler may use in the files whose names end in _ifma.c (Makefile), and so what each of them
 * needs. */
#define LANES_IFMA                                                                                           \
    (LANES_AVX512F | LANES_AVX512DQ | LANES_AVX512BW | LANES_AVX512VL | LANES_AVX512IFMA | LANES_REGISTERS)

enum lanes_state {
    LANES_OFF,     /* not started, or not wanted */
    LANES_LACKING, /* this machine, or this build, does not have what it needs */
    LANES_WRONG,   /* its self-test failed */
    LANES_READY,
};

/* One kernel, as a row of the table in lanes.c. */
struct lanes_row {
    const char *name;        /* in the log */
    unsigned needs;          /* bits of enum lanes_feature */
    bool (*self_test)(void); /* true when all known answers come out */
};
enum lanes_id {
    LANES_NONE, /* no kernel: OpenSSL does it; its state is always LANES_OFF */
    LANES_RSA,
    LANES_P256,
    LANES_P384,
    LANES_ED25519,
    LANES_IDS
};

/* What processor and system offer. */
unsigned lanes_features(void);
/* What becomes of ROW when FEATURES may be used: its self-test runs only where it may. Logs a failure. */
enum lanes_state lanes_judge(const struct lanes_row *row, unsigned features);

/* Decides for every kernel and logs what came of it. Unless WANTED all are off. Of what the machine offers
 * only ALLOWED is used: LANES_EVERYTHING, or less to act as a lesser machine. May be called again. */
void lanes_start(bool wanted, unsigned allowed);
enum lanes_state lanes_state(enum lanes_id id);
/* "off", "lacking", "wrong", "ready". */
const char *lanes_state_text(enum lanes_state state);

/* The RSA kernel for rsa_lanes_scratch_new(), or NULL unless LANES_RSA is ready. */
struct rsa_kernel;
const struct rsa_kernel *lanes_rsa(void);
/* The same for ec_scratch_new(): of LANES_P256 or LANES_P384. */
struct ec_kernel;
const struct ec_kernel *lanes_ec(enum lanes_id id);
/* The same for ed_scratch_new(), of LANES_ED25519. */
struct ed_kernel;
const struct ed_kernel *lanes_ed(void);

#endif
