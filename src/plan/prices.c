#include "plan/prices.h"

#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const char prices_snapshot[];
extern const size_t prices_snapshot_bytes;

enum { SCHEMA = 1 };

struct prices {
    json_t *root;  /* owns the strings */
    json_t *added; /* owns those of prices_set */
    struct price *items;
    size_t count;
    struct price *limits; /* value: a number, else NAN and what: a text */
    size_t limit_count;
};

static const struct price unknown = {.id = "",
                                     .what = "",
                                     .unit = "",
                                     .region = "",
                                     .value = NAN,
                                     .vcpu = NAN,
                                     .ram_gib = NAN,
                                     .free = NAN,
                                     .source = "not in the snapshot",
                                     .date = ""};

/* --- reading --- */

/* Ids, names and dates reach terminals and pages: printable ASCII of a sane length. */
static bool is_text(const json_t *v)
{
    const char *s = json_string_value(v);
    size_t n = json_string_length(v);
    if (!s || n == 0 || n > 300)
        return false;
    for (size_t i = 0; i < n; i++)
        if (s[i] < 0x20 || s[i] == 0x7f || (s[i] & 0x80))
            return false;
    return true;
}

static bool read_text(const char **out, const json_t *item, const char *key, struct err *e)
{
    const json_t *v = json_object_get(item, key);
    *out = json_string_value(v);
    return is_text(v) || err_set(e, ERR_CORRUPT, "%s: expected a short text", key);
}

static bool read_source(struct price *p, const json_t *root, const json_t *item, struct err *e)
{
    const char *name;
    if (!read_text(&name, item, "source", e))
        return false;
    const json_t *source = json_object_get(json_object_get(root, "sources"), name);
    if (!json_is_object(source))
        return err_set(e, ERR_CORRUPT, "source \"%s\" is not among the sources", name);
    return (read_text(&p->source, source, "title", e) && read_text(&p->date, source, "date", e)) ||
           err_wrap(e, "source \"%s\"", name);
}

/* NAN when it is not there. */
static bool read_number(double *out, const json_t *item, const char *key, struct err *e)
{
    const json_t *v = json_object_get(item, key);
    *out = v ? json_number_value(v) : NAN;
    return !v || (json_is_number(v) && *out >= 0 && *out < 1e12) ||
           err_set(e, ERR_CORRUPT, "%s: expected a number from 0 up", key);
}

static bool read_item(struct price *p, const json_t *root, const json_t *item, struct err *e)
{
    *p = unknown;
    if (!read_text(&p->id, item, "id", e))
        return false;
    bool ok = read_text(&p->what, item, "service", e) && read_text(&p->unit, item, "unit", e) &&
              read_text(&p->region, item, "region", e) && read_number(&p->value, item, "price", e) &&
              read_number(&p->vcpu, item, "vcpu", e) && read_number(&p->ram_gib, item, "ram_gib", e) &&
              read_source(p, root, item, e);
    if (ok && isnan(p->value))
        ok = err_set(e, ERR_CORRUPT, "price: expected a number from 0 up");
    return ok || err_wrap(e, "%s", p->id);
}

static bool read_limit(struct price *p, const json_t *root, const json_t *item, struct err *e)
{
    const json_t *value = json_object_get(item, "value");
    *p = unknown;
    if (!read_text(&p->id, item, "id", e))
        return false;
    bool ok = read_source(p, root, item, e);
    if (ok && json_is_number(value))
        ok = read_number(&p->value, item, "value", e);
    else if (ok && is_text(value))
        p->what = json_string_value(value);
    else if (ok)
        ok = err_set(e, ERR_CORRUPT, "value: expected a number or a short text");
    return ok || err_wrap(e, "%s", p->id);
}

typedef bool (*read_fn)(struct price *p, const json_t *root, const json_t *item, struct err *e);

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct price *)a)->id, ((const struct price *)b)->id);
}

