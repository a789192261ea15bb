#include "cloud/hub.h"

#include "base/file.h"
#include "cloud/call/call.h"
#include "cloud/call/ranged.h"
#include "cloud/hub/links.h"
#include "cloud/hub/problem.h"
#include "net/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEFAULT_ENDPOINT "https://huggingface.co"

enum { ARENA_BYTES = 64 << 10, MAX_LISTING_BYTES = 64 << 20, MAX_HOPS = 5, MAX_RENEWALS = 4 };

enum {
    ASK_STALL_SECONDS = 60,
};

struct hub {
    struct http *http;
    struct arena *arena;
    const struct retry_policy *policy;
    const char *endpoint; /* without a slash at its end */
    const char *token, *token_origin;
    bool offline;
    struct links *links;
};

/* --- settings, as huggingface_hub has them --- */

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static bool is_on(const char *name)
{
    const char *value = variable(name);
    return value && (strcmp(value, "1") == 0 || strcasecmp(value, "true") == 0 ||
                     strcasecmp(value, "yes") == 0 || strcasecmp(value, "on") == 0);
}

static char *token_path(struct arena *a)
{
    const char *path = variable("HF_TOKEN_PATH"), *home = variable("HF_HOME");
    const char *cache = variable("XDG_CACHE_HOME"), *user = variable("HOME");
    if (path)
        return arena_printf(a, "%s", path);
    if (home)
        return arena_printf(a, "%s/token", home);
    if (cache)
        return arena_printf(a, "%s/huggingface/token", cache);
    return user ? arena_printf(a, "%s/.cache/huggingface/token", user) : NULL;
}

