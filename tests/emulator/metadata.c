/* metadata.c: the metadata server of a VM or of Cloud Run. */
#include "endpoints.h"

#include <stdio.h>
#include <string.h>

static const char account[] = "run@demo-proj.iam.gserviceaccount.com";

void metadata_root(struct exchange *x)
{
    answer_header(x, "Metadata-Flavor", "Google");
    answer_header(x, "Server", "Metadata Server for VM");
    answer_text(x, 200, "application/text", "computeMetadata/\n");
}

static void give_token(struct exchange *x)
{
    char token[TOKEN_ROOM];
    struct service *s = x->service;
    token_issue(s->tokens, service_now_us(s), s->settings.token_seconds, token);
    answer_json(x, 200,
                json_pack("{s:s,s:i,s:s}", "access_token", token, "expires_in", s->settings.token_seconds,
                          "token_type", "Bearer"));
}

static const struct {
    const char *path, *value;
} values[] = {
    {"project/project-id", "demo-proj"},
    {"project/numeric-project-id", "123456789012"},
    {"instance/zone", "projects/123456789012/zones/asia-northeast1-b"},
    {"instance/region", "projects/123456789012/regions/asia-northeast1"},
    {"instance/name", "emulated"},
    {"instance/service-accounts/default/email", account},
    {"instance/service-accounts/default/scopes", "https://www.googleapis.com/auth/cloud-platform"},
    {"instance/service-accounts/", "default/\n"},
};

void metadata_get(struct exchange *x)
{
    const char *path = x->captures[0], *flavor = request_header(x, "Metadata-Flavor");
    answer_header(x, "Metadata-Flavor", "Google");
    if (!flavor || strcmp(flavor, "Google") != 0) {
        answer_text(x, 403, "text/html", "Missing Metadata-Flavor:Google header.");
        return;
    }
    if (!strcmp(path, "instance/service-accounts/default/token")) {
        give_token(x);
        return;
    }
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (!strcmp(values[i].path, path))
            answer_text(x, 200, "application/text", values[i].value);
    answer_text(x, 404, "text/html", "Not Found");
}
