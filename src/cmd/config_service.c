/* config_service.c: what a service says of its live configuration (GET /v1/config). */
#include "cmd/config.h"

#include "cmd/human.h"
#include "cmd/service_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A look that this very question has begun is over in a moment, or is not worth waiting for. */
enum { ASK_TIMES = 20, ASK_MS = 100 };

static json_t *ask_once(struct http *h, const struct http_request *q, struct err *e)
{
    struct err problem = {0};
    json_t *now = service_fetch(h, q, &problem);
    if (now && json_object_get(now, "source"))
        return now;
    if (!now && problem.kind != ERR_NOT_FOUND)
        *e = problem;
    else
        err_set(e, ERR_UNSUPPORTED, "%s: this service knows nothing of live configurations; is it Ferry's?",
                q->url);
    json_decref(now);
    return NULL;
}

static json_t *ask_until_known(struct http *h, const struct http_request *q, struct err *e)
{
    json_t *now = ask_once(h, q, e);
    for (int i = 0; now && json_is_true(json_object_get(now, "checking")) && i < ASK_TIMES; i++) {
        json_decref(now);
        nanosleep(&(struct timespec){.tv_nsec = ASK_MS * 1000000}, NULL);
        now = ask_once(h, q, e);
    }
    return now;
}

static json_t *ask(struct config_run *c, const char *url, struct err *e)
{
    struct http_request q = {.bearer = c->settings.api_key};
    struct http *h = service_check_url(url, e) ? http_new(e) : NULL;
    json_t *now = NULL;
    if (!h)
        return NULL;
    q.url = service_endpoint(c->arena, url, "config");
    if (q.url)
        now = ask_until_known(h, &q, e);
    else
        err_set(e, ERR_MEMORY, "no memory for the address");
    http_free(h);
    return now;
}

static const char *text(const json_t *object, const char *name)
{
    const char *s = json_string_value(json_object_get(object, name));
    return s ? s : "";
}

static void print_since(const json_t *object)
{
    char time[HUMAN_TIME];
    printf(" since %s", human_time((int64_t)json_integer_value(json_object_get(object, "since")), time));
}

static void print_refused(const json_t *refused)
{
    if (!json_is_object(refused))
        return;
    printf("refused   generation %s,", text(refused, "generation"));
    print_since(refused);
    printf(": %s%s\n", text(refused, "problem"),
           json_is_true(json_object_get(refused, "stands")) ? " (it lies there now)" : "");
}

static bool print_status(const json_t *now, struct err *e)
{
    bool defaults = strcmp(text(now, "generation"), "0") == 0;
    const json_t *ago = json_object_get(now, "checked_seconds_ago");
    char *config = config_text(json_object_get(now, "config"), JSON_INDENT(2));
    if (!config)
        return err_set(e, ERR_CORRUPT, "the service does not say what is in force");
    printf("source    %s", text(now, "source"));
    if (json_is_real(ago))
        printf(", looked at %.1f s ago", json_real_value(ago));
    printf("\nin force  %s%s,", defaults ? "the model's own defaults" : "generation ",
           defaults ? "" : text(now, "generation"));
    print_since(now);
    putchar('\n');
    print_refused(json_object_get(now, "rejected"));
    if (*text(now, "failure"))
        printf("problem   %s\n", text(now, "failure"));
    puts(config);
    free(config);
    return true;
}

bool config_service_get(struct config_run *c, const char *url, struct err *e)
{
    json_t *now = ask(c, url, e);
    if (!now)
        return false;
    if (c->settings.json)
        return config_print(now, e);
    bool ok = true;
    if (json_is_null(json_object_get(now, "source")))
        puts("The service has no live configuration; `ferry serve --config URI` gives it one");
    else
        ok = print_status(now, e);
    json_decref(now);
    return ok;
}

static bool is_this_machine(const char *url)
{
    static const char *const hosts[] = {"localhost", "127.0.0.1", "[::1]"};
    const char *host = strstr(url, "://") + 3;
    size_t n = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?#");
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        if (strlen(hosts[i]) == n && strncmp(host, hosts[i], n) == 0)
            return true;
    return false;
}

const char *config_service_source(struct config_run *c, const char *url, struct err *e)
{
    json_t *now = ask(c, url, e);
    const char *source = text(now, "source"), *copy = NULL;
    if (!now)
        return NULL;
    if (!*source)
        err_set(e, ERR_NOT_FOUND, "%s has no live configuration; `ferry serve --config URI` gives it one",
                url);
    else if (strncmp(source, "gs://", 5) != 0 && !is_this_machine(url))
        err_set(e, ERR_UNSUPPORTED,
                "%s reads its configuration from a file on its own machine: run this there, with %s", url,
                source);
    else if (!(copy = arena_strndup(c->arena, source, strlen(source))))
        err_set(e, ERR_MEMORY, "no memory for the configuration's place");
    json_decref(now);
    return copy;
}
