/* The other Google services: what each call sends, and what is made of the answers. */
#include "client.h"
#include "cloud/artifact.h"
#include "cloud/compute.h"
#include "cloud/iam.h"
#include "cloud/logging.h"
#include "cloud/operation.h"
#include "cloud/policy.h"
#include "cloud/run.h"
#include "cloud/secret.h"
#include "cloud/serviceusage.h"
#include "cloud/storage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct run_name service = {"demo-proj", "asia-northeast1", "qwen"};
static const struct repository_name repository = {"demo-proj", "asia-northeast1", "ferry"};
static const struct vm_name vm = {"demo-proj", "asia-northeast1-b", "hf-copy"};
static json_t *labels, *body; /* {"managed-by":"ferry"}, {"a":1} */

/* --- one call, one request --- */

static json_t *get_service(struct cloud *c, struct err *e)
{
    return service_get(c, &service, e);
}

static json_t *create_service(struct cloud *c, struct err *e)
{
    return service_create(c, &service, body, e);
}

static json_t *patch_service(struct cloud *c, struct err *e)
{
    return service_patch(c, &service, "template,traffic", body, e);
}

static json_t *delete_service(struct cloud *c, struct err *e)
{
    return service_delete(c, &service, e);
}

static json_t *create_job(struct cloud *c, struct err *e)
{
    return job_create(c, &service, body, e);
}

static json_t *run_job(struct cloud *c, struct err *e)
{
    return job_run(c, &service, body, e);
}

static json_t *get_job(struct cloud *c, struct err *e)
{
    return job_get(c, &service, e);
}

static json_t *delete_job(struct cloud *c, struct err *e)
{
    return job_delete(c, &service, e);
}

static json_t *get_execution(struct cloud *c, struct err *e)
{
    return execution_get(c, &service, "qwen-x", e);
}

static json_t *cancel_execution(struct cloud *c, struct err *e)
{
    return execution_cancel(c, &service, "qwen-x", e);
}

static json_t *get_repository(struct cloud *c, struct err *e)
{
    return repository_get(c, &repository, e);
}

static json_t *create_repository(struct cloud *c, struct err *e)
{
    return repository_create(c, &repository, labels, e);
}

static json_t *delete_repository(struct cloud *c, struct err *e)
{
    return repository_delete(c, &repository, e);
}

static json_t *get_account(struct cloud *c, struct err *e)
{
    return account_get(c, "demo-proj", "run@demo-proj.iam.gserviceaccount.com", e);
}

static json_t *create_account(struct cloud *c, struct err *e)
{
    return account_create(c,
                          &(struct account_new){.project = "demo-proj",
                                                .id = "run",
                                                .display_name = "ferry: qwen",
                                                .description = "managed-by=ferry"},
                          e);
}

static json_t *done(bool ok)
{
    return ok ? json_true() : NULL;
}

static json_t *delete_account(struct cloud *c, struct err *e)
{
    return done(account_delete(c, "demo-proj", "run@x", e));
}

static json_t *get_vm(struct cloud *c, struct err *e)
{
    return vm_get(c, &vm, e);
}

static json_t *delete_vm(struct cloud *c, struct err *e)
{
    return vm_delete(c, &vm, e);
}

static json_t *get_secret(struct cloud *c, struct err *e)
{
    return secret_get(c, "demo-proj", "key", e);
}

static json_t *create_secret(struct cloud *c, struct err *e)
{
    return secret_create(c, "demo-proj", "key", labels, e);
}

static json_t *delete_secret(struct cloud *c, struct err *e)
{
    return done(secret_delete(c, "demo-proj", "key", e));
}

static json_t *add_secret(struct cloud *c, struct err *e)
{
    return done(secret_add(c, "demo-proj", "key", "sesame", e));
}

#define SERVICES "/v2/projects/demo-proj/locations/asia-northeast1/services"
#define JOBS "/v2/projects/demo-proj/locations/asia-northeast1/jobs"
#define REPOSITORIES "/v1/projects/demo-proj/locations/asia-northeast1/repositories"
#define ZONE "/compute/v1/projects/demo-proj/zones/asia-northeast1-b"

