/* Images pushed to a registry that is what the specification says, and to one where things go wrong. */
#include "folder.h"
#include "registry_server.h"
#include "target/registry.h"
#include "target/registry/upload.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { LAYER = 6 << 20, PROGRAM = 300000 };

static const struct retry_policy quick = {
    .first_ms = 1, .cap_ms = 2, .max_tries = 4, .max_seconds = 20, .longest_wait_s = 2};

struct fixture {
    struct registry_server *server;
    struct http *http;
    struct gcloud_config config;
    struct cloud *cloud;
    struct arena *arena;
    struct image image; /* not a real one: a registry does not look into layers */
    struct reference to;
    struct push_options options;
    char blobs[4][40]; /* what became of them: "libraries sent" */
    int told;
};

static void make_blob(struct image_blob *b, const char *name, const char *type, const void *bytes,
                      size_t size)
{
    unsigned char hash[32];
    *b = (struct image_blob){.name = name, .type = type, .bytes = bytes, .size = size};
    SHA256(bytes, size, hash);
    strcpy(b->digest, "sha256:");
    for (int i = 0; i < 32; i++)
        snprintf(b->digest + 7 + 2 * i, 3, "%02x", hash[i]);
}

static void *noise(size_t size, uint64_t seed)
{
    uint64_t *words = malloc(size + 8), state = seed * 0x9e3779b97f4a7c15 + 1;
    for (size_t i = 0; i < size / 8 + 1; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        words[i] = state;
    }
    return words;
}

static void make_image(struct fixture *f, uint64_t seed)
{
    static char config[64], manifest[2048];
    struct image *im = &f->image;
    free((void *)(uintptr_t)im->layers[1].blob.bytes);
    if (!im->layers[0].blob.bytes)
        make_blob(&im->layers[0].blob, "libraries", IMAGE_LAYER_TYPE, noise(LAYER, 1), LAYER);
    make_blob(&im->layers[1].blob, "ferry", IMAGE_LAYER_TYPE, noise(PROGRAM, seed), PROGRAM);
    snprintf(config, sizeof config, "{\"config\":%llu}", (unsigned long long)seed);
    make_blob(&im->config, "config", IMAGE_CONFIG_TYPE, config, strlen(config));
    snprintf(manifest, sizeof manifest,
             "{\"config\":{\"digest\":\"%s\"},\"layers\":[{\"digest\":\"%s\"},{\"digest\":\"%s\"}]}",
             im->config.digest, im->layers[0].blob.digest, im->layers[1].blob.digest);
    make_blob(&im->manifest, "manifest", IMAGE_MANIFEST_TYPE, manifest, strlen(manifest));
}

static void note(void *arg, const struct image_blob *b, enum push_state state)
{
    static const char *const words[] = {"", "was there", "mounted", "sent"};
    struct fixture *f = arg;
    if (state != PUSH_SENDING && f->told < 4)
        snprintf(f->blobs[f->told++], sizeof f->blobs[0], "%s %s", b->name, words[state]);
}

static void aim(struct fixture *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void aim(struct fixture *f, const char *format, ...)
{
    char text[400];
    struct err e = {0};
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!reference_parse(&f->to, text, f->arena, &e))
        fail_msg("%s", e.text);
}

static void start(struct fixture *f, enum server_auth auth)
{
    if (f->server)
        server_stop(f->server);
    f->server = server_start(auth);
    aim(f, "%s/team/ferry:1", server_host(f->server));
}

