/* curl_api.h: the functions of libcurl that Ferry calls, found at run time (see http.h for why). */
#ifndef FERRY_NET_CURL_API_H
#define FERRY_NET_CURL_API_H

#include "base/err.h"

#include <curl/curl.h>

struct curl_api {
    __typeof__(&curl_global_init) global_init;
    __typeof__(&curl_easy_init) easy_init;
    __typeof__(&curl_easy_reset) easy_reset;
    __typeof__(&curl_easy_setopt) setopt;
    __typeof__(&curl_easy_perform) perform;
    __typeof__(&curl_easy_getinfo) getinfo;
    __typeof__(&curl_easy_strerror) strerror;
    __typeof__(&curl_easy_cleanup) cleanup;
    __typeof__(&curl_slist_append) slist_append;
    __typeof__(&curl_slist_free_all) slist_free_all;
    __typeof__(&curl_share_init) share_init;
    __typeof__(&curl_share_setopt) share_setopt;
    __typeof__(&curl_share_cleanup) share_cleanup;
};

/* Loads the library (once per process; it stays until exit, as OpenSSL inside it cannot be unloaded). */
bool curl_api_load(struct curl_api *api, struct err *e);

#endif
