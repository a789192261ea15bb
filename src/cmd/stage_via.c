/* stage_via.c: `ferry stage --via job`: the copy is made by tasks of Cloud Run beside the bucket, and
 * followed here. */
#include "cmd/stage_via.h"
#include "cloud/storage.h"
#include "cmd/confirm.h"
#include "cmd/human.h"
#include "cmd/interrupt.h"
#include "cmd/plan_measure.h"
#include "plan/regions.h"
#include "target/knative.h"
#include "target/stage_job.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum {
    MOST_TASKS = 8,          /* unless told: more would share what the hub gives one address range */
    LARGE_BYTES = 64 << 20,  /* a file worth a task of its own */
    TASK_SECONDS = 4 * 3600, /* a try of a task; Cloud Run allows 168 h */
    MOST_WORDS = 2 * OPTION_LIST_MAX * 2 + 16,
    HINT_BYTES = 1 << 30, /* less is copied sooner than anything is decided */
};

/* --- what is to be done --- */

/* What goes into a pack is not read again when that is there. */
static bool is_missing(const struct stage *s, const struct stage_file *f)
{
    return f->choice == CHOICE_TAKEN && !f->certified && !(f->encoded && s->pack_certified);
}

uint64_t via_bytes_of_task(const struct stage *s, int task)
{
    uint64_t bytes = 0;
    for (int i = 0; i < s->count; i++)
        if (is_missing(s, &s->files[i]) && s->files[i].task == task)
            bytes += s->files[i].source.size;
    return bytes;
}

uint64_t via_bytes(const struct stage *s)
{
    uint64_t bytes = 0;
    for (int i = 0; i < s->count; i++)
        if (is_missing(s, &s->files[i]))
            bytes += s->files[i].source.size;
    return bytes;
}

static int choose_tasks(const struct stage *s)
{
    int large = 0;
    for (int i = 0; i < s->count; i++)
        large += is_missing(s, &s->files[i]) && s->files[i].source.size >= LARGE_BYTES;
    if (s->settings.tasks)
        return s->settings.tasks;
    return s->encoding || large < 1 ? 1 : large < MOST_TASKS ? large : MOST_TASKS;
}

static void add_list(const char **words, int *n, const char *option, const struct text_list *list)
{
    for (int i = 0; i < list->count; i++) {
        words[(*n)++] = option;
        words[(*n)++] = list->items[i];
    }
}

/* The commit is pinned, and who is asked has been asked here. */
const char *const *via_words(const struct stage *s)
{
    int n = 0;
    const char **words = arena_alloc(s->arena, MOST_WORDS, sizeof *words);
    const char *model = arena_printf(s->arena, "%s@%s", s->source, s->commit);
    const char *target = place_uri(&s->target, s->target.path, s->arena);
    if (!words || !model || !target)
        return NULL;
    words[n++] = "stage";
    words[n++] = model;
    words[n++] = target;
    words[n++] = "--yes";
    words[n++] = "--via";
    words[n++] = "here";
    add_list(words, &n, "--include", &s->settings.include);
    add_list(words, &n, "--exclude", &s->settings.exclude);
    if (s->encoding) {
        words[n++] = "--encode";
        words[n++] = s->encoding;
    }
    return words;
}

bool via_region(const struct stage *s, const char **out, struct err *e)
{
    *out = s->settings.region;
    if (*out)
        return true;
    json_t *bucket = bucket_get(stores_cloud(s->stores), s->target.uri.place, e);
    const char *location = json_string_value(json_object_get(bucket, "location"));
    char *region = location ? arena_strndup(s->arena, location, strlen(location)) : NULL;
    json_decref(bucket);
    for (char *c = region; c && *c; c++)
        *c = (char)tolower((unsigned char)*c);
    *out = region;
    if (!bucket)
        return false;
    return (region && strchr(region, '-')) ||
           err_set(e, ERR_USAGE, "gs://%s is in several regions; --region says where it is to run",
                   s->target.uri.place);
}

bool via_project(const struct stage *s, const char **out, struct err *e)
{
    const struct gcloud_config *config = cloud_config(stores_cloud(s->stores));
    *out = s->settings.project ? s->settings.project : gcloud_project(config, NULL);
    return *out || err_set(e, ERR_USAGE, "in which project? --project PROJECT, or set GOOGLE_CLOUD_PROJECT");
}