static int open_fixture(void **state)
{
    static const char *const gone[] = {"http_proxy",
                                       "HTTP_PROXY",
                                       "https_proxy",
                                       "HTTPS_PROXY",
                                       "ALL_PROXY",
                                       "all_proxy",
                                       "FERRY_ACCESS_TOKEN_FILE",
                                       "GOOGLE_APPLICATION_CREDENTIALS",
                                       "REGISTRY_AUTH_FILE",
                                       "DOCKER_CONFIG",
                                       "FERRY_ENDPOINT_REGISTRY"};
    struct fixture *f = calloc(1, sizeof *f);
    struct err e = {0};
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        unsetenv(gone[i]);
    setenv("HOME", "/nonexistent", 1);
    setenv("FERRY_ACCESS_TOKEN", SERVER_GOOGLE_TOKEN, 1);
    f->arena = arena_new(16 << 20);
    f->http = http_new(&e);
    f->config.active = "default";
    f->cloud = f->http ? cloud_new(f->http, &f->config, &e) : NULL;
    f->options = (struct push_options){.to = &f->to, .retry = &quick, .on_blob = note, .arg = f};
    make_image(f, 2);
    start(f, SERVER_OPEN);
    *state = f;
    return f->cloud ? 0 : -1;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    server_stop(f->server);
    cloud_free(f->cloud);
    http_free(f->http);
    arena_free(f->arena);
    for (int i = 0; i < IMAGE_LAYERS; i++)
        free((void *)(uintptr_t)f->image.layers[i].blob.bytes);
    free(f);
    return 0;
}

static bool push(struct fixture *f, struct err *e)
{
    *e = (struct err){0};
    f->told = 0;
    memset(f->blobs, 0, sizeof f->blobs);
    server_forget(f->server);
    bool ok = registry_push(f->cloud, &f->image, &f->options, e);
    /* no secret ever shows */
    assert_null(strstr(e->text, SERVER_PASSWORD));
    assert_null(strstr(e->text, SERVER_GOOGLE_TOKEN));
    assert_null(strstr(e->text, "registry-token"));
    return ok;
}

static void expect_whole_image(struct fixture *f)
{
    const char *manifest = server_manifest(f->server, f->to.repository, f->to.tag);
    for (int i = 0; i < IMAGE_LAYERS; i++)
        assert_true(server_has_blob(f->server, f->image.layers[i].blob.digest));
    assert_true(server_has_blob(f->server, f->image.config.digest));
    assert_non_null(manifest);
    assert_string_equal(manifest, f->image.manifest.bytes);
}

static void expect_push(struct fixture *f)
{
    struct err e;
    if (!push(f, &e))
        fail_msg("%s\n%s", e.text, server_log(f->server));
    expect_whole_image(f);
}

static void expect_refusal(struct fixture *f, enum err_kind kind, const char *says)
{
    struct err e;
    bool pushed = push(f, &e);
    if (pushed || e.kind != kind || !strstr(e.text, says))
        fail_msg("\"%s\" (kind %d) does not say \"%s\" (kind %d)\n%s", e.text, e.kind, says, kind,
                 server_log(f->server));
}

/* --- what should happen --- */

static void image_arrives_layers_first_the_manifest_last(void **state)
{
    struct fixture *f = *state;
    expect_push(f);
    assert_string_equal(f->blobs[0], "libraries sent");
    assert_string_equal(f->blobs[1], "ferry sent");
    assert_string_equal(f->blobs[2], "config sent");
    assert_string_equal(f->blobs[3], "manifest sent");
    const char *last = strrchr(server_log(f->server), 'P');
    assert_string_equal(last, "PUT /v2/team/ferry/manifests/1 201\n");
    assert_int_equal(server_count(f->server, "PATCH", ""), 0);
}

static void same_image_again_sends_nothing(void **state)
{
    struct fixture *f = *state;
    expect_push(f);
    expect_push(f);
    assert_int_equal(server_received(f->server), 0);
    assert_int_equal(server_count(f->server, "HEAD", ""), 4);
    for (const char *const *m = (const char *const[]){"PUT", "POST", "PATCH", "GET", NULL}; *m; m++)
        assert_int_equal(server_count(f->server, *m, ""), 0);
    assert_string_equal(f->blobs[3], "manifest was there");
}

static void new_program_sends_that_layer_alone(void **state)
{
    struct fixture *f = *state;
    expect_push(f);
    make_image(f, 3);
    expect_push(f);
    assert_string_equal(f->blobs[0], "libraries was there");
    assert_string_equal(f->blobs[1], "ferry sent");
    assert_true(server_received(f->server) < PROGRAM + 2000);
}

