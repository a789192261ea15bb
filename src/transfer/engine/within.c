/* Files that the place copies itself, in one call or, between two regions, in many. How far it is stands in
 * the journal as the upload's token: "rewrite:" and what the next call goes on with, or "copied:" and the
 * generation that came of it. */
#include "transfer/engine/copy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define GOES_ON "rewrite:"
#define COPIED "copied:%" PRId64

/* Bytes of a file that were not seen have no checksums but the whole's, and these the place compares. */
static bool note(struct transfer *t, struct copy *c, const char *token, struct err *e)
{
    const struct journal_start start = {.name = c->job.target,
                                        .identity = c->identity,
                                        .upload_token = token,
                                        .token_is_secret = true,
                                        .size = c->job.source.size,
                                        .part_bytes = c->part_bytes,
                                        .range_bytes = t->opt.part_bytes};
    return !t->opt.journal || journal_begin(t->opt.journal, &start, e);
}

static bool note_progress(struct transfer *t, struct copy *c, const struct rewrite_state *at, struct err *e)
{
    char token[REWRITE_TOKEN_BYTES + sizeof GOES_ON];
    snprintf(token, sizeof token, GOES_ON "%s", at->token);
    pthread_mutex_lock(&t->locked.mutex);
    if (at->rewritten > c->locked.done && at->rewritten <= c->job.source.size)
        copy_moved_locked(t, c, at->rewritten - c->locked.done, true);
    pthread_mutex_unlock(&t->locked.mutex);
    return note(t, c, token, e);
}

/* *there: an earlier run has made it, and it stands there still. */
static bool copied_before(struct copy *c, const char *token, struct arena *a, bool *there, struct err *e)
{
    int64_t generation;
    struct entry target;
    *there = false;
    if (sscanf(token, COPIED, &generation) != 1)
        return true;
    bool found = store_stat(c->job.to, c->job.target, a, &target, e);
    if (!found && e->kind != ERR_NOT_FOUND)
        return false;
    *e = (struct err){0};
    *there = found && target.generation == generation;
    if (*there) {
        c->out.generation = generation;
        c->out.crc32c = target.crc32c;
    }
    return true;
}

static bool copy_all(struct transfer *t, struct copy *c, struct rewrite_state *at, struct arena *a,
                     struct entry *there, struct err *e)
{
    const struct store_copy copy = {.from = c->job.from,
                                    .to = c->job.to,
                                    .source = &c->job.source,
                                    .name = c->job.target,
                                    .if_generation =
                                        t->opt.skip_existing ? STORAGE_ABSENT : STORAGE_ANY_GENERATION};
    while (!at->done) {
        if (transfer_stopped(t))
            return err_set(e, ERR_CANCELLED, "interrupted");
        if (!store_copy(&copy, at, a, there, e) || (!at->done && !note_progress(t, c, at, e)))
            return false;
    }
    return true;
}

/* What a token is too old for is begun anew. */
static bool make_copy(struct transfer *t, struct copy *c, const char *token, struct arena *a, struct err *e)
{
    struct rewrite_state at = {0};
    struct entry there = {0};
    char done[40];
    const char *rest = token + strlen(GOES_ON);
    bool resumed = strncmp(token, GOES_ON, strlen(GOES_ON)) == 0 && strlen(rest) < sizeof at.token;
    if (resumed)
        memcpy(at.token, rest, strlen(rest) + 1);
    bool ok = copy_all(t, c, &at, a, &there, e);
    if (!ok && resumed && (e->kind == ERR_USAGE || e->kind == ERR_NOT_FOUND)) {
        at = (struct rewrite_state){0};
        *e = (struct err){0};
        ok = copy_all(t, c, &at, a, &there, e);
    }
    if (!ok)
        return false;
    c->out.generation = there.generation;
    c->out.crc32c = there.crc32c;
    snprintf(done, sizeof done, COPIED, there.generation);
    pthread_mutex_lock(&t->locked.mutex);
    copy_moved_locked(t, c, c->job.source.size - c->locked.done, true);
    pthread_mutex_unlock(&t->locked.mutex);
    return note(t, c, done, e);
}

void within_carry(struct worker *w, struct copy *c)
{
    struct transfer *t = w->t;
    struct arena *a = arena_new(256 << 10);
    struct err e = {0};
    const struct journal_file *k = known_file(t, c);
    char token[UPLOAD_TOKEN_BYTES] = ""; /* the journal's own is forgotten with its next line */
    bool there = false, ok = a || err_set(&e, ERR_MEMORY, "no memory for a file");
    if (k)
        snprintf(token, sizeof token, "%s", k->start.upload_token);
    ok = ok && known_whole(t, c, w, a, &there, &e) && (there || copied_before(c, token, a, &there, &e)) &&
         (there || make_copy(t, c, token, a, &e));
    if (!ok && e.kind == ERR_BUSY && t->opt.skip_existing) { /* somebody else's is there now */
        e = (struct err){0};
        there = ok = true;
    }
    if (!ok)
        err_wrap(&e, "%s", c->job.source.name);
    copy_ended(t, c, !ok ? TRANSFER_FAILED : there ? TRANSFER_SKIPPED : TRANSFER_DONE, &e);
    arena_free(a);
}