bool via_name(const struct stage *s, char *out, struct err *e)
{
    const char *target = place_uri(&s->target, s->prefix, s->arena);
    return target ? (stage_job_name(s->source, target, out), true) : err_set(e, ERR_MEMORY, "no memory");
}

static bool describe(struct stage *s, struct stage_job *j, struct err *e)
{
    static char name[STAGE_JOB_NAME];
    *j = (struct stage_job){.where = {.name = name},
                            .image = s->settings.image,
                            .service_account = s->settings.service_account,
                            .token_secret = s->settings.token_secret,
                            .args = via_words(s),
                            .tasks = s->tasks,
                            .timeout_seconds = TASK_SECONDS};
    if (!j->args)
        return err_set(e, ERR_MEMORY, "no memory");
    return via_name(s, name, e) && via_project(s, &j->where.project, e) && via_region(s, &j->where.region, e);
}

/* --- what it will take --- */

struct estimate {
    struct span seconds, usd;
    uint64_t bytes;
};

static bool estimate(const struct stage *s, const char *region, struct estimate *out, struct err *e)
{
    struct prices *p = prices_builtin(e);
    uint64_t most = 0;
    *out = (struct estimate){0};
    if (!p)
        return false;
    for (int i = 0; i < s->tasks; i++) {
        uint64_t bytes = via_bytes_of_task(s, i);
        out->bytes += bytes;
        most = bytes > most ? bytes : most;
    }
    out->seconds = cost_stage_seconds(most);
    out->usd = cost_stage_tasks(p, prices_tier(p, region), s->tasks, out->seconds);
    prices_free(p);
    return true;
}

const char *via_usd(struct span usd, char out[VIA_USD])
{
    if (span_known(usd) && usd.most < 0.005)
        snprintf(out, VIA_USD, "less than 0.01 USD");
    else if (span_known(usd))
        snprintf(out, VIA_USD, "%.2f to %.2f USD", usd.least, usd.most);
    else
        snprintf(out, VIA_USD, "a cost that the prices here do not know");
    return out;
}

static bool ask(const struct stage *s, const struct stage_job *j, const struct estimate *t, struct err *e)
{
    char question[400], size[HUMAN_TEXT], from[HUMAN_TEXT], to[HUMAN_TEXT], usd[VIA_USD];
    snprintf(question, sizeof question,
             "%s by %d task%s of Cloud Run in %.60s (%d vCPU, %d GiB): %s to %s, %s. Begin?",
             human_bytes(t->bytes, size), j->tasks, human_plural((uint64_t)j->tasks), j->where.region,
             STAGE_TASK_VCPU, STAGE_TASK_GIB, human_seconds(t->seconds.least, from),
             human_seconds(t->seconds.most, to), via_usd(t->usd, usd));
    return confirm(question, s->settings.yes, e);
}

/* --- telling --- */

struct telling {
    const struct stage *stage;
    const struct stage_job *job;
    double said_seconds;
    struct stage_job_progress last;
};

static void tell(void *arg, const struct stage_job_progress *p)
{
    struct telling *t = arg;
    char time[HUMAN_TEXT];
    bool news =
        p->succeeded != t->last.succeeded || p->failed != t->last.failed || p->running != t->last.running;
    t->last = *p;
    if (t->stage->settings.copy.quiet || (!news && p->seconds - t->said_seconds < VIA_SAY_SECONDS))
        return;
    t->said_seconds = p->seconds;
    fprintf(stderr, "%s: %d of %d task%s done, %d at work%s\n", human_seconds(p->seconds, time), p->succeeded,
            t->job->tasks, human_plural((uint64_t)t->job->tasks), p->running,
            p->failed ? ", some failed" : "");
}

/* The request that makes the job, as --dry-run shows it. */
static bool print_requests(const struct stage *s, const struct stage_job *j, struct err *e)
{
    const char *endpoint = cloud_endpoint(stores_cloud(s->stores), "run");
    json_t *body = stage_job_body(j);
    char *text = body ? json_dumps(body, JSON_INDENT(2)) : NULL;
    json_decref(body);
    if (!text || !endpoint) {
        free(text);
        return err_set(e, ERR_MEMORY, "no memory for the request");
    }
    char *jobs = arena_printf(s->arena, "%s/v2/projects/%s/locations/%s/jobs", endpoint, j->where.project,
                              j->where.region);
    if (jobs)
        printf("POST %s?jobId=%s\n%s\nPOST %s/%s:run\n{}\nDELETE %s/%s\n", jobs, j->where.name, text, jobs,
               j->where.name, jobs, j->where.name);
    free(text);
    return jobs || err_set(e, ERR_MEMORY, "no memory for the request");
}

