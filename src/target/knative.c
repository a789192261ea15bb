#include "target/knative.h"

#include "target/knative/service.h"
#include "target/knative/yaml.h"
#include "target/reference.h"

#include <stdlib.h>
#include <string.h>

static const char digest_begin[] = "@sha256:";

/* A digest in place of the tag, or behind it. */
static bool check_digest(const char *image, const char *digest, struct err *e)
{
    const char *digits = digest + sizeof digest_begin - 1;
    return (strncmp(digest, digest_begin, sizeof digest_begin - 1) == 0 && strlen(digits) == 64 &&
            strspn(digits, "0123456789abcdef") == 64) ||
           err_set(e, ERR_USAGE, "%.300s: expected @sha256: and 64 digits behind the @", image);
}

bool knative_check_image(const char *image, struct arena *a, struct err *e)
{
    struct reference r;
    const char *digest = strchr(image, '@');
    if (digest && !check_digest(image, digest, e))
        return false;
    const char *name = arena_strndup(a, image, digest ? (size_t)(digest - image) : strlen(image));
    return name ? reference_parse(&r, name, a, e) : err_set(e, ERR_MEMORY, "no memory");
}

static const char *manifest(struct target_run *r, const struct target_spec *s, enum target_format f,
                            struct err *e)
{
    json_t *service = knative_service(s, e);
    if (!service)
        return NULL;
    char *text = f == TARGET_JSON ? json_dumps(service, JSON_INDENT(2)) : yaml_text(service);
    const char *kept = text ? arena_printf(r->arena, "%s%s", text, f == TARGET_JSON ? "\n" : "") : NULL;
    if (!kept)
        err_set(e, ERR_MEMORY, "no memory for the manifest");
    free(text);
    json_decref(service);
    return kept;
}

const struct target target_knative = {.name = "knative", .manifest = manifest};
