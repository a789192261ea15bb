/* ID tokens, each way that credentials give them. */
#include "client.h"
#include "cloud/identity.h"
#include "keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define URL "https://qwen-abc-an.a.run.app"
#define USER                                                                                                 \
    "{\"type\":\"authorized_user\",\"client_id\":\"id\",\"client_secret\":\"client-secret\","                \
    "\"refresh_token\":\"refresh-secret\"}"

static char folder[] = "/tmp/ferry-identity-XXXXXX", path_before[4096];

static int set_up(void **state)
{
    if (client_open(state) != 0)
        return -1;
    unsetenv("FERRY_ACCESS_TOKEN");
    snprintf(path_before, sizeof path_before, "%s", getenv("PATH"));
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    return setenv("PATH", folder, 1); /* no gcloud, unless the test puts one there */
}

static int tear_down(void **state)
{
    char path[100];
    for (const char *const *n = (const char *const[]){"key.json", "gcloud", "", NULL}; *n; n++) {
        snprintf(path, sizeof path, "%s/%s", folder, *n);
        remove(path);
    }
    setenv("PATH", path_before, 1);
    unsetenv("FERRY_IDENTITY_TOKEN");
    unsetenv("GOOGLE_APPLICATION_CREDENTIALS");
    return client_close(state);
}

static const char *write_file(const char *name, const char *text)
{
    static char path[100];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_true(f && fputs(text, f) >= 0 && fclose(f) == 0);
    return path;
}

static void expect_identity(struct client *c, const char *want)
{
    char value[IDENTITY_BYTES];
    struct err e = {0};
    struct identity *i = identity_new(c->cloud, URL, &e);
    assert_non_null(i);
    if (!identity_get(i, value, &e))
        fail_msg("%s", e.text);
    assert_string_equal(value, want);
    identity_free(i);
}

static void expect_none(struct client *c, const char *says)
{
    char value[IDENTITY_BYTES];
    struct err e = {0};
    struct identity *i = identity_new(c->cloud, URL, &e);
    assert_false(identity_get(i, value, &e));
    expect_error(&e, ERR_AUTH, says);
    identity_free(i);
}

static void given_token_wins(void **state)
{
    setenv("FERRY_ACCESS_TOKEN", "access", 1);
    setenv("FERRY_IDENTITY_TOKEN", "eyJ.given.x", 1);
    expect_identity(*state, "Bearer eyJ.given.x");
    setenv("FERRY_IDENTITY_TOKEN", "two words", 1);
    expect_none(*state, "FERRY_IDENTITY_TOKEN: a token with a character that no token has");
}

static void access_token_alone_gives_none(void **state)
{
    setenv("FERRY_ACCESS_TOKEN", "access", 1);
    expect_none(*state, "set FERRY_IDENTITY_TOKEN to what `gcloud auth print-identity-token` prints");
    chmod(write_file("gcloud", "#!/bin/sh\n[ \"$2\" = print-identity-token ] && echo eyJ.gcloud.x\n"), 0700);
    expect_identity(*state, "Bearer eyJ.gcloud.x");
}

static void login_gives_its_own(void **state)
{
    struct client *c = *state;
    setenv("GOOGLE_APPLICATION_CREDENTIALS", write_file("key.json", USER), 1);
    canned_answer(c->server, 200, NULL,
                  "{\"access_token\":\"a\",\"expires_in\":3599,\"id_token\":\"eyJ.user.x\"}");
    expect_identity(c, "Bearer eyJ.user.x");
    expect_request(c, 0, "POST /token", "grant_type=refresh_token", NULL);
    canned_answer(c->server, 200, NULL, "{\"access_token\":\"a\",\"expires_in\":3599}");
    expect_none(c, "the answer holds no id_token");
    chmod(write_file("gcloud", "#!/bin/sh\necho eyJ.gcloud.x\n"), 0700);
    canned_answer(c->server, 200, NULL, "{\"access_token\":\"a\",\"expires_in\":3599}");
    expect_identity(c, "Bearer eyJ.gcloud.x");
}