/* gone: a 404 is success. */
static const struct {
    json_t *(*call)(struct cloud *c, struct err *e);
    const char *request, *body, *name;
    bool gone;
} calls[] = {
    {get_service, "GET " SERVICES "/qwen", "", "service qwen in asia-northeast1", false},
    {create_service, "POST " SERVICES "?serviceId=qwen", "{\"a\":1}", "service qwen", false},
    {patch_service, "PATCH " SERVICES "/qwen?updateMask=template%2Ctraffic", "{\"a\":1}", "service qwen",
     false},
    {delete_service, "DELETE " SERVICES "/qwen", "", "service qwen", true},
    {create_job, "POST " JOBS "?jobId=qwen", "{\"a\":1}", "job qwen in asia-northeast1", false},
    {run_job, "POST " JOBS "/qwen:run", "{\"a\":1}", "job qwen", false},
    {get_job, "GET " JOBS "/qwen", "", "job qwen", false},
    {delete_job, "DELETE " JOBS "/qwen", "", "job qwen", true},
    {get_execution, "GET " JOBS "/qwen/executions/qwen-x", "", "job qwen", false},
    {cancel_execution, "POST " JOBS "/qwen/executions/qwen-x:cancel", "{}", "job qwen", false},
    {get_repository, "GET " REPOSITORIES "/ferry", "", "repository ferry in asia-northeast1", false},
    {create_repository, "POST " REPOSITORIES "?repositoryId=ferry",
     "{\"format\":\"DOCKER\",\"description\":\"container images of "
     "ferry\",\"labels\":{\"managed-by\":\"ferry\"}}",
     "repository ferry", false},
    {delete_repository, "DELETE " REPOSITORIES "/ferry", "", "repository ferry", true},
    {get_account, "GET /v1/projects/demo-proj/serviceAccounts/run%40demo-proj.iam.gserviceaccount.com", "",
     "service account run@demo-proj.iam.gserviceaccount.com", false},
    {create_account, "POST /v1/projects/demo-proj/serviceAccounts",
     "{\"accountId\":\"run\",\"serviceAccount\":{\"displayName\":\"ferry: "
     "qwen\",\"description\":\"managed-by=ferry\"}}",
     "service account run", false},
    {delete_account, "DELETE /v1/projects/demo-proj/serviceAccounts/run%40x", "", "service account run@x",
     true},
    {get_vm, "GET " ZONE "/instances/hf-copy", "", "VM hf-copy in asia-northeast1-b", false},
    {delete_vm, "DELETE " ZONE "/instances/hf-copy", "", "VM hf-copy", true},
    {get_secret, "GET /v1/projects/demo-proj/secrets/key", "", "secret key", false},
    {create_secret, "POST /v1/projects/demo-proj/secrets?secretId=key",
     "{\"replication\":{\"automatic\":{}},\"labels\":{\"managed-by\":\"ferry\"}}", "secret key", false},
    {delete_secret, "DELETE /v1/projects/demo-proj/secrets/key", "", "secret key", true},
    {add_secret, "POST /v1/projects/demo-proj/secrets/key:addVersion",
     "{\"payload\":{\"data\":\"c2VzYW1l\"}}", "secret key", false},
};

static void each_call_sends_what_google_describes(void **state)
{
    struct client *c = *state;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        struct err e = {0};
        canned_forget(c->server);
        canned_answer(c->server, 200, NULL, "{\"x\":1}");
        json_t *answer = calls[i].call(c->cloud, &e);
        if (!answer)
            fail_msg("%s: %s", calls[i].request, e.text);
        expect_request(c, 0, calls[i].request, "Authorization: Bearer token-1", NULL);
        assert_string_equal(canned_body(c->server, 0), calls[i].body);
        json_decref(answer);
    }
}

static void each_refusal_names_what_was_asked_for(void **state)
{
    struct client *c = *state;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        struct err e = {0};
        canned_forget(c->server);
        canned_answer(c->server, 404, NULL, "{\"error\":{\"code\":404,\"message\":\"not here\"}}");
        json_t *answer = calls[i].call(c->cloud, &e);
        if ((answer != NULL) != calls[i].gone)
            fail_msg("%s: %s", calls[i].request, e.text);
        if (!calls[i].gone) {
            expect_error(&e, ERR_NOT_FOUND, "HTTP 404: not here");
            expect_error(&e, ERR_NOT_FOUND, calls[i].name);
        }
        json_decref(answer);
    }
}

static void told(void *arg, const char *method, const char *url, const json_t *sent)
{
    char *text = sent ? json_dumps(sent, JSON_COMPACT) : NULL;
    snprintf(arg, 2000, "%s %s %s", method, strstr(url, "/v") ? strchr(url + 8, '/') : url, text ? text : "");
    free(text);
}

static void rehearsal_tells_what_would_be_sent_and_sends_nothing_that_changes(void **state)
{
    struct client *c = *state;
    char said[2000], want[2000];
    cloud_rehearse(c->cloud, told, said);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        struct err e = {0};
        bool reads = strncmp(calls[i].request, "GET", 3) == 0;
        said[0] = 0;
        canned_forget(c->server);
        canned_answer(c->server, 200, NULL, "{\"x\":1}");
        json_t *answer = calls[i].call(c->cloud, &e);
        assert_non_null(answer);
        assert_int_equal(canned_count(c->server), reads ? 1 : 0);
        /* of a secret only that it would be stored */
        const char *shown =
            calls[i].call == add_secret ? "{\"payload\":{\"data\":\"(not shown)\"}}" : calls[i].body;
        snprintf(want, sizeof want, "%s %s", calls[i].request, shown);
        assert_string_equal(said, reads ? "" : want);
        json_decref(answer);
    }
}

/* --- operations --- */

#define PENDING "{\"name\":\"projects/p/locations/l/operations/o1\",\"done\":false}"

