/* sequence.h: one choice of a generation while it decodes: its session, sampler and streamed text.
 * Belongs to the scheduler's thread. */
#ifndef FERRY_SERVE_BATCH_SEQUENCE_H
#define FERRY_SERVE_BATCH_SEQUENCE_H

#include "serve/scheduler.h"

struct sequence;

/* choice: its index; the seed is spec's plus it. spec outlives the sequence. NULL with *e set: a sampling
 * value out of range, no memory. */
struct sequence *sequence_new(const struct loaded_model *m, const struct generation_spec *spec, int choice,
                              struct err *e);
void sequence_free(struct sequence *q); /* its session too; NULL is fine */

/* Gives it its session, prefilled. The sequence owns it from here. */
void sequence_start(struct sequence *q, struct session *s);

/* Picks a token from the session's logits and tells the sink what follows from it: EVENT_TEXT, and with the
 * last token EVENT_FINISH. False with *e set: logits that are not numbers, no memory. */
bool sequence_step(struct sequence *q, const struct sink *sink, struct err *e);

bool sequence_finished(const struct sequence *q);
int sequence_tokens(const struct sequence *q); /* picked so far */
int sequence_next(const struct sequence *q);   /* the token to feed */
struct session *sequence_session(struct sequence *q);

#endif
