/* google.h: what Google's APIs other than Cloud Storage have in common: who asks, whether the API is enabled,
 * the form of errors, operations that take time, etags, label selectors, update masks.
 *
 * Resources are docs of the world. Members whose names begin with "_" are the emulator's own and are never
 * told. */
#ifndef FERRY_EMULATOR_GOOGLE_H
#define FERRY_EMULATOR_GOOGLE_H

#include "exchange.h"

#define GOOGLE_PROJECT "demo-proj"
#define GOOGLE_NUMBER "123456789012"
#define GOOGLE_USER "me@example.com" /* who has the access token; the project's owner */

/* Answers (401; 403: no such project, API disabled) and is false when the request may not go on. project: a
 * name or number; NULL: none is concerned. api: "run.googleapis.com"; NULL: one that every project has. */
bool google_may(struct exchange *x, const char *project, const char *api);

/* {"error":{"code":404,"message":"…","status":"NOT_FOUND"}} */
void fail_google(struct exchange *x, int status, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The same with "details", whose reference it takes. */
void fail_google_with(struct exchange *x, int status, const char *code, json_t *details, const char *format,
                      ...) __attribute__((format(printf, 5, 6)));

/* The body as an object, a new reference; answers 400 and NULL when it is none. */
json_t *google_body(struct exchange *x);

/* A copy without the members that are the emulator's own. */
json_t *google_told(const json_t *doc);
void answer_doc(struct exchange *x, const json_t *doc);

/* --- operations --- */

enum { OPERATION_MS = 200 };

/* An operation that this request begins and that is done after a moment (a fault's "operation_seconds"), with
 * the response or, when the fault has "operation_error", with that. scope: what its name begins with. Answers
 * it. Takes the response. */
void answer_operation_locked(struct exchange *x, const char *api, const char *scope, json_t *response);
void operation_answer(struct exchange *x, const char *api, const char *name); /* operations.get */

/* When what this request begins is done, and the error it ends with (NULL: none), by its fault. */
int64_t operation_end_us(const struct exchange *x);
/* The same with an error of its own (NULL: none) instead of the fault's. */
void answer_operation_as_locked(struct exchange *x, const char *api, const char *scope, json_t *response,
                                const json_t *error);
const json_t *operation_error(const struct exchange *x);

/* --- parts of resources --- */

void set_text(json_t *object, const char *key, const char *format, ...) __attribute__((format(printf, 3, 4)));
const char *text_at(const json_t *object, const char *key); /* "" when there is none */
/* The member at "a.b.c", or NULL. */
json_t *member_at(const json_t *object, const char *path);

char *new_etag(struct exchange *x);
void random_letters(char *out, int count); /* a-z and 0-9, a letter first, a NUL behind */

/* "a=b", "a!=b", "a" and several of them with commas, as a Kubernetes label selector; NULL: all. */
bool labels_match(const json_t *labels, const char *selector);
/* Of `from` what the mask ("template,traffic", "labels.a") names goes into `into`; what it lacks is taken
 * away. NULL or
 * "": each member that `from` has. */
void apply_mask(json_t *into, const json_t *from, const char *mask);

/* --- policies --- */

/* The policy doc of a resource; with setIamPolicy's body its change under the etag, or 409. */
void policy_answer(struct exchange *x, const char *key);
void policy_change(struct exchange *x, const char *key, const json_t *policy);

#endif
