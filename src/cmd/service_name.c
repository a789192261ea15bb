#include "cmd/service_name.h"

#include "base/file.h"
#include "cmd/api_key.h"
#include "cmd/google.h"

#include <stdio.h>
#include <string.h>

static bool take_first(void *arg, const struct target_service *s, struct err *e)
{
    (void)e;
    *(struct target_service *)arg = *s;
    return true;
}

const struct target *service_target_named(const char *name, struct err *e)
{
    const struct target *t;
    char list[200] = "";
    for (size_t i = 0; (t = target_at(i)); i++) {
        if (strcmp(t->name, name) == 0)
            return t;
        size_t n = strlen(list);
        snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", t->name);
    }
    err_set(e, ERR_USAGE, "--target: \"%.40s\", expected one of %s", name, list);
    return NULL;
}

const struct target *service_target(struct target_run *r, const char *name, const char *which,
                                    struct target_service *out, struct err *e)
{
    const struct target *t;
    if (!target_check_name(name, e) || (which && !service_target_named(which, e)))
        return NULL;
    for (size_t i = 0; (t = target_at(i)); i++) {
        *out = (struct target_service){0};
        if (!t->status || (which && strcmp(which, t->name) != 0))
            continue;
        if (!t->status(r, name, take_first, out, e))
            return NULL;
        if (out->name)
            return t;
    }
    err_set(e, ERR_NOT_FOUND, "there is no service \"%s\"; `ferry status` lists those there are", name);
    return NULL;
}

enum service_found service_by_name(const char *text, struct arena *a, struct target_service *out,
                                   struct err *e)
{
    struct target_run r = {.arena = a};
    struct google google = {0};
    struct err problem = {0};
    if (!target_check_name(text, &problem))
        return SERVICE_NONE;
    /* What is a file here is looked for here alone: its model needs no network. */
    bool found = (file_exists(text) || google_open(&google, &(struct google_settings){0}, &r, &problem)) &&
                 service_target(&r, text, NULL, out, &problem);
    google_close(&google);
    if (!found) {
        if (problem.kind == ERR_NOT_FOUND || file_exists(text))
            return SERVICE_NONE;
        *e = problem;
        return SERVICE_ERROR;
    }
    if (!file_exists(text))
        return SERVICE_FOUND;
    err_set(e, ERR_USAGE, "%s is a service and a file or folder here: ./%s is the latter, %s the former",
            text, text, out->url);
    return SERVICE_ERROR;
}

bool service_key(const struct target_service *s, const char *given, struct arena *a, const char **key,
                 struct err *e)
{
    *key = given;
    if (given)
        return true;
    if (s->api_key_file)
        return (*key = api_key_read(s->api_key_file, a, e)) != NULL;
    return google_key(s, a, key, e);
}
