#include "registry_server.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

enum { MOST = 64, HEAD_ROOM = 64 << 10, LOG_ROOM = 64 << 10, BODY_ROOM = 64 << 20 };

struct bytes {
    unsigned char *data;
    size_t size;
};

struct blob {
    char digest[72];
    struct bytes bytes;
};

struct upload {
    int id;
    bool alive;
    struct bytes bytes;
};

struct tag {
    char repository[256], name[130], digest[72];
    char *manifest;
};

struct seen {
    char path[1024], authorization[8192];
};

struct registry_server {
    int listener;
    char host[40], realm[300];
    enum server_auth auth;
    pthread_t thread;
    pthread_mutex_t mutex; /* of what follows */
    struct blob blobs[MOST];
    struct upload uploads[MOST];
    struct tag tags[MOST];
    struct server_fault faults[8];
    int struck[8], fitted[8];
    int blob_count, upload_count, tag_count, fault_count, token;
    char log[LOG_ROOM], log_copy[LOG_ROOM];
    struct seen seen[256];
    int seen_count;
    size_t received;
};

/* One request and its answer. */
struct call {
    struct registry_server *s;
    int fd;
    char head[HEAD_ROOM];
    char method[16], path[4096], authorization[8192], content_range[100];
    size_t length;
    struct bytes body;
    bool broken; /* the body ended early, by a fault or by itself */
    const struct server_fault *fault;
    /* the answer */
    int status;
    char headers[8192], token[100];
    const char *answer;
    bool bodiless;
};

static void digest_of(const struct bytes *b, char out[72])
{
    unsigned char hash[32];
    SHA256(b->data, b->size, hash);
    strcpy(out, "sha256:");
    for (int i = 0; i < 32; i++)
        snprintf(out + 7 + 2 * i, 3, "%02x", hash[i]);
}

static void append(struct bytes *b, const void *data, size_t size)
{
    b->data = realloc(b->data, b->size + size + 1);
    assert_non_null(b->data);
    if (size)
        memcpy(b->data + b->size, data, size);
    b->size += size;
    b->data[b->size] = 0;
}

/* --- reading --- */

static void header_value(const char *head, const char *name, char *out, size_t room)
{
    const char *at = strcasestr(head, name);
    out[0] = 0;
    if (at)
        snprintf(out, room, "%.*s", (int)strcspn(at + strlen(name), "\r\n"), at + strlen(name));
}

static bool fits(const struct call *c, const struct server_fault *f)
{
    return (!f->method || strcmp(f->method, c->method) == 0) && (!f->path || strstr(c->path, f->path));
}

static const struct server_fault *find_fault_locked(struct call *c)
{
    struct registry_server *s = c->s;
    for (int i = 0; i < s->fault_count; i++) {
        if (!fits(c, &s->faults[i]) || s->fitted[i]++ < s->faults[i].skip ||
            s->struck[i] >= (s->faults[i].times ? s->faults[i].times : 1))
            continue;
        s->struck[i]++;
        return &s->faults[i];
    }
    return NULL;
}

static bool read_head(struct call *c)
{
    size_t size = 0;
    char *end = NULL;
    char length[40];
    for (ssize_t n; !end && size + 1 < sizeof c->head &&
                    (n = read(c->fd, c->head + size, sizeof c->head - 1 - size)) > 0;) {
        c->head[size += (size_t)n] = 0;
        end = strstr(c->head, "\r\n\r\n");
    }
    if (!end || sscanf(c->head, "%15s %4095s", c->method, c->path) != 2)
        return false;
    append(&c->body, end + 4, size - (size_t)(end + 4 - c->head));
    end[2] = 0;
    header_value(c->head, "\r\nContent-Length: ", length, sizeof length);
    header_value(c->head, "\r\nAuthorization: ", c->authorization, sizeof c->authorization);
    header_value(c->head, "\r\nContent-Range: ", c->content_range, sizeof c->content_range);
    c->length = strtoul(length, NULL, 10);
    return c->length < BODY_ROOM;
}

static void read_body(struct call *c)
{
    char piece[65536];
    size_t wanted = c->fault && c->fault->cut_after ? c->fault->cut_after : c->length;
    for (ssize_t n; c->body.size < wanted;) {
        size_t room = wanted - c->body.size < sizeof piece ? wanted - c->body.size : sizeof piece;
        if ((n = read(c->fd, piece, room)) <= 0)
            break;
        append(&c->body, piece, (size_t)n);
    }
    c->broken = c->body.size < c->length;
    if (c->fault && c->fault->damage && c->fault->damage <= c->body.size)
        c->body.data[c->fault->damage - 1] ^= 0xff;
}