static void operation_is_asked_until_it_is_done(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    canned_answer(c->server, 200, NULL, PENDING);
    canned_answer(c->server, 503, NULL, ""); /* a hiccup is no end */
    canned_answer(c->server, 200, NULL, "{\"name\":\"o1\",\"done\":true,\"response\":{\"uri\":\"u\"}}");
    json_t *answer = operation_finish(c->cloud, "run", "v2", json_loads(PENDING, 0, NULL), NULL, &e);
    assert_non_null(answer);
    assert_string_equal(json_string_value(json_object_get(answer, "uri")), "u");
    expect_request(c, 0, "GET /v2/projects/p/locations/l/operations/o1", NULL);
    assert_int_equal(canned_count(c->server), 3);
    json_decref(answer);
}

static void failed_operation_says_why(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    canned_answer(c->server, 200, NULL,
                  "{\"done\":true,\"error\":{\"code\":9,\"message\":\"Image 'x' not found.\"}}");
    assert_null(operation_finish(c->cloud, "run", "v2", json_loads(PENDING, 0, NULL), NULL, &e));
    expect_error(&e, ERR_USAGE, "Image 'x' not found.");
    assert_null(operation_finish(c->cloud, "run", "v2", json_loads("{}", 0, NULL), NULL, &e));
    expect_error(&e, ERR_CORRUPT, "without a name");
    assert_null(operation_finish(c->cloud, "run", "v2", NULL, NULL, &e));
}

static bool give_up(void *arg, double seconds, struct err *e)
{
    *(int *)arg += 1;
    return err_set(e, ERR_CANCELLED, "after %.0f s", seconds);
}

static void waiting_ends_when_told_when_stopped_and_in_time(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    int asked = 0;
    volatile sig_atomic_t stop = 1;
    for (int i = 0; i < 20; i++)
        canned_answer(c->server, 200, NULL, PENDING);
    struct wait w = {.on_wait = give_up, .arg = &asked};
    assert_null(operation_finish(c->cloud, "run", "v2", json_loads(PENDING, 0, NULL), &w, &e));
    expect_error(&e, ERR_CANCELLED, "after 1 s");
    assert_int_equal(asked, 1);
    w = (struct wait){.stop = &stop};
    assert_null(operation_finish(c->cloud, "run", "v2", json_loads(PENDING, 0, NULL), &w, &e));
    expect_error(&e, ERR_CANCELLED, "interrupted");
    w = (struct wait){.seconds = 1};
    assert_null(operation_finish(c->cloud, "run", "v2", json_loads(PENDING, 0, NULL), &w, &e));
    expect_error(&e, ERR_TRANSIENT, "not done after 1 s");
}

static void machine_operation_has_its_own_form(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    canned_answer(c->server, 200, NULL, "{\"name\":\"op-1\",\"status\":\"RUNNING\"}");
    canned_answer(c->server, 200, NULL, "{\"name\":\"op-1\",\"status\":\"RUNNING\"}");
    canned_answer(
        c->server, 200, NULL,
        "{\"name\":\"op-1\",\"status\":\"DONE\",\"error\":{\"errors\":[{\"code\":"
        "\"ZONE_RESOURCE_POOL_EXHAUSTED\",\"message\":\"The zone does not have enough resources\"}]}}");
    json_t *begun = vm_insert(c->cloud, &vm, body, &e);
    assert_non_null(begun);
    assert_false(vm_finish(c->cloud, &vm, begun, NULL, &e));
    expect_error(&e, ERR_BUSY, "VM hf-copy in asia-northeast1-b: The zone does not have enough resources; ");
    expect_error(&e, ERR_BUSY, "try another zone");
    assert_non_null(strstr(canned_request(c->server, 0), "POST " ZONE "/instances?requestId="));
    expect_request(c, 1, "GET " ZONE "/operations/op-1", NULL);
}

/* --- lists --- */

struct heard {
    char text[1000];
    int left;
};

static bool hear(struct heard *h, const char *a, const char *b, struct err *e)
{
    size_t n = strlen(h->text);
    snprintf(h->text + n, sizeof h->text - n, "%s/%s ", a, b);
    return --h->left != 0 || err_set(e, ERR_CANCELLED, "enough");
}

static bool hear_found(void *arg, const struct run_found *f, struct err *e)
{
    return hear(arg, f->region, f->name, e);
}

#define KNATIVE(name, region, label)                                                                         \
    "{\"metadata\":{\"name\":\"" name "\",\"labels\":{\"cloud.googleapis.com/location\":\"" region           \
    "\",\"managed-by\":\"" label "\"}}}"

