#include "target/registry/upload.h"

#include "net/content_range.h"
#include "net/url.h"
#include "target/registry/problem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LOCATION_ROOM = 6144 };

/* One upload while it runs. */
struct run {
    struct session *s;
    const struct image_blob *blob;
    size_t chunk;         /* 0: the whole in one request */
    const char *location; /* where the next request goes; NULL: not begun */
    size_t held;          /* bytes that the registry has */
    size_t most;          /* it ever had, of all that was begun */
    bool mounted;
    int wrong;               /* times that what arrived was not what was sent */
    struct http_reply reply; /* the last */
};

/* How a step ended. */
enum step { STEP_DONE, STEP_AGAIN, STEP_FAILED };

/* --- what is there --- */

/* A redirect says so, too: to where the blob lies. */
bool upload_is_there(struct session *s, const struct image_blob *b, bool *there, struct err *e)
{
    struct http_reply r;
    char *url = session_url(s, e, "/blobs/%s", b->digest);
    *there = false;
    if (!url || !session_send(s, &(struct http_request){.method = "HEAD", .url = url}, 0, &r, e))
        return false;
    *there = r.status == 200 || (r.status >= 301 && r.status <= 308);
    return true;
}

/* --- addresses --- */

char *upload_address(struct session *s, const char *location, struct err *e)
{
    const char *base = s->to->endpoint;
    char origin[URL_ORIGIN_BYTES];
    char *url = location[0] == '/' && location[1] != '/'
                    ? arena_printf(s->arena, "%s%s", base, location)
                    : arena_strndup(s->arena, location, strlen(location));
    if (!url) {
        err_set(e, ERR_MEMORY, "no memory for an address");
        return NULL;
    }
    if (!url_origin(url, origin, sizeof origin)) {
        err_set(e, ERR_CORRUPT, "the registry names no address for the upload");
        return NULL;
    }
    if (strncmp(base, "https:", 6) == 0 && strncmp(origin, "https:", 6) != 0) {
        err_set(e, ERR_CORRUPT, "the registry was asked over TLS and wants the upload unencrypted, at %s",
                origin);
        return NULL;
    }
    return url;
}

/* The answer's Location is where the next request goes; without one it is where the last went. */
static bool take_location(struct run *u, const struct http_reply *r, struct err *e)
{
    char text[LOCATION_ROOM];
    if (!http_header(r, "location", text, sizeof text))
        return u->location || err_set(e, ERR_CORRUPT, "the registry names no address for the upload");
    if (strlen(text) == sizeof text - 1)
        return err_set(e, ERR_LIMIT, "the upload's address is over %d bytes", LOCATION_ROOM);
    u->location = upload_address(u->s, text, e);
    return u->location != NULL;
}

static char *closing_url(const struct run *u, struct err *e)
{
    char *url = arena_printf(u->s->arena, "%s%cdigest=%s", u->location, strchr(u->location, '?') ? '&' : '?',
                             u->blob->digest);
    if (!url)
        err_set(e, ERR_MEMORY, "no memory for an address");
    return url;
}

/* --- steps --- */

static bool passing(int status)
{
    return status == 408 || status == 429 || (status >= 500 && status != 501);
}

/* An answer that ends this try. Passing trouble, an upload that is gone (404), bytes in another place than
 * they should be (416) or changed on the way (400 DIGEST_INVALID): another try may do. */
static enum step refused(const struct run *u, struct err *e)
{
    const struct http_reply *r = &u->reply;
    bool digest = r->status == 400 && strstr(r->problem, "DIGEST_INVALID");
    problem_explain(u->s, r, e);
    if (digest)
        e->kind = ERR_CORRUPT;
    bool lost = u->location && (r->status == 404 || r->status == 416);
    return passing(r->status) || digest || lost ? STEP_AGAIN : STEP_FAILED;
}

static enum step unsent(const struct err *e)
{
    return e->kind == ERR_TRANSIENT ? STEP_AGAIN : STEP_FAILED;
}

