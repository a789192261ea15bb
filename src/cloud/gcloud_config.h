/* gcloud_config.h: project, region and endpoints as a gcloud user has set them, without gcloud.
 *
 * Environment first (CLOUDSDK_SECTION_PROPERTY; GOOGLE_CLOUD_PROJECT and GCLOUD_PROJECT for the project),
 * then the active configuration's INI file (CLOUDSDK_CONFIG or ~/.config/gcloud; active_config,
 * CLOUDSDK_ACTIVE_CONFIG_NAME). Read-only after reading: any thread. */
#ifndef FERRY_CLOUD_GCLOUD_CONFIG_H
#define FERRY_CLOUD_GCLOUD_CONFIG_H

#include "base/arena.h"
#include "base/err.h"

struct gcloud_property {
    const char *section, *name, *value;
};

struct gcloud_config {
    const char *folder; /* of gcloud's files; NULL when there is no home either */
    const char *active; /* name of the configuration */
    const char *path;   /* its file; NULL when there is none */
    struct gcloud_property *properties;
    int count;
    struct gcloud_property
        *environment; /* CLOUDSDK_… at the time of reading; section NULL, name the variable */
    int environment_count;
};

/* A missing file is an empty configuration; one that cannot be read or parsed is an error that names it. */
bool gcloud_config_read(struct gcloud_config *c, struct arena *a, struct err *e);

/* The INI text alone: "[section]" and "name = value" lines, "#" and ";" comments. For tests and fuzzing. */
bool gcloud_config_parse(struct gcloud_config *c, const char *text, size_t size, struct arena *a,
                         struct err *e);

/* NULL when unset. source (may be NULL) is told where it came from: "CLOUDSDK_CORE_PROJECT", a file's path.
 */
const char *gcloud_property(const struct gcloud_config *c, const char *section, const char *name,
                            const char **source);

/* CLOUDSDK_CORE_PROJECT, GOOGLE_CLOUD_PROJECT, GCLOUD_PROJECT, core/project. */
const char *gcloud_project(const struct gcloud_config *c, const char **source);

#endif
