/* server.h: the OpenAI-compatible HTTP service.
 *
 *   struct server *s = server_new(&options, &e);              bound and answering: /healthz 200, /readyz 503
 *   if (!loaded_model_open(&m, folder, …) || !server_set_model(s, &m, &e)) …          /readyz 200
 *   … wait for SIGTERM …
 *   server_stop(s, 8);                                         finish what can finish, close streams properly
 *   server_free(s);
 *   loaded_model_close(&m);
 *
 * Routes: POST /v1/chat/completions, POST /v1/audio/transcriptions, GET /v1/models, GET /v1/models/{id},
 * GET /healthz (alive), GET /readyz (model loaded), GET /v1/load (how far it is), GET /metrics (Prometheus),
 * GET /v1/config (the live configuration), GET / (a page to talk to). Requests that come before the model are
 * held and answered when it is there.
 *
 * Live configuration (service_config.h), when there is a source: each chat completion has exactly one, the
 * one in force when its work begins, whatever changes meanwhile; its generation is the header
 * X-Ferry-Config-Generation of the reply, stream or error (0: the model's own defaults). When it is looked
 * for: config/poller.h. Transcriptions keep their own instruction and sampling. GET /v1/config:
 *
 *   {"object":"config","source":"gs://b/config.json","generation":"17…","since":17…,"config":{…},
 *    "rejected":{"generation":"17…","since":17…,"problem":"temperature: …","stands":true},
 *    "rejected_total":1,"failure":null,"checked_seconds_ago":1.5,"checking":false,"interval_seconds":2}
 *
 * rejected: the last one that was refused, or null; stands: it is what lies there now. failure: why the last
 * look told nothing, or null. checking: a look is under way. Without a source, source is null.
 *
 * Transcription: each window of the audio is a conversation of its own, one user message of the audio and the
 * instruction TRANSCRIPTION_PROMPT, greedy and without repetition penalty unless `temperature` is given. The
 * request's `prompt` replaces the instruction; `language` adds "The language is …." to it. The pieces are
 * joined by spaces; in verbose_json each window is a segment. A window is written in at most as many tokens
 * as it has audio tokens and 64 more; one that was cut there is named in "warnings".
 *
 * One log line per request: route, status, ms, queue_ms, ttft_ms, tokens_in, tokens_out, trace; of /healthz
 * and /readyz only where the level is debug. */
#ifndef FERRY_SERVE_SERVER_H
#define FERRY_SERVE_SERVER_H

#include "base/err.h"
#include "serve/config_source.h"
#include "serve/loaded_model.h"

#include <stdbool.h>
#include <stddef.h>

#define TRANSCRIPTION_PROMPT "Write down exactly what is said in the audio, and nothing else."

struct server;

/* GET /v1/load, an object, or with Accept: text/event-stream one every half second until the load has ended:
 *
 *   {"object":"load","state":"starting|loading|loaded|failed","bytes":…,"total":…,"percent":43,
 *    "bytes_per_second":…,"elapsed_ms":…,"first_token_ms":…,"loaded_ms":…,      predicted, from now; or null
 *    "reached":{"waits_for":"decoder layer 5","done":39,"of":68},
 *    "phases":{"start_ms":…,"files_ms":…,"headers_ms":…,"fetch_ms":…,"wait_ms":…,"compute_ms":…},
 *    "failure":null,
 *    "stages":[{"name":"audio front","bytes":…,"arrived_ms":…,"begun_ms":…,"done_ms":…,"busy_ms":…},…]}
 *
 * Times are since the start; begun, done and busy are those of the first answer's computing.
 *
 * Events leave stages out, but the last. Streamed answers that are waited for while the load lasts begin with
 * comments (": loading 43 %, first token in about 12 s"), one a second. */

/* 0 or NULL anywhere: the default. */
struct server_options {
    const char *host;     /* address to listen on; default: all, IPv6 and IPv4 */
    int port;             /* 0: any free one, see server_port */
    int listen_fd;        /* a socket that listens already (base/listen.h), taken over; host is not read */
    const char *api_key;  /* asked of everything but /healthz and /readyz; NULL or "": open to all */
    const char *version;  /* for system_fingerprint and ferry_build_info */
    const char *math;     /* "exact", "fast": the same */
    size_t body_bytes;    /* largest request body; default 64 MiB, 413 beyond */
    size_t bodies_bytes;  /* all bodies being received; default 256 MiB, 503 beyond */
    int queue;            /* generations that may wait for a session; default 64, 429 beyond */
    int connections;      /* open at a time; default 8192, or what RLIMIT_NOFILE's hard limit allows */
    double head_seconds;  /* for the first request head of a connection; default 60 */
    double idle_seconds;  /* between requests; default 620, more than load balancers keep theirs (600) */
    double stall_seconds; /* nothing moves in a body or in a reply; default 60 */
    const struct config_source *config; /* must outlive the server; NULL: no live configuration */
    double config_seconds;              /* between two looks at it while requests come; default 2 */
    struct arrival *arrival;            /* told of the load; must outlive the server. NULL: nobody tells */
    bool gate; /* before there is a model: 503 at once, instead of holding requests */
};

/* Binds and answers. Raises the soft RLIMIT_NOFILE. NULL with *e set: the port is taken, … */
struct server *server_new(const struct server_options *o, struct err *e);
int server_port(const struct server *s);

/* Hands over the model, once; it must outlive the server. Its weights may still be arriving: requests are
 * computed behind them. False with *e set. */
bool server_set_model(struct server *s, struct loaded_model *m, struct err *e);

/* Takes no new connections and answers 503 to new requests; lets what runs finish for that long; ends the
 * rest with an error event or reply. Any thread, once. True when nothing had to be cut. */
bool server_stop(struct server *s, double seconds);
void server_free(struct server *s); /* stops at once when server_stop was not called; NULL is fine */

#endif
