#include "target/image/description.h"

#include "target/image/root.h"

#include <jansson.h>
#include <time.h>

enum { TIME_TEXT = 40 };

/* RFC 3339, as the image specification wants it. */
static void print_time(int64_t seconds, char out[TIME_TEXT])
{
    time_t t = (time_t)seconds;
    struct tm parts;
    if (!gmtime_r(&t, &parts) || strftime(out, TIME_TEXT, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        out[0] = 0; /* a year of more digits than a time has; options are checked before */
}

/* The text of an object, which is let go of; NULL with *e set when it is NULL. */
static char *dump(json_t *object, struct err *e)
{
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(object);
    if (!text)
        err_set(e, ERR_MEMORY, "no memory for the description of an image");
    return text;
}

/* The keys that the image specification has for such things ("Pre-Defined Annotation Keys"). */
static json_t *labels(const struct build_note *n, const char *created)
{
    const char *revision = *n->revision ? n->revision : NULL, *source = *n->source ? n->source : NULL;
    return json_pack("{s:s, s:s, s:s, s:s, s:s*, s:s*}", "org.opencontainers.image.title", "ferry",
                     "org.opencontainers.image.licenses", "Apache-2.0", "org.opencontainers.image.created",
                     created, "org.opencontainers.image.version", n->version,
                     "org.opencontainers.image.revision", revision, "org.opencontainers.image.source",
                     source);
}

/* What runs: the service, on the port that Cloud Run names in PORT and 8080 otherwise. HOME is where a copy
 * keeps its journal; certificates are named, as not every libcurl looks for them in the same place. */
static json_t *run(const struct build_note *n, const char *created)
{
    return json_pack("{s:s, s:s, s:[s,s], s:[s,s,s], s:{s:{}}, s:o}", "User", ROOT_USER, "WorkingDir", "/",
                     "Entrypoint", "/" ROOT_PROGRAM, "serve", "Env", "PATH=/", "HOME=/tmp",
                     "SSL_CERT_FILE=/" ROOT_CERTIFICATES, "ExposedPorts", "8080/tcp", "Labels",
                     labels(n, created));
}

static json_t *history(const char *created)
{
    return json_pack("[{s:s, s:s, s:s}, {s:s, s:s, s:s}]", "created", created, "created_by",
                     "ferry image build", "comment", "libraries and certificates", "created", created,
                     "created_by", "ferry image build", "comment", "ferry");
}

char *image_config(const struct image *im, int64_t created, struct err *e)
{
    char when[TIME_TEXT];
    print_time(created, when);
    return dump(json_pack("{s:s, s:s, s:s, s:o, s:{s:s, s:[s,s]}, s:o}", "architecture", "amd64", "os",
                          "linux", "created", when, "config", run(&im->note, when), "rootfs", "type",
                          "layers", "diff_ids", im->layers[IMAGE_LIBRARIES].diff_id,
                          im->layers[IMAGE_PROGRAM].diff_id, "history", history(when)),
                e);
}

static json_t *descriptor(const struct image_blob *b)
{
    return json_pack("{s:s, s:s, s:I}", "mediaType", b->type, "digest", b->digest, "size",
                     (json_int_t)b->size);
}

char *image_manifest(const struct image *im, struct err *e)
{
    return dump(json_pack("{s:i, s:s, s:o, s:[o,o]}", "schemaVersion", 2, "mediaType", IMAGE_MANIFEST_TYPE,
                          "config", descriptor(&im->config), "layers",
                          descriptor(&im->layers[IMAGE_LIBRARIES].blob),
                          descriptor(&im->layers[IMAGE_PROGRAM].blob)),
                e);
}
