/* job.c: jobs and executions. */
#include "cloud/call/rest.h"
#include "cloud/run.h"

#define JOB "/v2/projects/{}/locations/{}/jobs/{}"

static json_t *named(json_t *answer, const struct run_name *n, struct err *e)
{
    if (!answer)
        err_wrap(e, "job %s in %s", n->name, n->region);
    return answer;
}

/* A call on the job itself. */
static json_t *call(struct cloud *c, const struct run_name *n, const char *method, const char *path,
                    const json_t *body, struct err *e)
{
    struct rest q = {.api = "run",
                     .method = method,
                     .path = path,
                     .names = {n->project, n->region, n->name},
                     .body = body};
    return named(rest_call(c, &q, e), n, e);
}

json_t *job_get(struct cloud *c, const struct run_name *n, struct err *e)
{
    return call(c, n, "GET", JOB, NULL, e);
}

json_t *job_create(struct cloud *c, const struct run_name *n, const json_t *body, struct err *e)
{
    return call(c, n, "POST", "/v2/projects/{}/locations/{}/jobs?jobId={}", body, e);
}

json_t *job_run(struct cloud *c, const struct run_name *n, const json_t *body, struct err *e)
{
    return call(c, n, "POST", JOB ":run", body, e);
}

json_t *job_delete(struct cloud *c, const struct run_name *n, struct err *e)
{
    struct rest q = {.api = "run",
                     .method = "DELETE",
                     .path = JOB,
                     .names = {n->project, n->region, n->name},
                     .flags = CLOUD_IDEMPOTENT};
    return named(rest_delete(c, &q, e), n, e);
}

/* A call on one of its executions. */
static json_t *execution_call(struct cloud *c, const struct run_name *n, const char *execution,
                              const char *method, const char *path, const json_t *body, struct err *e)
{
    struct rest q = {.api = "run",
                     .method = method,
                     .path = path,
                     .names = {n->project, n->region, n->name, execution},
                     .body = body};
    return named(rest_call(c, &q, e), n, e);
}

json_t *execution_get(struct cloud *c, const struct run_name *n, const char *execution, struct err *e)
{
    return execution_call(c, n, execution, "GET", JOB "/executions/{}", NULL, e);
}

json_t *execution_cancel(struct cloud *c, const struct run_name *n, const char *execution, struct err *e)
{
    json_t *body = json_object();
    json_t *answer = execution_call(c, n, execution, "POST", JOB "/executions/{}:cancel", body, e);
    json_decref(body);
    return answer;
}
