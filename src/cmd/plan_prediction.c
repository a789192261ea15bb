#include "cmd/plan_prediction.h"

#include "cmd/plan_state.h"

#include <string.h>

static const char FILE_NAME[] = "predictions.json";

const char *const predicted_keys[PREDICTED_WHATS] = {
    [PREDICTED_COLD_FIRST_TOKEN] = "cold_first_token_seconds",
    [PREDICTED_LOADED] = "loaded_seconds",
    [PREDICTED_FIRST_TOKEN] = "first_token_seconds",
    [PREDICTED_TOKENS] = "tokens_per_second",
    [PREDICTED_MEMORY] = "memory_bytes",
};

/* --- from a file --- */

static bool parse_what(enum predicted_what *what, const json_t *o)
{
    const char *key = json_string_value(json_object_get(o, "what"));
    for (int i = 0; key && i < PREDICTED_WHATS; i++)
        if (strcmp(key, predicted_keys[i]) == 0) {
            *what = (enum predicted_what)i;
            return true;
        }
    return false;
}

static bool parse_of(struct prediction_of *of, const json_t *o)
{
    json_int_t vcpu = json_integer_value(json_object_get(o, "vcpu")),
               gib = json_integer_value(json_object_get(o, "gib"));
    of->vcpu = (int)vcpu;
    of->gib = (int)gib;
    return plan_state_word(of->date, sizeof of->date, o, "date") &&
           plan_state_word(of->service, sizeof of->service, o, "service") &&
           plan_state_word(of->model, sizeof of->model, o, "model") &&
           plan_state_word(of->where, sizeof of->where, o, "where") &&
           plan_state_word(of->encoding, sizeof of->encoding, o, "encoding") && vcpu >= 1 && vcpu <= 4096 &&
           gib >= 0 && gib <= 1 << 20;
}

static bool parse_number(double *n, const json_t *value)
{
    *n = json_number_value(value);
    return json_is_number(value) && *n >= 1e-9 && *n <= 1e18;
}

static bool parse_item(struct prediction *p, const json_t *o)
{
    const json_t *span = json_object_get(o, "predicted");
    return parse_what(&p->what, o) && parse_of(&p->of, o) && json_array_size(span) == 2 &&
           parse_number(&p->predicted.least, json_array_get(span, 0)) &&
           parse_number(&p->predicted.most, json_array_get(span, 1)) &&
           p->predicted.least <= p->predicted.most &&
           parse_number(&p->measured, json_object_get(o, "measured"));
}

bool predictions_parse(struct predictions *p, const char *text, size_t size, struct err *e)
{
    json_t *root = json_loadb(text, size, 0, NULL);
    const json_t *list = json_object_get(root, "predictions");
    size_t count = json_array_size(list);
    p->count = 0;
    bool ok = json_is_array(list) && count <= PREDICTIONS_MOST;
    for (size_t i = 0; ok && i < count; i++)
        ok = parse_item(&p->items[p->count++], json_array_get(list, i));
    json_decref(root);
    return ok || err_set(e, ERR_CORRUPT, "not what Ferry writes of its predictions; remove it");
}

bool predictions_read(struct predictions *p, struct arena *a, struct err *e)
{
    size_t size;
    struct err problem = {0};
    const char *path = plan_state_path(FILE_NAME, a, NULL);
    const char *text = path ? plan_state_read(path, a, &size, &problem) : NULL;
    p->count = 0;
    if (problem.kind != ERR_NONE)
        *e = problem;
    return text ? predictions_parse(p, text, size, e) || err_wrap(e, "%s", path) : problem.kind == ERR_NONE;
}

/* --- into one --- */

static json_t *item_json(const struct prediction *p)
{
    const struct prediction_of *of = &p->of;
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:s, s:[f, f], s:f}", "date", of->date, "service",
                     of->service, "model", of->model, "where", of->where, "encoding", of->encoding, "vcpu",
                     of->vcpu, "gib", of->gib, "what", predicted_keys[p->what], "predicted",
                     p->predicted.least, p->predicted.most, "measured", p->measured);
}

bool predictions_write(const struct predictions *p, struct arena *a, struct err *e)
{
    json_t *list = json_array();
    for (int i = 0; i < p->count; i++)
        json_array_append_new(list, item_json(&p->items[i]));
    return plan_state_write(FILE_NAME, json_pack("{s:o}", "predictions", list), a, e);
}

json_t *predictions_json(const struct predictions *p)
{
    json_t *list = json_array();
    for (int i = 0; i < p->count; i++) {
        json_t *item = item_json(&p->items[i]);
        json_object_set_new(item, "error_percent", json_real(prediction_error_percent(&p->items[i])));
        json_object_set_new(item, "holds", json_boolean(prediction_holds(&p->items[i])));
        json_array_append_new(list, item);
    }
    return list;
}

/* --- them --- */

void predictions_add(struct predictions *p, const struct prediction *one)
{
    if (p->count == PREDICTIONS_MOST)
        memmove(p->items, p->items + 1, (size_t)--p->count * sizeof *p->items);
    p->items[p->count++] = *one;
}

void predictions_only(struct predictions *p, const char *model, const char *where)
{
    int kept = 0;
    for (int i = 0; i < p->count; i++) {
        const struct prediction_of *of = &p->items[i].of;
        if (strcmp(of->model, model) == 0 || strcmp(of->where, where) == 0)
            p->items[kept++] = p->items[i];
    }
    p->count = kept;
}

bool predictions_keep(const struct predictions *fresh, struct arena *a, struct err *e)
{
    struct predictions *all = arena_alloc(a, 1, sizeof *all);
    if (!all)
        return err_set(e, ERR_MEMORY, "no memory for what was measured");
    if (!predictions_read(all, a, e))
        return false;
    for (int i = 0; i < fresh->count; i++)
        predictions_add(all, &fresh->items[i]);
    return predictions_write(all, a, e);
}

double prediction_error_percent(const struct prediction *p)
{
    return (p->measured / span_middle(p->predicted) - 1) * 100;
}

bool prediction_holds(const struct prediction *p)
{
    return p->measured >= p->predicted.least && p->measured <= p->predicted.most;
}
