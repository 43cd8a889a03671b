/* Primes for the keys of tests, made once: to search them anew takes half a second for each RSA key, and no
 * test asks how a key was found. For tests only: whoever reads this has these keys. Not a test program by
 * itself. */
#ifndef TESTS_UNIT_KEYSERVER_PRIMES_H
#define TESTS_UNIT_KEYSERVER_PRIMES_H

#include <openssl/bn.h>

#define PRIMES_OF_A_SIZE 4

/* Prime NUMBER of BITS bits, the caller's; NULL when there is none. */
BIGNUM *primes_find(size_t bits, size_t number);
/* Pair NUMBER of primes of BITS bits, the caller's; 0 when there is none. */
int primes_find_pair(size_t bits, size_t number, BIGNUM **p, BIGNUM **q);

#endif
