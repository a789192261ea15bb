/* The hub: listings, links that end, ranges, refusals, and where the token goes. */
#include "client.h"
#include "cloud/hub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COMMIT "0123456789abcdef0123456789abcdef01234567"
#define BLOB "89abcdef0123456789abcdef0123456789abcdef"
#define SHA "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define LISTING                                                                                              \
    "{\"id\":\"owner/name\",\"sha\":\"" COMMIT "\",\"gated\":false,\"private\":false,\"siblings\":["         \
    "{\"rfilename\":\"sub/b.safetensors\",\"size\":100,\"blobId\":\"" BLOB "\",\"lfs\":{\"sha256\":\"" SHA   \
    "\",\"size\":100,\"pointerSize\":134}},"                                                                 \
    "{\"rfilename\":\"a.json\",\"size\":5,\"blobId\":\"" BLOB "\"}]}"

/* Two servers: the hub, and where its links point. */
struct place {
    struct client *c;
    struct canned *cdn;
    struct hub *hub;
    struct hub_repo repo;
    struct hub_file large, small;
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    void *client = NULL;
    struct err e = {0};
    if (!p || client_open(&client) != 0)
        return -1;
    p->c = client;
    p->cdn = canned_start();
    setenv("HF_TOKEN", "hf_mine", 1);
    p->hub = hub_new(p->c->http, &e);
    if (!p->hub)
        return -1;
    hub_set_retry(p->hub, &quick);
    p->repo = (struct hub_repo){.name = "owner/name", .commit = COMMIT};
    p->large = (struct hub_file){.path = "sub/b 1.safetensors", .size = 100, .sha256 = SHA};
    p->small = (struct hub_file){.path = "a.json", .size = 5, .git_blob = BLOB};
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    void *client = p->c;
    hub_free(p->hub);
    canned_stop(p->cdn);
    free(p);
    return client_close(&client);
}

static bool open_hub(struct place *p, const char *revision, struct err *e)
{
    return hub_open(p->hub, "owner/name", revision, p->c->arena, &p->repo, e);
}

static bool read_five(struct place *p, char into[6], struct err *e)
{
    memset(into, 0, 6);
    return hub_read(p->hub, &p->repo, &p->large, 10, 5, into, NULL, e);
}

/* The hub answers HEAD with where the bytes lie. */
static void answer_link(struct place *p, const char *name)
{
    char headers[400];
    snprintf(headers, sizeof headers,
             "Location: %s/%s?Signature=S3CR3T\r\nX-Linked-Etag: \"" SHA "\"\r\nX-Linked-Size: 100\r\n",
             canned_url(p->cdn), name);
    canned_answer(p->c->server, 302, headers, "");
}

static void revision_is_resolved_to_a_commit_and_its_files(void **state)
{
    struct place *p = *state;
    struct err e = {0};
    canned_answer(p->c->server, 200, NULL, LISTING);
    assert_true(open_hub(p, "refs/pr/1", &e));
    expect_request(p->c, 0, "GET /api/models/owner/name/revision/refs%2Fpr%2F1?blobs=True",
                   "Authorization: Bearer hf_mine\r\n", NULL);
    assert_string_equal(p->repo.name, "owner/name");
    assert_string_equal(p->repo.commit, COMMIT);
    assert_int_equal(p->repo.count, 2);
    assert_string_equal(p->repo.files[0].path, "a.json");
    assert_string_equal(p->repo.files[0].git_blob, BLOB);
    assert_null(p->repo.files[0].sha256);
    assert_string_equal(p->repo.files[1].sha256, SHA);
    assert_null(p->repo.files[1].git_blob);
    assert_int_equal(p->repo.files[1].size, 100);
}

