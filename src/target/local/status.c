#include "target/local/status.h"

#include "target/local/control.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

static const char *keep(struct target_run *r, const char *text)
{
    return text ? arena_strndup(r->arena, text, strlen(text)) : NULL;
}

static const char *text_of(struct target_run *r, const json_t *object, const char *field)
{
    return keep(r, json_string_value(json_object_get(object, field)));
}

static int64_t number_of(const json_t *object, const char *field)
{
    return (int64_t)json_integer_value(json_object_get(object, field));
}

static void take_spec(struct target_run *r, const struct spec *s, struct target_service *out)
{
    char url[SPEC_URL];
    out->url = keep(r, spec_url(s, url));
    out->model = keep(r, s->model);
    out->config = keep(r, spec_variable(s, "FERRY_CONFIG"));
    out->api_key_file = keep(r, spec_variable(s, "FERRY_API_KEY_FILE"));
    out->idle_seconds = s->idle_seconds;
    out->memory_limit_bytes = s->memory_bytes;
}

static void take_told(struct target_run *r, const json_t *told, struct target_service *out)
{
    out->state = text_of(r, told, "state");
    out->problem = text_of(r, told, "problem");
    out->memory_note = text_of(r, told, "memory_note");
    out->since = number_of(told, "since");
    out->retry_seconds = number_of(told, "retry_seconds");
    out->requests = number_of(told, "requests");
    out->in_flight = number_of(told, "in_flight");
    out->memory_bytes = (uint64_t)number_of(told, "memory_bytes");
    out->pid = (long)number_of(told, "pid");
}

/* Nobody holds its port. */
static void take_left(const struct home *p, struct target_service *out)
{
    struct err none = {0};
    json_t *state = home_read_json(p, "state.json", &none);
    bool ended = json_is_true(json_object_get(state, "ended"));
    bool locked = home_is_locked(p, "lock");
    out->state = locked ? "busy" : ended ? "stopped" : "gone";
    out->problem = locked  ? "its activator does not answer"
                   : ended ? "its activator was stopped; deploy it again, or take it down"
                           : "its activator was killed; deploy it again, or take it down";
    json_decref(state);
}

static json_t *ask(struct target_run *r, const struct home *p)
{
    struct err none = {0};
    int fd = control_connect(p, &none);
    json_t *request = json_pack("{s:s}", "do", "status");
    json_t *answer = fd >= 0 ? control_ask(fd, request, NULL, 0, r->stop, NULL, NULL, &none) : NULL;
    json_decref(request);
    return answer;
}

bool status_read(struct target_run *r, const struct home *p, const json_t *told, struct target_service *out,
                 struct err *e)
{
    struct spec s;
    json_t *answer = told ? NULL : ask(r, p);
    told = told ? told : json_object_get(answer, "status");
    const char *slash = strrchr(p->path, '/');
    *out = (struct target_service){.name = keep(r, slash + 1), .target = "local", .requests = -1};
    bool ok = home_read_spec(p, &s, e);
    if (ok) {
        take_spec(r, &s, out);
        if (told)
            take_told(r, told, out);
        else
            take_left(p, out);
    }
    spec_clear(&s);
    json_decref(answer);
    return ok;
}

/* One that cannot be read is told of as well, or nobody would know what to remove. */
static bool read_one(struct target_run *r, const char *name, target_service_fn each, void *arg, struct err *e)
{
    struct home p;
    struct err problem = {0};
    struct target_service s = {.name = keep(r, name), .target = "local", .state = "broken", .requests = -1};
    if (!home_open(&p, name, false, &problem))
        return problem.kind == ERR_NOT_FOUND || (*e = problem, false);
    if (!status_read(r, &p, NULL, &s, &problem)) {
        s.state = "broken";
        s.problem = keep(r, problem.text);
    }
    home_close(&p);
    return each(arg, &s, e);
}

static int is_service(const struct dirent *d)
{
    return target_check_name(d->d_name, NULL);
}

bool status_each(struct target_run *r, const char *name, target_service_fn each, void *arg, struct err *e)
{
    char root[HOME_PATH];
    struct dirent **entries;
    bool ok = true;
    if (name)
        return target_check_name(name, e) && read_one(r, name, each, arg, e);
    if (!home_root(root, e))
        return false;
    int count = scandir(root, &entries, is_service, alphasort);
    for (int i = 0; i < count; i++) {
        ok = ok && read_one(r, entries[i]->d_name, each, arg, e);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return ok;
}