static void layers_go_in_pieces_when_asked(void **state)
{
    struct fixture *f = *state;
    f->options.chunk_bytes = 1 << 20;
    expect_push(f);
    assert_int_equal(server_count(f->server, "PATCH", ""), 6 + 1 + 1);
    assert_int_equal(server_received(f->server),
                     LAYER + PROGRAM + f->image.config.size + f->image.manifest.size);
}

static void layer_of_another_repository_is_mounted(void **state)
{
    struct fixture *f = *state;
    char digest[72];
    server_put_blob(f->server, f->image.layers[0].blob.bytes, LAYER, digest);
    server_fault(f->server,
                 &(struct server_fault){.method = "HEAD", .path = "/blobs/", .status = 404, .times = 1});
    f->options.mount_from = "library/source";
    expect_push(f);
    assert_string_equal(f->blobs[0], "libraries mounted");
    assert_string_equal(f->blobs[1], "ferry sent"); /* not there: sent after all */
    assert_true(server_received(f->server) < PROGRAM + 2000);
}

/* --- logins --- */

static void basic_login_is_sent_when_asked_for(void **state)
{
    struct fixture *f = *state;
    start(f, SERVER_BASIC);
    f->options.user = SERVER_USER;
    f->options.password = SERVER_PASSWORD;
    expect_push(f);
    assert_int_equal(server_count(f->server, "HEAD", "401"), 1); /* asked once, remembered */
}

static void token_is_fetched_for_this_repository_alone(void **state)
{
    struct fixture *f = *state;
    start(f, SERVER_TOKEN);
    f->options.user = SERVER_USER;
    f->options.password = SERVER_PASSWORD;
    expect_push(f);
    assert_int_equal(
        server_count(f->server, "GET",
                     "/token?service=the%20registry&scope=repository%3Ateam%2Fferry%3Apull%2Cpush 200"),
        1);
    f->options.mount_from = "library/source";
    make_image(f, 4);
    expect_push(f);
    assert_int_equal(server_count(f->server, "GET", "push&scope=repository%3Alibrary%2Fsource%3Apull 200"),
                     1);
}

static void token_that_ends_midway_is_fetched_anew(void **state)
{
    struct fixture *f = *state;
    start(f, SERVER_TOKEN);
    f->options.user = SERVER_USER;
    f->options.password = SERVER_PASSWORD;
    f->options.chunk_bytes = 1 << 20;
    server_fault(f->server, &(struct server_fault){.method = "PATCH", .skip = 2, .forget_tokens = true});
    expect_push(f);
    assert_int_equal(server_count(f->server, "GET", "/token"), 2);
}

static void google_registry_takes_an_access_token(void **state)
{
    struct fixture *f = *state;
    char url[100];
    start(f, SERVER_TOKEN);
    snprintf(url, sizeof url, "http://%s", server_host(f->server));
    setenv("FERRY_ENDPOINT_REGISTRY", url, 1);
    aim(f, "asia-northeast1-docker.pkg.dev/my-proj/my-repo/ferry:1");
    f->options.chunk_bytes = 1 << 20; /* Artifact Registry takes no pieces */
    expect_push(f);
    assert_int_equal(server_count(f->server, "PATCH", ""), 0);
    assert_int_equal(server_count(f->server, "GET", "/token"), 1);
    unsetenv("FERRY_ENDPOINT_REGISTRY");
}

