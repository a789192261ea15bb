/* hub.c: the Hugging Face Hub: listings, resolve, and the servers its signed URLs point to. */
#include "endpoints.h"
#include "hub_repo.h"
#include "run_emulator.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TREE_PAGE = 1000 };

static bool setting_is(const struct repo *r, const char *key)
{
    return json_is_true(json_object_get(r->settings, key));
}

static const char *setting_text(const struct repo *r, const char *key)
{
    return json_string_value(json_object_get(r->settings, key));
}

/* ---- who may see what ---- */

static void refuse(struct exchange *x, int status, const char *code, const char *message)
{
    if (code)
        answer_header(x, "X-Error-Code", "%s", code);
    answer_header(x, "X-Error-Message", "%s", message);
    answer_json(x, status, json_pack("{s:s}", "error", message));
}

static bool token_is(const struct exchange *x, const char *which)
{
    const char *token = bearer_token(x);
    return token && !strcmp(token, which);
}

static bool token_is_known(const struct exchange *x)
{
    return !request_header(x, "Authorization") || token_is(x, EMULATOR_HF_TOKEN) ||
           token_is(x, EMULATOR_HF_TOKEN_NO_LICENCE) || token_is(x, EMULATOR_HF_TOKEN_NO_RIGHT);
}

static void refuse_unknown(struct exchange *x)
{
    if (bearer_token(x))
        refuse(x, 404, "RepoNotFound", "Repository not found");
    else /* it does not say whether there is such a repository */
        refuse(x, 401, "RepoNotFound", "Invalid username or password.");
}

static bool check_gate(struct exchange *x, const struct repo *r)
{
    if (!setting_text(r, "gated") || token_is(x, EMULATOR_HF_TOKEN))
        return true;
    if (bearer_token(x))
        refuse(x, 403, "GatedRepo",
               arena_printf(x->arena,
                            "Access to model %s is restricted and you are not in the authorized list. Visit "
                            "https://huggingface.co/%s to ask for access.",
                            r->name, r->name));
    else
        refuse(x, 401, "GatedRepo",
               arena_printf(
                   x->arena,
                   "Access to model %s is restricted. You must have access to it and be authenticated to "
                   "access it. Please log in.",
                   r->name));
    return false;
}

/* The repository of the first two captures, when whoever asks may list it. */
static struct repo *open_repo_locked(struct exchange *x, bool fresh)
{
    struct repo *r = repo_find_locked(x->service->hub, x->captures[0], x->captures[1], fresh);
    if (!token_is_known(x))
        refuse(x, 401, NULL, "Invalid credentials in Authorization header");
    else if (!r || (setting_is(r, "private") && !token_is(x, EMULATOR_HF_TOKEN)))
        refuse_unknown(x);
    else if (setting_is(r, "disabled"))
        refuse(x, 403, NULL, "Access to this resource is disabled.");
    else if (token_is(x, EMULATOR_HF_TOKEN_NO_RIGHT))
        refuse(x, 403, NULL, "Your token does not have the right to read this repository.");
    else
        return r;
    return NULL;
}

static bool check_revision(struct exchange *x, const struct repo *r, const char *revision)
{
    if (!strcmp(revision, "main") || !strcmp(revision, r->commit))
        return true;
    refuse(x, 404, "RevisionNotFound", arena_printf(x->arena, "Invalid rev id: %s", revision));
    return false;
}

/* A relative redirect to the repository's new name, in the place of the old one. */
static bool redirect_renamed(struct exchange *x, const struct repo *r)
{
    const char *to = setting_text(r, "renamed_to"), *at = to ? strstr(x->path, r->name) : NULL;
    if (!at)
        return false;
    answer_header(x, "Location", "%.*s%s%s%s%s", (int)(at - x->path), x->path, to, at + strlen(r->name),
                  *x->query ? "?" : "", x->query);
    answer_empty(x, 307);
    return true;
}

static void rate_headers(struct exchange *x, const char *kind, int quota)
{
    answer_header(x, "RateLimit", "\"%s\";r=%d;t=300", kind, quota - 1);
    answer_header(x, "RateLimit-Policy", "\"fixed window\";\"%s\";q=%d;w=300", kind, quota);
}

/* ---- listings ---- */

static json_t *lfs_json(const struct repo_file *f, const char *hash_key)
{
    return json_pack("{s:s,s:I,s:i}", hash_key, f->sha256, "size", (json_int_t)f->size, "pointerSize", 135);
}

static json_t *sibling(const struct repo_file *f, bool blobs)
{
    json_t *j = json_pack("{s:s}", "rfilename", f->path);
    if (blobs) {
        json_object_set_new(j, "size", json_integer((json_int_t)f->size));
        json_object_set_new(j, "blobId", json_string(f->blob));
        if (f->sha256[0])
            json_object_set_new(j, "lfs", lfs_json(f, "sha256"));
    }
    return j;
}

