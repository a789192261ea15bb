#include "cloud/artifact.h"

#include "cloud/call/rest.h"
#include "cloud/label.h"

#include <stdlib.h>
#include <string.h>

#define REPOSITORY "/v1/projects/{}/locations/{}/repositories/{}"

static json_t *named(json_t *answer, const struct repository_name *n, struct err *e)
{
    if (!answer)
        err_wrap(e, "Artifact Registry repository %s in %s", n->name, n->region);
    return answer;
}

json_t *repository_get(struct cloud *c, const struct repository_name *n, struct err *e)
{
    struct rest q = {.api = "artifactregistry",
                     .method = "GET",
                     .path = REPOSITORY,
                     .names = {n->project, n->region, n->name}};
    return named(rest_call(c, &q, e), n, e);
}

json_t *repository_create(struct cloud *c, const struct repository_name *n, const json_t *labels,
                          struct err *e)
{
    json_t *body = json_pack("{s:s, s:s, s:O}", "format", "DOCKER", "description",
                             "container images of ferry", "labels", labels);
    struct rest q = {.api = "artifactregistry",
                     .method = "POST",
                     .path = "/v1/projects/{}/locations/{}/repositories?repositoryId={}",
                     .names = {n->project, n->region, n->name},
                     .body = body};
    json_t *operation = body ? rest_call(c, &q, e) : NULL;
    if (!body)
        err_set(e, ERR_MEMORY, "no memory for a request");
    json_decref(body);
    return named(operation, n, e);
}

json_t *repository_delete(struct cloud *c, const struct repository_name *n, struct err *e)
{
    struct rest q = {.api = "artifactregistry",
                     .method = "DELETE",
                     .path = REPOSITORY,
                     .names = {n->project, n->region, n->name},
                     .flags = CLOUD_IDEMPOTENT};
    return named(rest_delete(c, &q, e), n, e);
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

/* "projects/P/locations/L/repositories/R" */
void repository_read(const json_t *json, struct repository *out)
{
    const char *name = text_of(json, "name"), *slash = strrchr(name, '/');
    *out = (struct repository){.name = slash ? slash + 1 : name,
                               .bytes = strtoull(text_of(json, "sizeBytes"), NULL, 10),
                               .ours = label_is_ours(json)};
}

struct repositories {
    repository_fn fn;
    void *arg;
};

static bool take_repository(void *arg, const json_t *item, struct err *e)
{
    const struct repositories *all = arg;
    struct repository r;
    repository_read(item, &r);
    return all->fn(all->arg, &r, e);
}

bool repository_each(struct cloud *c, const char *project, const char *region, repository_fn fn, void *arg,
                     struct err *e)
{
    struct repositories all = {fn, arg};
    struct rest q = {.api = "artifactregistry",
                     .method = "GET",
                     .path = "/v1/projects/{}/locations/{}/repositories?pageSize=1000",
                     .names = {project, region}};
    return rest_each(c, &q, "repositories", take_repository, &all, e) ||
           err_wrap(e, "repositories in %s", region);
}

/* --- images --- */

struct images {
    docker_image_fn fn;
    void *arg;
};

/* "projects/P/locations/L/repositories/R/dockerImages/PACKAGE@sha256:…" */
static bool take_image(void *arg, const json_t *item, struct err *e)
{
    const struct images *all = arg;
    char package[300];
    const char *name = text_of(item, "name"), *last = strrchr(name, '/');
    const char *digest = last ? strchr(last, '@') : NULL;
    if (!digest || digest - last >= (long)sizeof package)
        return err_set(e, ERR_CORRUPT, "an image without a digest: \"%.100s\"", name);
    *(char *)mempcpy(package, last + 1, (size_t)(digest - last - 1)) = 0;
    struct docker_image i = {.package = package,
                             .digest = digest + 1,
                             .bytes = strtoull(text_of(item, "imageSizeBytes"), NULL, 10),
                             .uploaded = text_of(item, "uploadTime")};
    return all->fn(all->arg, &i, e);
}

bool docker_image_each(struct cloud *c, const struct repository_name *n, docker_image_fn fn, void *arg,
                       struct err *e)
{
    struct images all = {fn, arg};
    struct rest q = {.api = "artifactregistry",
                     .method = "GET",
                     .path = REPOSITORY "/dockerImages?pageSize=1000",
                     .names = {n->project, n->region, n->name}};
    return rest_each(c, &q, "dockerImages", take_image, &all, e) || err_wrap(e, "images of %s", n->name);
}
