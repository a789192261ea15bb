/* The five sources of tokens, against a server that plays token endpoint and metadata server. */
#include "canned.h"
#include "cloud/token.h"
#include "keys.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct fixture {
    struct canned *server;
    struct http *http;
    struct gcloud_config config;
    char folder[64];
    char *path; /* PATH before the test */
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct err e = {0};
    strcpy(f->folder, "/tmp/ferry-token-XXXXXX");
    if (!mkdtemp(f->folder))
        return -1;
    f->server = canned_start();
    canned_environment(f->server);
    f->path = strdup(getenv("PATH"));
    setenv("PATH", f->folder, 1); /* no gcloud, unless the test puts one there */
    f->http = http_new(&e);
    f->config.folder = f->folder;
    *state = f;
    return f->http ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"application_default_credentials.json", "key.json", "gcloud", "token",
                                        ""};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[200];
        snprintf(path, sizeof path, "%s/%s", f->folder, names[i]);
        remove(path);
    }
    setenv("PATH", f->path, 1);
    http_free(f->http);
    canned_stop(f->server);
    free(f->path);
    free(f);
    return 0;
}

static const char *write_file(struct fixture *f, const char *name, const char *text)
{
    static char path[200];
    snprintf(path, sizeof path, "%s/%s", f->folder, name);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
    return path;
}

static struct token_source *open_source(struct fixture *f)
{
    struct err e = {0};
    struct token_source *s = token_source_new(f->http, &f->config, &e);
    if (!s)
        fail_msg("%s", e.text);
    return s;
}

static void expect_token(struct token_source *s, const char *want)
{
    char token[TOKEN_MAX_BYTES];
    struct err e = {0};
    if (!token_get(s, token, &e))
        fail_msg("%s", e.text);
    assert_string_equal(token, want);
}

static void expect_failure(struct token_source *s, enum err_kind kind, const char *says)
{
    char token[TOKEN_MAX_BYTES];
    struct err e = {0};
    assert_false(token_get(s, token, &e));
    assert_int_equal(e.kind, kind);
    if (!strstr(e.text, says))
        fail_msg("\"%s\" does not say \"%s\"", e.text, says);
    assert_null(strstr(e.text, "refresh-secret"));
    assert_null(strstr(e.text, "client-secret"));
}

#define USER                                                                                                 \
    "{\"type\":\"authorized_user\",\"client_id\":\"id&1\",\"client_secret\":\"client-secret\","              \
    "\"refresh_token\":\"refresh-secret/1\",\"quota_project_id\":\"quota-proj\"}"
#define TOKEN(name, seconds) "{\"access_token\":\"" name "\",\"expires_in\":" seconds "}"

static void variable_comes_first_and_cannot_be_renewed(void **state)
{
    setenv("FERRY_ACCESS_TOKEN", "mine", 1);
    setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nonexistent/key.json", 1);
    struct token_source *s = open_source(*state);
    expect_token(s, "mine");
    assert_false(token_refused(s, "mine"));
    assert_non_null(strstr(token_source_name(s), "FERRY_ACCESS_TOKEN"));
    assert_null(token_quota_project(s));
    token_source_free(s);
}

static void variable_that_breaks_headers_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    setenv("FERRY_ACCESS_TOKEN", "mine\r\nX-Evil: 1", 1);
    assert_null(token_source_new(f->http, &f->config, &e));
    assert_int_equal(e.kind, ERR_AUTH);
    assert_null(strstr(e.text, "Evil"));
}

static void file_is_read_again_when_refused(void **state)
{
    struct fixture *f = *state;
    setenv("FERRY_ACCESS_TOKEN_FILE", write_file(f, "token", "first\n"), 1);
    struct token_source *s = open_source(f);
    expect_token(s, "first");
    write_file(f, "token", "second\n");
    expect_token(s, "first");
    assert_true(token_refused(s, "first"));
    expect_token(s, "second");
    token_source_free(s);
    unsetenv("FERRY_ACCESS_TOKEN_FILE");
}

static void missing_token_file_is_named(void **state)
{
    setenv("FERRY_ACCESS_TOKEN_FILE", "/nonexistent/token", 1);
    struct token_source *s = open_source(*state);
    expect_failure(s, ERR_AUTH, "FERRY_ACCESS_TOKEN_FILE: /nonexistent/token");
    token_source_free(s);
    unsetenv("FERRY_ACCESS_TOKEN_FILE");
}