static void renamed_repository_is_followed(void **state)
{
    struct place *p = *state;
    struct err e = {0};
    canned_answer(p->c->server, 307, "Location: /api/models/owner/new/revision/main?blobs=True\r\n", "");
    canned_answer(p->c->server, 200, NULL, LISTING);
    assert_true(open_hub(p, NULL, &e));
    expect_request(p->c, 1, "GET /api/models/owner/new/revision/main?blobs=True", "Bearer hf_mine", NULL);
    canned_answer(p->c->server, 307, "Location: https://huggingface.co/api/models/o/n\r\n", "");
    canned_answer(p->c->server, 200, NULL, LISTING);
    assert_true(open_hub(p, NULL, &e)); /* the default host stands for the one that was asked */
    expect_request(p->c, 3, "GET /api/models/o/n", "Bearer hf_mine", NULL);
    for (int i = 0; i < 6; i++)
        canned_answer(p->c->server, 307, "Location: /again\r\n", "");
    assert_false(open_hub(p, NULL, &e));
    expect_error(&e, ERR_CORRUPT, "redirects more than 5 times");
}

static void listing_does_not_move_to_another_host(void **state)
{
    struct place *p = *state;
    struct err e = {0};
    char headers[200];
    snprintf(headers, sizeof headers, "Location: %s/x\r\n", canned_url(p->cdn));
    canned_answer(p->c->server, 302, headers, "");
    assert_false(open_hub(p, NULL, &e));
    expect_error(&e, ERR_CORRUPT, "sends the listing elsewhere");
    assert_int_equal(canned_count(p->cdn), 0);
}

static void token_goes_to_the_hub_and_never_to_where_it_points(void **state)
{
    struct place *p = *state;
    char into[6];
    struct err e = {0};
    answer_link(p, "file");
    canned_answer(p->cdn, 206, "Content-Range: bytes 10-14/100\r\n", "hello");
    assert_true(read_five(p, into, &e));
    assert_string_equal(into, "hello");
    expect_request(p->c, 0, "HEAD /owner/name/resolve/" COMMIT "/sub/b%201.safetensors",
                   "Authorization: Bearer hf_mine\r\n", "Accept-Encoding: identity\r\n", NULL);
    assert_memory_equal(canned_request(p->cdn, 0), "GET /file?Signature=S3CR3T HTTP/1.1\r\n", 37);
    assert_null(strcasestr(canned_request(p->cdn, 0), "hf_mine"));
    assert_non_null(strcasestr(canned_request(p->cdn, 0), "\r\nRange: bytes=10-14\r\n"));
    assert_non_null(strcasestr(canned_request(p->cdn, 0), "\r\nAccept-Encoding: identity\r\n"));
}

static void link_is_asked_for_once_and_again_when_it_has_ended(void **state)
{
    struct place *p = *state;
    char into[6];
    struct err e = {0};
    answer_link(p, "first");
    canned_answer(p->cdn, 206, "Content-Range: bytes 10-14/100\r\n", "hello");
    canned_answer(p->cdn, 206, "Content-Range: bytes 10-14/100\r\n", "again");
    assert_true(read_five(p, into, &e));
    assert_true(read_five(p, into, &e));
    assert_int_equal(canned_count(p->c->server), 1);
    canned_answer(p->cdn, 403, NULL, "<Error><Code>AccessDenied</Code></Error>");
    answer_link(p, "second");
    canned_answer(p->cdn, 206, "Content-Range: bytes 10-14/100\r\n", "fresh");
    assert_true(read_five(p, into, &e));
    assert_string_equal(into, "fresh");
    assert_memory_equal(canned_request(p->cdn, 3), "GET /second?", 12);
}

static void link_that_is_never_good_is_given_up(void **state)
{
    struct place *p = *state;
    char into[6];
    struct err e = {0};
    for (int i = 0; i < 5; i++) {
        answer_link(p, "bad");
        canned_answer(p->cdn, 403, NULL, "");
    }
    assert_false(read_five(p, into, &e));
    expect_error(&e, ERR_TRANSIENT, "even from fresh ones");
    assert_null(strstr(e.text, "S3CR3T"));
    assert_int_equal(canned_count(p->cdn), 5);
}

static void broken_read_goes_on_where_it_was(void **state)
{
    struct place *p = *state;
    char into[6];
    struct err e = {0};
    answer_link(p, "file");
    canned_raw(p->cdn, "HTTP/1.1 206 OK\r\nConnection: close\r\nContent-Length: 5\r\n"
                       "Content-Range: bytes 10-14/100\r\n\r\nhel");
    canned_answer(p->cdn, 206, "Content-Range: bytes 13-14/100\r\n", "lo");
    assert_true(read_five(p, into, &e));
    assert_string_equal(into, "hello");
}

