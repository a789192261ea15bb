/* artifact.c: Artifact Registry (v1), and its registry of images (OCI distribution-spec), where images are
 * called PROJECT/REPOSITORY/IMAGE. Blobs are objects of a bucket that no API tells of; a manifest is a doc.
 */
#include "endpoints.h"
#include "google.h"
#include "hash.h"
#include "storage.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define BLOBS "/blobs" /* no bucket can be called so */

void begin_artifact(struct exchange *x)
{
    (void)google_may(x, x->captures[0], "artifactregistry.googleapis.com");
}

/* ---- repositories ---- */

static char *repository_key(struct exchange *x, const char *region, const char *name)
{
    return arena_printf(x->arena, "artifact/projects/" GOOGLE_PROJECT "/locations/%s/repositories/%s", region,
                        name);
}

static char *scope(struct exchange *x)
{
    return arena_printf(x->arena, "projects/" GOOGLE_PROJECT "/locations/%s", x->captures[1]);
}

static json_t *find_repository_locked(struct exchange *x)
{
    json_t *doc = doc_find_locked(x->service->world, repository_key(x, x->captures[1], x->captures[2]));
    if (!doc)
        fail_google(x, 404, "NOT_FOUND", "Requested entity was not found.");
    return doc;
}

void repositories_create(struct exchange *x)
{
    struct world *w = x->service->world;
    json_t *body = google_body(x);
    const char *name = argument(x, "repositoryId"),
               *key = repository_key(x, x->captures[1], name ? name : "");
    world_lock(w);
    if (body && (!name || !*name || !*text_at(body, "format"))) {
        fail_google(x, 400, "INVALID_ARGUMENT", "Request contains an invalid argument.");
    } else if (body && doc_find_locked(w, key)) {
        fail_google(x, 409, "ALREADY_EXISTS", "the repository already exists");
    } else if (body) {
        json_t *doc = json_deep_copy(body);
        set_text(doc, "name", "%s", key + strlen("artifact/"));
        if (!operation_error(x))
            doc_put_locked(w, key, json_incref(doc));
        answer_operation_locked(x, "artifactregistry", scope(x), doc);
    }
    world_unlock(w);
    json_decref(body);
}

static struct bucket *blobs_locked(struct world *w)
{
    struct bucket *b = bucket_find_locked(w, BLOBS);
    return b ? b : bucket_put_locked(w, BLOBS, json_pack("{s:s}", "name", BLOBS), json_object());
}

/* As it is told: with the size of all that lies there, of whatever region. */
static json_t *told_repository_locked(struct exchange *x, const json_t *doc)
{
    const struct bucket *b = blobs_locked(x->service->world);
    json_t *told = google_told(doc);
    char *within = arena_printf(x->arena, GOOGLE_PROJECT "%s/", strrchr(text_at(doc, "name"), '/'));
    uint64_t bytes = 0;
    for (size_t i = 0; i < b->count; i++)
        if (!strncmp(b->objects[i]->name, within, strlen(within)))
            bytes += b->objects[i]->size;
    if (bytes)
        set_text(told, "sizeBytes", "%llu", (unsigned long long)bytes);
    return told;
}

void repositories_get(struct exchange *x)
{
    world_lock(x->service->world);
    const json_t *doc = find_repository_locked(x);
    if (doc)
        answer_json(x, 200, told_repository_locked(x, doc));
    world_unlock(x->service->world);
}

typedef json_t *(*tell_fn)(struct exchange *x, const json_t *doc);

/* Docs whose key begins so, as told, in a list. */
static json_t *list_locked(struct exchange *x, const char *prefix, tell_fn tell)
{
    json_t *list = json_array(), *key, *keys = doc_keys_locked(x->service->world, prefix);
    size_t i;
    json_array_foreach(keys, i, key)
        json_array_append_new(list, tell(x, doc_find_locked(x->service->world, json_string_value(key))));
    json_decref(keys);
    return list;
}

void repositories_list(struct exchange *x)
{
    world_lock(x->service->world);
    json_t *list = list_locked(x, repository_key(x, x->captures[1], ""), told_repository_locked);
    world_unlock(x->service->world);
    answer_json(x, 200, json_pack("{s:o}", "repositories", list));
}

static void remove_all_locked(struct world *w, const char *prefix)
{
    json_t *keys = doc_keys_locked(w, prefix), *key;
    size_t i;
    json_array_foreach(keys, i, key) doc_remove_locked(w, json_string_value(key));
    json_decref(keys);
}

static void remove_blobs_locked(struct world *w, const char *prefix)
{
    struct bucket *b = blobs_locked(w);
    for (size_t i = b->count; i > 0; i--)
        if (!strncmp(b->objects[i - 1]->name, prefix, strlen(prefix)))
            object_remove_locked(w, b, b->objects[i - 1]);
}

