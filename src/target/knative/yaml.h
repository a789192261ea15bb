/* yaml.h: JSON as people read it in YAML 1.2, block by block. Texts that YAML would take for something else
 * stand in double quotes, as JSON writes them, which YAML reads the same. */
#ifndef FERRY_TARGET_KNATIVE_YAML_H
#define FERRY_TARGET_KNATIVE_YAML_H

#include <jansson.h>

/* Members in their order, with \n at the end. NULL: no memory. Freed by free. */
char *yaml_text(json_t *json);

#endif