static void answers_that_are_not_the_range_are_not_taken(void **state)
{
    struct place *p = *state;
    static const struct {
        int status;
        const char *headers, *says;
    } cases[] = {
        {200, NULL, "the whole came (HTTP 200)"},
        {206, "Content-Range: bytes 0-4/100\r\n", "\"bytes 0-4/100\" came"},
        {206, NULL, "without its Content-Range"},
    };
    answer_link(p, "file");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char into[6];
        struct err e = {0};
        for (int k = 0; k < 4; k++)
            canned_answer(p->cdn, cases[i].status, cases[i].headers, "wrong");
        assert_false(read_five(p, into, &e));
        expect_error(&e, ERR_TRANSIENT, cases[i].says);
        expect_error(&e, ERR_TRANSIENT, "hf://owner/name/sub/b 1.safetensors: ");
    }
}

static void file_that_has_changed_is_not_read(void **state)
{
    struct place *p = *state;
    static const char *const headers[] = {"X-Linked-Etag: \"" COMMIT "\"\r\n", "ETag: W/\"" BLOB "\"\r\n",
                                          "X-Linked-Etag: \"" SHA "\"\r\nX-Linked-Size: 99\r\n"};
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        char into[6];
        struct err e = {0};
        canned_answer(p->c->server, 200, headers[i], "");
        assert_false(read_five(p, into, &e));
        expect_error(&e, ERR_BUSY, "under that name by now");
    }
    assert_int_equal(canned_count(p->cdn), 0);
}

static void small_file_comes_whole_from_the_hub_itself(void **state)
{
    struct place *p = *state;
    char into[6] = "";
    struct err e = {0};
    canned_answer(p->c->server, 307, "Location: /api/resolve-cache/a.json\r\n", "");
    canned_answer(p->c->server, 200, "ETag: \"" BLOB "\"\r\n", "");
    canned_answer(p->c->server, 200, "ETag: \"" BLOB "\"\r\n", "hello");
    assert_true(hub_read(p->hub, &p->repo, &p->small, 0, 5, into, NULL, &e));
    assert_string_equal(into, "hello");
    expect_request(p->c, 1, "HEAD /api/resolve-cache/a.json", "Bearer hf_mine", NULL);
    expect_request(p->c, 2, "GET /api/resolve-cache/a.json", "Bearer hf_mine", NULL);
    assert_null(strcasestr(canned_request(p->c->server, 2), "\r\nRange:"));
}

static void range_past_the_end_is_refused(void **state)
{
    struct place *p = *state;
    char into[6];
    struct err e = {0};
    assert_false(hub_read(p->hub, &p->repo, &p->small, 1, 5, into, NULL, &e));
    expect_error(&e, ERR_USAGE, "past its end");
    assert_false(hub_read(p->hub, &p->repo, &p->small, UINT64_MAX, 5, into, NULL, &e));
    assert_int_equal(canned_count(p->c->server), 0);
}

static const struct {
    int status;
    const char *headers, *body;
    bool anonymous;
    enum err_kind kind;
    const char *says[2];
} refusals[] = {
    {401,
     "X-Error-Code: GatedRepo\r\n",
     "",
     true,
     ERR_AUTH,
     {"accept its licence at http://", "set HF_TOKEN"}},
    {403, "X-Error-Code: GatedRepo\r\n", "", false, ERR_AUTH, {"has not accepted its licence", "(HF_TOKEN)"}},
    {401,
     "X-Error-Code: RepoNotFound\r\n",
     "",
     true,
     ERR_NOT_FOUND,
     {"or it is private or gated", "/owner/name"}},
    {401, NULL, "", true, ERR_NOT_FOUND, {"or it is private or gated", "set HF_TOKEN"}},
    {404, "X-Error-Code: RepoNotFound\r\n", "", false, ERR_NOT_FOUND, {"may not see it", "/owner/name"}},
    {404,
     "X-Error-Code: RevisionNotFound\r\n",
     "",
     false,
     ERR_NOT_FOUND,
     {"no revision \"v9\"", "/owner/name/commits/main"}},
    {401,
     "X-Error-Message: Invalid credentials in Authorization header\r\n",
     "",
     false,
     ERR_AUTH,
     {"(HF_TOKEN) is wrong or has expired", "https://huggingface.co/settings/tokens"}},
    {401,
     NULL,
     "{\"error\":\"Invalid credentials in Authorization header\"}",
     false,
     ERR_AUTH,
     {"is wrong or has expired", "settings/tokens"}},
    {403,
     "X-Error-Message: Access to this resource is disabled.\r\n",
     "",
     false,
     ERR_AUTH,
     {"has disabled this repository", "/owner/name"}},
    {403, NULL, "", false, ERR_AUTH, {"lacks the right to read owner/name", "settings/tokens"}},
    {429, "RateLimit: \"api\";r=0;t=500\r\n", "", true, ERR_TRANSIENT, {"rate limit", "set HF_TOKEN"}},
    {418, NULL, "", false, ERR_CORRUPT, {"HTTP 418"}},
    {200, NULL, "{\"sha\":\"" COMMIT "\",\"disabled\":true,\"siblings\":[]}", false, ERR_AUTH, {"disabled"}},
    {200, NULL, "<html>", false, ERR_CORRUPT, {"not JSON"}},
};