static bool read_list(struct price **out, size_t *count, const json_t *root, const char *key, read_fn read,
                      struct err *e)
{
    const json_t *list = json_object_get(root, key);
    if (!json_is_array(list))
        return err_set(e, ERR_CORRUPT, "%s: expected a list", key);
    *out = calloc(json_array_size(list) + 1, sizeof **out);
    if (!*out)
        return err_set(e, ERR_MEMORY, "no memory for prices");
    for (; *count < json_array_size(list); ++*count)
        if (!read(&(*out)[*count], root, json_array_get(list, *count), e))
            return err_wrap(e, "%s: item %zu", key, *count);
    qsort(*out, *count, sizeof **out, by_id);
    for (size_t i = 1; i < *count; i++)
        if (by_id(&(*out)[i - 1], &(*out)[i]) == 0)
            return err_set(e, ERR_CORRUPT, "%s: %s stands there twice", key, (*out)[i].id);
    return true;
}

static bool check_head(const json_t *root, struct err *e)
{
    const char *currency = json_string_value(json_object_get(root, "currency"));
    if (json_integer_value(json_object_get(root, "schema")) != SCHEMA)
        return err_set(e, ERR_CORRUPT, "schema: expected %d", SCHEMA);
    if (!currency || strcmp(currency, "USD") != 0)
        return err_set(e, ERR_CORRUPT, "currency: expected USD");
    return is_text(json_object_get(root, "newest_source")) ||
           err_set(e, ERR_CORRUPT, "newest_source: expected a date");
}

struct prices *prices_parse(const char *json, size_t bytes, struct err *e)
{
    json_error_t at;
    struct prices *p = calloc(1, sizeof *p);
    if (!p) {
        err_set(e, ERR_MEMORY, "no memory for prices");
        return NULL;
    }
    p->root = json_loadb(json, bytes, JSON_REJECT_DUPLICATES, &at);
    bool ok = p->root || err_set(e, ERR_CORRUPT, "line %d: %s, expected JSON", at.line, at.text);
    ok = ok && check_head(p->root, e) && read_list(&p->items, &p->count, p->root, "items", read_item, e) &&
         read_list(&p->limits, &p->limit_count, p->root, "aws_limits", read_limit, e);
    if (ok)
        return p;
    prices_free(p);
    return NULL;
}

struct prices *prices_builtin(struct err *e)
{
    return prices_parse(prices_snapshot, prices_snapshot_bytes, e);
}

void prices_free(struct prices *p)
{
    if (!p)
        return;
    json_decref(p->root);
    json_decref(p->added);
    free(p->items);
    free(p->limits);
    free(p);
}

/* --- asking --- */

static const struct price *find(const struct price *list, size_t count, const char *id)
{
    const struct price key = {.id = id},
                       *found = count ? bsearch(&key, list, count, sizeof key, by_id) : NULL;
    return found ? found : &unknown;
}

__attribute__((format(printf, 2, 0))) static const struct price *
find_formatted(const struct prices *p, const char *format, va_list arguments)
{
    char id[200];
    int n = vsnprintf(id, sizeof id, format, arguments);
    return n > 0 && (size_t)n < sizeof id ? find(p->items, p->count, id) : &unknown;
}

const struct price *prices_find(const struct prices *p, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const struct price *found = find_formatted(p, format, arguments);
    va_end(arguments);
    return found;
}

double prices_value(const struct prices *p, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    double value = find_formatted(p, format, arguments)->value;
    va_end(arguments);
    return value;
}

double prices_value_in(const struct prices *p, const char *region, const char *id)
{
    const struct price *one = find(p->items, p->count, id);
    return strcmp(one->region, "all") == 0 || strcmp(one->region, region) == 0 ? one->value : NAN;
}

double prices_limit(const struct prices *p, const char *id)
{
    return find(p->limits, p->limit_count, id)->value;
}

const char *prices_limit_text(const struct prices *p, const char *id)
{
    return find(p->limits, p->limit_count, id)->what;
}

const char *prices_date(const struct prices *p)
{
    return json_string_value(json_object_get(p->root, "newest_source"));
}

/* --- newer ones --- */

/* A copy that lives as long as p; NULL: no memory. */
static const char *keep(struct prices *p, const char *text)
{
    json_t *copy = json_string(text);
    if (!p->added)
        p->added = json_array();
    return copy && json_array_append_new(p->added, copy) == 0 ? json_string_value(copy) : NULL;
}