static void google_token_goes_nowhere_else(void **state)
{
    struct fixture *f = *state;
    char url[100];
    struct registry_server *other = server_start(SERVER_TOKEN);
    start(f, SERVER_TOKEN);
    snprintf(url, sizeof url, "http://%s", server_host(f->server));
    setenv("FERRY_ENDPOINT_REGISTRY", url, 1);
    aim(f, "asia-northeast1-docker.pkg.dev/my-proj/my-repo/ferry:1");
    snprintf(url, sizeof url, "http://%s/token", server_host(other));
    server_realm(f->server, url);
    expect_refusal(f, ERR_AUTH,
                   "asia-northeast1-docker.pkg.dev wants Google's token sent elsewhere; it is not");
    assert_string_equal(server_log(other), "");
    /* to a registry that is not Google's, none at all */
    unsetenv("FERRY_ENDPOINT_REGISTRY");
    start(f, SERVER_TOKEN);
    expect_refusal(f, ERR_AUTH, "incorrect username or password");
    assert_string_equal(server_authorization(f->server, "/token"), "");
    server_stop(other);
}

static void login_is_not_sent_unencrypted_to_the_network(void **state)
{
    struct fixture *f = *state;
    start(f, SERVER_TOKEN);
    f->options.user = SERVER_USER;
    f->options.password = SERVER_PASSWORD;
    server_realm(f->server, "http://auth.example.com/token");
    expect_refusal(f, ERR_AUTH, "wants the login sent unencrypted; it is not");
}

static void login_of_docker_is_used(void **state)
{
    struct fixture *f = *state;
    char folder[FOLDER_PATH], text[300];
    folder_make(folder);
    start(f, SERVER_BASIC);
    snprintf(text, sizeof text, "{\"auths\":{\"%s\":{\"auth\":\"c29tZW9uZTpwYXNzOndvcmQ=\"}}}",
             server_host(f->server));
    folder_write(folder_path(folder, "config.json"), text, strlen(text));
    setenv("DOCKER_CONFIG", folder, 1);
    expect_push(f);
    folder_write(folder_path(folder, "config.json"), "{", 1);
    start(f, SERVER_BASIC);
    expect_refusal(f, ERR_CORRUPT, "/config.json: not a file of logins: expected JSON with \"auths\"");
    folder_write(folder_path(folder, "config.json"), "{\"credsStore\":\"desktop\"}", 24);
    expect_refusal(f, ERR_AUTH,
                   "docker's login is kept by docker-credential-desktop, which ferry does not ask: set "
                   "FERRY_REGISTRY_USER and FERRY_REGISTRY_PASSWORD");
    folder_remove(folder);
    unsetenv("DOCKER_CONFIG");
}

static void refused_login_says_whose_it_was(void **state)
{
    struct fixture *f = *state;
    start(f, SERVER_BASIC);
    expect_refusal(f, ERR_AUTH,
                   "HTTP 401: UNAUTHORIZED: authentication required; set FERRY_REGISTRY_USER and "
                   "FERRY_REGISTRY_PASSWORD, or `docker login 127.0.0.1:");
    f->options.user = "other";
    f->options.password = "wrong";
    expect_refusal(f, ERR_AUTH, "; other (FERRY_REGISTRY_USER) is not let in, or may not push there");
    f->options.password = NULL;
    expect_refusal(f, ERR_USAGE, "FERRY_REGISTRY_USER and FERRY_REGISTRY_PASSWORD: set both or none");
    start(f, SERVER_TOKEN);
    f->options.password = "wrong";
    expect_refusal(f, ERR_AUTH, "logging in at http://127.0.0.1:");
}

/* --- what goes wrong, and passes --- */

static void passing_trouble_is_tried_again(void **state)
{
    static const struct server_fault faults[] = {
        {.method = "HEAD", .path = "/blobs/", .status = 503},
        {.method = "POST", .status = 500, .times = 3},
        {.method = "POST", .hang_up = true},
        {.method = "PUT", .path = "/blobs/", .status = 502},
        {.method = "PUT", .path = "/blobs/", .status = 429, .headers = "Retry-After: 1\r\n"},
        {.method = "PUT", .path = "/blobs/", .hang_up = true},             /* the answer is lost */
        {.method = "PUT", .path = "/blobs/", .late = true, .status = 500}, /* it has worked */
        {.method = "PUT", .path = "/blobs/", .forget_uploads = true},      /* 404 in the middle */
        {.method = "PUT", .path = "/blobs/", .damage = 1000},              /* bytes changed on the way */
        {.method = "PUT", .path = "/blobs/", .digest = "sha256:00"},       /* it says another digest */
        {.method = "HEAD", .path = "/manifests/", .status = 503},
        {.method = "PUT", .path = "/manifests/", .status = 504},
        {.method = "PUT", .path = "/manifests/", .hang_up = true},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        start(f, SERVER_OPEN);
        server_fault(f->server, &faults[i]);
        expect_push(f);
    }
}

