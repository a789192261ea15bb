/* metadata.c: tokens of the machine's own service account, on a VM or on Cloud Run. */
#include "cloud/token/mint.h"

#include "cloud/call/call.h"
#include "net/retry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PING_SECONDS = 3, MAX_ANSWER_BYTES = 64 << 10, URL_ROOM = 400 };

#define TOKEN_PATH "computeMetadata/v1/instance/service-accounts/default/token"

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

bool mint_metadata(struct http *h, struct minted *out, struct err *e)
{
    char url[URL_ROOM];
    struct body body = {.ceiling = MAX_ANSWER_BYTES};
    struct retry retry = retry_start(&retry_default, h, NULL);
    struct http_reply r;
    bool ok;

    snprintf(url, sizeof url, "http://%.300s/" TOKEN_PATH, host("metadata.google.internal"));
    struct http_request q = request(url);
    q.on_data = body_take;
    q.arg = &body;
    do {
        body.size = 0;
        ok = http_send(h, &q, &r, e);
    } while (retry_wanted(&retry, ok, &r, e) && retry_wait(&retry));
    if (ok && r.status == 404)
        ok = err_set(e, ERR_AUTH,
                     "this machine has no service account; give it one, or log in with `gcloud "
                     "auth application-default login`");
    else if (ok && r.status != 200)
        ok = cloud_explain(&r, e);
    else if (ok && !is_google(&r))
        ok = err_set(e, ERR_AUTH, "who answers there is not Google's metadata server");
    ok = ok && mint_parse(out, body.bytes ? body.bytes : "", body.size, e);
    if (body.bytes)
        explicit_bzero(body.bytes, body.size);
    body_clear(&body);
    return ok || err_wrap(e, "metadata server");
}