void repositories_delete(struct exchange *x)
{
    struct world *w = x->service->world;
    world_lock(w);
    if (find_repository_locked(x)) {
        doc_remove_locked(w, repository_key(x, x->captures[1], x->captures[2]));
        remove_blobs_locked(w, arena_printf(x->arena, GOOGLE_PROJECT "/%s/", x->captures[2]));
        remove_all_locked(w, arena_printf(x->arena, "image/" GOOGLE_PROJECT "/%s/", x->captures[2]));
        remove_all_locked(w, arena_printf(x->arena, "manifest/" GOOGLE_PROJECT "/%s/", x->captures[2]));
        answer_operation_locked(x, "artifactregistry", scope(x), json_object());
    }
    world_unlock(w);
}

static json_t *told_image(struct exchange *x, const json_t *doc)
{
    (void)x;
    return google_told(doc);
}

void images_list(struct exchange *x)
{
    json_t *list = NULL;
    world_lock(x->service->world);
    if (find_repository_locked(x))
        list = list_locked(x, arena_printf(x->arena, "image/" GOOGLE_PROJECT "/%s/", x->captures[2]),
                           told_image);
    world_unlock(x->service->world);
    if (list)
        answer_json(x, 200, json_pack("{s:o}", "dockerImages", list));
}

void images_delete(struct exchange *x)
{
    struct world *w = x->service->world;
    const char *name =
        arena_printf(x->arena, GOOGLE_PROJECT "/%s/%s@%s", x->captures[2], x->captures[3], x->captures[4]);
    const char *key = arena_printf(x->arena, "image/%s", name);
    world_lock(w);
    if (doc_find_locked(w, key)) {
        doc_remove_locked(w, key);
        doc_remove_locked(w, arena_printf(x->arena, "manifest/%s", name));
        answer_operation_locked(x, "artifactregistry", scope(x), json_object());
    } else {
        fail_google(x, 404, "NOT_FOUND", "Requested entity was not found.");
    }
    world_unlock(w);
}

void artifact_operations_get(struct exchange *x)
{
    operation_answer(x, "artifactregistry",
                     arena_printf(x->arena, "%s/operations/%s", scope(x), x->captures[2]));
}

/* ---- the registry ---- */

static void fail_registry(struct exchange *x, int status, const char *code, const char *message)
{
    answer_json(x, status, json_pack("{s:[{s:s,s:s}]}", "errors", "code", code, "message", message));
}

/* A bearer token, or one as the password of "oauth2accesstoken". */
static bool is_known(struct exchange *x)
{
    char plain[1024];
    const char *given = request_header(x, "Authorization"), *token = bearer_token(x);
    if (given && !strncasecmp(given, "Basic ", 6)) {
        long n = base64_decode(given + 6, strlen(given + 6), (unsigned char *)plain, sizeof plain - 1);
        plain[n > 0 ? n : 0] = 0;
        token = !strncmp(plain, "oauth2accesstoken:", 18) ? plain + 18 : NULL;
    }
    return token && token_good(x->service->tokens, token, service_now_us(x->service));
}

static bool repository_is_there(struct exchange *x)
{
    struct world *w = x->service->world;
    bool there = false;
    world_lock(w);
    json_t *keys = doc_keys_locked(w, "artifact/"), *key;
    size_t i;
    json_array_foreach(keys, i, key)
    {
        const char *name = strrchr(json_string_value(key), '/') + 1;
        there = there || !strcmp(name, x->captures[1]);
    }
    json_decref(keys);
    world_unlock(w);
    return there && !strcmp(x->captures[0], GOOGLE_PROJECT);
}

void begin_registry(struct exchange *x)
{
    if (!is_known(x)) {
        answer_header(x, "WWW-Authenticate", "Basic realm=\"Artifact Registry\"");
        fail_registry(x, 401, "UNAUTHORIZED", "authentication failed");
    } else if (!repository_is_there(x)) {
        fail_registry(x, 404, "NAME_UNKNOWN",
                      arena_printf(x->arena, "Repository \"%s\" not found", x->captures[1]));
    }
}

void begin_registry_put(struct exchange *x)
{
    begin_registry(x);
    if (!x->answer.status)
        body_to_blob(x);
}

void registry_ping(struct exchange *x)
{
    if (is_known(x)) {
        answer_json(x, 200, json_object());
        return;
    }
    answer_header(x, "WWW-Authenticate", "Basic realm=\"Artifact Registry\"");
    fail_registry(x, 401, "UNAUTHORIZED", "authentication failed");
}

static char *image_name(struct exchange *x)
{
    return arena_printf(x->arena, "%s/%s/%s", x->captures[0], x->captures[1], x->captures[2]);
}

static char *blob_name(struct exchange *x, const char *digest)
{
    return arena_printf(x->arena, "%s@%s", image_name(x), digest);
}

