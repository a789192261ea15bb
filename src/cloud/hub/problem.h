/* problem.h: what the hub's refusals mean, each with the page to open. */
#ifndef FERRY_CLOUD_HUB_PROBLEM_H
#define FERRY_CLOUD_HUB_PROBLEM_H

#include "base/err.h"
#include "net/http.h"

/* What was asked for, for the message. */
struct hub_asked {
    const char *endpoint, *repo, *revision, *path; /* path NULL: the repository itself */
    const char *token_origin;                      /* "HF_TOKEN", a file's path; NULL: no token was sent */
};

/* Always false. */
bool hub_explain(const struct hub_asked *q, const struct http_reply *r, struct err *e);

#endif