/* A registry may ask for more per request than we would send. */
static void heed_minimum(struct run *u, const struct http_reply *r)
{
    char text[30];
    const char *least = http_header(r, "oci-chunk-min-length", text, sizeof text);
    size_t n = least ? strtoul(least, NULL, 10) : 0;
    if (u->chunk && n > u->chunk)
        u->chunk = n;
}

static enum step begin(struct run *u, struct err *e)
{
    const char *from = u->s->mount_from;
    char *url = from ? session_url(u->s, e, "/blobs/uploads/?mount=%s&from=%s", u->blob->digest, from)
                     : session_url(u->s, e, "/blobs/uploads/");
    if (!url)
        return STEP_FAILED;
    if (!session_send(u->s, &(struct http_request){.method = "POST", .url = url}, SESSION_ONCE, &u->reply, e))
        return unsent(e);
    u->held = 0;
    u->mounted = from && u->reply.status == 201;
    if (u->mounted)
        return STEP_DONE;
    if (u->reply.status != 202)
        return refused(u, e);
    heed_minimum(u, &u->reply);
    return take_location(u, &u->reply, e) ? STEP_DONE : STEP_FAILED;
}

/* The digest that the registry gives what came must be ours. */
static enum step check_stored(const struct run *u, const struct http_reply *r, struct err *e)
{
    char digest[200];
    if (!http_header(r, "docker-content-digest", digest, sizeof digest) ||
        strcmp(digest, u->blob->digest) == 0)
        return STEP_DONE;
    err_set(e, ERR_CORRUPT, "the registry has stored %.80s instead of %s", digest, u->blob->digest);
    return STEP_AGAIN;
}

/* The last request: names the digest; brings the whole when nothing was sent yet. */
static enum step finish(struct run *u, struct err *e)
{
    bool whole = u->held == 0 && u->blob->size > 0;
    struct http_request q = {.method = "PUT", .url = closing_url(u, e), .content_type = UPLOAD_TYPE};
    if (!q.url)
        return STEP_FAILED;
    if (whole) {
        q.body = u->blob->bytes;
        q.body_size = u->blob->size;
    }
    if (!session_send(u->s, &q, SESSION_ONCE, &u->reply, e))
        return unsent(e);
    return u->reply.status / 100 == 2 ? check_stored(u, &u->reply, e) : refused(u, e);
}

/* How much the registry says it holds ("Range: 0-4194303"), or what it must be. Some say "0-0" for nothing.
 */
static bool take_held(struct run *u, const struct http_reply *r, size_t otherwise, struct err *e)
{
    char text[80], bytes[100];
    uint64_t held = otherwise;
    if (http_header(r, "range", text, sizeof text)) {
        snprintf(bytes, sizeof bytes, "%s%s", strncasecmp(text, "bytes=", 6) == 0 ? "" : "bytes=", text);
        if (!range_held_parse(bytes, &held) || held > u->blob->size)
            return err_set(e, ERR_CORRUPT, "the registry says it holds \"%.60s\" of %zu bytes", text,
                           u->blob->size);
        held = held == 1 && otherwise != 1 ? 0 : held;
    }
    u->held = held;
    return true;
}

static enum step send_chunk(struct run *u, struct err *e)
{
    char range[60];
    size_t left = u->blob->size - u->held, size = left < u->chunk ? left : u->chunk;
    snprintf(range, sizeof range, "%zu-%zu", u->held, u->held + size - 1);
    struct http_request q = {.method = "PATCH",
                             .url = u->location,
                             .content_type = UPLOAD_TYPE,
                             .body = (const char *)u->blob->bytes + u->held,
                             .body_size = size,
                             .headers = {{"Content-Range", range}}};
    if (!session_send(u->s, &q, SESSION_ONCE, &u->reply, e))
        return unsent(e);
    if (u->reply.status / 100 != 2)
        return refused(u, e);
    size_t before = u->held;
    if (!take_location(u, &u->reply, e) || !take_held(u, &u->reply, u->held + size, e))
        return STEP_FAILED;
    if (u->held > before + size) { /* a lost answer made the piece go twice, and this registry kept both */
        err_set(e, ERR_CORRUPT, "the registry holds more than it was sent");
        return STEP_AGAIN;
    }
    if (u->held > before)
        return STEP_DONE;
    err_set(e, ERR_TRANSIENT, "the registry took %zu bytes and kept none", size);
    return STEP_AGAIN;
}