static void services_of_all_regions_are_found_page_by_page(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    struct heard h = {.left = 0};
    canned_answer(c->server, 200, NULL,
                  "{\"items\":[" KNATIVE("a", "asia-northeast1", "ferry") "," KNATIVE(
                      "x", "us-east1", "me") "],\"metadata\":{\"continue\":\"n/1\"}}");
    canned_answer(c->server, 200, NULL, "{\"items\":[" KNATIVE("b", "us-east1", "ferry") "]}");
    assert_true(service_find(c->cloud, "demo-proj", "managed-by=ferry", hear_found, &h, &e));
    assert_string_equal(h.text, "asia-northeast1/a us-east1/b ");
    expect_request(c, 0, "GET /v1/projects/demo-proj/locations/-/services?labelSelector=managed-by%3Dferry",
                   NULL);
    assert_non_null(strstr(canned_request(c->server, 1), "&continue=n%2F1 HTTP"));
    canned_forget(c->server);
    canned_answer(c->server, 200, NULL, "{}");
    assert_true(job_find(c->cloud, "demo-proj", "managed-by=ferry", hear_found, &h, &e));
    expect_request(
        c, 0, "GET /apis/run.googleapis.com/v1/namespaces/demo-proj/jobs?labelSelector=managed-by%3Dferry",
        NULL);
}

static void region_that_does_not_answer_is_not_an_empty_one(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    struct heard h = {.left = 0};
    canned_answer(c->server, 200, NULL, "{\"items\":[],\"unreachable\":[\"us-east1\"]}");
    assert_false(service_find(c->cloud, "demo-proj", "managed-by=ferry", hear_found, &h, &e));
    expect_error(&e, ERR_TRANSIENT, "us-east1 did not answer");
    canned_answer(c->server, 200, NULL, "{\"items\":[{\"metadata\":{}}]}");
    assert_false(service_find(c->cloud, "demo-proj", "managed-by=ferry", hear_found, &h, &e));
    expect_error(&e, ERR_CORRUPT, "does not say a service's name");
    assert_false(service_find(c->cloud, "demo-proj", "managed-by", hear_found, &h, &e));
    expect_error(&e, ERR_USAGE, "expected a label");
}

static bool hear_region(void *arg, const char *region, struct err *e)
{
    return hear(arg, region, "", e);
}

static bool hear_vm(void *arg, const char *zone, const json_t *instance, struct err *e)
{
    return hear(arg, zone, json_string_value(json_object_get(instance, "name")), e);
}

static bool hear_image(void *arg, const struct docker_image *i, struct err *e)
{
    char bytes[60];
    snprintf(bytes, sizeof bytes, "%s:%llu", i->digest, (unsigned long long)i->bytes);
    return hear(arg, i->package, bytes, e);
}

static void other_lists(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    struct heard h = {.left = 3};
    canned_answer(c->server, 200, NULL, "{\"locations\":[{\"locationId\":\"us-east1\"},{}]}");
    assert_true(run_regions(c->cloud, "demo-proj", hear_region, &h, &e));
    canned_answer(c->server, 200, NULL,
                  "{\"items\":{\"zones/us-east1-b\":{\"warning\":{\"code\":\"NO_RESULTS_ON_PAGE\"}},\"zones/"
                  "us-east1-c\":{\"instances\":[{\"name\":\"vm\"}]}}}");
    assert_true(vm_find(c->cloud, "demo-proj", "managed-by=ferry", hear_vm, &h, &e));
    expect_request(c, 1,
                   "GET /compute/v1/projects/demo-proj/aggregated/instances?filter=labels.managed-by%3Dferry",
                   NULL);
    canned_answer(c->server, 200, NULL,
                  "{\"zones\":[\"https://h/zones/us-east1-b\",3,\"zones/us-east1-c\",\"d\"]}");
    json_t *zones = region_zones(c->cloud, "demo-proj", "us-east1", &e);
    assert_int_equal(json_array_size(zones), 2);
    assert_string_equal(json_string_value(json_array_get(zones, 1)), "us-east1-c");
    json_decref(zones);
    canned_answer(c->server, 200, NULL, "{\"zones\":[]}");
    assert_null(region_zones(c->cloud, "demo-proj", "us-east1", &e));
    expect_error(&e, ERR_CORRUPT, "region us-east1: an answer that names no zones");
    e = (struct err){0};
    canned_answer(c->server, 200, NULL,
                  "{\"dockerImages\":[{\"name\":\"projects/p/locations/l/repositories/r/dockerImages/"
                  "ferry@sha256:ab\",\"imageSizeBytes\":\"12\"},{\"name\":\"projects/never\"}]}");
    assert_false(docker_image_each(c->cloud, &repository, hear_image, &h, &e)); /* left reached 0 */
    expect_error(&e, ERR_CANCELLED, "images of ferry: enough");
    assert_string_equal(h.text, "us-east1/ us-east1-c/vm ferry/sha256:ab:12 ");
    canned_answer(c->server, 200, NULL, "{\"dockerImages\":[{\"name\":\"projects/never\"}]}");
    assert_false(docker_image_each(c->cloud, &repository, hear_image, &h, &e));
    expect_error(&e, ERR_CORRUPT, "without a digest");
}

static bool hear_repository(void *arg, const struct repository *r, struct err *e)
{
    char text[60];
    snprintf(text, sizeof text, "%llu%s", (unsigned long long)r->bytes, r->ours ? "!" : "");
    return hear(arg, r->name, text, e);
}

static bool hear_bucket(void *arg, const struct bucket_found *b, struct err *e)
{
    char text[200];
    snprintf(text, sizeof text, "%s,%s,%lld%s", b->location, b->storage_class, (long long)b->soft_delete_days,
             b->ours ? "!" : "");
    return hear(arg, b->name, text, e);
}