static void trouble_between_pieces_is_tried_again(void **state)
{
    static const struct server_fault faults[] = {
        {.method = "PATCH", .skip = 1, .status = 500},
        {.method = "PATCH", .skip = 1, .hang_up = true},             /* kept, the answer lost */
        {.method = "PATCH", .skip = 2, .late = true, .status = 503}, /* the same */
        {.method = "PATCH", .skip = 2, .cut_after = 300000},
        {.method = "PATCH", .skip = 3, .forget_uploads = true},
        {.method = "PATCH", .skip = 3, .damage = 5}, /* found out at the end */
        {.method = "PATCH", .skip = 5, .status = 416},
        {.method = "PATCH", .skip = 1, .twice = true},
    };
    struct fixture *f = *state;
    f->options.chunk_bytes = 1 << 20;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        start(f, SERVER_OPEN);
        server_fault(f->server, &faults[i]);
        expect_push(f);
    }
}

static void broken_upload_goes_on_where_it_broke(void **state)
{
    struct fixture *f = *state;
    server_fault(f->server, &(struct server_fault){.method = "PUT", .path = "/blobs/", .cut_after = 5 << 20});
    expect_push(f);
    assert_int_equal(server_count(f->server, "GET", "/blobs/uploads/"), 1);
    assert_int_equal(server_count(f->server, "PATCH", ""), 1);
    assert_true(server_received(f->server) < LAYER + PROGRAM + 100000); /* nothing was sent twice */
}

static void broken_upload_of_which_nothing_was_kept_begins_at_its_start(void **state)
{
    struct fixture *f = *state;
    server_fault(f->server, &(struct server_fault){.method = "PUT", .path = "/blobs/", .status = 503});
    server_add_fault(f->server, &(struct server_fault){
                                    .method = "GET", .path = "/uploads/", .bare_range = true, .times = 9});
    expect_push(f);
}

static void link_that_breaks_again_and_again_gets_there(void **state)
{
    struct fixture *f = *state;
    f->options.chunk_bytes = 1 << 20;
    server_fault(f->server, &(struct server_fault){.method = "PATCH", .cut_after = 700000, .times = 7});
    expect_push(f); /* more breaks than tries: what moved counts */
}

static void google_upload_that_broke_begins_anew(void **state)
{
    struct fixture *f = *state;
    char url[100];
    snprintf(url, sizeof url, "http://%s", server_host(f->server));
    setenv("FERRY_ENDPOINT_REGISTRY", url, 1);
    aim(f, "us-docker.pkg.dev/my-proj/my-repo/ferry");
    server_fault(f->server, &(struct server_fault){.method = "PUT", .path = "/blobs/", .cut_after = 5 << 20});
    expect_push(f);
    assert_int_equal(server_count(f->server, "PATCH", ""), 0);
    unsetenv("FERRY_ENDPOINT_REGISTRY");
}

static void larger_pieces_are_sent_where_asked_for(void **state)
{
    struct fixture *f = *state;
    f->options.chunk_bytes = 1 << 20;
    server_fault(
        f->server,
        &(struct server_fault){.method = "POST",
                               .late = true,
                               .status = 202,
                               .headers = "Location: /v2/team/ferry/blobs/uploads/1\r\nOCI-Chunk-Min-Length: "
                                          "3145728\r\n"});
    expect_push(f);
    assert_int_equal(server_count(f->server, "PATCH", "/uploads/1"), 2);
}

