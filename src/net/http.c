#include "net/http.h"

#include "net/curl_api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct http {
    struct curl_api api;
    CURL *curl;
};

/* One http_send while it runs. */
struct exchange {
    struct http *h;
    const struct http_request *q;
    struct http_reply *r;
    struct err refused; /* what on_data said */
    size_t problem_size;
};

struct http *http_new(struct err *e)
{
    struct http *h = calloc(1, sizeof *h);
    if (!h) {
        err_set(e, ERR_MEMORY, "no memory for an HTTP client");
        return NULL;
    }
    if (!curl_api_load(&h->api, e))
        goto fail;
    h->curl = h->api.easy_init();
    if (h->curl)
        return h;
    err_set(e, ERR_MEMORY, "no memory for an HTTP client");
fail:
    http_free(h);
    return NULL;
}

void http_free(struct http *h)
{
    if (!h)
        return;
    if (h->curl)
        h->api.cleanup(h->curl);
    free(h);
}

static bool succeeded(struct exchange *x)
{
    long status = 0;
    x->h->api.getinfo(x->h->curl, CURLINFO_RESPONSE_CODE, &status);
    return status >= 200 && status < 300;
}

static void keep_problem(struct exchange *x, const char *bytes, size_t size)
{
    size_t room = sizeof x->r->problem - 1 - x->problem_size;
    size_t n = size < room ? size : room;
    memcpy(x->r->problem + x->problem_size, bytes, n);
    x->problem_size += n;
    x->r->problem[x->problem_size] = 0;
}

/* libcurl's write callback: anything but size ends the transfer. */
static size_t take_body(char *bytes, size_t one, size_t size, void *arg)
{
    struct exchange *x = arg;
    (void)one; /* always 1 */
    if (!succeeded(x))
        keep_problem(x, bytes, size);
    else if (x->q->on_data && !x->q->on_data(x->q->arg, bytes, size, &x->refused))
        return size + 1;
    return size;
}

/* libcurl's progress callback, called at least once a second: nonzero ends the transfer. */
static int check_stop(void *arg, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal, curl_off_t ulnow)
{
    const struct exchange *x = arg;
    (void)dltotal, (void)dlnow, (void)ultotal, (void)ulnow;
    return x->q->stop && *x->q->stop;
}

static bool add_header(struct http *h, struct curl_slist **list, const char *name, const char *value)
{
    char line[512];
    if (!value)
        return true;
    if (snprintf(line, sizeof line, "%s: %s", name, value) >= (int)sizeof line)
        return false;
    struct curl_slist *longer = h->api.slist_append(*list, line);
    if (longer)
        *list = longer;
    return longer != NULL;
}

static void set_certificates(struct http *h)
{
    static const struct {
        const char *env;
        CURLoption option;
    } sources[] = {
        {"SSL_CERT_DIR", CURLOPT_CAPATH},
        {"SSL_CERT_FILE", CURLOPT_CAINFO},
        {"CURL_CA_BUNDLE", CURLOPT_CAINFO},
    };
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        const char *path = getenv(sources[i].env);
        if (path && *path)
            h->api.setopt(h->curl, sources[i].option, path);
    }
}

