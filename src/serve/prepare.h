/* prepare.h: from a request to what the engine is fed: audio decoded, cut into windows, turned into log-mel
 * frames, the conversation rendered to ids. Costs milliseconds to seconds, so it runs neither on the HTTP
 * thread nor on the engine's; all of it is stateless.
 *
 *   struct prepared p = {0};
 *   if (prepare_chat(&p, model, &request, &error)) {
 *       struct generation_spec spec = prepared_spec(&p, &request);
 *       … generation_new(&spec, sink, &e), scheduler_submit, wait for the last event …
 *   }
 *   prepared_clear(&p);
 *
 * Responses report what became of the audio: "ferry": {"audio": [{"seconds": 34.2, "windows": 2}]}, one entry
 * per audio part, and "warnings": ["…"] when something of it was not used. */
#ifndef FERRY_SERVE_PREPARE_H
#define FERRY_SERVE_PREPARE_H

#include "base/arena.h"
#include "engine/chat.h"
#include "serve/loaded_model.h"
#include "serve/request.h"
#include "serve/scheduler.h"
#include "serve/service_config.h"

enum { PREPARE_MAX_AUDIO_SECONDS = 1800 }; /* decoded length of one file: 115 MB of samples */

/* One audio file, ready for the engine. */
struct recording {
    double seconds;
    struct mel *clips; /* [clip_count], in the arena; one per window that is used */
    int clip_count;
    int window_count; /* how many it fills; more than clip_count when truncated */
    int tokens;       /* of all clips */
};

/* max_seconds: longer audio is refused (code "audio_too_long") as soon as the decoder gets there, at most
 * PREPARE_MAX_AUDIO_SECONDS. A rest behind full windows that is too short for a single audio token is left
 * out: nothing would hear it. False with *e set: not audio, too long, no ears. */
bool recording_read(struct recording *r, const struct loaded_model *m, const void *bytes, size_t size,
                    enum long_audio when_long, double max_seconds, struct arena *a, struct api_error *e);

struct prepared {
    struct arena *arena; /* frames, recordings, warnings */
    struct chat chat;
    struct recording *recordings; /* [recording_count], in the order of the conversation */
    int recording_count;
    int audio_tokens;      /* of all recordings */
    const char **warnings; /* [warning_count] */
    int warning_count;
};

/* False with *e set (param names the part): audio that cannot be read or is too long, a prompt that leaves no
 * room in the context. *p is to be cleared either way. */
bool prepare_chat(struct prepared *p, const struct loaded_model *m, const struct chat_request *r,
                  struct api_error *e);
void prepared_clear(struct prepared *p); /* a zeroed one is fine */

/* Whether requests can be answered under it: its system prompt must leave a quarter of the context for
 * question and answer, or it would fail all of them. False with *e set. */
bool prepare_config_fits(const struct loaded_model *m, const struct service_config *c, struct err *e);

/* Points into p and r, which must outlive the generation. */
struct generation_spec prepared_spec(const struct prepared *p, const struct chat_request *r);

#endif
