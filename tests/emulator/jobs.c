#include "jobs.h"

#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { MAX_JOBS = 16, MAX_TASKS = 100, MAX_WORDS = 100, MAX_VARIABLES = 40, MAX_OPERATIONS = 1000 };

struct task {
    pid_t pid; /* 0: it does not run */
    int tries;
    bool succeeded, failed;
};

/* A job and its one execution. */
struct job {
    char *path; /* "projects/…/jobs/NAME"; NULL: free */
    json_t *body;
    char *origin; /* of who ran it: where its tasks find this emulator */
    bool runs, cancelled;
    int task_count, retries;
    struct task tasks[MAX_TASKS];
};

struct jobs {
    pthread_mutex_t mutex;
    struct job items[MAX_JOBS];
    int operations;
    bool asked[MAX_OPERATIONS]; /* an operation takes until it is asked for the second time */
};

struct jobs *jobs_new(void)
{
    struct jobs *j = calloc(1, sizeof *j);
    if (j)
        pthread_mutex_init(&j->mutex, NULL);
    return j;
}

/* --- tasks --- */

static const json_t *container_of(const struct job *j)
{
    const json_t *template = json_object_get(json_object_get(j->body, "template"), "template");
    return json_array_get(json_object_get(template, "containers"), 0);
}

static int number_in(const json_t *object, const char *field, int otherwise)
{
    const json_t *n = json_object_get(object, field);
    return json_is_integer(n) ? (int)json_integer_value(n) : otherwise;
}

/* The container's arguments behind the program; without a command of its own the image's entry point is
 * `ferry serve`. */
static void fill_words(const struct job *j, const char *program, char *words[MAX_WORDS])
{
    const json_t *args = json_object_get(container_of(j), "args");
    int n = 0;
    words[n++] = (char *)(uintptr_t)program;
    if (!json_object_get(container_of(j), "command"))
        words[n++] = (char *)(uintptr_t) "serve";
    for (size_t i = 0; i < json_array_size(args) && n + 1 < MAX_WORDS; i++)
        words[n++] = (char *)(uintptr_t)json_string_value(json_array_get(args, i));
    words[n] = NULL;
}

__attribute__((format(printf, 3, 4))) static void set(char **list, int *n, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (*n + 1 < MAX_VARIABLES && vasprintf(&list[*n], format, args) >= 0)
        ++*n;
    va_end(args);
    list[*n] = NULL;
}

/* A machine of its own: nothing of this process's environment. */
static void fill_variables(const struct job *j, const struct service *s, int task, char *list[MAX_VARIABLES])
{
    const json_t *env = json_object_get(container_of(j), "env");
    char home[400];
    int n = 0;
    snprintf(home, sizeof home, "%s/task-%d", s->settings.data, task);
    mkdir(home, 0700);
    for (size_t i = 0; i < json_array_size(env); i++) {
        const json_t *one = json_array_get(env, i);
        const char *value = json_string_value(json_object_get(one, "value"));
        /* every secret there is holds the token that the hub takes */
        set(list, &n, "%s=%s", json_string_value(json_object_get(one, "name")),
            value ? value : "hf_emulator");
    }
    set(list, &n, "HOME=%s", home);
    set(list, &n, "PATH=/usr/bin:/bin");
    set(list, &n, "CLOUD_RUN_JOB=%s", strrchr(j->path, '/') + 1);
    set(list, &n, "CLOUD_RUN_TASK_INDEX=%d", task);
    set(list, &n, "CLOUD_RUN_TASK_COUNT=%d", j->task_count);
    set(list, &n, "CLOUD_RUN_TASK_ATTEMPT=%d", j->tasks[task].tries);
    set(list, &n, "FERRY_ENDPOINT_STORAGE=%s", j->origin);
    set(list, &n, "HF_ENDPOINT=%s", j->origin);
    set(list, &n, "GCE_METADATA_HOST=%s", strstr(j->origin, "//") + 2);
}

static void start_task(struct job *j, const struct service *s, int task)
{
    char *words[MAX_WORDS], *variables[MAX_VARIABLES];
    struct task *t = &j->tasks[task];
    posix_spawn_file_actions_t files;
    fill_words(j, s->settings.program ? s->settings.program : "/bin/false", words);
    fill_variables(j, s, task, variables);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", 1, 0);
    t->tries++;
    if (posix_spawn(&t->pid, words[0], &files, NULL, words, variables) != 0) {
        t->pid = 0;
        t->failed = true;
    }
    posix_spawn_file_actions_destroy(&files);
    for (char **v = variables; *v; v++)
        free(*v);
}

static void look_at_task(struct job *j, const struct service *s, int task)
{
    struct task *t = &j->tasks[task];
    int status;
    if (t->pid == 0 || waitpid(t->pid, &status, WNOHANG) != t->pid)
        return;
    t->pid = 0;
    t->succeeded = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    t->failed = !t->succeeded && (j->cancelled || t->tries > j->retries);
    if (!t->succeeded && !t->failed)
        start_task(j, s, task);
}