static void what_lies_in_a_project_says_how_much_and_whose(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    struct heard h = {.left = 10};
    canned_answer(c->server, 200, NULL,
                  "{\"repositories\":[{\"name\":\"projects/p/locations/l/repositories/ferry\",\"sizeBytes\":"
                  "\"12\",\"labels\":{\"managed-by\":\"ferry\"}},{\"name\":\"theirs\",\"labels\":{"
                  "\"managed-by\":\"us\"}},{}]}");
    assert_true(repository_each(c->cloud, "demo-proj", "us-east1", hear_repository, &h, &e));
    assert_string_equal(h.text, "ferry/12! theirs/0 /0 ");
    h = (struct heard){.left = 10};
    canned_answer(c->server, 200, NULL,
                  "{\"items\":[{\"name\":\"a\",\"location\":\"US-EAST1\",\"storageClass\":\"STANDARD\","
                  "\"labels\":{\"managed-by\":\"ferry\"},\"softDeletePolicy\":{\"retentionDurationSeconds\":"
                  "\"604800\"}}],\"nextPageToken\":\"n\"}");
    canned_answer(c->server, 200, NULL, "{\"items\":[{\"name\":\"b\"},{}]}");
    assert_false(bucket_each(c->cloud, "demo-proj", hear_bucket, &h, &e));
    expect_error(&e, ERR_CORRUPT, "buckets of demo-proj: a bucket without a name");
    assert_string_equal(h.text, "a/us-east1,standard,7! b/,,0 ");
}

static void buckets_go_once_and_only_when_they_are_empty(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    canned_answer(c->server, 204, NULL, "");
    assert_true(bucket_delete(c->cloud, "model-bkt", &e));
    expect_request(c, 0, "DELETE /storage/v1/b/model-bkt", NULL);
    canned_answer(c->server, 404, NULL, "{}");
    assert_true(bucket_delete(c->cloud, "model-bkt", &e));
    canned_answer(c->server, 409, NULL, "{\"error\":{\"message\":\"The bucket is not empty.\"}}");
    assert_false(bucket_delete(c->cloud, "model-bkt", &e));
    expect_error(&e, ERR_BUSY, "gs://model-bkt: ");
}