static void list_siblings(struct exchange *x, const struct repo *r)
{
    const char *blobs = argument(x, "blobs"), *gated = setting_text(r, "gated");
    bool with_blobs = blobs && (!strcmp(blobs, "True") || !strcmp(blobs, "true") || !strcmp(blobs, "1"));
    json_t *siblings = json_array();
    for (int i = 0; i < r->count; i++)
        json_array_append_new(siblings, sibling(&r->files[i], with_blobs));
    answer_json(x, 200,
                json_pack("{s:s,s:s,s:s,s:s,s:o,s:b,s:b,s:o}", "_id", "65b0f0f0f0f0f0f0f0f0f0f0", "id",
                          r->name, "modelId", r->name, "sha", r->commit, "gated",
                          gated ? json_string(gated) : json_false(), "private", setting_is(r, "private"),
                          "disabled", 0, "siblings", siblings));
}

/* captures: owner, name, revision (left out: main) */
void hub_revision(struct exchange *x)
{
    struct hub *h = x->service->hub;
    hub_lock(h);
    rate_headers(x, "api", 500);
    const struct repo *r = open_repo_locked(x, true);
    if (r && !redirect_renamed(x, r) && check_revision(x, r, x->captures[2] ? x->captures[2] : "main"))
        list_siblings(x, r);
    hub_unlock(h);
}

static json_t *tree_entry(const struct repo_file *f)
{
    json_t *j = json_pack("{s:s,s:s,s:I,s:s}", "type", "file", "oid", f->blob, "size", (json_int_t)f->size,
                          "path", f->path);
    if (f->sha256[0])
        json_object_set_new(j, "lfs", lfs_json(f, "oid"));
    return j;
}

/* The entries of the tree: each folder once, before what it holds. */
static json_t *tree_entries(struct exchange *x, const struct repo *r, bool recursive)
{
    json_t *all = json_array();
    const char *last = "";
    for (int i = 0; i < r->count; i++) {
        const char *path = r->files[i].path, *slash = strchr(path, '/');
        for (; slash; slash = strchr(slash + 1, '/')) {
            const char *folder = arena_strndup(x->arena, path, (size_t)(slash - path));
            size_t size = strlen(folder);
            if (strncmp(last, folder, size) != 0 || (last[size] != '/' && last[size]))
                json_array_append_new(all, json_pack("{s:s,s:s,s:i,s:s}", "type", "directory", "oid",
                                                     r->files[i].blob, "size", 0, "path", folder));
            if (!recursive)
                break;
        }
        last = path;
        if (recursive || !strchr(path, '/'))
            json_array_append_new(all, tree_entry(&r->files[i]));
    }
    return all;
}

static void give_tree_page(struct exchange *x, const struct repo *r)
{
    int64_t from = 0, room = TREE_PAGE;
    const char *recursive = argument(x, "recursive");
    bool deep =
        recursive && (!strcmp(recursive, "true") || !strcmp(recursive, "True") || !strcmp(recursive, "1"));
    json_t *all = tree_entries(x, r, deep), *page = json_array();
    argument_number(x, "cursor", &from);
    if (!argument_number(x, "limit", &room) || room < 1 || room > TREE_PAGE)
        room = TREE_PAGE;
    int64_t count = (int64_t)json_array_size(all), end = from + room < count ? from + room : count;
    for (int64_t i = from; i < end; i++)
        json_array_append(page, json_array_get(all, (size_t)i));
    if (end < count)
        answer_header(x, "Link", "<%s%s?recursive=%s&limit=%lld&cursor=%lld>; rel=\"next\"", x->origin,
                      x->path, deep ? "true" : "false", (long long)room, (long long)end);
    json_decref(all);
    answer_json(x, 200, page);
}

void hub_tree(struct exchange *x)
{
    struct hub *h = x->service->hub;
    hub_lock(h);
    rate_headers(x, "api", 500);
    const struct repo *r = open_repo_locked(x, !argument(x, "cursor"));
    if (r && !redirect_renamed(x, r) && check_revision(x, r, x->captures[2]))
        give_tree_page(x, r);
    hub_unlock(h);
}

/* ---- bytes ---- */

static const char *encode_path(struct exchange *x, const char *path)
{
    char *out = arena_alloc(x->arena, strlen(path) * 3 + 1, 1);
    for (const char *end; *path; path = end) {
        end = path + strcspn(path, "/");
        strcat(out, encode_percent(x->arena, arena_strndup(x->arena, path, (size_t)(end - path))));
        if (*end) {
            strcat(out, "/");
            end++;
        }
    }
    return out;
}

static const char *sign(struct exchange *x, const char *path, const char *issued, const char *expires)
{
    char hash[17];
    keyed_hash(arena_printf(x->arena, "%s|%s|%s", path, issued, expires), hash);
    return arena_strndup(x->arena, hash, 16);
}

