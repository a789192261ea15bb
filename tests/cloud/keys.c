#include "keys.h"

#include <jansson.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

EVP_PKEY *make_key(void)
{
    EVP_PKEY *key = EVP_RSA_gen(2048);
    assert_non_null(key);
    return key;
}

char *service_account_text(EVP_PKEY *key, const char *token_uri)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *pem = NULL;
    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    long size = BIO_get_mem_data(bio, &pem);
    json_t *json = json_pack("{s:s, s:s, s:s%, s:s, s:s, s:s}", "type", "service_account", "client_email",
                             "ferry@demo-proj.iam.gserviceaccount.com", "private_key", pem, (size_t)size,
                             "private_key_id", "key-1", "token_uri", token_uri, "project_id", "demo-proj");
    char *text = json_dumps(json, 0);
    assert_non_null(text);
    json_decref(json);
    BIO_free(bio);
    return text;
}