static void machine_is_read_from_whatever_it_says(void **state)
{
    (void)state;
    static const struct {
        const char *json, *name, *zone, *region, *machine;
        double disk_gb;
        bool runs, external, spot;
    } cases[] = {
        {"{}", "", "", "", "", 0, true, false, false},
        {"{\"zone\":\"b\",\"disks\":[{\"diskSizeGb\":7},{\"diskSizeGb\":\"x\"},3],\"networkInterfaces\":[1,{}"
         "]}",
         "", "b", "", "", 0, true, false, false},
        {"{\"name\":\"v\",\"zone\":\"https://c/zones/us-east1-c\",\"machineType\":\"z/e2-small\",\"status\":"
         "\"TERMINATED\",\"disks\":[{\"diskSizeGb\":\"10\"},{\"diskSizeGb\":\"5\"}],\"networkInterfaces\":[{"
         "\"accessConfigs\":[{}]}],\"scheduling\":{\"provisioningModel\":\"SPOT\"}}",
         "v", "us-east1-c", "us-east1", "e2-small", 15, false, true, true},
        {"{\"status\":\"STOPPED\",\"scheduling\":{\"preemptible\":true}}", "", "", "", "", 0, false, false,
         true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vm_facts v;
        json_t *json = json_loads(cases[i].json, 0, NULL);
        assert_non_null(json);
        vm_read(json, &v);
        assert_string_equal(v.name, cases[i].name);
        assert_string_equal(v.zone, cases[i].zone);
        assert_string_equal(v.region, cases[i].region);
        assert_string_equal(v.machine, cases[i].machine);
        assert_true(v.disk_gb == cases[i].disk_gb);
        assert_int_equal(v.runs, cases[i].runs);
        assert_int_equal(v.external, cases[i].external);
        assert_int_equal(v.spot, cases[i].spot);
        json_decref(json);
    }
}

static void limits_of_a_container_are_read_in_their_units(void **state)
{
    (void)state;
    static const struct {
        const char *cpu, *memory;
        double vcpu, gib;
    } cases[] = {{"8", "32Gi", 8, 32},        {"1000m", "512Mi", 1, 0.5}, {"", "", 0, 0},
                 {"x", "32GB", 0, 0},         {"8 ", "-", 0, 0},          {"2", "1073741824", 2, 1},
                 {"0.5", "1048576Ki", 0.5, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *json = json_pack("{s:{s:{s:s, s:s}}}", "resources", "limits", "cpu", cases[i].cpu, "memory",
                                 cases[i].memory);
        struct run_limits l = run_limits_of(json);
        assert_true(l.vcpu == cases[i].vcpu && l.gib == cases[i].gib);
        json_decref(json);
    }
    assert_true(run_limits_of(NULL).vcpu == 0);
}

/* --- policies --- */

static const struct policy_place bucket = {.kind = POLICY_BUCKET, .names = {"model-bkt"}};
static const struct policy_place of_service = {.kind = POLICY_SERVICE,
                                               .names = {"demo-proj", "asia-northeast1", "qwen"}};
static const struct policy_place of_project = {.kind = POLICY_PROJECT, .names = {"demo-proj"}};
#define VIEWER "roles/storage.objectViewer"
#define RUN "serviceAccount:run@demo-proj.iam.gserviceaccount.com"

static void binding_is_added_under_the_etag_that_was_read(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    bool changed = false;
    canned_answer(c->server, 200, NULL, "{\"etag\":\"CAE=\",\"version\":1}");
    canned_answer(c->server, 200, NULL, "{}");
    assert_true(policy_grant(c->cloud, &bucket, VIEWER, RUN, &changed, &e));
    assert_true(changed);
    expect_request(c, 0, "GET /storage/v1/b/model-bkt/iam?optionsRequestedPolicyVersion=3", NULL);
    expect_request(c, 1, "PUT /storage/v1/b/model-bkt/iam", NULL);
    assert_string_equal(canned_body(c->server, 1),
                        "{\"etag\":\"CAE=\",\"version\":3,\"bindings\":[{\"role\":\"" VIEWER
                        "\",\"members\":[\"" RUN "\"]}]}");
}

#define CONDITIONAL                                                                                          \
    "{\"role\":\"" VIEWER "\",\"members\":[\"" RUN "\"],\"condition\":{\"expression\":\"false\"}}"

static void what_is_there_already_is_not_written(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    bool changed = true;
    canned_answer(c->server, 200, NULL,
                  "{\"etag\":\"E\",\"bindings\":[" CONDITIONAL ",{\"role\":\"" VIEWER
                  "\",\"members\":[\"user:a\",\"" RUN "\"]}]}");
    assert_true(policy_grant(c->cloud, &bucket, VIEWER, RUN, &changed, &e));
    assert_false(changed);
    assert_int_equal(canned_count(c->server), 1);
    canned_answer(c->server, 200, NULL, "{\"etag\":\"E\"}");
    assert_true(policy_revoke(c->cloud, &bucket, VIEWER, RUN, &changed, &e));
    assert_false(changed);
    assert_int_equal(canned_count(c->server), 2);
}

static void conditional_binding_is_another_and_stays(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    canned_answer(c->server, 200, NULL, "{\"etag\":\"E\",\"bindings\":[" CONDITIONAL "]}");
    canned_answer(c->server, 200, NULL, "{}");
    assert_true(policy_grant(c->cloud, &bucket, VIEWER, RUN, NULL, &e));
    assert_non_null(strstr(canned_body(c->server, 1), "[" CONDITIONAL ",{\"role\":"));
    canned_answer(c->server, 200, NULL,
                  "{\"etag\":\"E\",\"bindings\":[" CONDITIONAL ",{\"role\":\"r\",\"members\":[\"" RUN
                  "\"]}]}");
    canned_answer(c->server, 200, NULL, "{}");
    assert_true(
        policy_revoke(c->cloud, &bucket, NULL, RUN, NULL, &e)); /* whatever it may, nothing any more */
    assert_non_null(strstr(canned_body(c->server, 3), "\"bindings\":[]"));
}

static void policy_that_changes_meanwhile_is_read_again(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    bool changed = false;
    canned_answer(c->server, 200, NULL, "{\"etag\":\"1\"}");
    canned_answer(c->server, 409, NULL,
                  "{\"error\":{\"code\":409,\"message\":\"There were concurrent policy changes.\"}}");
    canned_answer(c->server, 200, NULL, "{\"etag\":\"2\"}");
    canned_answer(c->server, 200, NULL, "{}");
    assert_true(policy_grant(c->cloud, &of_service, "roles/run.invoker", "allUsers", &changed, &e));
    assert_true(changed);
    expect_request(c, 0, "GET " SERVICES "/qwen:getIamPolicy?options.requestedPolicyVersion=3", NULL);
    expect_request(c, 3, "POST " SERVICES "/qwen:setIamPolicy", NULL);
    assert_string_equal(canned_body(c->server, 3),
                        "{\"policy\":{\"etag\":\"2\",\"bindings\":[{\"role\":\"roles/run.invoker\","
                        "\"members\":[\"allUsers\"]}],\"version\":3}}");
    for (int i = 0; i < 5; i++) {
        canned_answer(c->server, 200, NULL, "{\"etag\":\"1\"}");
        canned_answer(c->server, 412, NULL, "");
    }
    assert_false(policy_grant(c->cloud, &of_project, "r", "m", NULL, &e));
    expect_error(&e, ERR_BUSY, "the policy of project demo-proj: HTTP 412");
    expect_request(c, 4, "POST /v1/projects/demo-proj:getIamPolicy",
                   "{\"options\":{\"requestedPolicyVersion\":3}}", NULL);
}

/* --- the rest --- */

static void apis_are_told_and_enabled(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    static const char *const apis[] = {"run.googleapis.com", "iam.googleapis.com"};
    bool enabled[2] = {false, true};
    canned_answer(
        c->server, 200, NULL,
        "{\"services\":[{\"name\":\"projects/1/services/iam.googleapis.com\",\"state\":\"DISABLED\"},"
        "{\"name\":\"projects/1/services/run.googleapis.com\",\"state\":\"ENABLED\"}]}");
    assert_true(api_enabled(c->cloud, "demo-proj", apis, 2, enabled, &e));
    assert_true(enabled[0] && !enabled[1]);
    expect_request(c, 0,
                   "GET /v1/projects/demo-proj/services:batchGet?names=projects%2Fdemo-proj%2Fservices%2F"
                   "run.googleapis.com&names=projects%2Fdemo-proj%2Fservices%2Fiam.googleapis.com",
                   NULL);
    canned_answer(c->server, 200, NULL, "{\"name\":\"operations/acat.p2-1-a\"}");
    canned_answer(c->server, 200, NULL,
                  "{\"name\":\"operations/acat.p2-1-a\",\"done\":true,\"response\":{}}");
    assert_true(api_enable(c->cloud, "demo-proj", apis, 2, NULL, &e));
    assert_string_equal(canned_body(c->server, 1),
                        "{\"serviceIds\":[\"run.googleapis.com\",\"iam.googleapis.com\"]}");
    expect_request(c, 2, "GET /v1/operations/acat.p2-1-a", NULL);
}

static bool hear_line(void *arg, const struct log_line *l, struct err *e)
{
    return hear(arg, l->severity, l->text, e);
}

static void log_entries_of_every_kind_of_payload(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    struct heard h = {.left = 0};
    struct log_query q = {.project = "demo-proj", .filter = "a=\"b\"", .order = LOG_NEWEST_FIRST, .most = 4};
    canned_answer(c->server, 200, NULL,
                  "{\"entries\":[{\"severity\":\"INFO\",\"jsonPayload\":{\"message\":\"ready\"}},"
                  "{\"textPayload\":\"plain\"}],\"nextPageToken\":\"t\"}");
    canned_answer(c->server, 200, NULL,
                  "{\"entries\":[{\"jsonPayload\":{\"a\":1}},{\"protoPayload\":{\"b\":2}},{\"textPayload\":"
                  "\"one too many\"}]}");
    assert_true(log_each(c->cloud, &q, hear_line, &h, &e));
    assert_string_equal(h.text, "INFO/ready DEFAULT/plain DEFAULT/{\"a\":1} DEFAULT/{\"b\":2} ");
    expect_request(c, 0, "POST /v2/entries:list",
                   "{\"resourceNames\":[\"projects/demo-proj\"],\"filter\":\"a=\\\"b\\\"\",\"orderBy\":"
                   "\"timestamp desc\",\"pageSize\":4}",
                   NULL);
    assert_non_null(strstr(canned_body(c->server, 1), "\"pageSize\":2,\"pageToken\":\"t\""));
}

static const struct {
    const char *answer;
    const char *text; /* NULL: refused */
} secrets[] = {
    {"{\"payload\":{\"data\":\"c2VzYW1l\"}}", "sesame"},
    {"{\"payload\":{\"data\":\"c2VzYW0=\"}}", "sesam"},
    {"{\"payload\":{\"data\":\"c2VzYQ==\"}}", "sesa"},
    {"{\"payload\":{\"data\":\"\"}}", ""},
    {"{\"payload\":{\"data\":\"c2VzY\"}}", NULL},
    {"{\"payload\":{\"data\":\"????\"}}", NULL},
    {"{\"payload\":{}}", NULL},
};

static void secret_is_decoded_and_never_told(void **state)
{
    struct client *c = *state;
    char out[SECRET_BYTES];
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++) {
        struct err e = {0};
        canned_forget(c->server);
        canned_answer(c->server, 200, NULL, secrets[i].answer);
        bool ok = secret_access(c->cloud, "demo-proj", "key", "latest", out, &e);
        assert_int_equal(ok, secrets[i].text != NULL);
        expect_request(c, 0, "GET /v1/projects/demo-proj/secrets/key/versions/latest:access", NULL);
        if (ok)
            assert_string_equal(out, secrets[i].text);
        else
            expect_error(&e, ERR_CORRUPT, "secret key: not a text");
    }
    struct err e = {0};
    assert_false(secret_add(c->cloud, "demo-proj", "key", "", &e));
    expect_error(&e, ERR_LIMIT, "0 bytes");
}

static const struct {
    int status;
    const char *answer;
    bool ok, enabled;
} versions[] = {
    {404, "{\"error\":{\"code\":404,\"message\":\"no version\"}}", false, false},
    {200, "{\"name\":\"v\"}", true, false},
    {200, "{\"state\":\"DESTROYED\"}", true, false},
    {200, "{\"state\":\"DISABLED\"}", true, false},
    {200, "{\"state\":\"ENABLED\"}", true, true},
};

static void version_is_looked_at_without_what_is_in_it(void **state)
{
    struct client *c = *state;
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        struct err e = {0};
        bool enabled = true;
        canned_forget(c->server);
        canned_answer(c->server, versions[i].status, NULL, versions[i].answer);
        assert_int_equal(secret_enabled(c->cloud, "demo-proj", "key", "latest", &enabled, &e),
                         versions[i].ok);
        assert_int_equal(enabled, versions[i].enabled);
        expect_request(c, 0, "GET /v1/projects/demo-proj/secrets/key/versions/latest", NULL);
        if (!versions[i].ok)
            expect_error(&e, ERR_NOT_FOUND, "secret key");
    }
}

