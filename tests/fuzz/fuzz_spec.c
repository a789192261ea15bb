/* A service.json, as an older ferry or somebody with an editor has left it. */
#include "target/local/spec.h"
#include "target/target.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct spec s, again;
    struct err e = {0};
    char url[SPEC_URL];
    if (!spec_parse(&s, (const char *)data, size, &e)) {
        check(e.text[0] && !s.json && !s.name);
        return 0;
    }
    check(target_check_name(s.name, NULL) && s.port >= 0 && s.port <= 65535 && s.idle_seconds > 0);
    check(strncmp(spec_url(&s, url), "http://", 7) == 0);
    for (const char *const *v = s.environment; *v; v++)
        check(strchr(*v, '=') != NULL);
    char *text = json_dumps(s.json, 0);
    check(text && spec_parse(&again, text, strlen(text), &e) && strcmp(again.model, s.model) == 0);
    free(text);
    spec_clear(&again);
    spec_clear(&s);
    return 0;
}
