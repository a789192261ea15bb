#include "doctor/ask/local.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* --- credentials --- */

static const char *adc_path(const struct doctor_case *c, char *path, size_t room)
{
    const char *folder = cloud_config(c->cloud)->folder;
    if (folder && snprintf(path, room, "%s/application_default_credentials.json", folder) < (int)room)
        return path;
    return NULL;
}

/* In the order in which token.h looks. */
static json_t *credentials_set(const char *adc)
{
    static const char *const names[] = {"FERRY_ACCESS_TOKEN", "FERRY_ACCESS_TOKEN_FILE",
                                        "GOOGLE_APPLICATION_CREDENTIALS"};
    json_t *set = json_array();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (variable(names[i]))
            json_array_append_new(set, json_string(names[i]));
    if (adc && access(adc, F_OK) == 0)
        json_array_append_new(set, json_string(adc));
    return set;
}

static void set_mode(json_t *out, const char *path)
{
    struct stat s;
    if (!path || stat(path, &s) != 0)
        return;
    json_object_set_new(out, "file", json_string(path));
    json_object_set_new(out, "file_mode", json_integer(s.st_mode & 07777));
}

static void set_refusal(json_t *out, struct token_source *t)
{
    struct token_refusal r;
    token_refusal_get(t, &r);
    if (*r.error)
        json_object_set_new(out, "refused", json_pack("{s:s, s:s}", "error", r.error, "subtype", r.subtype));
}

static bool try_token(json_t *out, struct token_source *t, struct err *e)
{
    char token[TOKEN_MAX_BYTES];
    bool got = token_get(t, token, e);
    explicit_bzero(token, sizeof token);
    json_object_set_new(out, "name", json_string(token_source_name(t)));
    if (token_quota_project(t))
        json_object_set_new(out, "quota_project", json_string(token_quota_project(t)));
    json_object_set_new(out, "token", json_boolean(got));
    if (!got)
        set_refusal(out, t);
    return got;
}

static json_t *credentials(const struct doctor_case *c, bool connected)
{
    char adc[4096];
    struct err e = {0};
    const char *path = adc_path(c, adc, sizeof adc), *named = variable("GOOGLE_APPLICATION_CREDENTIALS");
    json_t *out = json_pack("{s:o}", "set", credentials_set(path));
    struct token_source *t = connected ? cloud_tokens(c->cloud, &e) : NULL;
    if (connected && !(t && try_token(out, t, &e)))
        json_object_set_new(out, "error", json_string(e.text));
    if (!variable("FERRY_ACCESS_TOKEN") && !variable("FERRY_ACCESS_TOKEN_FILE"))
        set_mode(out, named ? named : path);
    return out;
}

/* --- projects --- */

static void add_project(json_t *list, const char *from, const char *project)
{
    if (project && *project)
        json_array_append_new(list, json_pack("{s:s, s:s}", "from", from, "project", project));
}

/* The first is the one that Ferry uses. */
static json_t *projects(const struct doctor_case *c, const json_t *credentials)
{
    static const char *const names[] = {"CLOUDSDK_CORE_PROJECT", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"};
    const struct gcloud_config *config = cloud_config(c->cloud);
    const char *source = NULL, *value = gcloud_property(config, "core", "project", &source);
    json_t *list = json_array();
    add_project(list, "--project", c->project);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        add_project(list, names[i], variable(names[i]));
    if (source && config->path && strcmp(source, config->path) == 0)
        add_project(list, "gcloud config", value);
    add_project(list, "application default credentials",
                json_string_value(json_object_get(credentials, "quota_project")));
    return list;
}

/* --- the machine --- */

static json_t *proxies(void)
{
    static const char *const names[] = {"https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy", "ALL_PROXY"};
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (variable(names[i])) /* the name alone: an address may hold a password */
            json_array_append_new(list, json_string(names[i]));
    return list;
}

static json_t *machine(void)
{
    long long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return json_pack("{s:b, s:I, s:I}", "avx2", __builtin_cpu_supports("avx2") ? 1 : 0, "cores",
                     (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "memory_bytes", (json_int_t)(pages * page));
}

/* "2026-11-18T12:00:00": what is older can be told by comparing texts. */
static json_t *week_ago(void)
{
    char text[32];
    time_t then = time(NULL) - 7 * 86400;
    struct tm t;
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", gmtime_r(&then, &t));
    return json_string(text);
}

json_t *local_facts(const struct doctor_case *c, bool connected)
{
    json_t *found = credentials(c, connected), *list = projects(c, found);
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "credentials", found, "projects", list, "proxies",
                     proxies(), "machine", machine(), "week_ago", week_ago());
}
