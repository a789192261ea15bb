/* stage_check.c: `ferry stage --check`: is what lies there what the manifest says? */
#include "base/catalog.h"
#include "base/crc32c.h"
#include "base/sha.h"
#include "cmd/human.h"
#include "cmd/interrupt.h"
#include "cmd/progress.h"
#include "cmd/stage.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* One run; the display looks on from a thread of its own. */
struct check {
    struct stage *stage;
    const volatile sig_atomic_t *stop;
    int bad, bad_bytes, without_checksum;
    json_t *findings;
    struct {
        pthread_mutex_t mutex;
        struct transfer_progress progress;
    } locked;
    /* of the file being read */
    uint32_t crc32c;
    struct sha256 sha256;
};

static void find(struct check *c, const char *name, const char *what)
{
    c->bad++;
    if (c->stage->settings.copy.json)
        json_array_append_new(c->findings, json_pack("{s:s, s:s}", "name", name, "problem", what));
    else
        printf("%s: %s\n", name, what);
}

static bool check_listed(struct check *c, const struct manifest_file *m, const struct entry *there)
{
    char what[120];
    if (!there) {
        find(c, m->name, "is missing");
        return false;
    }
    if (there->size != m->size) {
        snprintf(what, sizeof what, "has %llu bytes, the manifest says %llu", (unsigned long long)there->size,
                 (unsigned long long)m->size);
        find(c, m->name, what);
        return false;
    }
    if (there->has_crc32c && there->crc32c != m->crc32c) {
        find(c, m->name, "has another CRC32C than the manifest says");
        return false;
    }
    c->without_checksum += !there->has_crc32c;
    return true;
}

static bool take_bytes(void *arg, const void *bytes, size_t size, struct err *e)
{
    struct check *c = arg;
    (void)e;
    c->crc32c = crc32c(c->crc32c, bytes, size);
    sha256_add(&c->sha256, bytes, size);
    pthread_mutex_lock(&c->locked.mutex);
    c->locked.progress.bytes_done += size;
    c->locked.progress.bytes_moved += size;
    c->locked.progress.flight[0].done += size;
    pthread_mutex_unlock(&c->locked.mutex);
    return true;
}

static void now_reading(struct check *c, const struct manifest_file *m)
{
    pthread_mutex_lock(&c->locked.mutex);
    c->locked.progress.running = 1;
    c->locked.progress.flight[0].name = m->name;
    c->locked.progress.flight[0].size = m->size;
    c->locked.progress.flight[0].done = 0;
    pthread_mutex_unlock(&c->locked.mutex);
}

static void was_read(struct check *c)
{
    pthread_mutex_lock(&c->locked.mutex);
    c->locked.progress.running = 0;
    c->locked.progress.files_done++;
    pthread_mutex_unlock(&c->locked.mutex);
}

static bool check_bytes(struct check *c, const struct manifest_file *m, const struct entry *there,
                        struct err *e)
{
    struct stage *s = c->stage;
    struct entry whole = *there;
    char sha256[SHA256_HEX];

    c->crc32c = 0;
    sha256_start(&c->sha256);
    whole.name = arena_printf(s->arena, "%s%s", s->prefix, there->name);
    if (!whole.name)
        return err_set(e, ERR_MEMORY, "no memory for a name");
    now_reading(c, m);
    if (whole.size && !transfer_stream_out(s->target.store, &whole, 0, whole.size, take_bytes, c, c->stop, e))
        return err_wrap(e, "%s", m->name);
    was_read(c);
    sha256_end(&c->sha256, sha256);
    if (c->crc32c != m->crc32c || (m->sha256 && strcmp(sha256, m->sha256) != 0)) {
        find(c, m->name, "its bytes are not those that were staged");
        c->bad_bytes++;
    }
    return true;
}

static bool check_files(struct check *c, struct err *e)
{
    const struct manifest *m = &c->stage->manifest;
    for (int i = 0; i < m->count; i++) {
        const struct entry *there = stage_find(&c->stage->there, m->files[i].name);
        if (check_listed(c, &m->files[i], there) && c->stage->settings.deep &&
            !check_bytes(c, &m->files[i], there, e))
            return false;
    }
    return true;
}