void registry_blob_get(struct exchange *x)
{
    struct world *w = x->service->world;
    world_lock(w);
    struct object *o = object_find_locked(w, BLOBS, blob_name(x, x->captures[3]));
    if (o) {
        answer_header(x, "Docker-Content-Digest", "%s", x->captures[3]);
        answer_object_locked(x, o, false);
    } else {
        fail_registry(x, 404, "BLOB_UNKNOWN", "blob unknown to registry");
    }
    world_unlock(w);
}

void registry_upload_begin(struct exchange *x)
{
    char id[21];
    random_letters(id, 20);
    answer_header(x, "Location", "/v2/%s/blobs/uploads/%s", image_name(x), id);
    answer_empty(x, 202);
}

void registry_upload_put(struct exchange *x)
{
    struct world *w = x->service->world;
    const char *wanted = argument(x, "digest");
    char hex[SHA256_HEX], digest[80];
    int fd = blob_open(w, x->body.blob, O_RDONLY);
    hash_file(fd, 0, x->body.taken, &(struct file_hashes){.sha256 = hex});
    close(fd);
    snprintf(digest, sizeof digest, "sha256:%s", hex);
    if (!wanted || strcmp(wanted, digest) != 0) {
        fail_registry(x, 400, "DIGEST_INVALID", "provided digest did not match uploaded content");
        return;
    }
    json_t *fields = json_pack("{s:s}", "contentType", "application/octet-stream");
    struct object *o = object_new(BLOBS, blob_name(x, digest), fields);
    json_decref(fields);
    world_lock(w);
    object_add_segment_locked(o, x->body.blob, 0, x->body.taken);
    object_publish_locked(w, blobs_locked(w), o);
    world_unlock(w);
    answer_header(x, "Docker-Content-Digest", "%s", digest);
    answer_empty(x, 201);
}

void registry_manifest_get(struct exchange *x)
{
    struct world *w = x->service->world;
    world_lock(w);
    const json_t *m =
        doc_find_locked(w, arena_printf(x->arena, "manifest/%s@%s", image_name(x), x->captures[3]));
    if (m) {
        answer_header(x, "Docker-Content-Digest", "%s", text_at(m, "digest"));
        answer_text(x, 200, text_at(m, "type"), text_at(m, "text"));
    } else {
        fail_registry(x, 404, "MANIFEST_UNKNOWN", "manifest unknown");
    }
    world_unlock(w);
}

/* The first blob that the manifest names and that is not there; NULL: all are. */
static const char *missing_blob_locked(struct exchange *x, const json_t *manifest)
{
    const json_t *layers = json_object_get(manifest, "layers");
    for (size_t i = 0; i <= json_array_size(layers); i++) {
        const json_t *part = i ? json_array_get(layers, i - 1) : json_object_get(manifest, "config");
        if (!object_find_locked(x->service->world, BLOBS, blob_name(x, text_at(part, "digest"))))
            return text_at(part, "digest");
    }
    return NULL;
}

static void store_manifest_locked(struct exchange *x, const char *digest)
{
    struct world *w = x->service->world;
    const char *name = image_name(x), *type = request_header(x, "Content-Type");
    json_t *m = json_pack("{s:s,s:s,s:s}", "digest", digest, "type", type ? type : "", "text", x->body.bytes);
    json_t *image = json_pack(
        "{s:s,s:s,s:s,s:s}", "name",
        arena_printf(x->arena, "projects/" GOOGLE_PROJECT "/locations/-/repositories/%s/dockerImages/%s@%s",
                     x->captures[1], x->captures[2], digest),
        "uri", arena_printf(x->arena, "%s@%s", name, digest), "imageSizeBytes", "1", "uploadTime",
        time_text(x->arena, service_now_us(x->service)));
    doc_put_locked(w, arena_printf(x->arena, "manifest/%s@%s", name, digest), json_incref(m));
    if (strcmp(x->captures[3], digest) != 0)
        doc_put_locked(w, arena_printf(x->arena, "manifest/%s@%s", name, x->captures[3]), json_incref(m));
    doc_put_locked(w, arena_printf(x->arena, "image/%s@%s", name, digest), image);
    json_decref(m);
}

void registry_manifest_put(struct exchange *x)
{
    struct world *w = x->service->world;
    json_t *manifest = body_json(x);
    char hex[SHA256_HEX], digest[80];
    hash_sha256(x->body.bytes, x->body.size, hex);
    snprintf(digest, sizeof digest, "sha256:%s", hex);
    world_lock(w);
    const char *gone = manifest ? missing_blob_locked(x, manifest) : NULL;
    if (!manifest || gone) {
        fail_registry(x, 400, "MANIFEST_BLOB_UNKNOWN", gone ? gone : "not a manifest");
    } else {
        store_manifest_locked(x, digest);
        answer_header(x, "Docker-Content-Digest", "%s", digest);
        answer_empty(x, 201);
    }
    world_unlock(w);
    json_decref(manifest);
}
