/* mask.c: the fields of a partial answer: "kind", "items/name", "items(name,acl(role))", "*". */
#include "api/schema.h"

#include <string.h>

/* A mask being read: cut off where it has been. */
struct mask {
    const json_t *api;
    const char *at;
    int depth;
    struct err *e;
};

enum { MAX_DEPTH = 20 };

static bool read_list(struct mask *m, const json_t *schema);

static bool wrong(struct mask *m, const char *what, const char *text, size_t size)
{
    return err_set(m->e, ERR_USAGE, "Invalid field selection: %s \"%.*s\"", what, (int)size, text);
}

/* What the items of an array are counts, not the array. */
static const json_t *element(const json_t *api, const json_t *schema)
{
    schema = schema_resolve(api, schema);
    while (schema && strcmp(schema_text(schema, "type"), "array") == 0)
        schema = schema_resolve(api, json_object_get(schema, "items"));
    return schema;
}

/* The schema of that field; *known: there is one. NULL for "*": whatever follows is not looked at. */
static const json_t *field(const struct mask *m, const json_t *schema, const char *name, size_t size,
                           bool *known)
{
    schema = element(m->api, schema);
    const json_t *f = json_object_getn(json_object_get(schema, "properties"), name, size);
    if (!f)
        f = json_object_get(schema, "additionalProperties");
    *known = f || !schema || (size == 1 && *name == '*');
    return f;
}

/* One name, and what is chosen of it. */
static bool read_field(struct mask *m, const json_t *schema)
{
    const char *name = m->at;
    size_t size = strcspn(name, "/(),");
    bool known;
    const json_t *f = field(m, schema, name, size, &known);
    if (!size)
        return wrong(m, "a name is missing before", name, strlen(name));
    if (!known)
        return wrong(m, "no field", name, size);
    m->at += size;
    if (*m->at == '/') {
        m->at++;
        return read_field(m, f);
    }
    if (*m->at != '(')
        return true;
    m->at++;
    if (++m->depth > MAX_DEPTH || !read_list(m, f))
        return m->depth <= MAX_DEPTH ? false : wrong(m, "too deep at", name, size);
    m->depth--;
    return *m->at++ == ')' || wrong(m, "no end of", name, size);
}

static bool read_list(struct mask *m, const json_t *schema)
{
    for (;;) {
        if (!read_field(m, schema))
            return false;
        if (*m->at != ',')
            return true;
        m->at++;
    }
}

bool mask_check(const json_t *api, const json_t *schema, const char *mask, struct err *e)
{
    struct mask m = {.api = api, .at = mask, .e = e};
    return read_list(&m, schema) && (!*m.at || wrong(&m, "nothing belongs to", m.at, strlen(m.at)));
}
