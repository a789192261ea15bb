#include "cmd/launch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What execvp takes when PATH is not set (glibc, _CS_PATH). */
static const char usual_path[] = "/bin:/usr/bin";

static bool can_run(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

static bool check_path(const char *path, struct err *e)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return err_errno(e, "%s", path);
    if (S_ISDIR(st.st_mode))
        return err_set(e, ERR_USAGE, "%s: a folder, expected a program", path);
    return can_run(path) || err_set(e, ERR_USAGE, "%s: may not be run; chmod +x makes it a program", path);
}

/* An empty part of PATH is the current folder. */
static char *find_in_path(const char *name, struct arena *a, struct err *e)
{
    const char *part = getenv("PATH");
    part = part ? part : usual_path;
    for (bool more = true; more;) {
        int n = (int)strcspn(part, ":");
        char *file = arena_printf(a, "%.*s%s%s", n, part, n ? "/" : "./", name);
        if (!file) {
            err_set(e, ERR_MEMORY, "no memory for the program's name");
            return NULL;
        }
        if (can_run(file))
            return file;
        more = part[n] == ':';
        part += n + more;
    }
    err_set(e, ERR_NOT_FOUND, "%s: there is no such program in PATH", name);
    return NULL;
}

char *launch_find(const char *name, struct arena *a, struct err *e)
{
    if (!*name) {
        err_set(e, ERR_USAGE, "the name of the program is empty");
        return NULL;
    }
    if (!strchr(name, '/'))
        return find_in_path(name, a, e);
    if (!check_path(name, e))
        return NULL;
    char *copy = arena_strndup(a, name, strlen(name));
    if (!copy)
        err_set(e, ERR_MEMORY, "no memory for the program's name");
    return copy;
}

static char *replace(struct arena *a, const char *word, const char *mark, const char *value)
{
    size_t marks = 0;
    for (const char *at = word; (at = strstr(at, mark)); at += strlen(mark))
        marks++;
    char *out = arena_alloc(a, strlen(word) + marks * strlen(value) + 1, 1), *end = out;
    for (const char *at; out && (at = strstr(word, mark)); word = at + strlen(mark))
        end = stpcpy(mempcpy(end, word, (size_t)(at - word)), value);
    if (out)
        strcpy(end, word);
    return out;
}

char **launch_words(struct arena *a, char *const *words, int count, const char *mark, const char *value)
{
    char **out = arena_alloc(a, (size_t)count + 1, sizeof *out);
    for (int i = 0; out && i < count; i++)
        if (!(out[i] = replace(a, words[i], mark, value)))
            return NULL;
    return out;
}

bool launch(const char *path, char *const *words, struct err *e)
{
    execv(path, words);
    if (errno == ENOEXEC)
        return err_set(e, ERR_USAGE, "%s: not a program; a script begins with #!, such as #!/bin/sh", path);
    return err_errno(e, "%s", path);
}