/* --- answering --- */

static void header(struct call *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void header(struct call *c, const char *format, ...)
{
    size_t used = strlen(c->headers);
    va_list args;
    va_start(args, format);
    vsnprintf(c->headers + used, sizeof c->headers - used, format, args);
    va_end(args);
    strncat(c->headers, "\r\n", sizeof c->headers - strlen(c->headers) - 1);
}

static void refuse(struct call *c, int status, const char *error)
{
    c->status = status;
    c->answer = error;
}

static void name_digest(struct call *c, const char *digest)
{
    header(c, "Docker-Content-Digest: %s", c->fault && c->fault->digest ? c->fault->digest : digest);
}

/* --- blobs --- */

static struct blob *find_blob_locked(struct registry_server *s, const char *digest)
{
    for (int i = 0; i < s->blob_count; i++)
        if (strncmp(s->blobs[i].digest, digest, 71) == 0)
            return &s->blobs[i];
    return NULL;
}

static void store_locked(struct registry_server *s, const struct bytes *b)
{
    struct blob blob = {0};
    digest_of(b, blob.digest);
    if (find_blob_locked(s, blob.digest))
        return;
    assert_true(s->blob_count < MOST);
    append(&blob.bytes, b->data, b->size);
    s->blobs[s->blob_count++] = blob;
}

static void answer_blob(struct call *c, const char *digest)
{
    struct blob *b = find_blob_locked(c->s, digest);
    if (!b) {
        refuse(c, 404, "{\"errors\":[{\"code\":\"BLOB_UNKNOWN\",\"message\":\"blob unknown to registry\"}]}");
        return;
    }
    c->status = 200;
    c->bodiless = true;
    header(c, "Content-Length: %zu", b->bytes.size);
    name_digest(c, b->digest);
}

/* --- uploads --- */

static struct upload *find_upload_locked(struct call *c)
{
    const char *at = strstr(c->path, "/uploads/");
    int id = at ? atoi(at + 9) : 0;
    if (id < 1 || id > c->s->upload_count || !c->s->uploads[id - 1].alive) {
        refuse(c, 404,
               "{\"errors\":[{\"code\":\"BLOB_UPLOAD_UNKNOWN\",\"message\":\"blob upload unknown\"}]}");
        return NULL;
    }
    return &c->s->uploads[id - 1];
}

/* The address changes with every answer, as its state does. */
static void name_upload(struct call *c, const struct upload *u)
{
    const char *name = strstr(c->path, "/blobs/");
    header(c, "Location: %.*s/blobs/uploads/%d?_state=%zu", (int)(name - c->path), c->path, u->id,
           u->bytes.size);
    if (u->bytes.size || !(c->fault && c->fault->bare_range))
        header(c, "Range: 0-%zu", u->bytes.size ? u->bytes.size - 1 : 0);
}

static void begin_upload(struct call *c)
{
    struct registry_server *s = c->s;
    const char *mount = strstr(c->path, "mount=");
    if (mount && strstr(c->path, "from=library/source") && find_blob_locked(s, mount + 6)) {
        c->status = 201;
        name_digest(c, find_blob_locked(s, mount + 6)->digest);
        return;
    }
    assert_true(s->upload_count < MOST);
    struct upload *u = &s->uploads[s->upload_count++];
    *u = (struct upload){.id = s->upload_count, .alive = true};
    c->status = 202;
    name_upload(c, u);
}

static void patch_upload(struct call *c)
{
    size_t begin = 0, end = 0;
    struct upload *u = find_upload_locked(c);
    if (!u)
        return;
    if (sscanf(c->content_range, "%zu-%zu", &begin, &end) != 2 || begin != u->bytes.size ||
        end - begin + 1 != c->length) {
        c->status = 416;
        name_upload(c, u);
        return;
    }
    for (int i = c->fault && c->fault->twice ? 2 : 1; i > 0; i--)
        append(&u->bytes, c->body.data, c->body.size);
    c->status = 202;
    name_upload(c, u);
}

static void close_upload(struct call *c)
{
    char digest[72];
    const char *wanted = strstr(c->path, "digest=");
    struct upload *u = find_upload_locked(c);
    if (!u)
        return;
    append(&u->bytes, c->body.data, c->body.size);
    if (c->broken)
        return; /* what came is kept */
    u->alive = false;
    digest_of(&u->bytes, digest);
    if (!wanted || strncmp(wanted + 7, digest, 71) != 0) {
        refuse(c, 400,
               "{\"errors\":[{\"code\":\"DIGEST_INVALID\",\"message\":\"provided digest did not match\"}]}");
        return;
    }
    store_locked(c->s, &u->bytes);
    c->status = 201;
    name_digest(c, digest);
}

static void upload_status(struct call *c)
{
    struct upload *u = find_upload_locked(c);
    if (!u)
        return;
    c->status = 204;
    name_upload(c, u);
}

/* --- manifests --- */

static struct tag *find_tag_locked(struct registry_server *s, const char *repository, size_t size,
                                   const char *name)
{
    for (int i = 0; i < s->tag_count; i++)
        if (strlen(s->tags[i].repository) == size && strncmp(s->tags[i].repository, repository, size) == 0 &&
            strcmp(s->tags[i].name, name) == 0)
            return &s->tags[i];
    return NULL;
}

static bool all_blobs_there(struct registry_server *s, const json_t *manifest)
{
    const json_t *layers = json_object_get(manifest, "layers"), *layer;
    size_t i;
    const char *config = json_string_value(json_object_get(json_object_get(manifest, "config"), "digest"));
    bool all = config && find_blob_locked(s, config);
    json_array_foreach(layers, i, layer)
    {
        const char *digest = json_string_value(json_object_get(layer, "digest"));
        all = all && digest && find_blob_locked(s, digest);
    }
    return all && json_array_size(layers) > 0;
}

static void put_manifest(struct call *c, const char *repository, size_t size, const char *name)
{
    struct registry_server *s = c->s;
    json_t *manifest = json_loadb((char *)c->body.data, c->body.size, 0, NULL);
    if (!manifest || !strcasestr(c->head, "\r\nContent-Type: application/vnd.oci.image.manifest.v1+json\r\n"))
        refuse(c, 400, "{\"errors\":[{\"code\":\"MANIFEST_INVALID\",\"message\":\"manifest invalid\"}]}");
    else if (!all_blobs_there(s, manifest))
        refuse(c, 400, "{\"errors\":[{\"code\":\"MANIFEST_BLOB_UNKNOWN\",\"message\":\"blob unknown\"}]}");
    json_decref(manifest);
    if (c->status)
        return;
    struct tag *t = find_tag_locked(s, repository, size, name);
    if (!t) {
        assert_true(s->tag_count < MOST);
        t = &s->tags[s->tag_count++];
        snprintf(t->repository, sizeof t->repository, "%.*s", (int)size, repository);
        snprintf(t->name, sizeof t->name, "%s", name);
    }
    free(t->manifest);
    t->manifest = strdup((char *)c->body.data);
    digest_of(&c->body, t->digest);
    c->status = 201;
    name_digest(c, t->digest);
}

static void manifest(struct call *c, const char *repository, size_t size, const char *name)
{
    if (strcmp(c->method, "PUT") == 0) {
        put_manifest(c, repository, size, name);
        return;
    }
    struct tag *t = find_tag_locked(c->s, repository, size, name);
    if (!t) {
        refuse(c, 404, "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"manifest unknown\"}]}");
        return;
    }
    c->status = 200;
    c->bodiless = true;
    header(c, "Content-Length: %zu", strlen(t->manifest));
    name_digest(c, t->digest);
}

/* --- logins --- */

static bool is_basic(const char *authorization, const char *user, const char *password)
{
    unsigned char plain[400], base64[600];
    int n = snprintf((char *)plain, sizeof plain, "%s:%s", user, password);
    EVP_EncodeBlock(base64, plain, n);
    return strncmp(authorization, "Basic ", 6) == 0 && strcmp(authorization + 6, (char *)base64) == 0;
}

static bool is_user(const struct call *c)
{
    return is_basic(c->authorization, SERVER_USER, SERVER_PASSWORD) ||
           is_basic(c->authorization, "oauth2accesstoken", SERVER_GOOGLE_TOKEN);
}

static void token_endpoint(struct call *c)
{
    if (!is_user(c)) {
        refuse(c, 401, "{\"details\":\"incorrect username or password\"}");
        return;
    }
    snprintf(c->token, sizeof c->token, "{\"token\":\"registry-token-%d\",\"expires_in\":300}", c->s->token);
    refuse(c, 200, c->token);
}

static bool let_in(struct call *c)
{
    char bearer[60];
    snprintf(bearer, sizeof bearer, "Bearer registry-token-%d", c->s->token);
    if (c->s->auth == SERVER_OPEN || (c->s->auth == SERVER_BASIC && is_user(c)) ||
        (c->s->auth == SERVER_TOKEN && strcmp(c->authorization, bearer) == 0))
        return true;
    if (c->s->auth == SERVER_BASIC)
        header(c, "WWW-Authenticate: Basic realm=\"the registry\"");
    else
        header(c, "WWW-Authenticate: Bearer realm=\"%s\",service=\"the registry\",scope=\"x\"", c->s->realm);
    refuse(c, 401, "{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"authentication required\"}]}");
    return false;
}

/* --- all --- */

static void route(struct call *c)
{
    const char *blobs = strstr(c->path, "/blobs/"), *manifests = strstr(c->path, "/manifests/");
    if (strncmp(c->path, "/token?", 7) == 0) {
        token_endpoint(c);
        return;
    }
    if (!let_in(c))
        return;
    if (strncmp(c->path, "/v2/", 4) != 0)
        refuse(c, 404, "404 page not found");
    else if (manifests)
        manifest(c, c->path + 4, (size_t)(manifests - c->path - 4), manifests + 11);
    else if (blobs && strncmp(blobs, "/blobs/uploads/", 15) != 0)
        answer_blob(c, blobs + 7);
    else if (blobs && strcmp(c->method, "POST") == 0)
        begin_upload(c);
    else if (blobs && strcmp(c->method, "PATCH") == 0)
        patch_upload(c);
    else if (blobs && strcmp(c->method, "PUT") == 0)
        close_upload(c);
    else if (blobs)
        upload_status(c);
    else
        refuse(c, 404, "404 page not found");
}

static void carry_out_locked(struct call *c)
{
    const struct server_fault *f = c->fault;
    struct registry_server *s = c->s;
    if (f && f->forget_uploads)
        for (int i = 0; i < s->upload_count; i++)
            s->uploads[i].alive = false;
    if (f && f->forget_tokens)
        s->token++;
    if (!f || !f->status || f->late)
        route(c);
    if (!f || !f->status)
        return;
    c->status = f->status;
    c->bodiless = false;
    c->answer = f->body;
    snprintf(c->headers, sizeof c->headers, "%s", f->headers ? f->headers : "");
}

static void note_locked(struct call *c)
{
    struct registry_server *s = c->s;
    size_t used = strlen(s->log);
    snprintf(s->log + used, sizeof s->log - used, "%s %.300s %d\n", c->method, c->path, c->status);
    s->received += c->body.size;
    if (s->seen_count < 256) {
        struct seen *seen = &s->seen[s->seen_count++];
        snprintf(seen->path, sizeof seen->path, "%.1000s", c->path);
        snprintf(seen->authorization, sizeof seen->authorization, "%s", c->authorization);
    }
}

static void send_answer(struct call *c)
{
    char head[9000];
    const char *body = c->answer ? c->answer : "";
    bool no_body = strcmp(c->method, "HEAD") == 0 || c->status == 204;
    int n =
        snprintf(head, sizeof head, "HTTP/1.1 %d Answer\r\nConnection: close\r\n%s", c->status, c->headers);
    if (!c->bodiless && c->status != 204)
        n += snprintf(head + n, sizeof head - (size_t)n, "Content-Length: %zu\r\n", strlen(body));
    n += snprintf(head + n, sizeof head - (size_t)n, "\r\n%s", no_body ? "" : body);
    for (int sent = 0, m; sent < n; sent += m)
        if ((m = (int)send(c->fd, head + sent, (size_t)(n - sent), MSG_NOSIGNAL)) <= 0)
            break;
    shutdown(c->fd, SHUT_WR);
    while (read(c->fd, head, sizeof head) > 0) /* so that no reset overtakes the answer */
        continue;
}

static void serve_one(struct registry_server *s, int fd)
{
    struct call *c = calloc(1, sizeof *c);
    c->s = s, c->fd = fd;
    if (read_head(c)) {
        pthread_mutex_lock(&s->mutex);
        c->fault = find_fault_locked(c);
        pthread_mutex_unlock(&s->mutex);
        read_body(c);
        pthread_mutex_lock(&s->mutex);
        carry_out_locked(c);
        note_locked(c);
        pthread_mutex_unlock(&s->mutex);
        if (!(c->fault && (c->fault->cut_after || c->fault->hang_up)))
            send_answer(c);
    }
    free(c->body.data);
    free(c);
}

static void *serve(void *arg)
{
    struct registry_server *s = arg;
    for (int fd; (fd = accept(s->listener, NULL, NULL)) >= 0;) {
        serve_one(s, fd);
        close(fd);
    }
    return NULL;
}

struct registry_server *server_start(enum server_auth auth)
{
    struct registry_server *s = calloc(1, sizeof *s);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    assert_non_null(s);
    s->auth = auth;
    s->token = 1;
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(s->listener, 16), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&a, &size), 0);
    snprintf(s->host, sizeof s->host, "127.0.0.1:%d", ntohs(a.sin_port));
    snprintf(s->realm, sizeof s->realm, "http://%s/token", s->host);
    pthread_mutex_init(&s->mutex, NULL);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
    return s;
}

