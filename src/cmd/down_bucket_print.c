/* down_bucket_print.c: what goes, what stays and why, before anybody is asked. */
#include "cmd/down_bucket_parts.h"

#include "cmd/human.h"
#include "cmd/running_cost.h"

#include <stdio.h>

static void print_stays(const struct down_bucket *d)
{
    for (int i = 0; i < d->place_count; i++)
        if (d->places[i].reader && (i == 0 || d->places[i].uri != d->places[i - 1].uri))
            printf("  %s stays: the service %s reads it\n", d->places[i].uri, d->places[i].reader);
    for (int i = 0; i < d->bucket_count; i++)
        if (down_is_there(&d->buckets[i]) && d->buckets[i].stays)
            printf("  gs://%s stays: %s\n", d->buckets[i].name, d->buckets[i].stays);
    if (!down_is_gs(d->model))
        printf("  which folder the model of %s lies in is not known any more; `ferry rm -r` removes it\n",
               d->service);
}

static double month_of(const struct down_bucket *d, const struct prices *p)
{
    struct running_free used = {0};
    double usd = 0;
    for (int i = 0; i < d->bucket_count; i++)
        usd += running_cost_holding(p, &used, &d->buckets[i].held);
    struct holding images = {.kind = HOLDING_IMAGES, .has_bytes = true, .bytes = d->image_bytes};
    return usd + (d->neighbours ? 0 : running_cost_holding(p, &used, &images));
}

static void print_goes(const struct down_bucket *d, const struct prices *p)
{
    char size[HUMAN_TEXT], usd[RUNNING_COST_TEXT];
    uint64_t bytes = d->neighbours ? 0 : d->image_bytes;
    printf("  the service %s in %s, and its service account\n", d->service, d->region);
    if (d->image_bytes && !d->neighbours)
        printf("  images in %s  %s\n", d->region, human_bytes(d->image_bytes, size));
    for (size_t i = 0; i < d->count; i++) {
        bytes += d->items[i].size;
        printf("  gs://%s/%s  %s\n", d->items[i].bucket, d->items[i].name,
               human_bytes(d->items[i].size, size));
    }
    for (int i = 0; i < d->bucket_count; i++)
        if (down_is_there(&d->buckets[i]) && !d->buckets[i].stays)
            printf("  gs://%s, the bucket itself\n", d->buckets[i].name);
    printf("%zu object%s; %s that lie there cost %s a month\n", d->count, human_plural(d->count),
           human_bytes(bytes, size), running_cost_text(month_of(d, p), usd));
}

bool down_bucket_print(const struct down_bucket *d, struct err *e)
{
    struct prices *p = prices_builtin(e);
    if (p) {
        print_goes(d, p);
        print_stays(d);
    }
    prices_free(p);
    return p != NULL;
}
