#include "serve/api_error.h"

#include <stdarg.h>
#include <stdio.h>

static const struct kind_reply {
    int status;
    const char *type, *code;
} replies[] = {
    [ERR_NONE] = {500, "server_error", NULL},
    [ERR_USAGE] = {400, "invalid_request_error", NULL},
    [ERR_NOT_FOUND] = {404, "invalid_request_error", NULL},
    [ERR_IO] = {500, "server_error", NULL},
    [ERR_MEMORY] = {503, "server_error", "out_of_memory"},
    [ERR_CORRUPT] = {400, "invalid_request_error", NULL},
    [ERR_UNSUPPORTED] = {400, "invalid_request_error", "unsupported"},
    [ERR_LIMIT] = {400, "invalid_request_error", NULL},
    [ERR_BUSY] = {429, "requests", "rate_limit_exceeded"},
    [ERR_TRANSIENT] = {503, "server_error", "unavailable"},
    [ERR_AUTH] = {401, "invalid_request_error", "invalid_api_key"},
    [ERR_CANCELLED] = {503, "server_error", "shutting_down"},
};

static const struct kind_reply *reply_of(const struct api_error *e)
{
    size_t kind = (size_t)e->err.kind;
    return &replies[kind < sizeof replies / sizeof *replies ? kind : ERR_NONE];
}

/* Field names come from outside: what is not plain ASCII is shown as ?. */
static void put_param(struct api_error *e, const char *param)
{
    size_t n = 0;
    for (; param[n] && n < sizeof e->param - 1; n++)
        e->param[n] = param[n] > 0x1f && param[n] < 0x7f ? param[n] : '?';
    e->param[n] = '\0';
}

bool api_refuse(struct api_error *e, enum err_kind kind, const char *param, const char *format, ...)
{
    char text[sizeof e->err.text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put_param(e, param);
    if (*param)
        return err_set(&e->err, kind, "%s: %s", e->param, text);
    return err_set(&e->err, kind, "%s", text);
}

int api_error_status(const struct api_error *e)
{
    return e->status ? e->status : reply_of(e)->status;
}

const char *api_error_type(const struct api_error *e)
{
    if (e->status && e->status < 500 && reply_of(e)->status >= 500)
        return "invalid_request_error";
    return reply_of(e)->type;
}

const char *api_error_code(const struct api_error *e)
{
    return e->code ? e->code : reply_of(e)->code;
}