void server_stop(struct registry_server *s)
{
    shutdown(s->listener, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->listener);
    for (int i = 0; i < s->blob_count; i++)
        free(s->blobs[i].bytes.data);
    for (int i = 0; i < s->upload_count; i++)
        free(s->uploads[i].bytes.data);
    for (int i = 0; i < s->tag_count; i++)
        free(s->tags[i].manifest);
    pthread_mutex_destroy(&s->mutex);
    free(s);
}

const char *server_host(const struct registry_server *s)
{
    return s->host;
}

void server_realm(struct registry_server *s, const char *realm)
{
    pthread_mutex_lock(&s->mutex);
    snprintf(s->realm, sizeof s->realm, "%s", realm);
    pthread_mutex_unlock(&s->mutex);
}

void server_add_fault(struct registry_server *s, const struct server_fault *f)
{
    pthread_mutex_lock(&s->mutex);
    assert_true(s->fault_count < 8);
    s->struck[s->fault_count] = s->fitted[s->fault_count] = 0;
    s->faults[s->fault_count++] = *f;
    pthread_mutex_unlock(&s->mutex);
}

void server_fault(struct registry_server *s, const struct server_fault *f)
{
    pthread_mutex_lock(&s->mutex);
    s->fault_count = 0;
    pthread_mutex_unlock(&s->mutex);
    if (f)
        server_add_fault(s, f);
}

