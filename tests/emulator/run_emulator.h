/* run_emulator.h: the emulator for a test: Cloud Storage, the hub, token endpoint and metadata server on
 * 127.0.0.1, in a process of its own.
 *
 *   struct emulator m;
 *   emulator_start(&m, &(struct emulator_options){.bucket = "model-bkt", .hub = folder});
 *   emulator_setenv(&m);            ferry's endpoints and token point to it now
 *   …
 *   emulator_faults(&m, "reset-while-reading");
 *   …
 *   json_t *log = emulator_log(&m);  what was asked, one object per request
 *   emulator_stop(&m);
 *
 * In CMake: target_link_libraries(test_x PRIVATE run_emulator). What cannot be done ends the test program
 * with a word on stderr. Not for several threads at once. */
#ifndef FERRY_TESTS_RUN_EMULATOR_H
#define FERRY_TESTS_RUN_EMULATOR_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What the emulator takes for credentials. Every other token is refused. */
#define EMULATOR_TOKEN "emulator-token"             /* Google; also what the token endpoint gives out */
#define EMULATOR_CLIENT_ID "emulator-client"        /* authorized_user … */
#define EMULATOR_CLIENT_SECRET "emulator-secret"    /* … of oauth2 */
#define EMULATOR_REFRESH_GOOD "refresh-good"        /* gives tokens */
#define EMULATOR_REFRESH_REVOKED "refresh-revoked"  /* invalid_grant */
#define EMULATOR_REFRESH_RAPT "refresh-rapt"        /* invalid_grant, invalid_rapt: log in again */
#define EMULATOR_HF_TOKEN "hf_emulator"             /* may read everything */
#define EMULATOR_HF_TOKEN_NO_LICENCE "hf_nolicence" /* known, but has accepted no licence */
#define EMULATOR_HF_TOKEN_NO_RIGHT "hf_noright"     /* fine-grained, without the right to read */

struct emulator_options {
    const char *data;       /* folder of its state; NULL: a new one, which emulator_stop removes */
    const char *hub;        /* folder with owner/name/… (see hub_repo.h); NULL: no hub */
    const char *faults;     /* as emulator_faults; NULL: none */
    const char *bucket;     /* made at start when it is not there; NULL: none */
    const char *program;    /* what the tasks of Cloud Run's jobs and the containers of VMs run; NULL: nothing
                               that works */
    const char *public_key; /* PEM file of the service account's key; NULL: assertions are refused */
    int token_seconds;      /* life of a token from the token endpoint and the metadata server; 0: 3599 */
    int url_seconds;        /* life of the hub's signed URLs; 0: 3600 */
    uint64_t lfs_bytes; /* files of the hub from this size on are LFS; 0: 10 MiB (1: all but empty ones) */
};

struct emulator {
    pid_t pid;
    int port;     /* the next start takes the same */
    int cdn_port; /* where the hub's signed URLs point; also kept */
    char data[256], log[300];
    bool scratch;                    /* data is ours to remove */
    struct emulator_options options; /* strings stay the caller's */
};

void emulator_start(struct emulator *m, const struct emulator_options *o); /* answers requests on return */
void emulator_stop(struct emulator *m);    /* SIGTERM; fails the program when it ended badly (leaks) */
void emulator_kill(struct emulator *m);    /* SIGKILL; state and ports stay for emulator_restart */
void emulator_restart(struct emulator *m); /* after emulator_kill, or kills first; same ports, same state */

/* "http://127.0.0.1:PORT". The emulator's until the next call. */
const char *emulator_url(const struct emulator *m);

/* FERRY_ENDPOINT_STORAGE and its siblings of the other APIs, HF_ENDPOINT, GCE_METADATA_HOST,
 * FERRY_ACCESS_TOKEN and HF_TOKEN for this process and its children, FERRY_PRICES=snapshot (the catalog is
 * asked by tests that unset it); takes away what else could name
 * credentials (GOOGLE_…, CLOUDSDK_CONFIG goes to an empty folder, HF_HOME too). */
void emulator_setenv(const struct emulator *m);

/* Faults from now on: a name ("reset-while-reading" is faults/reset-while-reading.json), a path, or JSON text
 * beginning with "{"; counting begins anew. NULL: none. See faults.h. */
void emulator_faults(struct emulator *m, const char *what);

/* Requests so far, oldest first, once none is under way: objects with "method", "path" (with query, as sent),
 * "status" (0: no answer), "body" (bytes of the request's body that came), "sent" (bytes of the answer's body
 * that went), "headers" (lower-case names; authorization only as "Bearer …"), "fault" (its name or null),
 * "host" ("main", "cdn"); of a call to an API "call" (its id, "storage.objects.insert"), "json" (its body, if
 * there was one) and "invalid" (what the API's description does not know in it, or null). A new reference. */
json_t *emulator_log(const struct emulator *m);

/* Forgets the log so far. */
void emulator_log_clear(const struct emulator *m);

/* Requests to an API of Google's that its description (tests/data/apis) does not know, by path, query or
 * body, are answered with 400, and emulator_stop fails the program for them. A test that sends such on
 * purpose says so here.
 */
void emulator_forget_invalid(const struct emulator *m);

/* Over emulator_log: how many requests, and their bytes in both directions. method NULL: any; path: a glob
 * (fnmatch) on path with query; status 0: any. */
struct emulator_count {
    int requests;
    uint64_t body, sent;
};
struct emulator_count emulator_count(const struct emulator *m, const char *method, const char *path,
                                     int status);

#endif
