/* artifact.h: Artifact Registry (v1): repositories of container images, and what lies in them. Pushing is
 * target/registry.h's. Errors have the repository's name in front; any thread. */
#ifndef FERRY_CLOUD_ARTIFACT_H
#define FERRY_CLOUD_ARTIFACT_H

#include "cloud/cloud.h"
#include "cloud/operation.h"

#include <stdint.h>

struct repository_name {
    const char *project, *region, *name;
};

/* "Repository" as JSON. Not there: ERR_NOT_FOUND. */
json_t *repository_get(struct cloud *c, const struct repository_name *n, struct err *e);
/* These two begin an operation: operation_finish(c, "artifactregistry", "v1", …). A new one is for container
 * images (format DOCKER) and has the labels, an object of strings. ERR_BUSY: it is there. */
json_t *repository_create(struct cloud *c, const struct repository_name *n, const json_t *labels,
                          struct err *e);
json_t *repository_delete(struct cloud *c, const struct repository_name *n, struct err *e); /* gone: done */

/* What a repository says of itself. Strings are the JSON's, "" when not said. */
struct repository {
    const char *name; /* "ferry" */
    uint64_t bytes;   /* of all that lies there, as it is charged for; 0: nothing, or not said */
    bool ours;        /* label.h */
};
void repository_read(const json_t *json, struct repository *out);

/* All of a region. Strings live until fn returns. */
typedef bool (*repository_fn)(void *arg, const struct repository *r, struct err *e);
bool repository_each(struct cloud *c, const char *project, const char *region, repository_fn fn, void *arg,
                     struct err *e);

/* Images of a repository. Strings live until fn returns. */
struct docker_image {
    const char *package, *digest; /* "ferry", "sha256:…" */
    uint64_t bytes;
    const char *uploaded; /* RFC 3339; "" when not said */
};
typedef bool (*docker_image_fn)(void *arg, const struct docker_image *i, struct err *e);
bool docker_image_each(struct cloud *c, const struct repository_name *n, docker_image_fn fn, void *arg,
                       struct err *e);

#endif
