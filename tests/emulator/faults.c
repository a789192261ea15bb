#include "faults.h"

#include <fnmatch.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct faults {
    pthread_mutex_t mutex;
    char name[128];
    json_t *rules; /* array, or NULL; each rule counts its matches in "seen" */
};

struct faults *faults_new(void)
{
    struct faults *f = calloc(1, sizeof *f);
    if (f)
        pthread_mutex_init(&f->mutex, NULL);
    return f;
}

void faults_free(struct faults *f)
{
    if (!f)
        return;
    json_decref(f->rules);
    pthread_mutex_destroy(&f->mutex);
    free(f);
}

static const char *const rule_words[] = {"method", "path",  "query", "range", "host",
                                         "from",   "times", "do",    NULL};
static const char *const do_words[] = {"kill_token",
                                       "expire_urls",
                                       "empty_session",
                                       "forget_session",
                                       "change_object",
                                       "clock_offset_seconds",
                                       "status",
                                       "stall_seconds",
                                       "body",
                                       "headers",
                                       "late",
                                       "drop_headers",
                                       "operation_error",
                                       "operation_seconds",
                                       "short_by",
                                       "ignore_range",
                                       "corrupt_byte",
                                       "after_bytes",
                                       "then",
                                       "bytes_per_second",
                                       NULL};

static bool check_words(const json_t *object, const char *const *known, const char *where, struct err *e)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        const char *const *k = known;
        while (*k && strcmp(*k, key))
            k++;
        if (!*k)
            return err_set(e, ERR_USAGE, "%s: unknown word \"%s\"", where, key);
    }
    return true;
}

static bool check_rules(const json_t *rules, struct err *e)
{
    size_t i;
    json_t *rule;
    if (!json_is_array(rules) || !json_array_size(rules))
        return err_set(e, ERR_USAGE, "no \"faults\"");
    json_array_foreach(rules, i, rule)
    {
        if (!json_is_object(rule) || !json_is_object(json_object_get(rule, "do")))
            return err_set(e, ERR_USAGE, "fault %zu: no \"do\"", i);
        if (!check_words(rule, rule_words, "fault", e) ||
            !check_words(json_object_get(rule, "do"), do_words, "do", e))
            return false;
    }
    return true;
}

static json_t *load(const char *what, char name[128], struct err *e)
{
    json_error_t where;
    char path[1024];
    snprintf(name, 128, "%s", *what == '{' ? "(text)" : what);
    snprintf(path, sizeof path, strchr(what, '/') ? "%s" : EMULATOR_FAULTS "/%s.json", what);
    json_t *j = *what == '{' ? json_loads(what, 0, &where) : json_load_file(path, 0, &where);
    if (!j)
        err_set(e, ERR_USAGE, "fault %s: line %d: %s", name, where.line, where.text);
    return j;
}

bool faults_set(struct faults *f, const char *what, struct err *e)
{
    char name[128] = "";
    json_t *rules = NULL;
    if (what && *what) {
        json_t *file = load(what, name, e);
        if (!file)
            return false;
        rules = json_incref(json_object_get(file, "faults"));
        json_decref(file);
        if (!check_rules(rules, e)) {
            json_decref(rules);
            return err_wrap(e, "fault %s", name);
        }
    }
    pthread_mutex_lock(&f->mutex);
    json_decref(f->rules);
    f->rules = rules;
    memcpy(f->name, name, sizeof name);
    pthread_mutex_unlock(&f->mutex);
    return true;
}

static bool glob_matches(const json_t *rule, const char *key, const char *text)
{
    const char *glob = json_string_value(json_object_get(rule, key));
    return !glob || fnmatch(glob, text, 0) == 0;
}

static bool rule_matches(const json_t *rule, const struct fault_probe *p)
{
    return glob_matches(rule, "method", p->method) && glob_matches(rule, "path", p->path) &&
           glob_matches(rule, "query", p->query) && glob_matches(rule, "host", p->host) &&
           (!json_is_true(json_object_get(rule, "range")) || p->range);
}

static json_int_t number_or(const json_t *rule, const char *key, json_int_t otherwise)
{
    const json_t *n = json_object_get(rule, key);
    return json_is_integer(n) ? json_integer_value(n) : otherwise;
}

/* Counts a match; true when it is one of those that the rule is for. */
static bool rule_strikes(json_t *rule)
{
    json_int_t seen = number_or(rule, "seen", 0) + 1;
    json_object_set_new(rule, "seen", json_integer(seen));
    json_int_t from = number_or(rule, "from", 1), times = number_or(rule, "times", 1);
    return seen >= from && (times == 0 || seen < from + times);
}

json_t *faults_strike(struct faults *f, const struct fault_probe *p)
{
    json_t *found = NULL, *rule;
    size_t i;
    pthread_mutex_lock(&f->mutex);
    json_array_foreach(f->rules, i, rule) if (!found && rule_matches(rule, p) && rule_strikes(rule))
    {
        found = json_deep_copy(json_object_get(rule, "do"));
        json_object_set_new(found, "name", json_string(f->name));
    }
    pthread_mutex_unlock(&f->mutex);
    return found;
}

bool fault_is(const json_t *fault, const char *key)
{
    return json_is_true(json_object_get(fault, key));
}

int64_t fault_number(const json_t *fault, const char *key, int64_t otherwise)
{
    return number_or(fault, key, otherwise);
}

double fault_seconds(const json_t *fault, const char *key)
{
    return json_number_value(json_object_get(fault, key));
}

const char *fault_text(const json_t *fault, const char *key)
{
    return json_string_value(json_object_get(fault, key));
}
