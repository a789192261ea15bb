#include "net/curl_api.h"

#include "net/http.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

static const struct {
    const char *name;
    size_t offset;
} functions[] = {
    {"curl_global_init", offsetof(struct curl_api, global_init)},
    {"curl_easy_init", offsetof(struct curl_api, easy_init)},
    {"curl_easy_reset", offsetof(struct curl_api, easy_reset)},
    {"curl_easy_setopt", offsetof(struct curl_api, setopt)},
    {"curl_easy_perform", offsetof(struct curl_api, perform)},
    {"curl_easy_getinfo", offsetof(struct curl_api, getinfo)},
    {"curl_easy_strerror", offsetof(struct curl_api, strerror)},
    {"curl_easy_cleanup", offsetof(struct curl_api, cleanup)},
    {"curl_slist_append", offsetof(struct curl_api, slist_append)},
    {"curl_slist_free_all", offsetof(struct curl_api, slist_free_all)},
    {"curl_share_init", offsetof(struct curl_api, share_init)},
    {"curl_share_setopt", offsetof(struct curl_api, share_setopt)},
    {"curl_share_cleanup", offsetof(struct curl_api, share_cleanup)},
};

const char http_library[] = "libcurl.so.4"; /* the ABI since 2006 */

bool curl_api_load(struct curl_api *api, struct err *e)
{
    void *handle = dlopen(http_library, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return err_set(e, ERR_UNSUPPORTED, "%s cannot be loaded (%s); install libcurl (Debian: libcurl4)",
                       http_library, dlerror());
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *f = dlsym(handle, functions[i].name);
        if (!f)
            return err_set(e, ERR_UNSUPPORTED, "%s has no %s; a newer libcurl is needed", http_library,
                           functions[i].name);
        memcpy((char *)api + functions[i].offset, &f, sizeof f);
    }
    if (api->global_init(CURL_GLOBAL_DEFAULT) != 0)
        return err_set(e, ERR_UNSUPPORTED, "%s: cannot be initialised", http_library);
    return true;
}