/* --- what goes wrong, and stays so --- */

static void what_cannot_pass_is_explained(void **state)
{
    static const struct {
        struct server_fault fault;
        enum err_kind kind;
        const char *says;
    } cases[] = {
        {{.method = "POST",
          .status = 403,
          .body = "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"no right\"}]}"},
         ERR_AUTH,
         "team/ferry: libraries (sha256:"},
        {{.method = "POST",
          .status = 403,
          .body = "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"no right\"}]}"},
         ERR_AUTH,
         "HTTP 403: DENIED: no right; set FERRY_REGISTRY_USER and FERRY_REGISTRY_PASSWORD"},
        {{.method = "POST", .status = 404, .body = "{\"errors\":[{\"code\":\"NAME_UNKNOWN\"}]}"},
         ERR_NOT_FOUND,
         "HTTP 404: NAME_UNKNOWN; is the name right, and must the repository be created first?"},
        {{.method = "POST", .status = 405, .body = "<html>no</html>"},
         ERR_USAGE,
         "HTTP 405: no reason given; this registry does not take images"},
        {{.method = "POST", .status = 307, .headers = "Location: http://elsewhere.example/\r\n"},
         ERR_USAGE,
         "a redirect, which a push does not follow"},
        {{.method = "POST", .status = 202}, ERR_CORRUPT, "the registry names no address for the upload"},
        {{.method = "POST", .status = 202, .headers = "Location: ftp://x/y\r\n"},
         ERR_CORRUPT,
         "the registry names no address for the upload"},
        {{.method = "PUT", .status = 413, .body = "<html>"},
         ERR_USAGE,
         "takes no request of that size: send pieces, --chunk 1"},
        {{.method = "PUT",
          .path = "/blobs/",
          .status = 201,
          .headers = "Docker-Content-Digest: sha256:1234\r\n",
          .times = 2},
         ERR_CORRUPT,
         "the registry has stored sha256:1234 instead of sha256:"},
        {{.method = "PUT", .path = "/blobs/", .damage = 7, .times = 2},
         ERR_CORRUPT,
         "DIGEST_INVALID: provided digest did not match"},
        {{.method = "PUT", .path = "/blobs/", .status = 503, .times = 9},
         ERR_TRANSIENT,
         "after 4 tries: HTTP 503"},
        {{.method = "PUT",
          .path = "/manifests/",
          .status = 400,
          .body = "{\"errors\":[{\"code\":\"TAG_INVALID\",\"message\":\"the tag is immutable\"}]}"},
         ERR_USAGE,
         "tag 1: HTTP 400: TAG_INVALID: the tag is immutable; that tag names another image and may not be "
         "moved: "
         "push to another tag"},
        {{.method = "PUT", .path = "/manifests/", .status = 409, .body = "conflict"},
         ERR_BUSY,
         "tag 1: HTTP 409: conflict"},
        {{.method = "PUT", .path = "/manifests/", .digest = "sha256:5678"},
         ERR_CORRUPT,
         "tag 1: the registry has stored sha256:5678 instead of sha256:"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        start(f, SERVER_OPEN);
        server_fault(f->server, &cases[i].fault);
        expect_refusal(f, cases[i].kind, cases[i].says);
    }
}

static void google_troubles_come_with_what_to_do(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum err_kind kind;
        const char *says;
    } cases[] = {
        {404,
         "{\"errors\":[{\"code\":\"NAME_UNKNOWN\",\"message\":\"Repository \\\"my-repo\\\" not found\"}]}",
         ERR_NOT_FOUND,
         "create it: `gcloud artifacts repositories create my-repo --repository-format=docker "
         "--location=asia-northeast1 --project=my-proj`"},
        {403, "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"Permission uploadArtifacts denied\"}]}",
         ERR_AUTH, "grant roles/artifactregistry.writer on the repository to "},
        {403,
         "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"This API method requires billing to be "
         "enabled.\"}]}",
         ERR_AUTH, "the project has no open billing account"},
        {403,
         "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"Artifact Registry API has not been used in project "
         "1\"}]}",
         ERR_AUTH, "enable the API: `gcloud services enable artifactregistry.googleapis.com`"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char url[100];
        unsetenv("FERRY_ENDPOINT_REGISTRY");
        start(f, SERVER_TOKEN);
        snprintf(url, sizeof url, "http://%s", server_host(f->server));
        setenv("FERRY_ENDPOINT_REGISTRY", url, 1);
        aim(f, "asia-northeast1-docker.pkg.dev/my-proj/my-repo/ferry");
        server_fault(f->server, &(struct server_fault){
                                    .method = "POST", .status = cases[i].status, .body = cases[i].body});
        expect_refusal(f, cases[i].kind, cases[i].says);
    }
    unsetenv("FERRY_ENDPOINT_REGISTRY");
}

/* A registry that takes the first piece and then forgets the upload, each time. */
static void upload_that_gets_nowhere_ends(void **state)
{
    struct fixture *f = *state;
    f->options.chunk_bytes = 1 << 20;
    server_fault(f->server,
                 &(struct server_fault){.method = "PATCH", .skip = 1, .forget_uploads = true, .times = 99});
    expect_refusal(f, ERR_NOT_FOUND, "after 4 tries: HTTP 404: BLOB_UPLOAD_UNKNOWN");
}

static void stop_ends_a_push(void **state)
{
    struct fixture *f = *state;
    volatile sig_atomic_t stop = 1;
    f->options.stop = &stop;
    expect_refusal(f, ERR_CANCELLED, "interrupted");
}

static void nobody_there_is_said(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    aim(f, "127.0.0.1:1/team/ferry");
    assert_false(registry_push(f->cloud, &f->image, &f->options, &e));
    assert_int_equal(e.kind, ERR_TRANSIENT);
    assert_non_null(strstr(e.text, "127.0.0.1:1/team/ferry: libraries (sha256:"));
    assert_non_null(strstr(e.text, "Failed to connect to 127.0.0.1"));
}

/* --- addresses of uploads --- */

static void address_of_an_upload_is_made_absolute_or_refused(void **state)
{
    static const struct {
        const char *registry, *location, *url;
    } cases[] = {
        {"a.example", "/v2/x/1?s=2", "https://a.example/v2/x/1?s=2"},
        {"a.example", "https://b.example/x", "https://b.example/x"},
        {"a.example", "http://a.example/x", NULL}, /* not unencrypted */
        {"a.example", "//b.example/x", NULL},
        {"a.example", "x", NULL},
        {"a.example", "", NULL},
        {"a.example", "file:///etc/passwd", NULL},
        {"localhost:5000", "http://localhost:5000/x", "http://localhost:5000/x"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = {0};
        aim(f, "%s/team/ferry", cases[i].registry);
        struct session s = {.to = &f->to, .arena = f->arena};
        char *url = upload_address(&s, cases[i].location, &e);
        assert_int_equal(url != NULL, cases[i].url != NULL);
        if (url)
            assert_string_equal(url, cases[i].url);
        else
            assert_int_equal(e.kind, ERR_CORRUPT);
    }
}

/* The login stays with the registry when the upload lies elsewhere (a bucket with a signed address, say). */
static void upload_elsewhere_goes_without_the_login(void **state)
{
    struct fixture *f = *state;
    struct registry_server *other = server_start(SERVER_OPEN);
    char headers[200];
    start(f, SERVER_BASIC);
    f->options.user = SERVER_USER;
    f->options.password = SERVER_PASSWORD;
    snprintf(headers, sizeof headers, "Location: http://%s/v2/team/ferry/blobs/uploads/7\r\n",
             server_host(other));
    server_fault(f->server,
                 &(struct server_fault){.method = "POST", .status = 202, .headers = headers, .times = 9});
    expect_refusal(f, ERR_NOT_FOUND, "BLOB_UPLOAD_UNKNOWN");
    assert_true(server_count(other, "PUT", "/uploads/7?digest=sha256:") > 0);
    assert_string_equal(server_authorization(other, ""), "");
    server_stop(other);
}

static void plan_lists_what_would_be_asked(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    int count;
    aim(f, "us-docker.pkg.dev/p/r/ferry:2");
    const struct push_request *plan = registry_plan(&f->image, &f->options, f->arena, &count, &e);
    assert_non_null(plan);
    assert_int_equal(count, 11);
    assert_string_equal(plan[0].method, "HEAD");
    assert_string_equal(plan[1].url, "https://us-docker.pkg.dev/v2/p/r/ferry/blobs/uploads/");
    assert_int_equal(plan[2].size, LAYER);
    assert_string_equal(plan[10].url, "https://us-docker.pkg.dev/v2/p/r/ferry/manifests/2");
    assert_string_equal(plan[10].content_type, IMAGE_MANIFEST_TYPE);
    assert_string_equal(server_log(f->server), "");
}

/* Method by method, with the sizes of bodies: what is planned is what a registry with nothing in it hears. */
static void plan_is_what_happens(void **state)
{
    static const size_t chunks[] = {0, 1 << 20, 4000000, LAYER};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
        struct err e = {0};
        uint64_t size = 0;
        int count;
        f->options.chunk_bytes = chunks[i];
        start(f, SERVER_OPEN);
        const struct push_request *plan = registry_plan(&f->image, &f->options, f->arena, &count, &e);
        assert_non_null(plan);
        expect_push(f);
        const char *line = server_log(f->server);
        for (int k = 0; k < count; k++, line += strcspn(line, "\n") + 1) {
            assert_memory_equal(line, plan[k].method, strlen(plan[k].method));
            size += plan[k].size;
        }
        assert_string_equal(line, "");
        assert_int_equal(size, server_received(f->server));
    }
}

int main(void)
{
#define WITH_SERVER(name) cmocka_unit_test_setup_teardown(name, open_fixture, close_fixture)
    const struct CMUnitTest tests[] = {
        WITH_SERVER(image_arrives_layers_first_the_manifest_last),
        WITH_SERVER(same_image_again_sends_nothing),
        WITH_SERVER(new_program_sends_that_layer_alone),
        WITH_SERVER(layers_go_in_pieces_when_asked),
        WITH_SERVER(layer_of_another_repository_is_mounted),
        WITH_SERVER(basic_login_is_sent_when_asked_for),
        WITH_SERVER(token_is_fetched_for_this_repository_alone),
        WITH_SERVER(token_that_ends_midway_is_fetched_anew),
        WITH_SERVER(google_registry_takes_an_access_token),
        WITH_SERVER(google_token_goes_nowhere_else),
        WITH_SERVER(login_is_not_sent_unencrypted_to_the_network),
        WITH_SERVER(login_of_docker_is_used),
        WITH_SERVER(refused_login_says_whose_it_was),
        WITH_SERVER(passing_trouble_is_tried_again),
        WITH_SERVER(trouble_between_pieces_is_tried_again),
        WITH_SERVER(broken_upload_goes_on_where_it_broke),
        WITH_SERVER(broken_upload_of_which_nothing_was_kept_begins_at_its_start),
        WITH_SERVER(link_that_breaks_again_and_again_gets_there),
        WITH_SERVER(google_upload_that_broke_begins_anew),
        WITH_SERVER(larger_pieces_are_sent_where_asked_for),
        WITH_SERVER(what_cannot_pass_is_explained),
        WITH_SERVER(google_troubles_come_with_what_to_do),
        WITH_SERVER(upload_that_gets_nowhere_ends),
        WITH_SERVER(stop_ends_a_push),
        WITH_SERVER(nobody_there_is_said),
        WITH_SERVER(address_of_an_upload_is_made_absolute_or_refused),
        WITH_SERVER(upload_elsewhere_goes_without_the_login),
        WITH_SERVER(plan_lists_what_would_be_asked),
        WITH_SERVER(plan_is_what_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