static void service_account_asks_for_the_audience(void **state)
{
    struct client *c = *state;
    char uri[100], claims[2000] = "";
    EVP_PKEY *key = make_key();
    snprintf(uri, sizeof uri, "%s/token", canned_url(c->server));
    char *text = service_account_text(key, uri);
    setenv("GOOGLE_APPLICATION_CREDENTIALS", write_file("key.json", text), 1);
    canned_answer(c->server, 200, NULL, "{\"id_token\":\"eyJ.sa.x\"}");
    expect_identity(c, "Bearer eyJ.sa.x");
    const char *assertion = strstr(canned_body(c->server, 0), "assertion=");
    assert_non_null(assertion);
    const char *middle = strchr(assertion, '.') + 1;
    size_t n = strcspn(middle, ".");
    unsigned char padded[2000];
    memset(padded, '=', sizeof padded);
    for (size_t i = 0; i < n; i++)
        padded[i] = middle[i] == '-' ? '+' : middle[i] == '_' ? '/' : (unsigned char)middle[i];
    assert_true(EVP_DecodeBlock((unsigned char *)claims, padded, (int)(n + 3) / 4 * 4) > 0);
    assert_non_null(strstr(claims, "\"target_audience\":\"" URL "\""));
    assert_null(strstr(claims, "\"scope\""));
    free(text);
    EVP_PKEY_free(key);
}

static void machine_asks_its_metadata_server(void **state)
{
    struct client *c = *state;
    canned_answer(c->server, 200, "Metadata-Flavor: Google\r\n", "");
    canned_answer(c->server, 200, "Metadata-Flavor: Google\r\n", "eyJ.machine.x");
    expect_identity(c, "Bearer eyJ.machine.x");
    expect_request(c, 1,
                   "GET /computeMetadata/v1/instance/service-accounts/default/identity?format=full&audience="
                   "https%3A%2F%2Fqwen-abc-an.a.run.app",
                   "Metadata-Flavor: Google", NULL);
}

static void impersonated_account_gives_its_own(void **state)
{
    struct client *c = *state;
    struct gcloud_property p = {"auth", "impersonate_service_account", "run@p.iam.gserviceaccount.com"};
    c->config.properties = &p;
    c->config.count = 1;
    setenv("FERRY_ACCESS_TOKEN", "access", 1);
    canned_answer(c->server, 200, NULL, "{\"token\":\"eyJ.other.x\"}");
    expect_identity(c, "Bearer eyJ.other.x");
    expect_request(c, 0,
                   "POST /v1/projects/-/serviceAccounts/run%40p.iam.gserviceaccount.com:generateIdToken",
                   "Bearer access", "{\"audience\":\"" URL "\",\"includeEmail\":true}", NULL);
    canned_answer(c->server, 403, NULL,
                  "{\"error\":{\"message\":\"Permission 'iam.serviceAccounts.getOpenIdToken' denied\"}}");
    expect_none(c, "identity of run@p.iam.gserviceaccount.com: HTTP 403");
}

static void token_is_kept_until_it_is_refused(void **state)
{
    struct client *c = *state;
    char value[IDENTITY_BYTES];
    struct err e = {0};
    canned_answer(c->server, 200, "Metadata-Flavor: Google\r\n", "");
    canned_answer(c->server, 200, "Metadata-Flavor: Google\r\n", "eyJ.one.x");
    canned_answer(c->server, 200, "Metadata-Flavor: Google\r\n", "eyJ.two.x");
    struct identity *i = identity_new(c->cloud, URL, &e);
    assert_true(identity_get(i, value, &e) && identity_get(i, value, &e));
    assert_int_equal(canned_count(c->server), 2);
    identity_refused(i);
    assert_true(identity_get(i, value, &e));
    assert_string_equal(value, "Bearer eyJ.two.x");
    identity_free(i);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(given_token_wins),
        CASE(access_token_alone_gives_none),
        CASE(login_gives_its_own),
        CASE(service_account_asks_for_the_audience),
        CASE(machine_asks_its_metadata_server),
        CASE(impersonated_account_gives_its_own),
        CASE(token_is_kept_until_it_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
