#include "situation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static json_t *read_json(const char *name, const char *leaf)
{
    char path[400];
    json_error_t at;
    snprintf(path, sizeof path, SITUATIONS "/%s/%s", name, leaf);
    json_t *json = json_load_file(path, JSON_REJECT_DUPLICATES, &at);
    if (!json)
        fail_msg("%s: line %d: %s", path, at.line, at.text);
    return json;
}

/* RFC 7386: null takes away, an object goes on below, anything else replaces. */
static void merge(json_t *into, json_t *patch)
{
    const char *name;
    json_t *value;
    json_object_foreach(patch, name, value)
    {
        json_t *old = json_object_get(into, name);
        if (json_is_null(value))
            json_object_del(into, name);
        else if (json_is_object(value) && json_is_object(old))
            merge(old, value);
        else
            json_object_set(into, name, value);
    }
}

/* An answer that has a status or an error of its own stands in place of the other, all but its request. */
static void drop_replaced(json_t *record, json_t *patch)
{
    const char *question;
    json_t *answer;
    json_object_foreach(json_object_get(patch, "answers"), question, answer)
    {
        json_t *old = json_object_get(json_object_get(record, "answers"), question);
        json_t *request = json_incref(json_object_get(old, "request"));
        if (json_object_get(answer, "status") || json_object_get(answer, "error"))
            json_object_clear(old);
        json_object_set_new(old, "request", request);
    }
}

json_t *situation_record(const char *name)
{
    json_t *record = read_json("healthy", "answers.json"), *patch = read_json(name, "answers.json");
    drop_replaced(record, patch);
    merge(record, patch);
    json_decref(patch);
    return record;
}

json_t *situation_expected(const char *name)
{
    return read_json(name, "expected.json");
}

struct findings *situation_judge(const json_t *record)
{
    struct err e = {0};
    struct prices *prices = prices_builtin(&e);
    struct findings *f = calloc(1, sizeof *f);
    assert_non_null(prices);
    assert_non_null(f);
    f->arena = arena_new(1 << 20);
    assert_non_null(f->arena);
    doctor_judge(record, prices, f);
    prices_free(prices);
    return f;
}

void situation_free(struct findings *f)
{
    arena_free(f->arena);
    free(f);
}