static void stop_tasks(struct job *j)
{
    j->cancelled = true;
    for (int i = 0; i < j->task_count; i++)
        if (j->tasks[i].pid)
            kill(j->tasks[i].pid, SIGKILL);
}

static void clear_job(struct job *j)
{
    stop_tasks(j);
    for (int i = 0; i < j->task_count; i++)
        if (j->tasks[i].pid)
            waitpid(j->tasks[i].pid, NULL, 0);
    json_decref(j->body);
    free(j->path);
    free(j->origin);
    *j = (struct job){0};
}

void jobs_free(struct jobs *all)
{
    for (int i = 0; all && i < MAX_JOBS; i++)
        clear_job(&all->items[i]);
    free(all);
}

/* --- what is asked --- */

static char *job_path(struct exchange *x, const char *name)
{
    return arena_printf(x->arena, "projects/%s/locations/%s/jobs/%s", x->captures[0], x->captures[1], name);
}

static struct job *find_locked(struct jobs *all, const char *path)
{
    for (int i = 0; i < MAX_JOBS; i++)
        if (path ? all->items[i].path && !strcmp(all->items[i].path, path) : !all->items[i].path)
            return &all->items[i];
    return NULL;
}

/* Of the job that the path names; answers 404. verb: cut off its end when it is there. */
static struct job *asked_locked(struct exchange *x, const char *verb)
{
    char *name = arena_printf(x->arena, "%s", x->captures[2]);
    size_t size = strlen(name), n = strlen(verb);
    if (size > n && !strcmp(name + size - n, verb))
        name[size - n] = 0;
    struct job *j = find_locked(x->service->jobs, job_path(x, name));
    if (!j)
        fail_json(x, 404, "NOT_FOUND",
                  "Resource '%s' of kind 'JOB' in region '%s' in project '%s' does not exist.", name,
                  x->captures[1], x->captures[0]);
    return j;
}

/* Begun; done when it is asked for again. */
static void answer_operation_locked(struct exchange *x, json_t *metadata)
{
    int n = x->service->jobs->operations++ % MAX_OPERATIONS;
    x->service->jobs->asked[n] = false;
    answer_json(x, 200,
                json_pack("{s:s, s:o, s:b}", "name",
                          arena_printf(x->arena, "projects/%s/locations/%s/operations/job-%d", x->captures[0],
                                       x->captures[1], n),
                          "metadata", metadata ? metadata : json_object(), "done", 0));
}

void job_insert(struct exchange *x)
{
    struct jobs *all = x->service->jobs;
    const char *name = argument(x, "jobId");
    pthread_mutex_lock(&all->mutex);
    char *path = job_path(x, name ? name : "");
    struct job *j = find_locked(all, path) ? NULL : find_locked(all, NULL);
    if (!j) {
        fail_json(x, 409, "ALREADY_EXISTS", "Resource '%s' already exists.", name ? name : "");
    } else {
        const json_t *template = json_object_get(x->json, "template");
        *j = (struct job){.path = strdup(path), .body = json_deep_copy(x->json)};
        j->task_count = number_in(template, "taskCount", 1);
        j->task_count = j->task_count < MAX_TASKS ? j->task_count : MAX_TASKS;
        j->retries = number_in(json_object_get(template, "template"), "maxRetries", 3);
        answer_operation_locked(x, NULL);
    }
    pthread_mutex_unlock(&all->mutex);
}

static bool is_running(struct job *j, const struct service *s)
{
    bool running = false;
    for (int i = 0; i < j->task_count; i++) {
        look_at_task(j, s, i);
        running = running || j->tasks[i].pid;
    }
    return running;
}

/* GoogleCloudRunV2ExecutionReference */
static json_t *reference_locked(struct exchange *x, struct job *j)
{
    const char *name = strrchr(j->path, '/') + 1, *now = time_text(x->arena, service_now_us(x->service));
    bool running = is_running(j, x->service);
    json_t *r = json_pack("{s:s, s:s, s:s}", "name",
                          arena_printf(x->arena, "%s/executions/%s-1", j->path, name), "createTime", now,
                          "completionStatus", running ? "EXECUTION_RUNNING" : "EXECUTION_SUCCEEDED");
    if (!running)
        json_object_set_new(r, "completionTime", json_string(now));
    return r;
}

void job_read(struct exchange *x)
{
    struct jobs *all = x->service->jobs;
    pthread_mutex_lock(&all->mutex);
    struct job *j = asked_locked(x, "");
    if (j) {
        json_t *body = json_deep_copy(j->body);
        json_object_set_new(body, "name", json_string(j->path));
        if (j->runs)
            json_object_set_new(body, "latestCreatedExecution", reference_locked(x, j));
        answer_json(x, 200, body);
    }
    pthread_mutex_unlock(&all->mutex);
}