bool via_look_again(struct stage *s, bool *complete, struct err *e)
{
    s->there.count = 0;
    s->has_manifest = false;
    if (!stage_list_target(s, e) || !stage_read_manifest(s, e))
        return false;
    stage_compare(s);
    *complete = stage_complete(s);
    return true;
}

static bool run_job(struct stage *s, struct stage_job *j, struct err *e)
{
    struct telling t = {.stage = s, .job = j};
    bool complete;
    j->stop = interrupt_watch();
    j->on_progress = tell;
    j->arg = &t;
    if (!stage_job_run(stores_cloud(s->stores), j, e) || !via_look_again(s, &complete, e))
        return false;
    s->seconds = t.last.seconds;
    s->by = arena_printf(s->arena, "%d task%s; the job", s->tasks, human_plural((uint64_t)s->tasks));
    return complete ||
           err_set(e, ERR_IO, "the job has ended, but not all is there; the same command goes on");
}

bool via_check(const struct stage *s, const char *who, struct err *e)
{
    const struct stage_settings *o = &s->settings;
    if (s->target.uri.scheme != URI_GS)
        return err_set(e, ERR_USAGE, "--via %s copies to a bucket, expected gs://BUCKET/PREFIX", who);
    if (!o->image)
        return err_set(e, ERR_USAGE,
                       "which image? `ferry image push REGISTRY/REPOSITORY` makes one for --image; it is "
                       "what runs there");
    return knative_check_image(o->image, s->arena, e);
}

static bool check(const struct stage *s, struct err *e)
{
    const struct stage_settings *o = &s->settings;
    if (s->encoding && o->tasks > 1)
        return err_set(e, ERR_USAGE, "--tasks %d: an encoding is one task's work", o->tasks);
    return via_check(s, "job", e);
}

/* --- which way, when nobody has said --- */

enum { SPAN_TEXT = 2 * HUMAN_TEXT + 4, HERE_TEXT = 160 };

static struct span here_seconds(const struct stage_ways *w)
{
    const double fast_line = 1e9 / 8, slow_line = 100e6 / 8;
    double bytes = (double)w->bytes;
    if (w->from_hub > 0)
        return span_of(bytes / w->from_hub);
    return (struct span){bytes / fast_line, bytes / slow_line};
}

/* A file is one task's. */
static struct span job_seconds(const struct stage_ways *w)
{
    uint64_t share = w->bytes / (uint64_t)w->tasks;
    return cost_stage_seconds(share > w->largest ? share : w->largest);
}

static const char *span_text(struct span seconds, char out[SPAN_TEXT])
{
    char least[HUMAN_TEXT], most[HUMAN_TEXT];
    snprintf(out, SPAN_TEXT, "%s to %s", human_seconds(seconds.least, least),
             human_seconds(seconds.most, most));
    return out;
}

/* What comes is measured (`ferry plan --measure`); what goes out may be slower. */
static const char *here_text(const struct stage_ways *w, char out[HERE_TEXT])
{
    struct span here = here_seconds(w);
    char least[HUMAN_TEXT], most[HUMAN_TEXT], rate[HUMAN_TEXT];
    human_seconds(here.least, least);
    human_seconds(here.most, most);
    if (w->from_hub > 0)
        snprintf(out, HERE_TEXT, "%s at least, at the %s/s that came from the hub on %.10s", least,
                 human_bytes((uint64_t)w->from_hub, rate), w->date);
    else
        snprintf(out, HERE_TEXT, "%s at 1 Gbit/s up and down, %s at 100 Mbit/s", least, most);
    return out;
}

const char *stage_hint(const struct stage_ways *w, char out[STAGE_HINT])
{
    char size[HUMAN_TEXT], here[HERE_TEXT], job[SPAN_TEXT];
    snprintf(out, STAGE_HINT, "%s from here: %s; --via job, beside the bucket, needs an --image: %s",
             human_bytes(w->bytes, size), here_text(w, here), span_text(job_seconds(w), job));
    return out;
}

