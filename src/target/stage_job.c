#include "target/stage_job.h"

#include "base/catalog.h"
#include "base/clock.h"
#include "base/sha.h"
#include "base/stop.h"
#include "target/image/root.h"

#include <stdio.h>
#include <string.h>

enum { OPERATION_SECONDS = 300 };

char *stage_job_name(const char *source, const char *target, char out[STAGE_JOB_NAME])
{
    struct sha256 h;
    char hex[SHA256_HEX];
    sha256_start(&h);
    sha256_add(&h, source, strlen(source) + 1);
    sha256_add(&h, target, strlen(target));
    sha256_end(&h, hex);
    snprintf(out, STAGE_JOB_NAME, "ferry-stage-%.16s", hex);
    return out;
}

/* --- what is asked for --- */

static json_t *texts(const char *const *list)
{
    json_t *all = json_array();
    for (; *list; list++)
        json_array_append_new(all, json_string(*list));
    return all;
}

static json_t *variables(const struct stage_job *j)
{
    json_t *list = json_array();
    if (j->token_secret)
        json_array_append_new(list,
                              json_pack("{s:s, s:{s:{s:s, s:s}}}", "name", "HF_TOKEN", "valueSource",
                                        "secretKeyRef", "secret", j->token_secret, "version", "latest"));
    return list;
}

static json_t *container(const struct stage_job *j)
{
    char cpu[16], memory[16];
    snprintf(cpu, sizeof cpu, "%d", STAGE_TASK_VCPU);
    snprintf(memory, sizeof memory, "%dGi", STAGE_TASK_GIB);
    /* the image's own entry point is `ferry serve` */
    return json_pack("{s:s, s:[s], s:o, s:o, s:{s:{s:s, s:s}}}", "image", j->image, "command",
                     "/" ROOT_PROGRAM, "args", texts(j->args), "env", variables(j), "resources", "limits",
                     "cpu", cpu, "memory", memory);
}

json_t *stage_job_body(const struct stage_job *j)
{
    char timeout[24];
    snprintf(timeout, sizeof timeout, "%ds", j->timeout_seconds);
    return json_pack("{s:{s:s}, s:{s:{s:s}, s:i, s:i, s:{s:i, s:s, s:s*, s:[o]}}}", "labels", "managed-by",
                     "ferry", "template", "labels", "managed-by", "ferry", "taskCount", j->tasks,
                     "parallelism", j->tasks, "template", "maxRetries", STAGE_TASK_RETRIES, "timeout",
                     timeout, "serviceAccount", j->service_account, "containers", container(j));
}

/* --- its life --- */

static bool finish(struct cloud *c, const struct stage_job *j, json_t *begun,
                   const volatile sig_atomic_t *stop, json_t **out, struct err *e)
{
    const struct wait w = {.seconds = OPERATION_SECONDS, .stop = stop};
    json_t *answer = operation_finish(c, "run", "v2", begun, &w, e);
    if (answer && out)
        *out = json_incref(answer);
    json_decref(answer);
    return answer || err_wrap(e, "job %s in %s", j->where.name, j->where.region);
}

/* Executions go with their job. Not stopped: what costs must be gone. */
static bool delete (struct cloud *c, const struct stage_job *j, struct err *e)
{
    return finish(c, j, job_delete(c, &j->where, e), NULL, NULL, e);
}

static bool create(struct cloud *c, const struct stage_job *j, struct err *e)
{
    json_t *body = stage_job_body(j);
    json_t *begun = body ? job_create(c, &j->where, body, e) : NULL;
    if (!body)
        err_set(e, ERR_MEMORY, "no memory for a job");
    json_decref(body);
    return finish(c, j, begun, j->stop, NULL, e);
}

/* "projects/…/executions/NAME" of an operation's metadata, whose short name is out. */
static bool take_execution(const json_t *begun, char *out, size_t room, struct err *e)
{
    const json_t *metadata = json_object_get(begun, "metadata");
    const char *name = json_string_value(json_object_get(metadata, "name"));
    const char *slash = name ? strrchr(name, '/') : NULL;
    if (!slash || strlen(slash + 1) >= room)
        return err_set(e, ERR_CORRUPT, "an answer that does not name the job's execution");
    strcpy(out, slash + 1);
    return true;
}

/* The condition that says why. */
static void explain(const json_t *execution, const struct stage_job_progress *p, struct err *e)
{
    const char *why = NULL, *log = json_string_value(json_object_get(execution, "logUri"));
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(execution, "conditions"), i, one)
    {
        const char *state = json_string_value(json_object_get(one, "state"));
        const char *message = json_string_value(json_object_get(one, "message"));
        if (!why && state && message && strcmp(state, "CONDITION_FAILED") == 0)
            why = message;
    }
    err_set(e, ERR_IO, "%d of its tasks failed%s%s%s%s; what was copied stays, the same command goes on",
            p->failed, why ? ": " : "", why ? why : "", log ? _("; their log: ") : "", log ? log : "");
}

static int count_of(const json_t *execution, const char *field)
{
    return (int)json_integer_value(json_object_get(execution, field));
}

/* *over: it has ended, well or not (then *e). False with *e set: it could not be asked. */
static bool look(struct cloud *c, const struct stage_job *j, const char *execution, double begun_ms,
                 bool *over, struct err *e)
{
    json_t *now = execution_get(c, &j->where, execution, e);
    if (!now)
        return false;
    struct stage_job_progress p = {.seconds = (clock_ms() - begun_ms) * 1e-3,
                                   .running = count_of(now, "runningCount"),
                                   .succeeded = count_of(now, "succeededCount"),
                                   .failed = count_of(now, "failedCount")};
    *over = json_object_get(now, "completionTime") != NULL;
    if (j->on_progress)
        j->on_progress(j->arg, &p);
    bool well = !*over || p.succeeded == j->tasks;
    if (!well)
        explain(now, &p, e);
    json_decref(now);
    return well;
}

static bool follow(struct cloud *c, const struct stage_job *j, const char *execution, struct err *e)
{
    const struct wait w = {.seconds = j->timeout_seconds * (STAGE_TASK_RETRIES + 1), .stop = j->stop};
    struct pace pace = {.wait = &w};
    double begun_ms = clock_ms();
    bool over = false;
    while (!over)
        if (!pace_wait(&pace, e) || !look(c, j, execution, begun_ms, &over, e))
            return err_wrap(e, "job %s in %s", j->where.name, j->where.region);
    return true;
}

static bool run(struct cloud *c, const struct stage_job *j, struct err *e)
{
    char execution[100];
    json_t *body = json_object(), *begun = job_run(c, &j->where, body, e);
    json_decref(body);
    bool ok = begun && take_execution(begun, execution, sizeof execution, e);
    json_decref(begun);
    if (!ok || follow(c, j, execution, e))
        return ok;
    struct err ignored = {
        0}; /* it may have ended; if not, its tasks are not to go on until the job is gone */
    json_decref(execution_cancel(c, &j->where, execution, &ignored));
    return false;
}

bool stage_job_run(struct cloud *c, const struct stage_job *j, struct err *e)
{
    struct err left = {0};
    if (!delete (c, j, e)) /* of an earlier command that was killed */
        return false;
    bool ok = create(c, j, e) && run(c, j, e);
    if (!delete (c, j, &left)) {
        if (ok)
            *e = left;
        return ok &&
               err_wrap(e, "all is copied, but the job could not be deleted: `gcloud run jobs delete %s`",
                        j->where.name);
    }
    return ok;
}
