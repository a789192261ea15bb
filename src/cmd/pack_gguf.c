/* pack_gguf.c: `ferry pack --to gguf`: a model folder as the files that llama.cpp reads. */
#include "cmd/confirm.h"
#include "cmd/human.h"
#include "cmd/interrupt.h"
#include "cmd/progress.h"
#include "cmd/stage.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/stop.h"
#include "engine/tokenizer.h"
#include "model/chat_template.h"
#include "model/gguf.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PARTS = 2 };

static const char *const part_names[PARTS] = {
    [GGUF_LANGUAGE] = "the language model", [GGUF_AUDIO] = "the audio tower and the projector"};

struct output {
    const char *path, *partial; /* of the file, and its name until it is whole */
    struct gguf *gguf;          /* NULL: the model has no such part */
};

struct gguf_run {
    struct stage *s;
    struct model model;
    struct tokenizer *tokenizer;
    struct vocabulary vocabulary;
    enum pack_encoding encoding;
    struct gguf_source source;
    struct output outputs[PARTS];
    const volatile sig_atomic_t *stop;
    uint64_t bytes_total;
    _Atomic uint64_t bytes_done;
    double seconds;
    FILE *file; /* being written */
};

/* --- what is asked for --- */

static bool check_source(const char *text, struct arena *a, struct err *e)
{
    struct uri u;
    if (!uri_parse(&u, text, a, e))
        return false;
    return u.scheme == URI_LOCAL ||
           err_set(e, ERR_USAGE,
                   "%s: not a folder on this machine, which --to gguf takes; `ferry cp -r` or `ferry stage` "
                   "brings it here",
                   text);
}

/* OUT.gguf and OUT-mmproj.gguf: always paths, so that "models/out.gguf" needs no "./". */
static bool name_outputs(struct gguf_run *r, const char *out, struct err *e)
{
    static const char ending[] = ".gguf";
    struct arena *a = r->s->arena;
    size_t n = strlen(out), stem = n - strlen(ending);
    if (strstr(out, "://") || n <= strlen(ending) || strcmp(out + stem, ending) != 0)
        return err_set(e, ERR_USAGE, "%s: expected a file on this machine that ends in %s", out, ending);
    r->outputs[GGUF_LANGUAGE].path = out;
    r->outputs[GGUF_AUDIO].path = arena_printf(a, "%.*s-mmproj%s", (int)stem, out, ending);
    for (struct output *o = r->outputs; o < r->outputs + PARTS; o++)
        if (!o->path || !(o->partial = arena_printf(a, "%s.partial", o->path)))
            return err_set(e, ERR_MEMORY, "no memory for the names of files");
    return true;
}

static bool open_source(struct gguf_run *r, const char *folder, struct err *e)
{
    struct arena *a = r->s->arena;
    if (!model_open(&r->model, folder, FOLDER_MAP, NULL, e))
        return false;
    const struct file_source files = file_source_folder(folder);
    r->tokenizer = tokenizer_new(&files, r->model.config.text.vocab, e);
    r->source = (struct gguf_source){.model = &r->model, .vocabulary = &r->vocabulary};
    if (r->s->settings.encode != ENCODE_NONE) {
        r->encoding = (enum pack_encoding)(r->s->settings.encode - 1);
        r->source.encoding = &r->encoding;
    }
    return r->tokenizer && tokenizer_vocabulary(r->tokenizer, &r->vocabulary, a, e) &&
           chat_template_read(&r->source.chat_template, folder, a, e);
}

static bool plan_outputs(struct gguf_run *r, struct err *e)
{
    for (int part = 0; part < PARTS; part++) {
        if (part == GGUF_AUDIO && r->model.config.family != MODEL_QWEN2_AUDIO)
            continue;
        r->outputs[part].gguf = gguf_new(&r->source, (enum gguf_part)part, e);
        if (!r->outputs[part].gguf)
            return err_wrap(e, "%s", r->model.path);
        r->bytes_total += gguf_bytes(r->outputs[part].gguf);
    }
    return true;
}

static bool may_replace(const struct gguf_run *r, struct err *e)
{
    char question[400];
    for (const struct output *o = r->outputs; o < r->outputs + PARTS; o++) {
        if (!o->gguf || !file_exists(o->path))
            continue;
        snprintf(question, sizeof question, "%.300s is there already. Replace it?", o->path);
        return confirm(question, r->s->settings.yes, e);
    }
    return true;
}

