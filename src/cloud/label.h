/* label.h: the label of all that Ferry makes in a project, by which it is found again. */
#ifndef FERRY_CLOUD_LABEL_H
#define FERRY_CLOUD_LABEL_H

#include <jansson.h>
#include <stdbool.h>

#define LABEL_NAME "managed-by"
#define LABEL_OWNER "ferry"
#define LABEL LABEL_NAME "=" LABEL_OWNER /* as a selector */

/* Whether this resource of whatever API ({"labels":{…}}) has it. */
bool label_is_ours(const json_t *resource);

#endif