static bool hear_secret(void *arg, const json_t *secret, struct err *e)
{
    struct heard *h = arg;
    (void)e;
    size_t n = strlen(h->text);
    snprintf(h->text + n, sizeof h->text - n, "%s ", json_string_value(json_object_get(secret, "name")));
    return true;
}

static void secrets_with_a_label_are_found_page_by_page(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    struct heard h = {.left = 0};
    canned_answer(c->server, 200, NULL, "{\"secrets\":[{\"name\":\"a\"}],\"nextPageToken\":\"t\"}");
    canned_answer(c->server, 200, NULL, "{\"secrets\":[{\"name\":\"b\"}]}");
    assert_true(secret_each(c->cloud, "demo-proj", "managed-by=ferry", hear_secret, &h, &e));
    assert_string_equal(h.text, "a b ");
    expect_request(c, 0, "GET /v1/projects/demo-proj/secrets?pageSize=100&filter=labels.managed-by%3Dferry",
                   NULL);
}

static void machine_tells_how_far_it_is(void **state)
{
    struct client *c = *state;
    struct err e = {0};
    uint64_t start = 6;
    canned_answer(c->server, 200, NULL, "{\"contents\":\"hello\\n\",\"start\":\"6\",\"next\":\"12\"}");
    char *text = vm_serial(c->cloud, &vm, &start, c->arena, &e);
    assert_non_null(text);
    assert_string_equal(text, "hello\n");
    assert_int_equal(start, 12);
    expect_request(c, 0, "GET " ZONE "/instances/hf-copy/serialPort?port=1&start=6", NULL);
    canned_answer(
        c->server, 200, NULL,
        "{\"queryValue\":{\"items\":[{\"namespace\":\"ferry\",\"key\":\"progress\",\"value\":\"3\"}]}}");
    text = vm_guest_attribute(c->cloud, &vm, "ferry", "progress", c->arena, &e);
    assert_non_null(text);
    assert_string_equal(text, "3");
    expect_request(c, 1, "GET " ZONE "/instances/hf-copy/getGuestAttributes?queryPath=ferry%2Fprogress",
                   NULL);
    canned_answer(c->server, 200, NULL, "{}");
    assert_null(vm_guest_attribute(c->cloud, &vm, "ferry", "progress", c->arena, &e));
    expect_error(&e, ERR_NOT_FOUND, "has not set ferry/progress yet");
    canned_answer(c->server, 200, NULL, "{}");
    assert_null(vm_serial(c->cloud, &vm, &start, c->arena, &e));
    expect_error(&e, ERR_CORRUPT, "without the serial port's contents");
}