/* Room for one more, in its place among the ids. NULL: no memory. */
static struct price *insert(struct prices *p, const char *id)
{
    struct price *grown = realloc(p->items, (p->count + 1) * sizeof *grown);
    if (!grown)
        return NULL;
    p->items = grown;
    size_t at = p->count++;
    for (; at > 0 && strcmp(grown[at - 1].id, id) > 0; at--)
        grown[at] = grown[at - 1];
    grown[at] = unknown;
    grown[at].id = id;
    grown[at].region = "all";
    return &grown[at];
}

static struct price *find_or_insert(struct prices *p, const char *id)
{
    const struct price *found = find(p->items, p->count, id);
    if (found != &unknown)
        return &p->items[found - p->items];
    id = keep(p, id);
    return id ? insert(p, id) : NULL;
}

bool prices_set(struct prices *p, const char *id, double value, double free, const char *source,
                const char *date, struct err *e)
{
    date = keep(p, date);
    struct price *item = date ? find_or_insert(p, id) : NULL;
    if (!item)
        return err_set(e, ERR_MEMORY, "no memory for prices");
    item->value = value;
    item->free = free;
    item->source = source;
    item->date = date;
    return true;
}

/* --- Cloud Run --- */

static bool lists(const json_t *list, const char *text)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *item = json_string_value(json_array_get(list, i));
        if (item && strcmp(item, text) == 0)
            return true;
    }
    return false;
}

enum price_tier prices_tier(const struct prices *p, const char *region)
{
    const json_t *tiers = json_object_get(p->root, "tiers");
    if (lists(json_object_get(tiers, "tier1"), region))
        return TIER_1;
    return lists(json_object_get(tiers, "tier2_seen"), region) ? TIER_2 : TIER_UNKNOWN;
}

struct run_rates prices_run(const struct prices *p, enum price_tier tier)
{
    const char *end = tier == TIER_1 ? "" : tier == TIER_2 ? ".tier2" : ".unknown";
    return (struct run_rates){
        .active = {prices_value(p, "run.request.cpu.active%s", end),
                   prices_value(p, "run.request.mem.active%s", end)},
        .idle = {prices_value(p, "run.request.cpu.idle%s", end),
                 prices_value(p, "run.request.mem.idle%s", end)},
        .instance = {prices_value(p, "run.instance.cpu%s", end), prices_value(p, "run.instance.mem%s", end)},
        .per_request = prices_value(p, "run.request.requests") / 1e6,
    };
}

/* --- free tiers --- */

static const json_t *free_tier(const struct prices *p, const char *key)
{
    return json_object_get(json_object_get(p->root, "free_tier"), key);
}

/* Nothing is free that the snapshot does not call free. */
static double amount(const json_t *object, const char *key)
{
    double value = json_number_value(json_object_get(object, key));
    return value > 0 && value < 1e12 ? value : 0;
}

static struct free_amounts amounts(const json_t *o)
{
    return (struct free_amounts){amount(o, "vcpu_seconds"), amount(o, "gib_seconds"), amount(o, "requests")};
}

/* What an item's own price says, else the snapshot. */
static double free_of(const struct price *item, double snapshot)
{
    return isnan(item->free) ? snapshot : item->free;
}

struct free_amounts prices_free_requests(const struct prices *p)
{
    struct free_amounts f = amounts(free_tier(p, "run.request"));
    f.requests = free_of(prices_find(p, "run.request.requests"), f.requests);
    return f;
}

struct free_amounts prices_free_instance(const struct prices *p)
{
    return amounts(free_tier(p, "run.instance_and_jobs"));
}

double prices_free_storage_gib(const struct prices *p, const char *region)
{
    const json_t *storage = free_tier(p, "gcs.standard_gib_month");
    return free_of(prices_find(p, "gcs.storage.standard.%s", region),
                   lists(json_object_get(storage, "regions"), region) ? amount(storage, "value") : 0);
}

double prices_free_images_gib(const struct prices *p)
{
    return free_of(prices_find(p, "ar.storage"), amount(free_tier(p, "artifactregistry.gib_month"), "value"));
}
