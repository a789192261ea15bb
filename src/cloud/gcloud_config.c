#include "cloud/gcloud_config.h"

#include "base/file.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { MAX_FILE_BYTES = 1 << 20, MAX_PROPERTIES = 1000, MAX_VARIABLE = 200 };

/* A piece of the text. */
struct span {
    const char *at;
    size_t size;
};

static struct span trim(struct span s)
{
    while (s.size && isspace((unsigned char)s.at[0]))
        s.at++, s.size--;
    while (s.size && isspace((unsigned char)s.at[s.size - 1]))
        s.size--;
    return s;
}

static struct span take_line(struct span *text)
{
    const char *end = text->size ? memchr(text->at, '\n', text->size) : NULL;
    struct span line = {text->at, end ? (size_t)(end - text->at) : text->size};
    size_t taken = line.size + (end ? 1 : 0);
    text->at += taken;
    text->size -= taken;
    return trim(line);
}

static int count_lines(struct span text)
{
    int n = 0;
    for (; text.size; take_line(&text))
        n++;
    return n;
}

/* "name = value"; Python's parser, which gcloud uses, takes a colon as well. */
static bool split(struct span line, struct span *name, struct span *value)
{
    size_t i = 0;
    while (i < line.size && line.at[i] != '=' && line.at[i] != ':')
        i++;
    if (i == line.size)
        return false;
    *name = trim((struct span){line.at, i});
    *value = trim((struct span){line.at + i + 1, line.size - i - 1});
    return name->size > 0;
}

static const char *copy(struct arena *a, struct span s)
{
    return arena_strndup(a, s.at, s.size);
}

static bool add(struct gcloud_config *c, const char *section, struct span line, struct arena *a, int number,
                struct err *e)
{
    struct span name, value;
    if (!section)
        return err_set(e, ERR_CORRUPT, "line %d: a property before any [section]", number);
    if (!split(line, &name, &value))
        return err_set(e, ERR_CORRUPT, "line %d: expected [section] or name = value", number);
    struct gcloud_property p = {section, copy(a, name), copy(a, value)};
    if (!p.name || !p.value)
        return err_set(e, ERR_MEMORY, "no memory for gcloud's configuration");
    if (c->count == MAX_PROPERTIES)
        return err_set(e, ERR_LIMIT, "more than %d properties", MAX_PROPERTIES);
    c->properties[c->count++] = p;
    return true;
}

bool gcloud_config_parse(struct gcloud_config *c, const char *text, size_t size, struct arena *a,
                         struct err *e)
{
    struct span rest = {text, size};
    const char *section = NULL;

    c->count = 0;
    if (size && memchr(text, 0, size))
        return err_set(e, ERR_CORRUPT, "it contains a NUL byte");
    int lines = count_lines(rest);
    c->properties =
        arena_alloc(a, (size_t)(lines < MAX_PROPERTIES ? lines : MAX_PROPERTIES) + 1, sizeof *c->properties);
    if (!c->properties)
        return err_set(e, ERR_MEMORY, "no memory for gcloud's configuration");
    for (int number = 1; rest.size; number++) {
        struct span line = take_line(&rest);
        if (line.size == 0 || line.at[0] == '#' || line.at[0] == ';')
            continue;
        if (line.at[0] != '[') {
            if (!add(c, section, line, a, number, e))
                return false;
            continue;
        }
        if (line.size < 3 || line.at[line.size - 1] != ']')
            return err_set(e, ERR_CORRUPT, "line %d: a section without its ]", number);
        struct span name = trim((struct span){line.at + 1, line.size - 2});
        section = copy(a, name);
        if (name.size == 0)
            return err_set(e, ERR_CORRUPT, "line %d: a section without a name", number);
        if (!section)
            return err_set(e, ERR_MEMORY, "no memory for gcloud's configuration");
    }
    return true;
}

/* NULL when unset or empty: an empty variable is how shells and YAML files say "none". */
static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* The name ends up in a path. */
static bool is_name(const char *s)
{
    return *s &&
           strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == strlen(s) &&
           s[0] != '.';
}