/* From where it stands to the end. */
static enum step run_through(struct run *u, struct err *e)
{
    enum step step = u->location ? STEP_DONE : begin(u, e);
    if (step != STEP_DONE || u->mounted)
        return step;
    while (u->chunk && u->held < u->blob->size) {
        step = send_chunk(u, e);
        if (step != STEP_DONE)
            return step;
    }
    return finish(u, e);
}

/* --- after a break --- */

/* What the registry holds of this upload; it is forgotten where that cannot be said or gone on with. */
static void ask_held(struct run *u)
{
    struct http_reply r;
    struct err none = {0};
    struct http_request q = {.method = "GET", .url = u->location};
    bool alive = !u->s->to->google && session_send(u->s, &q, SESSION_ONCE, &r, &none) &&
                 r.status / 100 == 2 && take_held(u, &r, 0, &none) && take_location(u, &r, &none);
    if (!alive) {
        u->location = NULL;
        u->held = 0;
    } else if (u->chunk == 0) {
        u->chunk = UPLOAD_CHUNK;
    }
}

/* The broken request may have been the last, and carried out. Otherwise finds out where to go on; an upload
 * whose bytes are wrong is begun anew. */
static bool recover(struct run *u, bool wrong, bool *there, struct err *e)
{
    if (!upload_is_there(u->s, u->blob, there, e))
        return false;
    if (*there || !u->location)
        return true;
    if (wrong)
        u->location = NULL;
    else
        ask_held(u);
    return true;
}

/* More has arrived than ever before: tries count anew. */
static void note_progress(struct run *u, struct retry *retry)
{
    if (u->held <= u->most)
        return;
    u->most = u->held;
    retry_progress(retry);
}

/* Whether another try makes sense; the answer may ask to wait. Bytes that came out wrong get one. */
static bool another_try(struct run *u, struct retry *retry, const struct err *e)
{
    if (e->kind == ERR_CORRUPT && u->wrong++)
        return false;
    return passing(u->reply.status) ? retry_wanted(retry, true, &u->reply, e) : retry_again(retry);
}

static bool run(struct run *u, struct err *e)
{
    struct retry retry = retry_start(u->s->policy, cloud_http(u->s->cloud), u->s->stop);
    bool there = false;
    while (!there) {
        enum step step = run_through(u, e);
        if (step != STEP_AGAIN)
            return step == STEP_DONE;
        note_progress(u, &retry);
        if (!another_try(u, &retry, e))
            return retry.tries > 1 ? err_wrap(e, "after %d tries", retry.tries) : false;
        if (!retry_wait(&retry))
            return err_set(e, ERR_CANCELLED, "interrupted");
        if (!recover(u, e->kind == ERR_CORRUPT, &there, e))
            return false;
        note_progress(u, &retry);
    }
    return true;
}

bool upload_blob(struct session *s, const struct image_blob *b, size_t chunk, enum upload_way *way,
                 struct err *e)
{
    struct run u = {.s = s, .blob = b, .chunk = chunk};
    struct err unheard = {0};
    bool there;
    if (!e)
        e = &unheard; /* its kind decides what is tried again */
    if (!upload_is_there(s, b, &there, e))
        return false;
    *way = UPLOAD_WAS_THERE;
    if (there)
        return true;
    if (!run(&u, e))
        return false;
    *way = u.mounted ? UPLOAD_MOUNTED : UPLOAD_SENT;
    return true;
}