static void set_transfer(struct http *h, const struct http_request *q, struct exchange *x)
{
    h->api.setopt(h->curl, CURLOPT_NOSIGNAL, 1L);
    h->api.setopt(h->curl, CURLOPT_CONNECTTIMEOUT, (long)(q->connect_seconds ? q->connect_seconds : 30));
    h->api.setopt(h->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    h->api.setopt(h->curl, CURLOPT_LOW_SPEED_TIME, (long)(q->stall_seconds ? q->stall_seconds : 300));
    h->api.setopt(h->curl, CURLOPT_NOPROGRESS, 0L);
    h->api.setopt(h->curl, CURLOPT_XFERINFOFUNCTION, check_stop);
    h->api.setopt(h->curl, CURLOPT_XFERINFODATA, x);
    h->api.setopt(h->curl, CURLOPT_WRITEFUNCTION, take_body);
    h->api.setopt(h->curl, CURLOPT_WRITEDATA, x);
}

/* Everything libcurl is told for this request. False when memory is short or the URL is none. */
static bool prepare(struct exchange *x, struct curl_slist **headers, struct err *e)
{
    struct http *h = x->h;
    const struct http_request *q = x->q;

    h->api.easy_reset(h->curl);
    set_transfer(h, q, x);
    set_certificates(h);
    h->api.setopt(h->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    h->api.setopt(h->curl, CURLOPT_URL, q->url);
    if (q->body) {
        h->api.setopt(h->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body_size);
        h->api.setopt(h->curl, CURLOPT_POSTFIELDS, q->body);
    }
    h->api.setopt(h->curl, CURLOPT_CUSTOMREQUEST, q->method);
    if (q->bearer) {
        h->api.setopt(h->curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        h->api.setopt(h->curl, CURLOPT_XOAUTH2_BEARER, q->bearer);
    }
    if (!add_header(h, headers, "Content-Type", q->content_type) ||
        !add_header(h, headers, "Accept", q->accept))
        return err_set(e, ERR_MEMORY, "no memory for the headers of a request");
    h->api.setopt(h->curl, CURLOPT_HTTPHEADER, *headers);
    return true;
}

static void copy_info(struct http *h, CURLINFO info, char *out, size_t room)
{
    const char *text = NULL;
    h->api.getinfo(h->curl, info, &text);
    snprintf(out, room, "%s", text ? text : "");
}

static void read_reply(struct http *h, struct http_reply *r)
{
    long status = 0;
    curl_off_t wait = 0;
    h->api.getinfo(h->curl, CURLINFO_RESPONSE_CODE, &status);
    h->api.getinfo(h->curl, CURLINFO_RETRY_AFTER, &wait);
    r->status = (int)status;
    r->retry_after_seconds = wait > 86400 ? 86400 : (int)wait;
    copy_info(h, CURLINFO_CONTENT_TYPE, r->content_type, sizeof r->content_type);
    copy_info(h, CURLINFO_REDIRECT_URL, r->location, sizeof r->location);
}

/* A failed transfer as an err. detail: libcurl's own words, which name hosts and files but no secrets. */
static bool explain(const struct exchange *x, CURLcode code, const char *detail, struct err *e)
{
    if (x->refused.kind != ERR_NONE) {
        *e = x->refused;
        return false;
    }
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return err_set(e, ERR_CANCELLED, "interrupted");
    long connects = 0;
    x->h->api.getinfo(x->h->curl, CURLINFO_NUM_CONNECTS, &connects);
    if (code == CURLE_UNSUPPORTED_PROTOCOL && connects)
        return err_set(e, ERR_CORRUPT, "who answers there does not speak HTTP/1.1");
    if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
        return err_set(e, ERR_USAGE, "not a URL of the form http://HOST[:PORT] or https://HOST[:PORT]");
    if (code == CURLE_OPERATION_TIMEDOUT && x->r->status)
        return err_set(e, ERR_TRANSIENT, "the answer stalled; try again");
    return err_set(e, ERR_TRANSIENT, "%s", *detail ? detail : x->h->api.strerror(code));
}

bool http_send(struct http *h, const struct http_request *q, struct http_reply *r, struct err *e)
{
    struct exchange x = {.h = h, .q = q, .r = r};
    struct curl_slist *headers = NULL;
    char detail[CURL_ERROR_SIZE] = "";
    bool ok = false;

    *r = (struct http_reply){0};
    if (!prepare(&x, &headers, e))
        goto done;
    h->api.setopt(h->curl, CURLOPT_ERRORBUFFER, detail);
    CURLcode code = h->api.perform(h->curl);
    read_reply(h, r);
    ok = code == CURLE_OK || explain(&x, code, detail, e);
done:
    h->api.easy_reset(h->curl); /* forgets pointers to this frame and the bearer */
    h->api.slist_free_all(headers);
    return ok;
}
