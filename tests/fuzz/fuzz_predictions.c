/* What Ferry has written of its predictions, or somebody else. */
#include "cmd/plan_prediction.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_item(const struct prediction *p)
{
    check(p->what >= 0 && p->what < PREDICTED_WHATS && p->measured > 0 && p->of.vcpu >= 1);
    check(p->predicted.least > 0 && p->predicted.least <= p->predicted.most);
    check(isfinite(prediction_error_percent(p)) && prediction_error_percent(p) >= -100);
    for (const char *s = p->of.model; *s; s++)
        check((unsigned char)*s >= 0x20 && *s != 0x7f);
}

/* What is read is written and read the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct predictions p, again;
    struct err e = {0};
    if (!predictions_parse(&p, (const char *)data, size, &e)) {
        check(e.kind == ERR_CORRUPT && e.text[0]);
        return 0;
    }
    check(p.count >= 0 && p.count <= PREDICTIONS_MOST);
    for (int i = 0; i < p.count; i++)
        check_item(&p.items[i]);
    json_t *root = json_pack("{s:o}", "predictions", predictions_json(&p));
    char *text = json_dumps(root, 0);
    check(text && predictions_parse(&again, text, strlen(text), &e) && again.count == p.count);
    for (int i = 0; i < p.count; i++)
        check(again.items[i].what == p.items[i].what && again.items[i].measured == p.items[i].measured);
    free(text);
    json_decref(root);
    return 0;
}
