#include "keyserver/lanes/rsa_body.h"

const struct rsa_kernel rsa_kernel_portable = RSA_KERNEL;