static void each_refusal_has_its_message_and_page(void **state)
{
    struct place *p = *state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct err e = {0};
        if (refusals[i].anonymous)
            unsetenv("HF_TOKEN");
        else
            setenv("HF_TOKEN", "hf_mine", 1);
        struct hub *h = hub_new(p->c->http, &e);
        hub_set_retry(h, &quick);
        canned_answer(p->c->server, refusals[i].status, refusals[i].headers, refusals[i].body);
        assert_false(hub_open(h, "owner/name", "v9", p->c->arena, &p->repo, &e));
        hub_free(h);
        expect_error(&e, refusals[i].kind, "hf://owner/name: ");
        for (int k = 0; k < 2 && refusals[i].says[k]; k++)
            expect_error(&e, refusals[i].kind, refusals[i].says[k]);
        assert_null(strstr(e.text, "hf_mine"));
    }
}

static void missing_file_is_named(void **state)
{
    struct place *p = *state;
    char into[6];
    struct err e = {0};
    canned_answer(p->c->server, 404, "X-Error-Code: EntryNotFound\r\n", "");
    assert_false(read_five(p, into, &e));
    expect_error(&e, ERR_NOT_FOUND, "no file \"sub/b 1.safetensors\"");
}

static void server_troubles_pass(void **state)
{
    struct place *p = *state;
    struct err e = {0};
    canned_answer(p->c->server, 503, NULL, "");
    canned_answer(p->c->server, 429, "RateLimit: \"api\";r=0;t=0\r\n", "");
    canned_answer(p->c->server, 200, NULL, LISTING);
    assert_true(open_hub(p, NULL, &e));
}

static void names_that_are_no_repository_are_refused(void **state)
{
    struct place *p = *state;
    static const char *const names[] = {"name", "owner/", "/name", "a/b/c", "../x", "a/..", "a b/c", ""};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct err e = {0};
        assert_false(hub_open(p->hub, names[i], NULL, p->c->arena, &p->repo, &e));
        expect_error(&e, ERR_USAGE, "OWNER/NAME");
    }
    assert_int_equal(canned_count(p->c->server), 0);
}

static void offline_asks_nobody(void **state)
{
    struct place *p = *state;
    struct err e = {0};
    setenv("HF_HUB_OFFLINE", "1", 1);
    struct hub *h = hub_new(p->c->http, &e);
    assert_false(hub_open(h, "owner/name", NULL, p->c->arena, &p->repo, &e));
    expect_error(&e, ERR_USAGE, "HF_HUB_OFFLINE");
    hub_free(h);
    assert_int_equal(canned_count(p->c->server), 0);
}

