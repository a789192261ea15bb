/* image.c: `ferry image build|push`. */
#include "base/arena.h"
#include "cmd/commands.h"
#include "cmd/copying.h"
#include "cmd/image_report.h"
#include "cmd/interrupt.h"
#include "store/store.h"
#include "target/layout.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES = 4 << 20, MIB = 1 << 20 };
#define LAST_SECOND 253402300799 /* of the year 9999, with which RFC 3339 ends */

struct image_settings {
    const char *output, *tag, *binary, *certificates, *mount, *epoch, *user, *password;
    int chunk;
    bool symbols, dry_run, json;
};

static const struct option image_options[] = {
    {.name = "output",
     .letter = 'o',
     .type = OPTION_TEXT,
     .argument = "FOLDER",
     .offset = offsetof(struct image_settings, output),
     .help = "with build: where the image is written to, as an OCI image layout"},
    {.name = "tag",
     .letter = 't',
     .type = OPTION_TEXT,
     .argument = "TAG",
     .preset = "latest",
     .offset = offsetof(struct image_settings, tag),
     .help = "with build: the image's tag in that folder"},
    {.name = "binary",
     .type = OPTION_TEXT,
     .argument = "FILE",
     .offset = offsetof(struct image_settings, binary),
     .help = "another ferry than the one that runs"},
    {.name = "certificates",
     .type = OPTION_TEXT,
     .argument = "FILE",
     .offset = offsetof(struct image_settings, certificates),
     .help = "CA certificates (PEM) to trust inside; this system's unless told"},
    {.name = "symbols",
     .type = OPTION_FLAG,
     .offset = offsetof(struct image_settings, symbols),
     .help = "keep the program's symbols and debug information"},
    {.name = "mount",
     .letter = 'm',
     .type = OPTION_TEXT,
     .argument = "REPOSITORY",
     .offset = offsetof(struct image_settings, mount),
     .help = "with push: take layers from this repository of the same registry where it has them"},
    {.name = "chunk",
     .type = OPTION_INT,
     .argument = "MIB",
     .max = 1024,
     .offset = offsetof(struct image_settings, chunk),
     .help =
         "with push: send layers in pieces of so many MiB, where something on the way limits the size of a "
         "request; whole unless told, and always whole to Artifact Registry, which takes no pieces"},
    {.name = "dry-run",
     .letter = 'n',
     .type = OPTION_FLAG,
     .offset = offsetof(struct image_settings, dry_run),
     .help = "with build: list the files and write none; with push: print the requests and send none"},
    {.name = "json",
     .type = OPTION_FLAG,
     .offset = offsetof(struct image_settings, json),
     .help = "print the result as one JSON object"},
    {.type = OPTION_TEXT,
     .env = "FERRY_REGISTRY_USER",
     .offset = offsetof(struct image_settings, user),
     .help = "the login of a registry that is not Google's"},
    {.type = OPTION_TEXT,
     .env = "FERRY_REGISTRY_PASSWORD",
     .offset = offsetof(struct image_settings, password),
     .help = "its password or token"},
    {.type = OPTION_TEXT,
     .env = "SOURCE_DATE_EPOCH",
     .offset = offsetof(struct image_settings, epoch),
     .help = "the image's date, in seconds since 1970; that of the commit ferry was built from unless told"},
};

/* One run of the command. */
struct run {
    struct image_settings settings;
    struct arena *arena;
    struct image *image;
    struct reference to;
};

static bool build_image(struct run *r, struct err *e)
{
    const struct image_settings *s = &r->settings;
    struct image_options o = {.program = s->binary,
                              .certificates = s->certificates,
                              .keep_symbols = s->symbols,
                              .created = IMAGE_DATE_OF_PROGRAM};
    char *end = NULL;
    if (s->epoch) {
        o.created = strspn(s->epoch, "0123456789") <= 12 ? strtoll(s->epoch, &end, 10) : -1;
        if (!end || *end || o.created < 0 || o.created > LAST_SECOND)
            return err_set(e, ERR_USAGE, "SOURCE_DATE_EPOCH: \"%.40s\", expected seconds since 1970",
                           s->epoch);
    }
    r->image = image_build(&o, e);
    return r->image != NULL;
}

/* --- build --- */

static bool print_built(const struct run *r, struct err *e)
{
    const struct image_settings *s = &r->settings;
    if (s->json) {
        json_t *result = image_json(r->image);
        json_object_set_new(result, "output", s->dry_run ? json_null() : json_string(s->output));
        json_object_set_new(result, "tag", json_string(s->tag));
        return print_json(result, e);
    }
    image_print(r->image, false);
    if (s->dry_run) {
        image_print_files(r->image);
        puts("nothing was written");
    } else {
        printf("%s:%s is %s\n", s->output, s->tag, r->image->manifest.digest);
    }
    return true;
}

static bool run_build(struct run *r, struct err *e)
{
    const struct image_settings *s = &r->settings;
    if (!s->output && !s->dry_run)
        return err_set(e, ERR_USAGE, "where to? -o FOLDER, or --dry-run to see what would be in it");
    if (!reference_is_tag(s->tag))
        return err_set(e, ERR_USAGE, "--tag: \"%.200s\", expected letters, digits, . _ -", s->tag);
    return build_image(r, e) && (s->dry_run || layout_write(r->image, s->output, s->tag, e)) &&
           print_built(r, e);
}

/* --- push --- */

static struct push_options push_options(struct run *r)
{
    const struct image_settings *s = &r->settings;
    return (struct push_options){.to = &r->to,
                                 .mount_from = s->mount,
                                 .user = s->user,
                                 .password = s->password,
                                 .chunk_bytes = (size_t)s->chunk * MIB};
}

