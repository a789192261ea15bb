#include "target/local/environment.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PID_NAME "LISTEN_PID="
enum { PID_ROOM = 24, OWN = 6 };

void environment_free(char **variables)
{
    for (char **v = variables; v && *v; v++)
        free(*v);
    free(variables);
}

static size_t count_of(char *const *variables)
{
    size_t n = 0;
    while (variables[n])
        n++;
    return n;
}

static bool same_name(const char *a, const char *b)
{
    size_t n = strcspn(a, "=");
    return strncmp(a, b, n) == 0 && b[n] == '=';
}

static bool names(char *const *variables, const char *one)
{
    for (; *variables; variables++)
        if (same_name(one, *variables))
            return true;
    return false;
}

/* Appends it; the list has the room. False: no memory. */
static bool add(char **list, char *variable)
{
    if (variable)
        list[count_of(list)] = variable;
    return variable != NULL;
}

__attribute__((format(printf, 1, 2))) static char *text(const char *format, ...)
{
    char *out = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&out, format, args) < 0)
        out = NULL;
    va_end(args);
    return out;
}

static char *pid_variable(void)
{
    char *v = calloc(1, sizeof PID_NAME + PID_ROOM);
    if (v)
        memcpy(v, PID_NAME, sizeof PID_NAME);
    return v;
}

char **environment_of_server(char *const *process, const struct spec *s)
{
    char **out = calloc(count_of(process) + SPEC_MAX_VARIABLES + OWN + 1, sizeof *out);
    bool ok = out && add(out, pid_variable()) && add(out, strdup("LISTEN_FDS=1")) &&
              add(out, text("FERRY_MODEL=%s", s->model)) && add(out, text("PORT=%d", s->port)) &&
              add(out, text("K_SERVICE=%s", s->name));
    for (const char *const *v = s->environment; ok && *v; v++)
        ok = names(out, *v) || add(out, strdup(*v));
    for (char *const *v = process; ok && *v; v++)
        ok = names(out, *v) || add(out, strdup(*v));
    if (ok)
        return out;
    environment_free(out);
    return NULL;
}

void environment_set_pid(char **variables)
{
    for (; *variables; variables++)
        if (strncmp(*variables, PID_NAME, sizeof PID_NAME - 1) == 0)
            snprintf(*variables + sizeof PID_NAME - 1, PID_ROOM, "%ld", (long)getpid());
}

char *environment_pack(char *const *variables, size_t *size)
{
    size_t n = 0;
    for (char *const *v = variables; *v; v++)
        n += strlen(*v) + 1;
    char *bytes = malloc(n + 1), *at = bytes;
    for (char *const *v = variables; bytes && *v; v++)
        at = stpcpy(at, *v) + 1;
    *size = n;
    return bytes;
}

char **environment_unpack(const char *bytes, size_t size)
{
    size_t count = 0;
    if (size > 0 && bytes[size - 1] != 0)
        return NULL;
    for (size_t i = 0; i < size; i++)
        count += bytes[i] == 0;
    char **out = calloc(count + 1, sizeof *out);
    for (size_t i = 0, at = 0; out && i < count; i++) {
        if (!(out[i] = strdup(bytes + at))) {
            environment_free(out);
            return NULL;
        }
        at += strlen(bytes + at) + 1;
    }
    return out;
}
