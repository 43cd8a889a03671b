/* A folder of certificates, as tests write it, and what is loaded from it. Not a test program by itself. */
#ifndef TESTS_UNIT_EDGE_CERTS_RIG_H
#define TESTS_UNIT_EDGE_CERTS_RIG_H

#include <unistd.h>

#include "edge/certs/certs_report.h"

extern OSSL_LIB_CTX *library;
extern SSL_CTX *trial; /* NULL but for tests of the security level */
extern char *folder;
extern struct certs *certs;
extern struct fault fault;

int setup_all(void **state);
int teardown_all(void **state);
int setup(void **state);
int teardown(void **state);
int load(const char *default_name, bool strict);
void put(const char *file, int key, const char *names);
void put_dated(const char *file, long from, long to);
void put_text(const char *file, const char *text);
void remove_file(const char *file);
const struct cert_set *find(const char *name);
/* True when NAME is answered by a certificate of FILE of type TYPE. */
bool answers_at(const char *name, enum key_type type, const char *file, int64_t now);
bool answers(const char *name, enum key_type type, const char *file);

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