/* Only what can stand in a header. */
static bool keep_token(struct hub *h, const char *text, const char *origin, struct err *e)
{
    size_t n = strcspn(text, "\r\n");
    for (size_t i = 0; i < n; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return err_set(e, ERR_AUTH, "the token (%s) contains a character that no token has", origin);
    if (n == 0)
        return true; /* an empty file is how a logout looks */
    h->token = arena_strndup(h->arena, text, n);
    h->token_origin = origin;
    return h->token || err_set(e, ERR_MEMORY, "no memory for the hub");
}

static bool find_token(struct hub *h, struct err *e)
{
    static const char *const names[] = {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (variable(names[i]))
            return keep_token(h, variable(names[i]), names[i], e);
    char *path = token_path(h->arena);
    if (!path || is_on("HF_HUB_DISABLE_IMPLICIT_TOKEN") || !file_exists(path))
        return true;
    char *text = file_read(h->arena, path, 4096, NULL, e);
    return text && keep_token(h, text, path, e);
}

static bool find_endpoint(struct hub *h, struct err *e)
{
    const char *value = variable("HF_ENDPOINT");
    char origin[URL_ORIGIN_BYTES];
    size_t n;
    if (!value)
        value = DEFAULT_ENDPOINT;
    n = strlen(value);
    while (n && value[n - 1] == '/')
        n--;
    h->endpoint = arena_strndup(h->arena, value, n);
    if (!h->endpoint)
        return err_set(e, ERR_MEMORY, "no memory for the hub");
    return url_origin(h->endpoint, origin, sizeof origin) ||
           err_set(e, ERR_USAGE, "HF_ENDPOINT is not of the form https://HOST[:PORT]");
}

struct hub *hub_new(struct http *http, struct err *e)
{
    struct hub *h = calloc(1, sizeof *h);
    if (!h || !(h->arena = arena_new(ARENA_BYTES)) || !(h->links = links_new())) {
        hub_free(h);
        err_set(e, ERR_MEMORY, "no memory for the hub");
        return NULL;
    }
    h->http = http;
    h->policy = &retry_default;
    h->offline = is_on("HF_HUB_OFFLINE");
    if (find_endpoint(h, e) && find_token(h, e))
        return h;
    hub_free(h);
    return NULL;
}

void hub_free(struct hub *h)
{
    if (!h)
        return;
    links_free(h->links);
    arena_free(h->arena);
    free(h);
}

void hub_set_retry(struct hub *h, const struct retry_policy *policy)
{
    h->policy = policy;
}

/* --- asking --- */

static struct hub_asked asked(const struct hub *h, const char *repo, const char *revision, const char *path)
{
    return (struct hub_asked){h->endpoint, repo, revision, path, h->token_origin};
}

/* The token goes to the endpoint and nowhere else. */
static const char *bearer_for(const struct hub *h, const char *url)
{
    return h->token && url_same_origin(url, h->endpoint) ? h->token : NULL;
}

static bool check_online(const struct hub *h, struct err *e)
{
    return !h->offline || err_set(e, ERR_USAGE, "HF_HUB_OFFLINE is set: the hub is not asked; unset it");
}

static bool send_retrying(struct hub *h, const struct http_request *q, struct body *b, struct http_reply *r,
                          struct err *e)
{
    struct retry retry = retry_start(h->policy, h->http, q->stop);
    bool ok;
    do {
        if (b)
            b->size = 0;
        ok = http_send(h->http, q, r, e);
    } while (retry_wanted(&retry, ok, r, e) && retry_wait(&retry));
    return ok;
}

/* Where a redirect points, if it stays on the endpoint: a renamed repository's, or one that names the default
 * host although another one was asked. url is replaced. False: it leads elsewhere, or nowhere. */
static bool follow(const struct hub *h, const struct http_reply *r, char url[LINK_ROOM])
{
    static const char usual[] = DEFAULT_ENDPOINT "/";
    char next[LINK_ROOM + 300];
    size_t n = sizeof usual - 2; /* without the slash */
    if (strncmp(r->location, usual, n + 1) == 0)
        snprintf(next, sizeof next, "%s%s", h->endpoint, r->location + n);
    else
        snprintf(next, sizeof next, "%s", r->location);
    if (!*next || strlen(next) >= LINK_ROOM)
        return false;
    memcpy(url, next, strlen(next) + 1);
    return url_same_origin(url, h->endpoint);
}

static bool is_redirect(const struct http_reply *r)
{
    return r->status == 301 || r->status == 302 || r->status == 303 || r->status == 307 || r->status == 308;
}

/* --- a repository --- */

static bool is_repo_name(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    size_t owner = strspn(name, allowed);
    if (owner == 0 || name[owner] != '/' || name[0] == '.')
        return false;
    const char *rest = name + owner + 1;
    return *rest && *rest != '.' && strspn(rest, allowed) == strlen(rest);
}

static bool get_listing(struct hub *h, char url[LINK_ROOM], struct body *b, struct http_reply *r,
                        struct err *e)
{
    for (int hop = 0; hop <= MAX_HOPS; hop++) {
        struct http_request q = {.method = "GET",
                                 .url = url,
                                 .accept = "application/json",
                                 .bearer = bearer_for(h, url),
                                 .stall_seconds = ASK_STALL_SECONDS,
                                 .on_data = body_take,
                                 .arg = b};
        if (!send_retrying(h, &q, b, r, e))
            return false;
        if (!is_redirect(r))
            return true;
        if (!follow(h, r, url))
            return err_set(e, ERR_CORRUPT, "the hub sends the listing elsewhere");
    }
    return err_set(e, ERR_CORRUPT, "the hub redirects more than %d times", MAX_HOPS);
}

bool hub_get(struct hub *h, const char *path, http_data_fn take, void *arg, struct http_reply *r,
             const char **token_origin, struct err *e)
{
    char url[LINK_ROOM];
    *token_origin = h->token_origin;
    if (!check_online(h, e))
        return false;
    if (snprintf(url, sizeof url, "%s%s", h->endpoint, path) >= (int)sizeof url)
        return err_set(e, ERR_USAGE, "the path is too long");
    for (int hop = 0; hop <= MAX_HOPS; hop++) {
        struct http_request q = {.method = "GET",
                                 .url = url,
                                 .accept = "application/json",
                                 .bearer = bearer_for(h, url),
                                 .stall_seconds = ASK_STALL_SECONDS,
                                 .on_data = take,
                                 .arg = arg};
        if (!http_send(h->http, &q, r, e))
            return false;
        if (!is_redirect(r) || !follow(h, r, url))
            return true;
    }
    return err_set(e, ERR_CORRUPT, "the hub redirects more than %d times", MAX_HOPS);
}

static bool open_repo(struct hub *h, const char *repo, const char *revision, struct arena *a,
                      struct hub_repo *out, struct err *e)
{
    char url[LINK_ROOM];
    struct body b = {.ceiling = MAX_LISTING_BYTES};
    struct http_reply r;
    const struct hub_asked q = asked(h, repo, revision, NULL);
    char *encoded = url_segment(a, revision);
    if (!encoded || snprintf(url, sizeof url, "%s/api/models/%s/revision/%s?blobs=True", h->endpoint, repo,
                             encoded) >= (int)sizeof url)
        return err_set(e, ERR_USAGE, "the revision's name is too long");
    bool ok = get_listing(h, url, &b, &r, e) && (r.status == 200 || hub_explain(&q, &r, e)) &&
              hub_parse(b.bytes ? b.bytes : "", b.size, a, out, e);
    body_clear(&b);
    return ok;
}

bool hub_open(struct hub *h, const char *repo, const char *revision, struct arena *a, struct hub_repo *out,
              struct err *e)
{
    struct err unheard = {0};
    e = e ? e : &unheard;
    revision = revision ? revision : "main";
    if (!is_repo_name(repo))
        return err_set(e, ERR_USAGE, "hf://%.200s: not of the form OWNER/NAME", repo);
    if (!check_online(h, e) || !open_repo(h, repo, revision, a, out, e))
        return err_wrap(e, "hf://%s", repo);
    out->name = arena_strndup(a, repo, strlen(repo)); /* as it was asked for, renamed or not */
    return out->name || err_set(e, ERR_MEMORY, "no memory for a listing of the hub");
}

/* --- a file --- */

/* Which file is to be resolved. */
struct wanted {
    struct hub *h;
    const struct hub_repo *repo;
    const struct hub_file *file;
    const volatile sig_atomic_t *stop;
};

/* "W/\"…\"" and "\"…\"" as what stands between the quotes. */
static bool same_etag(const char *etag, const char *want)
{
    if (strncmp(etag, "W/", 2) == 0)
        etag += 2;
    size_t n = strlen(want);
    if (etag[0] == '"')
        return strncmp(etag + 1, want, n) == 0 && etag[1 + n] == '"';
    return strcmp(etag, want) == 0;
}

/* What the hub says of the file now has to be what its listing said. */
static bool check_same(const struct hub_file *f, const struct http_reply *r, struct err *e)
{
    char etag[200], size[40];
    bool linked = http_header(r, "x-linked-etag", etag, sizeof etag) != NULL;
    const char *want = f->sha256 ? f->sha256 : f->git_blob;
    if ((linked || http_header(r, "etag", etag, sizeof etag)) && !same_etag(etag, want))
        return err_set(e, ERR_BUSY, "the hub has another file under that name by now: %.80s, expected %s",
                       etag, want);
    if (http_header(r, "x-linked-size", size, sizeof size) && strtoull(size, NULL, 10) != f->size)
        return err_set(e, ERR_BUSY, "the hub has %.20s bytes under that name by now, expected %llu", size,
                       (unsigned long long)f->size);
    return true;
}

/* Elsewhere it is the signature that counts, and it must not be read on the way. */
static bool check_link(const struct hub *h, const char *url, struct err *e)
{
    char origin[URL_ORIGIN_BYTES];
    bool plain = strncmp(h->endpoint, "http://", 7) == 0;
    if (url_origin(url, origin, sizeof origin) && (plain || strncmp(origin, "https://", 8) == 0))
        return true;
    return err_set(e, ERR_CORRUPT, "the hub redirects to an address that is not an https:// one");
}

/* HEAD on the file, until it is known where its bytes lie. */
static bool resolve(void *arg, char url[LINK_ROOM], struct err *e)
{
    const struct wanted *w = arg;
    const struct hub_asked q = asked(w->h, w->repo->name, w->repo->commit, w->file->path);
    struct http_reply r;
    struct arena *a = arena_new(ARENA_BYTES);
    char *path = a ? url_path(a, w->file->path) : NULL;
    int n = path ? snprintf(url, LINK_ROOM, "%s/%s/resolve/%s/%s", w->h->endpoint, w->repo->name,
                            w->repo->commit, path)
                 : LINK_ROOM;
    arena_free(a);
    if (n >= LINK_ROOM)
        return err_set(e, ERR_LIMIT, "the file's name is too long");
    for (int hop = 0; hop <= MAX_HOPS; hop++) {
        struct http_request head = {.method = "HEAD",
                                    .url = url,
                                    .bearer = bearer_for(w->h, url),
                                    .stall_seconds = ASK_STALL_SECONDS,
                                    .stop = w->stop};
        if (!send_retrying(w->h, &head, NULL, &r, e))
            return false;
        if (r.status != 200 && !is_redirect(&r))
            return hub_explain(&q, &r, e);
        if (r.status == 200)
            return check_same(w->file, &r, e);
        if (!follow(w->h, &r, url))
            return check_same(w->file, &r, e) && check_link(w->h, url, e);
    }
    return err_set(e, ERR_CORRUPT, "the hub redirects more than %d times", MAX_HOPS);
}

/* One hub_read while it runs. */
struct reading {
    struct wanted w;
    struct ranged g;
    struct retry retry;
    const char *key;
    int renewals; /* of the link, since something moved */
};

/* Signed URLs end after an hour; what lies elsewhere says so in its own way (403 mostly). */
static bool link_is_over(const struct reading *x, const char *url, const struct http_reply *r)
{
    bool elsewhere = !url_same_origin(url, x->w.h->endpoint);
    bool refused =
        r->status == 403 || r->status == 401 || r->status == 404 || r->status == 410 || r->status == 400;
    return (elsewhere && refused) || is_redirect(r);
}

static bool judge(struct reading *x, const char *url, bool sent, const struct http_reply *r, struct err *e)
{
    const struct hub_asked q = asked(x->w.h, x->w.repo->name, x->w.repo->commit, x->w.file->path);
    if (sent && r->status / 100 != 2) {
        if (link_is_over(x, url, r)) {
            links_drop(x->w.h->links, x->key, url);
            if (x->renewals++ < MAX_RENEWALS)
                return true;
            return err_set(e, ERR_TRANSIENT, "HTTP %d from where the hub's links point, even from fresh ones",
                           r->status);
        }
        if (retry_wanted(&x->retry, sent, r, e))
            return retry_wait(&x->retry) || err_set(e, ERR_CANCELLED, "interrupted");
        return hub_explain(&q, r, e);
    }
    if (ranged_take(&x->g, sent, r, e))
        return true;
    if (x->g.moved) {
        retry_progress(&x->retry);
        x->renewals = 0;
    }
    if (e->kind != ERR_TRANSIENT || !retry_again(&x->retry))
        return false;
    return retry_wait(&x->retry) || err_set(e, ERR_CANCELLED, "interrupted");
}

/* A file that is no LFS file comes from the hub itself, which may ignore ranges of text: the whole of one is
 * asked for as that. */
static bool is_small_whole(const struct reading *x)
{
    return !x->w.file->sha256 && x->g.offset == 0 && x->g.got == 0 && x->g.size == x->w.file->size;
}

/* Without a range a 200 is the answer. */
static bool read_whole(struct reading *x, struct http_request *q, bool sent, const struct http_reply *r)
{
    bool whole = q->range.size == 0 && sent && r->status == 200 && r->size == x->g.size;
    if (whole)
        x->g.got = x->g.size;
    return whole;
}

static bool read_some(struct reading *x, struct err *e)
{
    char url[LINK_ROOM];
    struct http_reply r;
    struct http_request q = {
        .method = "GET", .stop = x->w.stop, .headers = {{"Accept-Encoding", "identity"}}};
    if (!links_get(x->w.h->links, x->key, resolve, &x->w, url, e))
        return false;
    q.url = url;
    q.bearer = bearer_for(x->w.h, url);
    if (!ranged_wanted(&x->g, &q, &r))
        return true;
    if (is_small_whole(x))
        q.range = (struct http_range){0, 0};
    bool sent = http_send(x->w.h->http, &q, &r, e);
    return read_whole(x, &q, sent, &r) || judge(x, url, sent, &r, e);
}

bool hub_read(struct hub *h, const struct hub_repo *r, const struct hub_file *f, uint64_t offset, size_t size,
              void *into, const volatile sig_atomic_t *stop, struct err *e)
{
    char key[1200];
    struct err unheard = {0};
    struct reading x = {.w = {h, r, f, stop},
                        .g = {.offset = offset, .size = size, .into = into},
                        .retry = retry_start(h->policy, h->http, stop),
                        .key = key};
    e = e ? e : &unheard;
    if (snprintf(key, sizeof key, "%s@%s/%s", r->name, r->commit, f->path) >= (int)sizeof key)
        return err_set(e, ERR_LIMIT, "hf://%s: a file's name is too long", r->name);
    if (offset > f->size || size > f->size - offset)
        return err_set(e, ERR_USAGE, "hf://%s/%s: a range past its end", r->name, f->path);
    bool ok = check_online(h, e);
    while (ok && x.g.got < x.g.size)
        ok = read_some(&x, e);
    if (!ok && x.retry.tries > 1)
        err_wrap(e, "after %d tries", x.retry.tries);
    return ok || err_wrap(e, "hf://%s/%s", r->name, f->path);
}
