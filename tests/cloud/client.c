#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

const struct retry_policy quick = {
    .first_ms = 1, .cap_ms = 2, .max_tries = 4, .max_seconds = 10, .longest_wait_s = 2};

int client_open(void **state)
{
    struct client *c = calloc(1, sizeof *c);
    struct err e = {0};
    c->server = canned_start();
    canned_environment(c->server);
    setenv("FERRY_ACCESS_TOKEN", "token-1", 1);
    c->arena = arena_new(16 << 20);
    c->http = http_new(&e);
    c->config.active = "default";
    c->cloud = c->http ? cloud_new(c->http, &c->config, &e) : NULL;
    *state = c;
    if (!c->cloud || !c->arena)
        return -1;
    cloud_set_retry(c->cloud, &quick);
    return 0;
}

int client_close(void **state)
{
    struct client *c = *state;
    cloud_free(c->cloud);
    http_free(c->http);
    canned_stop(c->server);
    arena_free(c->arena);
    free(c);
    return 0;
}

void expect_request(struct client *c, int i, const char *line, ...)
{
    const char *request = canned_request(c->server, i);
    size_t n = strlen(line);
    va_list more;
    if (strncmp(request, line, n) != 0 || strncmp(request + n, " HTTP/1.1\r\n", 11) != 0)
        fail_msg("request %d is \"%.*s\", expected \"%s\"", i, (int)strcspn(request, "\r"), request, line);
    va_start(more, line);
    for (const char *part; (part = va_arg(more, const char *));)
        if (!strcasestr(request, part))
            fail_msg("request %d lacks \"%s\":\n%s", i, part, request);
    va_end(more);
}

void expect_error(const struct err *e, enum err_kind kind, const char *says)
{
    if (e->kind != kind || !strstr(e->text, says))
        fail_msg("\"%s\" (kind %d) does not say \"%s\" (kind %d)", e->text, e->kind, says, kind);
}