static int make_bodies(void **state)
{
    (void)state;
    labels = json_pack("{s:s}", "managed-by", "ferry");
    body = json_pack("{s:i}", "a", 1);
    return labels && body ? 0 : -1;
}

static int drop_bodies(void **state)
{
    (void)state;
    json_decref(labels);
    json_decref(body);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, client_open, client_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_call_sends_what_google_describes),
        TEST(each_refusal_names_what_was_asked_for),
        TEST(rehearsal_tells_what_would_be_sent_and_sends_nothing_that_changes),
        TEST(operation_is_asked_until_it_is_done),
        TEST(failed_operation_says_why),
        TEST(waiting_ends_when_told_when_stopped_and_in_time),
        TEST(machine_operation_has_its_own_form),
        TEST(services_of_all_regions_are_found_page_by_page),
        TEST(region_that_does_not_answer_is_not_an_empty_one),
        TEST(other_lists),
        TEST(what_lies_in_a_project_says_how_much_and_whose),
        TEST(buckets_go_once_and_only_when_they_are_empty),
        TEST(machine_is_read_from_whatever_it_says),
        TEST(limits_of_a_container_are_read_in_their_units),
        TEST(binding_is_added_under_the_etag_that_was_read),
        TEST(what_is_there_already_is_not_written),
        TEST(conditional_binding_is_another_and_stays),
        TEST(policy_that_changes_meanwhile_is_read_again),
        TEST(apis_are_told_and_enabled),
        TEST(log_entries_of_every_kind_of_payload),
        TEST(secret_is_decoded_and_never_told),
        TEST(version_is_looked_at_without_what_is_in_it),
        TEST(secrets_with_a_label_are_found_page_by_page),
        TEST(machine_tells_how_far_it_is),
    };
    return cmocka_run_group_tests(tests, make_bodies, drop_bodies);
}