static char *name_of(const struct run *r, const char *separator, const char *what)
{
    return arena_printf(r->arena, "%s/%s%s%s", r->to.registry, r->to.repository, separator, what);
}

static json_t *push_json(const struct run *r)
{
    json_t *result = image_json(r->image);
    json_object_set_new(result, "tag", json_string(name_of(r, ":", r->to.tag)));
    json_object_set_new(result, "reference", json_string(name_of(r, "@", r->image->manifest.digest)));
    return result;
}

static bool print_plan(struct run *r, struct err *e)
{
    struct push_options o = push_options(r);
    int count;
    const struct push_request *requests = registry_plan(r->image, &o, r->arena, &count, e);
    if (!requests)
        return false;
    if (r->settings.json) {
        json_t *result = push_json(r);
        json_object_set_new(result, "requests", image_requests_json(requests, count));
        return print_json(result, e);
    }
    image_print(r->image, false);
    image_print_requests(requests, count);
    printf("nothing was sent; %s would be %s\n", name_of(r, ":", r->to.tag), r->image->manifest.digest);
    return true;
}

static bool send_image(struct run *r, struct stores *stores, struct err *e)
{
    struct image_push push = {.quiet = r->settings.json, .blobs = json_array()};
    struct push_options o = push_options(r);
    o.stop = interrupt_watch();
    o.on_blob = image_push_tell;
    o.arg = &push;
    if (!push.quiet)
        image_print(r->image, true);
    bool ok = registry_push(stores_cloud(stores), r->image, &o, e);
    if (push.open)
        puts("not sent");
    if (ok && push.quiet) {
        json_t *result = push_json(r);
        json_object_set(result, "blobs", push.blobs);
        ok = print_json(result, e);
    } else if (ok) {
        printf("%s\n", name_of(r, "@", r->image->manifest.digest));
    }
    json_decref(push.blobs);
    return ok;
}

static bool run_push(struct run *r, const char *name, struct err *e)
{
    const struct image_settings *s = &r->settings;
    if (!reference_parse(&r->to, name, r->arena, e))
        return false;
    if (s->mount && !reference_is_repository(s->mount))
        return err_set(e, ERR_USAGE,
                       "--mount: \"%.200s\", expected a repository's name without its registry and tag",
                       s->mount);
    if (!build_image(r, e))
        return false;
    if (s->dry_run)
        return print_plan(r, e);
    struct stores *stores = stores_new(0, e);
    bool ok = stores && send_image(r, stores, e);
    stores_free(stores);
    return ok;
}

/* --- all --- */

static bool run_verb(struct run *r, const struct command *c, const struct operands *o, struct err *e)
{
    const char *verb = o->count ? o->items[0] : "";
    if (strcmp(verb, "build") == 0 && o->count == 1)
        return run_build(r, e);
    if (strcmp(verb, "push") == 0 && o->count == 2)
        return run_push(r, o->items[1], e);
    if (strcmp(verb, "push") == 0)
        return err_set(e, ERR_USAGE, "where to? ferry image push REGISTRY/REPOSITORY[:TAG]");
    return err_set(e, ERR_USAGE, "build or push? usage: ferry image %s", c->synopsis);
}

static bool run_image(const struct command *c, char **args, int count, struct err *e)
{
    struct run r = {0};
    struct operands o;
    if (!options_read(c, args, count, &r.settings, &o, e))
        return false;
    if (o.help) {
        help_command(stdout, c);
        return true;
    }
    r.arena = arena_new(ARENA_BYTES);
    bool ok = r.arena ? run_verb(&r, c, &o, e) : err_set(e, ERR_MEMORY, "no memory");
    image_free(r.image);
    arena_free(r.arena);
    return ok;
}

static const struct option_group image_group = {"Options", image_options,
                                                sizeof image_options / sizeof *image_options};
static const struct option_group *const image_groups[] = {&image_group, NULL};

static const char *const image_examples[] = {
    "ferry image push asia-northeast1-docker.pkg.dev/my-project/my-repo/ferry:0.1.0",
    "this ferry, for Cloud Run; a second time sends only what has changed",
    "ferry image build -o ferry-image",
    "the same as a folder, for skopeo, podman or umoci",
    "ferry image build --dry-run",
    "every file that would be in it, and where it comes from",
    "ferry image push localhost:5000/ferry --dry-run",
    "the requests that would be sent, with digests and sizes",
    NULL,
};

const struct command command_image = {
    .name = "image",
    .synopsis = "build -o FOLDER | push REGISTRY/REPOSITORY[:TAG] [options]",
    .summary = "make a container image of this ferry, push it to a registry",
    .about =
        "Makes an OCI image of the ferry that runs: the program, the shared libraries it needs on this "
        "machine "
        "(libcurl included, to load models from buckets), CA certificates, and nothing else: no shell, no "
        "package manager. Its service runs as user 65532 and listens on PORT, or 8080. The same ferry on the "
        "same "
        "machine gives the same image, byte for byte. build writes it into a folder; push sends it to a "
        "registry, "
        "needs no docker, sends only what is not there yet, goes on after breaks, and prints the name with "
        "the "
        "digest to deploy. Google's registries take the login of the other commands; for others set "
        "FERRY_REGISTRY_USER and FERRY_REGISTRY_PASSWORD, or use `docker login` before. A registry at "
        "localhost is "
        "spoken to without TLS.",
    .examples = image_examples,
    .groups = image_groups,
    .max_operands = 2,
    .run = run_image,
};
