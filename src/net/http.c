#include "net/http.h"

#include "base/catalog.h"
#include "base/clock.h"
#include "base/stop.h"
#include "net/client/pool.h"
#include "net/curl_api.h"
#include "net/parse/headers.h"
#include "net/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
    CONNECT_SECONDS = 30,
    STALL_SECONDS = 300,
    WIND_DOWN_SECONDS = 2,     /* looked at once a second */
    RECEIVE_BUFFER = 64 << 10, /* with TLS a read brings one record of 16 KB; more measured no better */
    SEND_BUFFER = 256 << 10,   /* a third less CPU than libcurl's 64 KB; 1 MB no better */
};

struct http {
    struct curl_api api;
    struct pool *pool;
    int stall_seconds;
    const volatile sig_atomic_t *wind_down; /* or NULL */
};

/* One http_send while it runs. */
struct exchange {
    const struct curl_api *api;
    CURL *curl;
    const struct http_request *q;
    const volatile sig_atomic_t *wind_down; /* the client's */
    struct http_reply *r;
    struct curl_slist *headers;
    struct err refused; /* why we ended it: the body's taker, its room */
    size_t problem_size;
    off_t file_at;   /* next byte of the body's file */
    bool head_ended; /* the empty line behind the headers was there */
    bool stopped, stalled;
    int stall_seconds;
    int requests;      /* that went out */
    curl_off_t moved;  /* bytes of both bodies when last looked */
    uint64_t moved_ns; /* when they last became more */
};

struct http *http_new(struct err *e)
{
    struct http *h = calloc(1, sizeof *h);
    if (!h) {
        err_set(e, ERR_MEMORY, "no memory for an HTTP client");
        return NULL;
    }
    h->stall_seconds = STALL_SECONDS;
    if (curl_api_load(&h->api, e))
        h->pool = pool_open(&h->api, e);
    if (h->pool)
        return h;
    free(h);
    return NULL;
}

void http_limit(struct http *h, int per_host)
{
    pool_limit(h->pool, per_host);
}

void http_patience(struct http *h, int stall_seconds)
{
    h->stall_seconds = stall_seconds;
}

void http_wind_down(struct http *h, const volatile sig_atomic_t *stop)
{
    h->wind_down = stop;
}

bool http_winds_down(const struct http *h)
{
    return stop_wanted(h->wind_down);
}

void http_free(struct http *h)
{
    if (!h)
        return;
    pool_close(h->pool);
    free(h);
}

const char *http_header(const struct http_reply *r, const char *name, char *out, size_t room)
{
    return headers_find(r->headers, name, out, room);
}

/* --- what libcurl calls while the answer comes --- */