static void redirect_signed(struct exchange *x, const struct repo *r, const struct repo_file *f)
{
    const struct service *s = x->service;
    int64_t now = service_now_us(s);
    const char *path =
        arena_printf(x->arena, "/xet-bridge-us/%s/%s/%s", r->name, r->commit, encode_path(x, f->path));
    const char *issued = arena_printf(x->arena, "%lld", (long long)now);
    const char *expires =
        arena_printf(x->arena, "%lld", (long long)(now + s->settings.url_seconds * INT64_C(1000000)));
    answer_header(x, "Location", "http://127.0.0.1:%d%s?X-Issued=%s&X-Expires=%s&X-Signature=%s", s->cdn_port,
                  path, issued, expires, sign(x, path, issued, expires));
    answer_header(x, "X-Linked-Etag", "\"%s\"", f->sha256);
    answer_header(x, "X-Linked-Size", "%llu", (unsigned long long)f->size);
    answer_header(x, "ETag", "\"%s\"", f->sha256);
    answer_text(x, 302, "text/plain; charset=utf-8", "Found. Redirecting");
}

static void give_file(struct exchange *x, const struct repo *r, const struct repo_file *f, const char *etag)
{
    struct piece piece = {.size = f->size};
    repo_file_path(x->service->hub, r, f, piece.path, sizeof piece.path);
    answer_header(x, "ETag", "\"%s\"", etag);
    answer_header(x, "Content-Type", "application/octet-stream");
    answer_bytes(x, &piece, 1, f->size);
}

static void give_or_redirect(struct exchange *x, const struct repo *r, const struct repo_file *f)
{
    answer_header(x, "X-Repo-Commit", "%s", r->commit);
    if (f->sha256[0]) {
        redirect_signed(x, r, f);
    } else if (setting_is(r, "resolve_cache")) {
        answer_header(x, "X-Linked-Etag", "\"%s\"", f->blob);
        answer_header(x, "Location", "/api/resolve-cache/models/%s/%s/%s", r->name, r->commit,
                      encode_path(x, f->path));
        answer_empty(x, 307);
    } else {
        give_file(x, r, f, f->blob);
    }
}

/* captures: owner, name, revision, path */
static void resolve(struct exchange *x, bool cached)
{
    struct hub *h = x->service->hub;
    hub_lock(h);
    rate_headers(x, "resolvers", 5000);
    const struct repo *r = open_repo_locked(x, false);
    if (r && !redirect_renamed(x, r) && check_gate(x, r) && check_revision(x, r, x->captures[2])) {
        const struct repo_file *f = repo_file_find(r, x->captures[3]);
        if (!f)
            refuse(x, 404, "EntryNotFound", "Entry not found");
        else if (cached) {
            answer_header(x, "X-Repo-Commit", "%s", r->commit);
            give_file(x, r, f, f->blob);
        } else
            give_or_redirect(x, r, f);
    }
    hub_unlock(h);
}

void hub_resolve(struct exchange *x)
{
    resolve(x, false);
}

void hub_resolve_cache(struct exchange *x)
{
    resolve(x, true);
}

/* ---- where the redirect points ---- */

static bool url_is_good(struct exchange *x)
{
    const char *issued = argument(x, "X-Issued"), *expires = argument(x, "X-Expires");
    const char *signature = argument(x, "X-Signature");
    if (request_header(x, "Authorization")) /* as S3 does: and whoever sends it has leaked a token */
        fail_xml(x, 400, "InvalidArgument", "Only one auth mechanism allowed.");
    else if (!issued || !expires || !signature || strcmp(signature, sign(x, x->path, issued, expires)) != 0)
        fail_xml(x, 403, "SignatureDoesNotMatch", "The signature does not match.");
    else if (strtoll(expires, NULL, 10) <= service_now_us(x->service) ||
             strtoll(issued, NULL, 10) < atomic_load(&x->service->urls_void_us))
        fail_xml(x, 403, "AccessDenied", "Request has expired");
    return !x->answer.status;
}

/* CloudFront: with compression allowed it answers the whole, whatever range was asked for. */
static void ignore_range_of_gzip(struct exchange *x)
{
    const char *encoding = request_header(x, "Accept-Encoding");
    if (!encoding || !strstr(encoding, "gzip"))
        return;
    if (!x->fault)
        x->fault = json_object();
    json_object_set_new(x->fault, "ignore_range", json_true());
}

/* captures: owner, name, commit, path */
void cdn_get(struct exchange *x)
{
    struct hub *h = x->service->hub;
    if (!h || !url_is_good(x)) {
        answer_empty(x, 404);
        return;
    }
    ignore_range_of_gzip(x);
    hub_lock(h);
    const struct repo *r = repo_find_locked(h, x->captures[0], x->captures[1], false);
    const struct repo_file *f =
        r && !strcmp(r->commit, x->captures[2]) ? repo_file_find(r, x->captures[3]) : NULL;
    if (f)
        give_file(x, r, f, f->sha256);
    else
        fail_xml(x, 404, "NoSuchKey", "The specified key does not exist.");
    hub_unlock(h);
}
