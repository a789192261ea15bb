/* The XML API's answers: any bytes as each of the three, and as an error. */
#include "cloud/cloud.h"
#include "cloud/storage/answer.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void as_parts(const char *text, size_t size)
{
    struct part_list l = {.parts = NULL};
    struct err e = {0};
    bool ok = answer_parts(&l, text, size, &e);
    check(ok || (e.kind != ERR_NONE && e.text[0]));
    for (int i = 0; i < l.count; i++)
        check(l.parts[i].number > (i ? l.parts[i - 1].number : 0) &&
              l.parts[i].number <= MULTIPART_MAX_PARTS && l.parts[i].etag[0]);
    free(l.parts);
}

static void as_problem(const char *text, size_t size)
{
    static struct http_reply r = {.status = 403};
    struct err e = {0};
    snprintf(r.problem, sizeof r.problem, "%.*s", (int)size, text);
    check(!cloud_explain(&r, &e) && e.kind != ERR_NONE && e.text[0] && !strchr(e.text, '\n'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    char id[UPLOAD_ID_ROOM];
    struct err e = {0};
    if (answer_upload_id(text, size, id, &e))
        check(id[0] && strlen(id) < sizeof id);
    e = (struct err){0};
    check(answer_sealed(text, size, &e) == (e.kind == ERR_NONE));
    as_parts(text, size);
    as_problem(text, size);
    return 0;
}
