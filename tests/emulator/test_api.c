/* The checker of requests: what it refuses, and with what words. */
#include "api/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define B "/storage/v1/b"
#define O B "/bkt/o"

static struct apis *google;

static int load(void **state)
{
    struct err e = {0};
    (void)state;
    google = apis_load("data/apis", &e);
    if (!google)
        fputs(e.text, stderr);
    return google ? 0 : -1;
}

static int unload(void **state)
{
    (void)state;
    apis_free(google);
    return 0;
}

/* --- paths --- */

static void path_is_a_method_of_an_api_or_not(void **state)
{
    static const struct {
        const char *method, *path, *id; /* id "": an unknown one; NULL: of no API */
    } cases[] = {
        {"GET", "/bkt/object", NULL},
        {"GET", "/", NULL},
        {"GET", "/storage/v2/b", NULL},
        {"PUT", B, ""},
        {"POST", B "/", ""},
        {"GET", B "/bkt/", ""},
        {"GET", B "/bkt/o/a/b", ""}, /* a slash in a name is %2F */
        {"POST", O "/x/compose/", ""},
        {"POST", O "/x", ""},
        {"GET", "/upload" O, ""},
        {"PATCH", "/upload" O, ""},
        {"GET", "/download" O, ""},
        {"GET", "/download" B "/bkt", ""},
        {"POST", B, "storage.buckets.insert"},
        {"PATCH", B "/bkt", "storage.buckets.patch"},
        {"GET", B "/bkt/iam", "storage.buckets.getIamPolicy"},
        {"GET", O, "storage.objects.list"},
        {"GET", O "/a%2Fb", "storage.objects.get"},
        {"GET", "/download" O "/a%2Fb", "storage.objects.get"},
        {"DELETE", O "/compose", "storage.objects.delete"},
        {"POST", O "/x/compose", "storage.objects.compose"},
        {"POST", O "/x/rewriteTo/b/c/o/d%2Fe", "storage.objects.rewrite"},
        {"POST", "/upload" O, "storage.objects.insert"},
        {"POST", "/resumable/upload" O, "storage.objects.insert"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct api_call c;
        enum api_match m = api_find(google, cases[i].method, cases[i].path, &c);
        const char *id = m == API_METHOD ? c.id : m == API_UNKNOWN ? "" : NULL;
        if (!id != !cases[i].id || (id && strcmp(id, cases[i].id) != 0))
            fail_msg("%s %s is %s", cases[i].method, cases[i].path, id ? id : "of no API");
    }
}

/* --- what is wrong with a request --- */

static struct api_call find(const struct apis *a, const char *method, const char *path)
{
    struct api_call c;
    if (api_find(a, method, path, &c) != API_METHOD)
        fail_msg("%s %s: no method", method, path);
    return c;
}

/* "a=b&c": undecoded, as these need not be. */
static int split(char *query, struct api_argument out[10])
{
    int n = 0;
    for (char *at = strtok(query, "&"); at; at = strtok(NULL, "&"), n++) {
        char *value = strchr(at, '=');
        if (value)
            *value++ = 0;
        out[n] = (struct api_argument){at, value ? value : ""};
    }
    return n;
}

static void expect(const char *what, bool ok, const struct err *e, const char *says)
{
    if (ok != !says || (says && (e->kind != ERR_USAGE || !strstr(e->text, says))))
        fail_msg("%s: %s, expected %s", what, ok ? "fine" : e->text, says ? says : "fine");
}

static void query_is_held_against_the_description(void **state)
{
    static const struct {
        const char *method, *path, *query, *says; /* NULL: nothing is wrong */
    } cases[] = {
        {"GET", O, "colour=red", "Unknown name \"colour\": Cannot bind query parameter"},
        {"GET", O, "bucket=bkt", "Unknown name \"bucket\""}, /* it is of the path */
        {"GET", O, "Prefix=a", "Unknown name \"Prefix\""},
        {"GET", O, "maxResults=ten", "Invalid value at 'maxResults' (integer uint32), \"ten\""},
        {"GET", O, "maxResults=-1", "'maxResults'"},
        {"GET", O, "maxResults=", "'maxResults'"},
        {"GET", O, "versions=1", "'versions' (boolean), \"1\""},
        {"GET", O, "projection=some", "'projection' (string), \"some\""},
        {"GET", O, "alt=xml", "'alt'"},
        {"GET", O, "prefix=a&prefix=b", "'prefix': given 2 times"},
        {"DELETE", O "/x", "ifGenerationMatch=1.5", "'ifGenerationMatch' (string int64), \"1.5\""},
        {"POST", B, "projection=noAcl", "Required parameter: project"},
        {"GET", B "/bkt/iam/testPermissions", "", "Required parameter: permissions"},
        {"POST", "/upload" O, "name=x", "Required parameter: uploadType"},
        {"GET", O, "", NULL},
        {"GET", O, "prefix=&delimiter=/&maxResults=1000&versions=False&alt=json&prettyPrint=false", NULL},
        {"GET", B "/bkt/iam/testPermissions", "permissions=a&permissions=b", NULL},
        {"POST", B, "project=p&enableObjectRetention=False&projection=noAcl", NULL},
        {"DELETE", O "/x", "ifGenerationMatch=-1", NULL},
        {"POST", "/upload" O, "uploadType=media&name=x&ifGenerationMatch=0", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct api_call c = find(google, cases[i].method, cases[i].path);
        struct api_argument arguments[10];
        struct err e = {0};
        char query[200];
        snprintf(query, sizeof query, "%s", cases[i].query);
        int count = split(query, arguments);
        expect(cases[i].query, api_check_query(&c, arguments, count, &e), &e, cases[i].says);
    }
}

static void fields_of_a_partial_answer_must_exist(void **state)
{
    static const struct {
        const char *mask, *says;
    } cases[] = {
        {"", "a name is missing"},
        {"items(name", "no end of \"items\""},
        {"items)", "nothing belongs to \")\""},
        {"items(name))", "nothing belongs to \")\""},
        {"items(,name)", "a name is missing"},
        {"items()", "a name is missing"},
        {"kind,", "a name is missing"},
        {"items/", "a name is missing"},
        {"name", "no field \"name\""}, /* of an object, not of a list */
        {"items(name,colour)", "no field \"colour\""},
        {"items/acl/colour", "no field \"colour\""},
        {"kind/name", "no field \"name\""},
        {"prefixes(name)", "no field \"name\""},
        {"items(((((((((((((((((((((((name", "a name is missing"},
        {"items(name,size,acl(role,entity)),prefixes,nextPageToken", NULL},
        {"prefixes,items/name,items/size,items/generation,nextPageToken", NULL},
        {"items/metadata/anything", NULL},
        {"*", NULL},
        {"items(*)", NULL},
        {"*/name", NULL},
    };
    struct api_call c = find(google, "GET", O);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = {0};
        struct api_argument a = {"fields", cases[i].mask};
        expect(cases[i].mask, api_check_query(&c, &a, 1, &e), &e, cases[i].says);
    }
}

static void body_is_held_against_its_schema(void **state)
{
    static const struct {
        const char *method, *path, *body, *says;
    } cases[] = {
        /* no JSON, or not what may be there */
        {"POST", B, "{", "Invalid JSON payload received"},
        {"POST", B, "[]", "an object was expected"},
        {"POST", B, "{\"name\":\"a\",\"name\":\"b\"}", "Invalid JSON payload received. duplicate object key"},
        {"DELETE", O "/x", "{}", "storage.objects.delete takes no body"},
        {"GET", O, "{}", "storage.objects.list takes no body"},
        /* names */
        {"POST", B, "{\"name\":\"a\",\"colour\":1}", "Unknown name \"colour\": Cannot find field."},
        {"POST", B, "{\"Name\":\"a\"}", "Unknown name \"Name\""},
        {"POST", B, "{\"name\":\"a\",\"iamConfiguration\":{\"uniform\":{}}}",
         "Unknown name \"uniform\" at 'iamConfiguration': Cannot find field."},
        {"POST", B, "{\"name\":\"a\",\"lifecycle\":{\"rule\":[{},{\"condition\":{\"days\":1}}]}}",
         "Unknown name \"days\" at 'lifecycle.rule[1].condition'"},
        {"POST", O "/x/compose", "{\"sourceObjects\":[{\"name\":\"a\",\"objectPreconditions\":{\"x\":1}}]}",
         "Unknown name \"x\" at 'sourceObjects[0].objectPreconditions'"},
        /* types and formats */
        {"POST", B, "{\"name\":7}", "Invalid value at 'name' (string), 7"},
        {"POST", B, "{\"name\":null}", "Invalid value at 'name' (string), null"},
        {"POST", B, "{\"name\":\"a\\u0000b\"}", "\\u0000 is not allowed"},
        {"POST", B, "{\"name\":\"a\",\"lifecycle\":[]}", "Invalid value at 'lifecycle' (object), []"},
        {"POST", B, "{\"name\":\"a\",\"lifecycle\":{\"rule\":{}}}",
         "Invalid value at 'lifecycle.rule' (array), {}"},
        {"POST", B, "{\"name\":\"a\",\"lifecycle\":{\"rule\":[{\"condition\":{\"age\":\"7\"}}]}}",
         "Invalid value at 'lifecycle.rule[0].condition.age' (integer int32), \"7\""},
        {"POST", B, "{\"name\":\"a\",\"lifecycle\":{\"rule\":[{\"condition\":{\"age\":7.0}}]}}", ".age"},
        {"POST", B, "{\"name\":\"a\",\"lifecycle\":{\"rule\":[{\"condition\":{\"age\":2147483648}}]}}",
         ".age"},
        {"POST", B,
         "{\"name\":\"a\",\"lifecycle\":{\"rule\":[{\"condition\":{\"createdBefore\":\"1 May\"}}]}}",
         "createdBefore' (string date), \"1 May\""},
        {"POST", B, "{\"name\":\"a\",\"softDeletePolicy\":{\"retentionDurationSeconds\":0}}",
         "'softDeletePolicy.retentionDurationSeconds' (string int64), 0"},
        {"POST", B, "{\"name\":\"a\",\"softDeletePolicy\":{\"retentionDurationSeconds\":\"7 days\"}}",
         "'softDeletePolicy.retentionDurationSeconds'"},
        {"POST", B,
         "{\"name\":\"a\",\"iamConfiguration\":{\"uniformBucketLevelAccess\":{\"enabled\":\"true\"}}}",
         "'iamConfiguration.uniformBucketLevelAccess.enabled' (boolean), \"true\""},
        {"POST", B, "{\"name\":\"a\",\"labels\":{\"managed-by\":1}}", "'labels.managed-by' (string), 1"},
        {"POST", B, "{\"name\":\"a\",\"timeCreated\":\"today\"}", "'timeCreated' (string date-time)"},
        {"POST", "/upload" O, "{\"size\":\"-1\"}", "'size' (string uint64), \"-1\""},
        /* what must be there */
        {"POST", B, "{}", "Required: name"},
        {"POST", B, "", "Required: name"},
        {"POST", O "/x/compose", "{\"sourceObjects\":[{\"generation\":\"1\"}]}",
         "Required: sourceObjects[0].name"},
        /* nothing wrong */
        {"DELETE", O "/x", "", NULL},
        {"POST", O "/x/rewriteTo/b/c/o/d", "", NULL},
        {"POST", "/upload" O, "{}", NULL},
        {"PATCH", B "/bkt", "{\"lifecycle\":null,\"labels\":{\"a\":null}}", NULL},
        {"POST", B,
         "{\"name\":\"a\",\"labels\":{\"managed-by\":\"ferry\"},\"softDeletePolicy\":"
         "{\"retentionDurationSeconds\":\"0\"},\"timeCreated\":\"2026-01-01T00:00:00.000Z\"}",
         NULL},
        {"PUT", B "/bkt/iam",
         "{\"bindings\":[{\"role\":\"roles/storage.objectViewer\",\"members\":[\"user:a@b.c\"]}],\"etag\":"
         "\"CAE=\"}",
         NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct api_call c = find(google, cases[i].method, cases[i].path);
        struct err e = {0};
        json_t *json;
        const char *body = cases[i].body;
        bool ok = api_check_body(&c, "application/json; charset=UTF-8", body, strlen(body), &json, &e);
        expect(*body ? body : cases[i].path, ok, &e, cases[i].says);
        json_decref(json);
    }
}

static void body_must_say_that_it_is_json(void **state)
{
    static const char *const types[] = {NULL, "", "text/json", "application/jsonp",
                                        "application/octet-stream"};
    struct api_call c = find(google, "POST", B);
    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct err e = {0};
        json_t *json;
        assert_false(api_check_body(&c, types[i], "{\"name\":\"a\"}", 12, &json, &e));
        assert_non_null(strstr(e.text, "expected application/json"));
        assert_null(json);
    }
}

/* --- one more file is one more API --- */

#define MADE                                                                                                 \
    "{\"name\":\"made\",\"servicePath\":\"/"                                                                 \
    "\",\"parameters\":{\"alt\":{\"type\":\"string\",\"location\":\"query\"}},"                              \
    "\"methods\":{"                                                                                          \
    "\"made.jobs.run\":{\"httpMethod\":\"POST\",\"path\":\"/v2/{+name}:run\",\"request\":\"Run\","           \
    "\"parameters\":{\"name\":{\"type\":\"string\",\"location\":\"path\","                                   \
    "\"pattern\":\"^projects/[^/]+/jobs/[^/]+$\"}}},"                                                        \
    "\"made.projects.get\":{\"httpMethod\":\"POST\",\"path\":\"/v1/projects/{resource}:getIamPolicy\","      \
    "\"parameters\":{\"resource\":{\"type\":\"string\",\"location\":\"path\"}}},"                            \
    "\"made.jobs.list\":{\"httpMethod\":\"GET\",\"path\":\"/v2/{+parent}/jobs\","                            \
    "\"parameters\":{\"parent\":{\"type\":\"string\",\"location\":\"path\",\"pattern\":\"^projects/[^/"      \
    "]+$\"}}}},"                                                                                             \
    "\"schemas\":{\"Run\":{\"type\":\"object\",\"properties\":{\"timeout\":{\"type\":\"string\","            \
    "\"format\":\"google-duration\"},\"next\":{\"$ref\":\"Run\"}}}}}"

static char folder[] = "/tmp/ferry-apis-XXXXXX";

static void put_file(const char *name, const char *text)
{
    char path[100];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void take_file(const char *name)
{
    char path[100];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(unlink(path), 0);
}

static void another_api_is_another_file(void **state)
{
    struct err e = {0};
    struct api_call c;
    json_t *json;
    (void)state;
    put_file("made.json", MADE);
    struct apis *a = apis_load(folder, &e);
    assert_non_null(a);
    assert_string_equal(find(a, "GET", "/v2/projects/p/jobs").id, "made.jobs.list");
    c = find(a, "POST", "/v2/projects/p/jobs/j:run");
    assert_string_equal(c.id, "made.jobs.run");
    assert_string_equal(find(a, "POST", "/v1/projects/p:getIamPolicy").id, "made.projects.get");
    assert_int_equal(api_find(a, "POST", "/v1/projects/:getIamPolicy", &c), API_NONE);
    assert_int_equal(api_find(a, "POST", "/v1/projects/p", &c), API_NONE);
    assert_int_equal(api_find(a, "POST", "/v2/projects/p/jobs/j/k:run", &c), API_NONE);
    assert_int_equal(api_find(a, "POST", "/v2/projects/p/jobs/:run", &c), API_NONE);
    assert_int_equal(api_find(a, "POST", "/v2/:run", &c), API_NONE);
    assert_int_equal(api_find(a, "GET", "/jobs", &c), API_NONE);
    c = find(a, "POST", "/v2/projects/p/jobs/j:run");
    const char *good = "{\"next\":{\"timeout\":\"3.5s\"}}", *bad = "{\"next\":{\"timeout\":\"3.5\"}}";
    assert_true(api_check_body(&c, "application/json", good, strlen(good), &json, &e));
    json_decref(json);
    assert_false(api_check_body(&c, "application/json", bad, strlen(bad), &json, &e));
    json_decref(json);
    assert_string_equal(e.text, "Invalid value at 'next.timeout' (string google-duration), \"3.5\"");
    apis_free(a);
    take_file("made.json");
}

static void folder_without_descriptions_is_told(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {NULL, "no descriptions of APIs there"},
        {"{", "bad.json: line 1: "},
        {"[]", "bad.json: not a description made by tools/apis/trim.mjs"},
        {"{\"methods\":{}}", "bad.json: not a description made by tools/apis/trim.mjs"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = {0};
        if (cases[i].text)
            put_file("bad.json", cases[i].text);
        assert_null(apis_load(folder, &e));
        assert_non_null(strstr(e.text, cases[i].says));
        if (cases[i].text)
            take_file("bad.json");
    }
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    int gone = rmdir(folder);
    strcpy(folder, "/tmp/ferry-apis-XXXXXX");
    return gone;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(path_is_a_method_of_an_api_or_not),
        cmocka_unit_test(query_is_held_against_the_description),
        cmocka_unit_test(fields_of_a_partial_answer_must_exist),
        cmocka_unit_test(body_is_held_against_its_schema),
        cmocka_unit_test(body_must_say_that_it_is_json),
        cmocka_unit_test_setup_teardown(another_api_is_another_file, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(folder_without_descriptions_is_told, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