/* Which configuration is active: the variable, the file active_config, or "default". */
static bool find_active(struct gcloud_config *c, struct arena *a, struct err *e)
{
    struct err missing = {0};
    size_t size;
    c->active = variable("CLOUDSDK_ACTIVE_CONFIG_NAME");
    if (!c->active) {
        char *path = arena_printf(a, "%s/active_config", c->folder);
        char *text = path ? file_read(a, path, 4096, &size, &missing) : NULL;
        if (!text && missing.kind != ERR_NOT_FOUND) {
            if (e)
                *e = missing;
            return path ? false : err_set(e, ERR_MEMORY, "no memory for gcloud's configuration");
        }
        c->active = text ? copy(a, trim((struct span){text, strlen(text)})) : "default";
    }
    if (!c->active || !is_name(c->active))
        return err_set(e, ERR_CORRUPT,
                       "gcloud's active configuration has an impossible name; see `gcloud "
                       "config configurations list`");
    return true;
}

static const char *home_folder(struct arena *a)
{
    const char *folder = variable("CLOUDSDK_CONFIG"), *home = variable("HOME");
    if (folder)
        return folder;
    return home ? arena_printf(a, "%s/.config/gcloud", home) : NULL;
}

/* A copy, so that messages can name a variable, and later changes make no race. */
static bool read_environment(struct gcloud_config *c, struct arena *a)
{
    static const char prefix[] = "CLOUDSDK_";
    int n = 0;
    for (char **v = environ; v && *v; v++)
        n += strncmp(*v, prefix, sizeof prefix - 1) == 0;
    c->environment = arena_alloc(a, (size_t)n + 1, sizeof *c->environment);
    for (char **v = environ; v && *v && c->environment && c->environment_count < n; v++) {
        const char *value = strchr(*v, '=');
        if (strncmp(*v, prefix, sizeof prefix - 1) != 0 || !value || !value[1])
            continue;
        struct gcloud_property p = {.name = arena_strndup(a, *v, (size_t)(value - *v)),
                                    .value = arena_strndup(a, value + 1, strlen(value + 1))};
        if (!p.name || !p.value)
            return false;
        c->environment[c->environment_count++] = p;
    }
    return c->environment != NULL;
}

bool gcloud_config_read(struct gcloud_config *c, struct arena *a, struct err *e)
{
    struct err problem = {0};
    size_t size;

    *c = (struct gcloud_config){.active = "default", .folder = home_folder(a)};
    if (!read_environment(c, a))
        return err_set(e, ERR_MEMORY, "no memory for gcloud's configuration");
    if (!c->folder)
        return true;
    if (!find_active(c, a, e))
        return false;
    char *path = arena_printf(a, "%s/configurations/config_%s", c->folder, c->active);
    if (!path)
        return err_set(e, ERR_MEMORY, "no memory for gcloud's configuration");
    char *text = file_read(a, path, MAX_FILE_BYTES, &size, &problem);
    if (!text && problem.kind == ERR_NOT_FOUND)
        return true;
    c->path = path;
    if (text && gcloud_config_parse(c, text, size, a, &problem))
        return true;
    if (e)
        *e = problem;
    return text ? err_wrap(e, "%s", path) : false; /* file_read has named it */
}

/* The value of CLOUDSDK_SECTION_PROPERTY. */
static const char *from_environment(const struct gcloud_config *c, const char *section, const char *name,
                                    const char **source)
{
    char wanted[MAX_VARIABLE];
    int n = snprintf(wanted, sizeof wanted, "CLOUDSDK_%s_%s", section, name);
    if (n < 0 || n >= (int)sizeof wanted)
        return NULL;
    for (int i = 0; i < c->environment_count; i++) {
        if (strcasecmp(c->environment[i].name, wanted) != 0)
            continue;
        if (source)
            *source = c->environment[i].name;
        return c->environment[i].value;
    }
    return NULL;
}

const char *gcloud_property(const struct gcloud_config *c, const char *section, const char *name,
                            const char **source)
{
    const char *value = from_environment(c, section, name, source);
    for (int i = c->count - 1; i >= 0 && !value; i--) { /* the last one counts */
        const struct gcloud_property *p = &c->properties[i];
        if (strcmp(p->section, section) != 0 || strcmp(p->name, name) != 0 || !p->value[0])
            continue;
        value = p->value;
        if (source)
            *source = c->path ? c->path : "";
    }
    return value;
}

const char *gcloud_project(const struct gcloud_config *c, const char **source)
{
    static const char *const names[] = {"CLOUDSDK_CORE_PROJECT", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = variable(names[i]);
        if (value && source)
            *source = names[i];
        if (value)
            return value;
    }
    return gcloud_property(c, "core", "project", source);
}