static bool succeeded(struct exchange *x)
{
    long status = 0;
    x->api->getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
    x->r->status = (int)status;
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

static bool keep_body(struct exchange *x, const char *bytes, size_t size)
{
    size_t had = x->r->size;
    if (size > x->q->into_room - had)
        return err_set(&x->refused, ERR_LIMIT, "the answer is longer than the %zu bytes it may have",
                       x->q->into_room);
    memcpy((char *)x->q->into + had, bytes, size);
    return true;
}

static bool hand_over(struct exchange *x, const char *bytes, size_t size)
{
    if (x->q->into)
        return keep_body(x, bytes, size);
    return !x->q->on_data || x->q->on_data(x->q->arg, bytes, size, &x->refused);
}

/* libcurl's write callback: anything but size ends the transfer. */
static size_t take_body(char *bytes, size_t one, size_t size, void *arg)
{
    struct exchange *x = arg;
    (void)one; /* always 1 */
    if (!succeeded(x) && !x->q->on_head) {
        keep_problem(x, bytes, size);
        return size;
    }
    if (!hand_over(x, bytes, size))
        return size + 1;
    x->r->size += size;
    return size;
}

/* The empty line: all headers of this answer are there. */
static bool end_head(struct exchange *x)
{
    x->head_ended = true;
    succeeded(x);
    return x->r->status < 200 || !x->q->on_head || x->q->on_head(x->q->arg, x->r, &x->refused);
}

static size_t take_header(char *bytes, size_t one, size_t size, void *arg)
{
    struct exchange *x = arg;
    (void)one;
    x->moved_ns = clock_ns();
    headers_add(x->r->headers, sizeof x->r->headers, bytes, size);
    if (size >= 5 && memcmp(bytes, "HTTP/", 5) == 0)
        x->head_ended = false;
    else if (size <= 2 && !end_head(x)) /* "\r\n" or "\n" */
        return size + 1;
    return size;
}

/* libcurl's callbacks for a body out of a file: the next bytes of it, and where to begin again when the
 * request goes out once more. */
static size_t give_file(char *out, size_t one, size_t room, void *arg)
{
    struct exchange *x = arg;
    (void)one;
    ssize_t n = pread(x->q->body_file, out, room, x->file_at);
    if (n < 0) {
        err_errno(&x->refused, "cannot read the body to send");
        return CURL_READFUNC_ABORT;
    }
    x->file_at += n;
    return (size_t)n;
}

static int seek_file(void *arg, curl_off_t offset, int origin)
{
    struct exchange *x = arg;
    (void)origin; /* always SEEK_SET */
    x->file_at = (off_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* libcurl's callback before a request goes out. On a kept connection that ends it sends a second one by
 * itself. */
static int count_request(void *arg, char *ip, char *local_ip, int port, int local_port)
{
    struct exchange *x = arg;
    (void)ip, (void)local_ip, (void)port, (void)local_port;
    x->requests++;
    return CURL_PREREQFUNC_OK;
}

static int seconds_or(int seconds, int usual)
{
    return seconds > 0 ? seconds : usual;
}

/* libcurl's progress callback, called at least once a second: nonzero ends the transfer. */
static int check_progress(void *arg, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal,
                          curl_off_t ulnow)
{
    struct exchange *x = arg;
    uint64_t now = clock_ns();
    bool winds_down = stop_wanted(x->wind_down);
    int seconds = winds_down && x->stall_seconds > WIND_DOWN_SECONDS ? WIND_DOWN_SECONDS : x->stall_seconds;
    uint64_t patience = (uint64_t)seconds * 1000000000u;
    (void)dltotal, (void)ultotal;
    if (dlnow + ulnow != x->moved) {
        x->moved = dlnow + ulnow;
        x->moved_ns = now;
    }
    x->stalled = now - x->moved_ns >= patience;
    x->stopped = stop_wanted(x->q->stop) || (winds_down && x->stalled);
    return x->stopped || x->stalled;
}

/* --- what libcurl is told --- */

/* value NULL: nothing. The message never holds a value: it may be a secret. */
static bool add_header(struct exchange *x, const char *name, const char *value, struct err *e)
{
    char *line = NULL;
    if (!value)
        return true;
    if (!header_sendable(name, value))
        return err_set(e, ERR_USAGE, "header %s: its name or value has a character that no header may have",
                       name);
    /* "name;" is libcurl's way to send an empty one */
    int n = *value ? asprintf(&line, "%s: %s", name, value) : asprintf(&line, "%s;", name);
    struct curl_slist *longer = n < 0 ? NULL : x->api->slist_append(x->headers, line);
    if (n >= 0)
        free(line);
    if (!longer)
        return err_set(e, ERR_MEMORY, "no memory for the headers of a request");
    x->headers = longer;
    return true;
}

/* The n-th of the caller's own headers, NULL behind the last. */
static const struct http_header *own_header(const struct http_request *q, int n)
{
    int few = 0;
    while (few < HTTP_MAX_HEADERS && q->headers[few].name)
        few++;
    const struct http_header *h = n < few ? &q->headers[n] : q->more ? &q->more[n - few] : NULL;
    return h && h->name ? h : NULL;
}

static bool has_header(const struct http_request *q, const char *name)
{
    const struct http_header *h;
    for (int i = 0; (h = own_header(q, i)); i++) {
        if (h->value && strcasecmp(h->name, name) == 0)
            return true;
    }
    return false;
}

/* Takes back what libcurl would send by itself. */
static bool drop_header(struct exchange *x, const char *line, struct err *e)
{
    struct curl_slist *longer = x->api->slist_append(x->headers, line);
    if (!longer)
        return err_set(e, ERR_MEMORY, "no memory for the headers of a request");
    x->headers = longer;
    return true;
}

static bool add_range(struct exchange *x, struct err *e)
{
    const struct http_range *range = &x->q->range;
    char text[64];
    uint64_t last;

    if (range->size == 0)
        return true;
    if (__builtin_add_overflow(range->begin, range->size - 1, &last))
        return err_set(e, ERR_USAGE, "a range of bytes ends past 2^64");
    snprintf(text, sizeof text, "bytes=%llu-%llu", (unsigned long long)range->begin,
             (unsigned long long)last);
    return add_header(x, "Range", text, e);
}

static bool add_headers(struct exchange *x, struct err *e)
{
    const struct http_request *q = x->q;
    /* 100-continue costs a round trip; a form's Content-Type is libcurl's guess for any body */
    if (!drop_header(x, "Expect:", e) ||
        (!q->content_type && !has_header(q, "Content-Type") && !drop_header(x, "Content-Type:", e)))
        return false;
    if (!has_header(q, "Accept-Encoding") && !add_header(x, "Accept-Encoding", "identity", e))
        return false; /* compressed on the way, ranges and checksums would not fit */
    const struct http_header *h;
    for (int i = 0; (h = own_header(q, i)); i++) {
        if (!add_header(x, h->name, h->value, e))
            return false;
    }
    return add_header(x, "Content-Type", q->content_type, e) && add_header(x, "Accept", q->accept, e) &&
           add_range(x, e);
}

static bool set_bearer(struct exchange *x, struct err *e)
{
    if (!x->q->bearer)
        return true;
    if (!header_sendable("Authorization", x->q->bearer))
        return err_set(e, ERR_USAGE, "the access token has a character that no header may have");
    x->api->setopt(x->curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    x->api->setopt(x->curl, CURLOPT_XOAUTH2_BEARER, x->q->bearer);
    return true;
}

static void set_certificates(struct exchange *x)
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
            x->api->setopt(x->curl, sources[i].option, path);
    }
}

static void set_connection(struct exchange *x)
{
    static const struct {
        CURLoption option;
        long value;
    } options[] = {
        {CURLOPT_NOSIGNAL, 1},
        {CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1},
        {CURLOPT_PATH_AS_IS, 1}, /* an object may be called ".." */
        {CURLOPT_SUPPRESS_CONNECT_HEADERS, 1},
        {CURLOPT_MAXCONNECTS, 1},
        {CURLOPT_TCP_NODELAY, 1},
        {CURLOPT_TCP_KEEPALIVE, 1},
        {CURLOPT_BUFFERSIZE, RECEIVE_BUFFER},
        {CURLOPT_UPLOAD_BUFFERSIZE, SEND_BUFFER},
        {CURLOPT_NOPROGRESS, 0},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        x->api->setopt(x->curl, options[i].option, options[i].value);
    x->api->setopt(x->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    x->api->setopt(x->curl, CURLOPT_USERAGENT, "ferry");
    x->api->setopt(x->curl, CURLOPT_CONNECTTIMEOUT, (long)seconds_or(x->q->connect_seconds, CONNECT_SECONDS));
    set_certificates(x);
}

static void set_callbacks(struct exchange *x)
{
    x->api->setopt(x->curl, CURLOPT_XFERINFOFUNCTION, check_progress);
    x->api->setopt(x->curl, CURLOPT_XFERINFODATA, x);
    x->api->setopt(x->curl, CURLOPT_WRITEFUNCTION, take_body);
    x->api->setopt(x->curl, CURLOPT_WRITEDATA, x);
    x->api->setopt(x->curl, CURLOPT_HEADERFUNCTION, take_header);
    x->api->setopt(x->curl, CURLOPT_HEADERDATA, x);
    x->api->setopt(x->curl, CURLOPT_PREREQFUNCTION, count_request);
    x->api->setopt(x->curl, CURLOPT_PREREQDATA, x);
}

static void set_file(struct exchange *x)
{
    x->api->setopt(x->curl, CURLOPT_UPLOAD, 1L);
    x->api->setopt(x->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)x->q->body_size);
    x->api->setopt(x->curl, CURLOPT_READFUNCTION, give_file);
    x->api->setopt(x->curl, CURLOPT_READDATA, x);
    x->api->setopt(x->curl, CURLOPT_SEEKFUNCTION, seek_file);
    x->api->setopt(x->curl, CURLOPT_SEEKDATA, x);
}

/* A body is sent from where it lies. PUT, POST and PATCH without one say so: Content-Length: 0. */
static void set_body(struct exchange *x)
{
    const struct http_request *q = x->q;
    bool wants_body = q->method[0] == 'P';

    if (q->body_file) {
        set_file(x);
    } else if (q->body || wants_body) {
        x->api->setopt(x->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(q->body ? q->body_size : 0));
        x->api->setopt(x->curl, CURLOPT_POSTFIELDS, q->body ? q->body : "");
    } else if (strcmp(q->method, "HEAD") == 0) {
        x->api->setopt(x->curl, CURLOPT_NOBODY, 1L);
    }
    x->api->setopt(x->curl, CURLOPT_CUSTOMREQUEST, q->method);
}

/* Everything libcurl is told for this request, which starts from its defaults. */
static bool prepare(struct exchange *x, struct err *e)
{
    set_connection(x);
    set_callbacks(x);
    set_body(x);
    if (!set_bearer(x, e) || !add_headers(x, e))
        return false;
    x->api->setopt(x->curl, CURLOPT_HTTPHEADER, x->headers);
    if (x->api->setopt(x->curl, CURLOPT_URL, x->q->url) != CURLE_OK) /* copied */
        return err_set(e, ERR_MEMORY, "no memory for the address of a request");
    return true;
}

/* --- what came of it --- */

/* False when it does not fit. */
static bool copy_info(const struct exchange *x, CURLINFO info, char *out, size_t room)
{
    const char *text = NULL;
    x->api->getinfo(x->curl, info, &text);
    return snprintf(out, room, "%s", text ? text : "") < (int)room;
}

static bool read_reply(const struct exchange *x, struct err *e)
{
    struct http_reply *r = x->r;
    long status = 0;
    curl_off_t wait = 0;
    x->api->getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
    x->api->getinfo(x->curl, CURLINFO_RETRY_AFTER, &wait);
    r->status = (int)status;
    r->resent = x->requests > 1 ? x->requests - 1 : 0;
    r->retry_after_seconds = wait > 86400 ? 86400 : (int)wait;
    copy_info(x, CURLINFO_CONTENT_TYPE, r->content_type, sizeof r->content_type);
    if (copy_info(x, CURLINFO_REDIRECT_URL, r->location, sizeof r->location))
        return true;
    r->location[0] = 0; /* half an address is another one */
    return err_set(e, ERR_LIMIT, "HTTP %d to an address of more than %zu bytes", r->status,
                   sizeof r->location - 1);
}

static bool stall_error(const struct exchange *x, struct err *e)
{
    return err_set(e, ERR_TRANSIENT, "%s stalled: no byte for %d s; try again",
                   x->r->status ? _("the answer") : _("the request"), x->stall_seconds);
}

static const struct {
    CURLcode code;
    enum err_kind kind;
    const char *says; /* NULL: libcurl's own words */
} failures[] = {
    {CURLE_OUT_OF_MEMORY, ERR_MEMORY, "no memory for a request"},
    {CURLE_URL_MALFORMAT, ERR_USAGE, "not a URL of the form http://HOST[:PORT] or https://HOST[:PORT]"},
    {CURLE_UNSUPPORTED_PROTOCOL, ERR_CORRUPT, "who answers there does not speak HTTP/1.1"},
    {CURLE_PEER_FAILED_VERIFICATION, ERR_CORRUPT, NULL},
    {CURLE_SSL_CACERT_BADFILE, ERR_USAGE, NULL},
};

/* A failed transfer as an err. detail: libcurl's own words, which name hosts and files but no secrets. */
static bool explain(const struct exchange *x, CURLcode code, const char *detail, struct err *e)
{
    if (x->refused.kind != ERR_NONE) {
        if (e)
            *e = x->refused;
        return false;
    }
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return x->stopped ? err_set(e, ERR_CANCELLED, "interrupted") : stall_error(x, e);
    const char *says = *detail ? detail : x->api->strerror(code);
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        if (failures[i].code == code)
            return err_set(e, failures[i].kind, "%s", failures[i].says ? failures[i].says : says);
    }
    return err_set(e, ERR_TRANSIENT, "%s", says);
}

static bool perform(struct exchange *x, struct err *e)
{
    char detail[CURL_ERROR_SIZE] = "";
    if (!prepare(x, e))
        return false;
    x->api->setopt(x->curl, CURLOPT_ERRORBUFFER, detail);
    x->moved_ns = clock_ns();
    CURLcode code = x->api->perform(x->curl);
    x->api->setopt(x->curl, CURLOPT_ERRORBUFFER, NULL);
    bool fits = read_reply(x, e);
    if (code != CURLE_OK)
        return explain(x, code, detail, e);
    if (!x->head_ended || x->r->status < 200) /* which libcurl takes for an answer without a body */
        return err_set(e, ERR_TRANSIENT, "the connection closed in the middle of the answer's headers");
    return fits;
}

bool http_send(struct http *h, const struct http_request *q, struct http_reply *r, struct err *e)
{
    struct exchange x = {.api = &h->api, .q = q, .wind_down = h->wind_down, .r = r};
    x.stall_seconds = seconds_or(q->stall_seconds, h->stall_seconds);
    char origin[URL_ORIGIN_BYTES];

    *r = (struct http_reply){0};
    if (!url_origin(q->url, origin, sizeof origin))
        return err_set(e, ERR_USAGE, "not a URL of the form http://HOST[:PORT] or https://HOST[:PORT]");
    struct line *line = pool_borrow(h->pool, origin, q->stop, e);
    if (!line)
        return false;
    x.curl = line_handle(line);
    bool ok = perform(&x, e);
    pool_return(h->pool, line); /* forgets pointers to this frame and the bearer */
    x.api->slist_free_all(x.headers);
    return ok;
}