static void sample(void *arg, struct transfer_progress *p)
{
    struct check *c = arg;
    pthread_mutex_lock(&c->locked.mutex);
    *p = c->locked.progress;
    pthread_mutex_unlock(&c->locked.mutex);
}

/* The display is for reading; comparing lists takes no time. */
static bool check_with_display(struct check *c, struct err *e)
{
    const struct manifest *m = &c->stage->manifest;
    struct progress_options o = {.what = "checking",
                                 .quiet = c->stage->settings.copy.quiet || !c->stage->settings.deep,
                                 .sample = sample,
                                 .arg = c,
                                 .stop = c->stop};
    c->locked.progress.files_total = m->count;
    for (int i = 0; i < m->count; i++)
        c->locked.progress.bytes_total += m->files[i].size;
    struct progress *p = progress_start(&o, e);
    bool ok = p && check_files(c, e);
    progress_end(p);
    return ok;
}

/* What made this folder. */
static const char *command_for(const struct stage *s, const char *target)
{
    const struct manifest *m = &s->manifest;
    const char *encode = m->encoding ? arena_printf(s->arena, " --encode %s", m->encoding) : "";
    char *text = m->commit
                     ? arena_printf(s->arena, "ferry stage %s@%s %s%s", m->source, m->commit, target, encode)
                     : arena_printf(s->arena, "ferry pack %s %s%s", m->source, target, encode);
    return text ? text : "the command that made it";
}

static bool report(struct check *c, struct err *e)
{
    const struct stage *s = c->stage;
    const struct manifest *m = &s->manifest;
    const char *target = place_uri(&s->target, s->prefix, s->arena);
    char bytes[HUMAN_TEXT];

    if (s->settings.copy.json &&
        !print_json(json_pack("{s:s, s:s?, s:i, s:b, s:O}", "source", m->source, "commit", m->commit, "files",
                              m->count, "deep", s->settings.deep, "problems", c->findings),
                    e))
        return false;
    if (c->bad)
        return err_set(e, ERR_CORRUPT, "%d of %d files are not what was staged; to set it right%s: %s",
                       c->bad, m->count, c->bad_bytes ? _(" delete those whose bytes are wrong, then") : "",
                       command_for(s, target));
    if (s->settings.copy.json)
        return true;
    printf("%d file%s of %s%s%.12s%s%s: all there, %s (%s)\n", m->count, human_plural((uint64_t)m->count),
           m->source, m->commit ? " at " : "", m->commit ? m->commit : "", m->encoding ? " in " : "",
           m->encoding ? m->encoding : "",
           s->settings.deep      ? "every byte read and right"
           : c->without_checksum ? "sizes right; --deep reads the bytes"
                                 : "sizes and checksums right",
           human_bytes(c->locked.progress.bytes_total, bytes));
    return true;
}

bool stage_check(struct stage *s, struct err *e)
{
    struct check c = {.stage = s, .stop = interrupt_watch(), .findings = json_array()};
    const char *target = place_uri(&s->target, s->prefix, s->arena);

    if (!c.findings)
        return err_set(e, ERR_MEMORY, "no memory");
    pthread_mutex_init(&c.locked.mutex, NULL);
    bool ok = stage_list_target(s, e) && stage_read_manifest(s, e);
    if (ok && !s->has_manifest)
        ok = err_set(
            e, ERR_NOT_FOUND,
            "%s: there is no %s, so no model is completely staged there; `ferry stage MODEL %s` goes on "
            "where it stopped",
            target, MANIFEST_NAME, target);
    if (ok && s->source && strcmp(s->source, s->manifest.source) != 0)
        ok = err_set(e, ERR_CORRUPT, "%s holds %s, not %s", target, s->manifest.source, s->source);
    ok = ok && check_with_display(&c, e) && report(&c, e);
    pthread_mutex_destroy(&c.locked.mutex);
    json_decref(c.findings);
    return ok;
}