const char *server_log(struct registry_server *s)
{
    pthread_mutex_lock(&s->mutex);
    memcpy(s->log_copy, s->log, sizeof s->log);
    pthread_mutex_unlock(&s->mutex);
    return s->log_copy;
}

void server_forget(struct registry_server *s)
{
    pthread_mutex_lock(&s->mutex);
    s->log[0] = 0;
    s->seen_count = 0;
    s->received = 0;
    pthread_mutex_unlock(&s->mutex);
}

int server_count(struct registry_server *s, const char *method, const char *path)
{
    int count = 0;
    const char *log = server_log(s);
    for (const char *line = log; *line; line += strcspn(line, "\n") + 1) {
        char one[400];
        snprintf(one, sizeof one, "%.*s", (int)strcspn(line, "\n"), line);
        count += strncmp(one, method, strlen(method)) == 0 && one[strlen(method)] == ' ' && strstr(one, path);
    }
    return count;
}

size_t server_received(struct registry_server *s)
{
    pthread_mutex_lock(&s->mutex);
    size_t n = s->received;
    pthread_mutex_unlock(&s->mutex);
    return n;
}

bool server_has_blob(struct registry_server *s, const char *digest)
{
    pthread_mutex_lock(&s->mutex);
    bool has = find_blob_locked(s, digest) != NULL;
    pthread_mutex_unlock(&s->mutex);
    return has;
}

void server_put_blob(struct registry_server *s, const void *bytes, size_t size, char digest[72])
{
    struct bytes b = {0};
    append(&b, bytes, size);
    pthread_mutex_lock(&s->mutex);
    store_locked(s, &b);
    pthread_mutex_unlock(&s->mutex);
    digest_of(&b, digest);
    free(b.data);
}

const char *server_manifest(struct registry_server *s, const char *repository, const char *tag)
{
    pthread_mutex_lock(&s->mutex);
    struct tag *t = find_tag_locked(s, repository, strlen(repository), tag);
    pthread_mutex_unlock(&s->mutex);
    return t ? t->manifest : NULL;
}

const char *server_authorization(struct registry_server *s, const char *path)
{
    const char *found = "";
    pthread_mutex_lock(&s->mutex);
    for (int i = 0; i < s->seen_count; i++)
        if (strstr(s->seen[i].path, path))
            found = s->seen[i].authorization;
    pthread_mutex_unlock(&s->mutex);
    return found;
}