static void refresh_token_is_exchanged_once(void **state)
{
    struct fixture *f = *state;
    setenv("GOOGLE_APPLICATION_CREDENTIALS", write_file(f, "key.json", USER), 1);
    struct token_source *s = open_source(f);
    canned_answer(f->server, 200, NULL, TOKEN("ya29.one", "3599"));
    expect_token(s, "ya29.one");
    expect_token(s, "ya29.one");
    assert_int_equal(canned_count(f->server), 1);
    assert_memory_equal(canned_request(f->server, 0), "POST /token HTTP/1.1\r\n", 22);
    assert_non_null(strstr(canned_request(f->server, 0), "application/x-www-form-urlencoded"));
    assert_string_equal(canned_body(f->server, 0),
                        "grant_type=refresh_token&client_id=id%261&client_secret=client-secret&refresh_token="
                        "refresh-secret%2F1");
    assert_string_equal(token_quota_project(s), "quota-proj");
    token_source_free(s);
}

static void quota_project_of_the_environment_wins(void **state)
{
    struct fixture *f = *state;
    setenv("GOOGLE_APPLICATION_CREDENTIALS", write_file(f, "key.json", USER), 1);
    setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "other", 1);
    struct token_source *s = open_source(f);
    assert_string_equal(token_quota_project(s), "other");
    token_source_free(s);
}

static void refused_token_is_renewed_once_for_all(void **state)
{
    struct fixture *f = *state;
    write_file(f, "application_default_credentials.json", USER);
    struct token_source *s = open_source(f);
    canned_answer(f->server, 200, NULL, TOKEN("one", "3599"));
    canned_answer(f->server, 200, NULL, TOKEN("two", "3599"));
    expect_token(s, "one");
    assert_true(token_refused(s, "one"));
    expect_token(s, "two");
    assert_true(token_refused(s, "one")); /* a latecomer: renewed already */
    expect_token(s, "two");
    assert_int_equal(canned_count(f->server), 2);
    assert_non_null(strstr(token_source_name(s), "application-default login"));
    token_source_free(s);
}

static void token_near_its_end_is_renewed(void **state)
{
    struct fixture *f = *state;
    write_file(f, "application_default_credentials.json", USER);
    struct token_source *s = open_source(f);
    canned_answer(f->server, 200, NULL, TOKEN("short", "1"));
    canned_answer(f->server, 200, NULL, TOKEN("long", "300"));
    expect_token(s, "short");
    expect_token(s, "long");
    expect_token(s, "long");
    assert_int_equal(canned_count(f->server), 2);
    token_source_free(s);
}

enum { THREADS = 8 };

static void *get_token(void *arg)
{
    char token[TOKEN_MAX_BYTES];
    struct err e = {0};
    return token_get(arg, token, &e) && strcmp(token, "shared") == 0 ? arg : NULL;
}

static void threads_share_one_renewal(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[THREADS];
    write_file(f, "application_default_credentials.json", USER);
    struct token_source *s = open_source(f);
    canned_answer(f->server, 200, NULL, TOKEN("shared", "3599"));
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, get_token, s), 0);
    for (int i = 0; i < THREADS; i++) {
        void *good = NULL;
        pthread_join(threads[i], &good);
        assert_ptr_equal(good, s);
    }
    assert_int_equal(canned_count(f->server), 1);
    token_source_free(s);
}

static void refusals_of_the_token_endpoint_say_what_to_type(void **state)
{
    struct fixture *f = *state;
    static const struct {
        int status;
        const char *body, *says;
    } cases[] = {
        {400, "{\"error\":\"invalid_grant\",\"error_description\":\"Token has been expired or revoked.\"}",
         "expired or was revoked (Token has been expired or revoked.); log in again: `gcloud auth "
         "application-default login`"},
        {400, "{\"error\":\"invalid_grant\",\"error_subtype\":\"invalid_rapt\"}",
         "your organisation asks for a new login"},
        {401, "{\"error\":\"invalid_client\"}", "does not know this client"},
        {400, "{\"error\":\"invalid_request\",\"error_description\":\"Missing\"}", "Missing"},
        {200, "{}", "no access_token"},
        {200, "<html>", "no access_token"},
    };
    write_file(f, "application_default_credentials.json", USER);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct token_source *s = open_source(f);
        canned_answer(f->server, cases[i].status, NULL, cases[i].body);
        expect_failure(s, ERR_AUTH, cases[i].says);
        token_source_free(s);
    }
}

