/* keys.h: an RSA key made for the test, and credential files around it. */
#ifndef FERRY_TESTS_CLOUD_KEYS_H
#define FERRY_TESTS_CLOUD_KEYS_H

#include <openssl/evp.h>

EVP_PKEY *make_key(void);
/* A service account's file with this key, from malloc. */
char *service_account_text(EVP_PKEY *key, const char *token_uri);

#endif
