#include "cloud/label.h"

#include <string.h>

bool label_is_ours(const json_t *resource)
{
    const char *owner = json_string_value(json_object_get(json_object_get(resource, "labels"), LABEL_NAME));
    return owner && strcmp(owner, LABEL_OWNER) == 0;
}