static void wrong_clock_is_blamed(void **state)
{
    struct fixture *f = *state;
    EVP_PKEY *key = make_key();
    char uri[100];
    snprintf(uri, sizeof uri, "%s/token", canned_url(f->server));
    char *text = service_account_text(key, uri);
    setenv("GOOGLE_APPLICATION_CREDENTIALS", write_file(f, "key.json", text), 1);
    struct token_source *s = open_source(f);
    assert_string_equal(token_source_name(s), "service account ferry@demo-proj.iam.gserviceaccount.com "
                                              "(GOOGLE_APPLICATION_CREDENTIALS)");
    canned_answer(f->server, 400, "Date: Tue, 01 Jan 2030 00:00:00 GMT\r\n", "{\"error\":\"invalid_grant\"}");
    expect_failure(s, ERR_AUTH, "minutes behind");
    canned_answer(f->server, 400, NULL, "{\"error\":\"invalid_grant\",\"error_description\":\"Bad\"}");
    expect_failure(s, ERR_AUTH, "gcloud iam service-accounts keys create");
    canned_answer(f->server, 200, NULL, TOKEN("ya29.sa", "3599"));
    expect_token(s, "ya29.sa");
    assert_non_null(strstr(canned_body(f->server, 2),
                           "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&"));
    token_source_free(s);
    free(text);
    EVP_PKEY_free(key);
}

static void unreadable_credentials_are_an_error_not_a_reason_to_go_on(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    write_file(f, "application_default_credentials.json", USER);
    setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nonexistent/key.json", 1);
    assert_null(token_source_new(f->http, &f->config, &e));
    assert_int_equal(e.kind, ERR_AUTH);
    assert_non_null(strstr(e.text, "GOOGLE_APPLICATION_CREDENTIALS: /nonexistent/key.json"));
}

static void metadata_server_is_used_when_it_says_it_is_one(void **state)
{
    struct fixture *f = *state;
    canned_answer(f->server, 200, "Metadata-Flavor: Google\r\n", "");
    struct token_source *s = open_source(f);
    canned_answer(f->server, 200, "Metadata-Flavor: Google\r\n", TOKEN("machine", "3000"));
    expect_token(s, "machine");
    assert_memory_equal(canned_request(f->server, 1),
                        "GET /computeMetadata/v1/instance/service-accounts/default/token HTTP/1.1", 72);
    assert_non_null(strstr(canned_request(f->server, 1), "\r\nMetadata-Flavor: Google\r\n"));
    assert_true(token_refused(s, "machine"));
    canned_answer(f->server, 404, "Metadata-Flavor: Google\r\n", "");
    expect_failure(s, ERR_AUTH, "no service account");
    canned_answer(f->server, 200, NULL, TOKEN("evil", "3000"));
    expect_failure(s, ERR_AUTH, "not Google's metadata server");
    token_source_free(s);
}

static void another_web_server_is_no_metadata_server(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    canned_answer(f->server, 200, NULL, "");
    assert_null(token_source_new(f->http, &f->config, &e));
    assert_int_equal(e.kind, ERR_AUTH);
    assert_non_null(strstr(e.text, "gcloud auth application-default login"));
    assert_non_null(strstr(e.text, "GOOGLE_APPLICATION_CREDENTIALS"));
}

static void put_gcloud(struct fixture *f, const char *script)
{
    assert_int_equal(chmod(write_file(f, "gcloud", script), 0700), 0);
}

static void gcloud_is_asked_last(void **state)
{
    struct fixture *f = *state;
    put_gcloud(f, "#!/bin/sh\n[ \"$1 $2\" = 'auth print-access-token' ] && echo ya29.gcloud\n");
    canned_answer(f->server, 404, NULL, "");
    struct token_source *s = open_source(f);
    expect_token(s, "ya29.gcloud");
    token_source_free(s);
}

static void what_gcloud_complains_of_is_told(void **state)
{
    struct fixture *f = *state;
    put_gcloud(
        f, "#!/bin/sh\necho 'ERROR: You do not currently have an active account selected.' >&2\nexit 1\n");
    canned_answer(f->server, 404, NULL, "");
    struct token_source *s = open_source(f);
    expect_failure(s, ERR_AUTH, "You do not currently have an active account selected.; log in with `gcloud");
    put_gcloud(f, "#!/bin/sh\necho\n");
    expect_failure(s, ERR_AUTH, "a token of 0 bytes");
    token_source_free(s);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(variable_comes_first_and_cannot_be_renewed),
        CASE(variable_that_breaks_headers_is_refused),
        CASE(file_is_read_again_when_refused),
        CASE(missing_token_file_is_named),
        CASE(refresh_token_is_exchanged_once),
        CASE(quota_project_of_the_environment_wins),
        CASE(refused_token_is_renewed_once_for_all),
        CASE(token_near_its_end_is_renewed),
        CASE(threads_share_one_renewal),
        CASE(refusals_of_the_token_endpoint_say_what_to_type),
        CASE(wrong_clock_is_blamed),
        CASE(unreadable_credentials_are_an_error_not_a_reason_to_go_on),
        CASE(metadata_server_is_used_when_it_says_it_is_one),
        CASE(another_web_server_is_no_metadata_server),
        CASE(gcloud_is_asked_last),
        CASE(what_gcloud_complains_of_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
