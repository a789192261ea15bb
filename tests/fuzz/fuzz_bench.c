/* Any text as what `ferry bench --json` has written: what is taken says the same when it is written again. */
#include "cmd/bench.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static char *text_of(const struct bench_result *r)
{
    json_t *json = bench_json(r);
    char *text = json_dumps(json, 0);
    json_decref(json);
    check(text != NULL);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bench_result r, back;
    struct err e = {0};
    if (!bench_parse((const char *)data, size, &r, &e)) {
        check(e.kind == ERR_CORRUPT && e.text[0]);
        return 0;
    }
    check(r.count >= 0 && r.count <= BENCH_POINTS);
    char *text = text_of(&r);
    check(bench_parse(text, strlen(text), &back, &e));
    char *again = text_of(&back);
    check(strcmp(text, again) == 0);
    free(again);
    free(text);
    return 0;
}