/* --- writing --- */

static void sample(void *arg, struct transfer_progress *p)
{
    struct gguf_run *r = arg;
    *p = (struct transfer_progress){.bytes_total = r->bytes_total, .bytes_done = r->bytes_done};
    p->bytes_moved = p->bytes_done;
}

static bool put_out(void *arg, uint64_t at, const void *bytes, size_t size, struct err *e)
{
    struct gguf_run *r = arg;
    (void)at; /* in order, without gaps */
    if (stop_wanted(r->stop))
        return err_set(e, ERR_CANCELLED, "stopped, nothing was written; to begin anew: %s", r->s->again);
    if (fwrite(bytes, 1, size, r->file) != size)
        return err_errno(e, "cannot be written");
    r->bytes_done += size;
    return true;
}

/* Under its own name only when all of it is on the disk. */
static bool write_output(struct gguf_run *r, const struct output *o, struct err *e)
{
    r->file = fopen(o->partial, "wb");
    if (!r->file)
        return err_errno(e, "%s", o->partial);
    bool ok = gguf_write(o->gguf, put_out, r, e);
    if (ok && (fflush(r->file) != 0 || fsync(fileno(r->file)) != 0))
        ok = err_errno(e, "cannot be written");
    if (fclose(r->file) != 0 && ok)
        ok = err_errno(e, "cannot be written");
    if (ok && rename(o->partial, o->path) != 0)
        ok = err_errno(e, "cannot be given its name");
    if (!ok)
        unlink(o->partial);
    return ok || e->kind == ERR_CANCELLED ? ok : err_wrap(e, "%s", o->path);
}

static bool write_outputs(struct gguf_run *r, struct err *e)
{
    struct progress_options o = {
        .what = "encoding", .quiet = r->s->settings.copy.quiet, .sample = sample, .arg = r, .stop = r->stop};
    double start = clock_ms();
    struct progress *p = progress_start(&o, e);
    bool ok = p != NULL;
    for (int part = PARTS - 1; part >= 0; part--) /* the one that is asked for last */
        ok = ok && (!r->outputs[part].gguf || write_output(r, &r->outputs[part], e));
    progress_end(p);
    r->seconds = (clock_ms() - start) / 1000;
    return ok;
}

/* --- telling --- */

static bool print_as_json(const struct gguf_run *r, struct err *e)
{
    json_t *files = json_array();
    for (const struct output *o = r->outputs; o < r->outputs + PARTS; o++)
        if (o->gguf)
            json_array_append_new(files, json_pack("{s:s, s:I, s:s}", "name", o->path, "size",
                                                   (json_int_t)gguf_bytes(o->gguf), "encoding",
                                                   dtype_name(gguf_matrices(o->gguf))));
    return print_json(json_pack("{s:s, s:b, s:f, s:o}", "source", r->model.path, "dry_run",
                                r->s->settings.copy.dry_run, "seconds", r->seconds, "files", files),
                      e);
}

static bool print_outputs(const struct gguf_run *r, struct err *e)
{
    char size[HUMAN_TEXT];
    if (r->s->settings.copy.json)
        return print_as_json(r, e);
    for (int part = 0; part < PARTS; part++)
        if (r->outputs[part].gguf)
            printf("%s: %s in %s, %s\n", r->outputs[part].path, part_names[part],
                   dtype_name(gguf_matrices(r->outputs[part].gguf)),
                   human_bytes(gguf_bytes(r->outputs[part].gguf), size));
    if (r->s->settings.copy.dry_run)
        puts("nothing was written");
    return true;
}

static bool run(struct gguf_run *r, const char *folder, const char *out, struct err *e)
{
    if (!check_source(folder, r->s->arena, e) || !name_outputs(r, out, e) || !open_source(r, folder, e) ||
        !plan_outputs(r, e))
        return false;
    return (r->s->settings.copy.dry_run || (may_replace(r, e) && write_outputs(r, e))) && print_outputs(r, e);
}

bool pack_to_gguf(struct stage *s, const char *folder, const char *out, struct err *e)
{
    struct gguf_run r = {.s = s, .stop = interrupt_watch()};
    bool ok = run(&r, folder, out, e);
    for (int part = 0; part < PARTS; part++)
        gguf_free(r.outputs[part].gguf);
    tokenizer_free(r.tokenizer);
    model_close(&r.model);
    return ok;
}
