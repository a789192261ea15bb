/* metadata.c: tokens of the machine's own service account, on a VM or on Cloud Run. */
#include "cloud/token/mint.h"

#include "base/arena.h"
#include "cloud/call/call.h"
#include "net/retry.h"
#include "net/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PING_SECONDS = 3,
    MAX_ANSWER_BYTES = 64 << 10,
    URL_ROOM = 400,
    URL_SCRATCH = 16 << 10,
    IDENTITY_SECONDS = 3600
};

#define ACCOUNT_PATH "computeMetadata/v1/instance/service-accounts/default/"

static const char *variable(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value && *value ? value : otherwise;
}

static const char *host(const char *otherwise)
{
    return variable("GCE_METADATA_HOST", variable("GCE_METADATA_ROOT", otherwise));
}

/* GCE_METADATA_TIMEOUT in whole seconds, as google-auth has it. */
static int timeout_seconds(void)
{
    int seconds = atoi(variable("GCE_METADATA_TIMEOUT", "0"));
    return seconds > 0 && seconds <= 60 ? seconds : PING_SECONDS;
}

static struct http_request request(const char *url)
{
    return (struct http_request){.method = "GET",
                                 .url = url,
                                 .headers = {{"Metadata-Flavor", "Google"}},
                                 .connect_seconds = timeout_seconds(),
                                 .stall_seconds = timeout_seconds()};
}

/* Any web server may sit at that address; only the real one says so. */
static bool is_google(const struct http_reply *r)
{
    char flavor[16];
    return http_header(r, "metadata-flavor", flavor, sizeof flavor) && strcmp(flavor, "Google") == 0;
}

bool metadata_is_there(struct http *h)
{
    char url[URL_ROOM];
    struct http_reply r;
    struct err ignored = {0};
    /* The address, since the name is not resolved everywhere, and slowly where it is not. */
    snprintf(url, sizeof url, "http://%.300s/", variable("GCE_METADATA_IP", host("169.254.169.254")));
    struct http_request q = request(url);
    return http_send(h, &q, &r, &ignored) && is_google(&r);
}

/* GET, with retries, from the machine's own service account. */
static bool ask(struct http *h, const char *url, struct body *body, struct err *e)
{
    struct retry retry = retry_start(&retry_default, h, NULL);
    struct http_reply r;
    bool ok;

    struct http_request q = request(url);
    q.on_data = body_take;
    q.arg = body;
    do {
        body->size = 0;
        ok = http_send(h, &q, &r, e);
    } while (retry_wanted(&retry, ok, &r, e) && retry_wait(&retry));
    if (ok && r.status == 404)
        return err_set(e, ERR_AUTH,
                       "this machine has no service account; give it one, or log in with `gcloud "
                       "auth application-default login`");
    if (ok && r.status != 200)
        return cloud_explain(&r, e);
    if (ok && !is_google(&r))
        return err_set(e, ERR_AUTH, "who answers there is not Google's metadata server");
    return ok;
}

/* The identity endpoint answers with the token alone. */
static bool take(struct body *body, const char *audience, struct minted *out, struct err *e)
{
    if (!body->bytes || !body->size)
        return err_set(e, ERR_AUTH, "an empty answer");
    if (!audience)
        return mint_parse(out, MINT_ACCESS, body->bytes, body->size, e);
    out->seconds = IDENTITY_SECONDS;
    return mint_keep(out, body->bytes, e);
}

bool mint_metadata(struct http *h, const char *audience, struct minted *out, struct err *e)
{
    struct body body = {.ceiling = MAX_ANSWER_BYTES};
    struct arena *a = arena_new(URL_SCRATCH);
    char *encoded = a && audience ? url_query(a, audience) : NULL;
    char *url =
        a ? arena_printf(a, "http://%.300s/" ACCOUNT_PATH "%s%s", host("metadata.google.internal"),
                         audience ? "identity?format=full&audience=" : "token", encoded ? encoded : "")
          : NULL;
    bool ok = (url && (encoded || !audience)) || err_set(e, ERR_MEMORY, "no memory for a token request");
    ok = ok && ask(h, url, &body, e) && take(&body, audience, out, e);
    if (body.bytes)
        explicit_bzero(body.bytes, body.size);
    body_clear(&body);
    arena_free(a);
    return ok || err_wrap(e, "metadata server");
}
