/* client.h: a cloud, or a hub, whose server is canned, and a retry that does not wait. */
#ifndef FERRY_TESTS_CLOUD_CLIENT_H
#define FERRY_TESTS_CLOUD_CLIENT_H

#include "canned.h"
#include "cloud/cloud.h"

struct client {
    struct canned *server;
    struct http *http;
    struct gcloud_config config;
    struct cloud *cloud;
    struct arena *arena;
};

extern const struct retry_policy quick; /* 4 tries, milliseconds */

/* cmocka's setup and teardown; *state is a struct client. The token is "token-1". */
int client_open(void **state);
int client_close(void **state);

/* Request i begins with this line (without HTTP/1.1), and holds each of the further strings, up to NULL. */
void expect_request(struct client *c, int i, const char *line, ...);
/* The message says it, and its kind is this. */
void expect_error(const struct err *e, enum err_kind kind, const char *says);

#endif