enum stage_via stage_choose_way(const struct stage_ways *w, char out[STAGE_HINT])
{
    static const char *const names[] = {[VIA_HERE] = "here", [VIA_JOB] = "job", [VIA_VM] = "vm"};
    const struct span seconds[] = {
        [VIA_HERE] = here_seconds(w), [VIA_JOB] = job_seconds(w), [VIA_VM] = cost_stage_vm_seconds(w->bytes)};
    char size[HUMAN_TEXT], here[HERE_TEXT], job[SPAN_TEXT], vm[SPAN_TEXT];
    enum stage_via best = VIA_HERE;
    for (enum stage_via i = VIA_JOB; i <= VIA_VM; i++)
        best = seconds[i].most < seconds[best].most ? i : best;
    snprintf(out, STAGE_HINT, "%s by --via %s, which is expected to be done first: here %s; job %s; vm %s",
             human_bytes(w->bytes, size), names[best], here_text(w, here), span_text(seconds[VIA_JOB], job),
             span_text(seconds[VIA_VM], vm));
    return best;
}

static struct stage_ways ways_of(const struct stage *s, struct measurements *measured)
{
    struct err unread = {0}; /* then nothing is known */
    struct stage_ways w = {.bytes = via_bytes(s), .tasks = choose_tasks(s), .date = ""};
    for (int i = 0; i < s->count; i++) {
        const struct stage_file *f = &s->files[i];
        if (is_missing(s, f) && f->source.size > w.largest)
            w.largest = f->source.size;
    }
    if (!measurements_read(measured, s->arena, &unread))
        return w;
    const struct measurement *m = measurements_find(measured, MEASURED_FETCH, "here", "hf://");
    if (m) {
        w.from_hub = m->per_second;
        w.date = m->date;
    }
    return w;
}

void stage_choose_via(struct stage *s)
{
    char text[STAGE_HINT] = "";
    struct measurements measured;
    if (s->settings.via != VIA_AUTO)
        return;
    struct stage_ways w = ways_of(s, &measured);
    bool bucket = s->target.uri.scheme == URI_GS, choice = s->settings.image && bucket;
    bool quiet = s->settings.copy.quiet || s->settings.copy.json || s->settings.copy.dry_run;
    s->settings.via = choice ? (int)stage_choose_way(&w, text) : VIA_HERE;
    if (!choice && bucket && w.bytes >= HINT_BYTES && s->tasks == 1)
        stage_hint(&w, text);
    if (!quiet && *text)
        fprintf(stderr, "%s\n", text);
}

/* "by 5 tasks of Cloud Run in asia-northeast1: 1 min to 6 min, 0.02 to 0.11 USD". */
static bool tell_job(struct stage *s, const char *region, char out[STAGE_HINT], struct err *e)
{
    struct estimate t;
    char seconds[SPAN_TEXT], usd[VIA_USD];
    s->tasks = choose_tasks(s);
    if (!stage_share_files(s, e) || !estimate(s, region, &t, e))
        return false;
    snprintf(out, STAGE_HINT, "by %d task%s of Cloud Run in %.60s: %s, %s", s->tasks,
             human_plural((uint64_t)s->tasks), region, span_text(t.seconds, seconds), via_usd(t.usd, usd));
    return true;
}

bool stage_settle_via(struct stage *s, const char *region, char out[STAGE_HINT], struct err *e)
{
    struct measurements measured;
    struct stage_ways w = ways_of(s, &measured);
    char here[HERE_TEXT], job[SPAN_TEXT];
    bool much = w.bytes >= HINT_BYTES;
    if (s->settings.via == VIA_AUTO)
        s->settings.via = much && job_seconds(&w).most < here_seconds(&w).most ? VIA_JOB : VIA_HERE;
    if (s->settings.via == VIA_JOB)
        return tell_job(s, region, out, e);
    snprintf(out, STAGE_HINT, "from here: %s", here_text(&w, here));
    if (much)
        snprintf(out + strlen(out), STAGE_HINT - strlen(out), "; --via job, beside the bucket: %s",
                 span_text(job_seconds(&w), job));
    return true;
}

bool stage_via_job(struct stage *s, bool *done, struct err *e)
{
    struct stage_job j;
    struct estimate t;
    *done = false;
    if (!check(s, e))
        return false;
    s->tasks = choose_tasks(s);
    if (!stage_share_files(s, e) || !describe(s, &j, e))
        return false;
    if (s->settings.copy.dry_run)
        return print_requests(s, &j, e);
    *done = true;
    return estimate(s, j.where.region, &t, e) && ask(s, &j, &t, e) && run_job(s, &j, e);
}