/* "projects/P/locations/L/jobs/NAME" in the words of Knative. */
static json_t *knative_head_locked(const struct job *j)
{
    char region[80] = "";
    json_t *labels = json_deep_copy(json_object_get(j->body, "labels"));
    labels = labels ? labels : json_object();
    sscanf(j->path, "projects/%*[^/]/locations/%79[^/]", region);
    json_object_set_new(labels, "cloud.googleapis.com/location", json_string(region));
    return json_pack("{s:s, s:s, s:{s:s, s:o}}", "apiVersion", "run.googleapis.com/v1", "kind", "Job",
                     "metadata", "name", strrchr(j->path, '/') + 1, "labels", labels);
}

void jobs_find(struct exchange *x)
{
    struct jobs *all = x->service->jobs;
    json_t *list = json_array();
    pthread_mutex_lock(&all->mutex);
    for (int i = 0; i < MAX_JOBS; i++)
        if (all->items[i].path)
            json_array_append_new(list, knative_head_locked(&all->items[i]));
    pthread_mutex_unlock(&all->mutex);
    answer_json(x, 200, json_pack("{s:o}", "items", list));
}

void job_remove(struct exchange *x)
{
    struct jobs *all = x->service->jobs;
    pthread_mutex_lock(&all->mutex);
    struct job *j = asked_locked(x, "");
    if (j) {
        clear_job(j);
        answer_operation_locked(x, NULL);
    }
    pthread_mutex_unlock(&all->mutex);
}

void job_verb(struct exchange *x)
{
    struct jobs *all = x->service->jobs;
    pthread_mutex_lock(&all->mutex);
    struct job *j = asked_locked(x, ":run");
    if (j && !j->runs) {
        j->runs = true;
        j->origin = strdup(x->origin);
        for (int i = 0; i < j->task_count; i++)
            start_task(j, x->service, i);
    }
    if (j)
        answer_operation_locked(
            x, json_pack("{s:s}", "name",
                         arena_printf(x->arena, "%s/executions/%s-1", j->path, strrchr(j->path, '/') + 1)));
    pthread_mutex_unlock(&all->mutex);
}

/* --- executions --- */

static json_t *execution_locked(struct exchange *x, struct job *j)
{
    int running = 0, succeeded = 0, failed = 0;
    for (int i = 0; i < j->task_count; i++) {
        look_at_task(j, x->service, i);
        running += j->tasks[i].pid != 0;
        succeeded += j->tasks[i].succeeded;
        failed += j->tasks[i].failed;
    }
    json_t *e = json_pack("{s:s, s:i, s:i, s:i, s:i, s:s}", "name",
                          arena_printf(x->arena, "%s/executions/%s", j->path, x->captures[3]), "taskCount",
                          j->task_count, "runningCount", running, "succeededCount", succeeded, "failedCount",
                          failed, "logUri", "https://console.cloud.google.com/logs");
    if (running)
        return e;
    json_object_set_new(e, "completionTime", json_string(time_text(x->arena, service_now_us(x->service))));
    if (failed)
        json_object_set_new(
            e, "conditions",
            json_pack("[{s:s, s:s, s:s}]", "type", "Completed", "state", "CONDITION_FAILED", "message",
                      j->cancelled ? "The execution was cancelled." : "The execution failed."));
    return e;
}

void execution_read(struct exchange *x)
{
    struct jobs *all = x->service->jobs;
    pthread_mutex_lock(&all->mutex);
    struct job *j = asked_locked(x, "");
    if (j)
        answer_json(x, 200, execution_locked(x, j));
    pthread_mutex_unlock(&all->mutex);
}

void execution_verb(struct exchange *x)
{
    struct jobs *all = x->service->jobs;
    pthread_mutex_lock(&all->mutex);
    struct job *j = asked_locked(x, "");
    if (j) {
        stop_tasks(j);
        answer_operation_locked(x, NULL);
    }
    pthread_mutex_unlock(&all->mutex);
}

void job_operation(struct exchange *x)
{
    struct jobs *all = x->service->jobs;
    pthread_mutex_lock(&all->mutex);
    int n = -1;
    bool known = sscanf(x->captures[2], "%d", &n) == 1 && n >= 0 && n < all->operations && n < MAX_OPERATIONS;
    if (!known) {
        fail_json(x, 404, "NOT_FOUND", "Operation 'job-%s' does not exist.", x->captures[2]);
    } else {
        bool done = all->asked[n];
        all->asked[n] = true;
        json_t *o = json_pack("{s:s, s:b}", "name",
                              arena_printf(x->arena, "projects/%s/locations/%s/operations/job-%d",
                                           x->captures[0], x->captures[1], n),
                              "done", done);
        if (done)
            json_object_set_new(o, "response", json_object());
        answer_json(x, 200, o);
    }
    pthread_mutex_unlock(&all->mutex);
}