static void token_comes_from_where_huggingface_hub_puts_it(void **state)
{
    struct place *p = *state;
    struct err e = {0};
    char path[] = "/tmp/ferry-hub-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *f = fdopen(fd, "w");
    fputs("hf_of_the_file\n", f);
    fclose(f);
    unsetenv("HF_TOKEN");
    setenv("HF_TOKEN_PATH", path, 1);
    struct hub *h = hub_new(p->c->http, &e);
    canned_answer(p->c->server, 200, NULL, LISTING);
    assert_true(hub_open(h, "owner/name", NULL, p->c->arena, &p->repo, &e));
    hub_free(h);
    expect_request(p->c, 0, "GET /api/models/owner/name/revision/main?blobs=True",
                   "Bearer hf_of_the_file\r\n", NULL);
    setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1", 1);
    h = hub_new(p->c->http, &e);
    canned_answer(p->c->server, 200, NULL, LISTING);
    assert_true(hub_open(h, "owner/name", NULL, p->c->arena, &p->repo, &e));
    hub_free(h);
    assert_null(strcasestr(canned_request(p->c->server, 1), "Authorization"));
    remove(path);
}

static void settings_that_cannot_be_are_refused(void **state)
{
    struct place *p = *state;
    struct err e = {0};
    setenv("HF_TOKEN", "hf bad", 1);
    assert_null(hub_new(p->c->http, &e));
    expect_error(&e, ERR_AUTH, "HF_TOKEN");
    setenv("HF_TOKEN", "hf_good", 1);
    setenv("HF_ENDPOINT", "huggingface.co", 1);
    assert_null(hub_new(p->c->http, &e));
    expect_error(&e, ERR_USAGE, "HF_ENDPOINT");
}

#define FILE_IN(inner) "{\"sha\":\"" COMMIT "\",\"siblings\":[" inner "]}"
#define SMALL(name) "{\"rfilename\":\"" name "\",\"size\":1,\"blobId\":\"" BLOB "\"}"

static void listing_that_cannot_be_is_refused(void **state)
{
    struct place *p = *state;
    static const char *const cases[] = {
        "[]",
        "{}",
        "{\"sha\":\"main\",\"siblings\":[]}",
        "{\"sha\":\"" COMMIT "\"}",
        "{\"sha\":\"" COMMIT "\",\"siblings\":{}}",
        FILE_IN("7"),
        FILE_IN(SMALL("")),
        FILE_IN(SMALL("/etc/passwd")),
        FILE_IN(SMALL("../x")),
        FILE_IN(SMALL("a/../x")),
        FILE_IN(SMALL("a//x")),
        FILE_IN(SMALL("a/.")),
        FILE_IN(SMALL("a/")),
        FILE_IN(SMALL("a\\u0000b")),
        FILE_IN(SMALL("a\\nb")),
        FILE_IN(SMALL("a\\\\b")),
        FILE_IN(SMALL("a") "," SMALL("a")),
        FILE_IN("{\"rfilename\":\"a\",\"blobId\":\"" BLOB "\"}"),
        FILE_IN("{\"rfilename\":\"a\",\"size\":-1,\"blobId\":\"" BLOB "\"}"),
        FILE_IN("{\"rfilename\":\"a\",\"size\":1}"),
        FILE_IN("{\"rfilename\":\"a\",\"size\":1,\"blobId\":\"" BLOB "\",\"lfs\":{\"sha256\":\"" BLOB "\"}}"),
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct hub_repo r;
        struct err e = {0};
        if (hub_parse(cases[i], strlen(cases[i]), p->c->arena, &r, &e))
            fail_msg("%s was taken", cases[i]);
        assert_int_equal(e.kind, ERR_CORRUPT);
    }
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(revision_is_resolved_to_a_commit_and_its_files),
        CASE(renamed_repository_is_followed),
        CASE(listing_does_not_move_to_another_host),
        CASE(token_goes_to_the_hub_and_never_to_where_it_points),
        CASE(link_is_asked_for_once_and_again_when_it_has_ended),
        CASE(link_that_is_never_good_is_given_up),
        CASE(broken_read_goes_on_where_it_was),
        CASE(answers_that_are_not_the_range_are_not_taken),
        CASE(file_that_has_changed_is_not_read),
        CASE(small_file_comes_whole_from_the_hub_itself),
        CASE(range_past_the_end_is_refused),
        CASE(each_refusal_has_its_message_and_page),
        CASE(missing_file_is_named),
        CASE(server_troubles_pass),
        CASE(names_that_are_no_repository_are_refused),
        CASE(offline_asks_nobody),
        CASE(token_comes_from_where_huggingface_hub_puts_it),
        CASE(settings_that_cannot_be_are_refused),
        CASE(listing_that_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
