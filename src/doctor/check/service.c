/* service.c: whether the service runs, why it does not, and what it costs while nobody calls it. */
#include "doctor/check/patient.h"
#include "doctor/check/service_shape.h"
#include "plan/cost.h"

#include <math.h>
#include <string.h>

#define GIB 1073741824.0

enum {
    ROOM_GIB =
        2, /* beside the weights: KV cache of some thousand tokens, audio, the program (docs/plan.md) */
    FAST_MB_PER_SECOND = 150 /* what a start should not need: nothing is promised, see docs/plan.md */
};

static const char *name(const struct patient *p)
{
    return subject(p, "service");
}

/* Words of Cloud Run's conditions and of its log, and what they mean. Sources: its troubleshooting page, and
 * messages that people have quoted in public. %s: the service. */
static const struct trouble {
    const char *words, *id, *what, *why, *next;
    enum certainty certainty;
} failures[] = {
    {"Quota violated", "service-quota",
     N_("The last deployment was refused: it may start more than the quota allows."),
     N_("What ran before goes on; the change is not in force."),
     "https://console.cloud.google.com/iam-admin/quotas?service=run.googleapis.com", CERTAINTY_CERTAIN},
    {"Quota exceeded for total allowable", "service-quota",
     N_("The last deployment was refused: it may start more than the quota allows."),
     N_("What ran before goes on; the change is not in force."),
     "https://console.cloud.google.com/iam-admin/quotas?service=run.googleapis.com", CERTAINTY_CERTAIN},
    {"must have permission to read the image", "service-image-denied",
     N_("Cloud Run may not read the image, which lies in another project."),
     N_("Only images of its own project are read without being asked."),
     "gcloud artifacts repositories add-iam-policy-binding REPOSITORY --location=REGION "
     "--role=roles/artifactregistry.reader "
     "--member=serviceAccount:service-PROJECT_NUMBER@serverless-robot-prod.iam.gserviceaccount.com",
     CERTAINTY_CERTAIN},
    {"exec format error", "service-platform", N_("The image is for another kind of processor."),
     N_("Cloud Run runs linux/amd64 alone; an image built on an Apple or Arm machine is for arm64 unless "
        "told."),
     "ferry image push REGISTRY/REPOSITORY", CERTAINTY_CERTAIN},
    {"Permission denied on secret", "service-secret-denied",
     N_("The account of the service may not read a secret that it is given."),
     N_("No instance starts without it."),
     "gcloud secrets add-iam-policy-binding SECRET --member=serviceAccount:ACCOUNT "
     "--role=roles/secretmanager.secretAccessor",
     CERTAINTY_CERTAIN},
    {"/secrets/", "service-secret-missing", N_("A secret that the service is given has no such version."),
     N_("No instance starts without it."), "gcloud secrets versions list SECRET", CERTAINTY_LIKELY},
    {"Image '", "service-image-missing", N_("The image that the service was given is not there."),
     N_("It was deleted or never pushed; no new instance can start."), "ferry image push REGISTRY/REPOSITORY",
     CERTAINTY_CERTAIN},
    {"Memory limit of", "service-memory-over",
     N_("Instances are ended because they take more memory than they may."),
     N_("Whoever was being answered gets an error, and the next request waits for a new start. Files in /tmp "
        "count, "
        "too."),
     "ferry plan MODEL", CERTAINTY_CERTAIN},
    {"startup probe", "service-probe-failed", N_("The container did not pass its startup probe in time."),
     N_("The revision gets no requests; the one before it, if there is one, goes on."), NULL,
     CERTAINTY_UNKNOWN},
    {"failed to start and listen", "service-no-port", N_("The container did not open its port in time."),
     N_("The revision gets no requests; the one before it, if there is one, goes on."), NULL,
     CERTAINTY_UNKNOWN},
};

static const struct trouble *trouble_in(const char *text)
{
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++)
        if (strstr(text, failures[i].words))
            return &failures[i];
    return NULL;
}

static const char *log_command(const struct patient *p)
{
    return verbatim(p, "gcloud run services logs read %s --region=%s --limit=50", name(p),
                    subject(p, "region"));
}

static void add_causes_of_no_start(struct finding *f)
{
    maybe(f, _("The program ended at once: a wrong option, a variable that is missing"),
          _("The log has a line of the program's own, and \"Container called exit\""));
    maybe(f, _("It was ended for want of memory"), _("The log has \"Memory limit of\", or signal 9"));
    maybe(f, _("Loading takes longer than the probe waits"),
          _("`/v1/load` or the log shows how far it was; a probe of /healthz passes as soon as the port is "
            "open"));
    maybe(f, _("It listens on another port, or on 127.0.0.1"),
          _("The log says where it listens: it must be $PORT"));
}

static void judge_trouble(const struct patient *p, const struct trouble *t, enum severity severity,
                          const char *reason)
{
    struct finding *f = find(p, t->id, severity, t->certainty, tr(t->what));
    f->why = tr(t->why);
    f->next = t->next ? t->next : log_command(p);
    f->reason = reason;
    if (t->certainty == CERTAINTY_UNKNOWN)
        add_causes_of_no_start(f);
}

/* --- does it run --- */

static void judge_unknown_failure(const struct patient *p, const char *reason)
{
    struct finding *f =
        find(p, "service-failed", SEVERITY_PROBLEM, CERTAINTY_UNKNOWN,
             say(p,
                 "The last revision of %s does not run. Ferry does not know these words; they are "
                 "Google's own.",
                 name(p)));
    f->why = _("The revision gets no requests; the one before it, if there is one, goes on.");
    f->next = log_command(p);
    f->reason = reason;
    add_causes_of_no_start(f);
}

/* True when it is up. */
static bool judge_condition(const struct patient *p, const json_t *s)
{
    const char *state = text_at(s, "terminalCondition.state"),
               *said = text_at(s, "terminalCondition.message");
    const char *revision = text_at(item_at(at(answer_of(p, "revision").body, "conditions"), 0), "message");
    if (true_at(s, "reconciling")) {
        struct finding *f = find(p, "service-changing", SEVERITY_NOTE, CERTAINTY_CERTAIN,
                                 say(p, "Service %s is just being changed.", name(p)));
        f->why = _("What is told here may be over in a minute.");
        f->next = verbatim(p, "ferry doctor %s", name(p));
        return false;
    }
    if (strcmp(state, "CONDITION_SUCCEEDED") == 0)
        return true;
    const char *reason = verbatim(p, "%s", *said ? said : revision);
    const struct trouble *t = trouble_in(reason);
    if (!t)
        t = trouble_in(revision);
    if (t)
        judge_trouble(p, t, SEVERITY_PROBLEM, reason);
    else
        judge_unknown_failure(p, *reason ? reason : text_at(s, "terminalCondition.reason"));
    return false;
}

/* --- what its log says of the last day --- */

static const char *entry_text(const json_t *entry)
{
    const char *text = text_at(entry, "textPayload");
    return *text ? text : text_at(entry, "jsonPayload.message");
}

static void judge_no_instance(const struct patient *p, int n, const char *reason)
{
    struct finding *f =
        find(p, "service-no-instance", SEVERITY_WARNING, CERTAINTY_UNKNOWN,
             say(p, "Requests were sent away because no instance was free (429): %d in the last day.", n));
    f->why = _("While an instance starts Cloud Run lets requests wait for 10 s, or 3.5 times what a start "
               "usually takes; "
               "then they are sent away. Clients should try again.");
    f->next = verbatim(p, "gcloud run services describe %s --region=%s", name(p), subject(p, "region"));
    f->reason = reason;
    maybe(f, _("More requests at once than instances × concurrency"),
          _("The number of instances is at its maximum then"));
    maybe(f, _("Instances start too slowly or not at all"),
          _("They come in the first minutes after a pause"));
    maybe(f, _("The quota of the region is used up"), _("Starts fail, and the check of quota above says so"));
}

static void judge_broken_answers(const struct patient *p, int n, const char *reason)
{
    struct finding *f = find(p, "service-broken-answers", SEVERITY_WARNING, CERTAINTY_UNKNOWN,
                             say(p, "Answers broke off (503): %d in the last day.", n));
    f->why = _("Whoever asked got an error.");
    f->next = log_command(p);
    f->reason = reason;
    maybe(f, _("The instance was ended for want of memory"),
          _("The log has \"Memory limit of\" at the same time"));
    maybe(f, _("The program crashed"), _("The log has \"Uncaught signal\" at the same time"));
    maybe(f, _("The request was over the size that HTTP/1 may have (32 MiB)"),
          _("It is always the long recordings"));
}

struct tally {
    int no_instance, broken, too_long;
    const char *no_instance_text, *broken_text, *too_long_text, *memory_text;
};

static void count(struct tally *t, const char *text)
{
    if (strstr(text, "no available instance")) {
        t->no_instance++;
        t->no_instance_text = text;
    } else if (strstr(text, "malformed response or connection to the instance had an error") ||
               strstr(text, "response was malformed or connection to the instance had an error")) {
        t->broken++;
        t->broken_text = text;
    } else if (strstr(text, "reached the maximum request timeout")) {
        t->too_long++;
        t->too_long_text = text;
    } else if (strstr(text, "Memory limit of")) {
        t->memory_text = text;
    }
}

static void judge_too_long(const struct patient *p, const json_t *service, const struct tally *t)
{
    struct finding *f =
        find(p, "service-timeout", SEVERITY_WARNING, CERTAINTY_CERTAIN,
             say(p, "Answers were cut off because they took longer than %s: %d in the last day.",
                 *text_at(service, "template.timeout") ? text_at(service, "template.timeout") : "300s",
                 t->too_long));
    f->why = _("A cold start counts, too; up to an hour can be allowed.");
    f->next = verbatim(p, "gcloud run services update %s --region=%s --timeout=3600", name(p),
                       subject(p, "region"));
    f->reason = t->too_long_text;
}

static void judge_log(const struct patient *p, const json_t *service)
{
    struct answer a;
    struct tally t = {0};
    if (!answer_good(p, "log", &a))
        return;
    const json_t *entries = at(a.body, "entries");
    for (size_t i = 0; i < json_array_size(entries); i++)
        count(&t, verbatim(p, "%s", entry_text(item_at(entries, i))));
    if (t.memory_text)
        judge_trouble(p, trouble_in("Memory limit of"), SEVERITY_PROBLEM, t.memory_text);
    if (t.no_instance)
        judge_no_instance(p, t.no_instance, t.no_instance_text);
    if (t.broken)
        judge_broken_answers(p, t.broken, t.broken_text);
    if (t.too_long)
        judge_too_long(p, service, &t);
}

/* --- whether it fits, and what it costs --- */

static double model_bytes(const struct patient *p)
{
    double bytes = 0;
    const json_t *files = at(answer_of(p, "manifest").body, "files");
    for (size_t i = 0; i < json_array_size(files); i++)
        if (strstr(text_at(item_at(files, i), "name"), ".safetensors"))
            bytes += number_at(item_at(files, i), "size");
    return bytes;
}

static void judge_memory(const struct patient *p, const struct service_shape *s)
{
    double model = model_bytes(p) / GIB;
    if (!model || !s->memory_gib || s->memory_gib >= model + ROOM_GIB)
        return;
    bool never = s->memory_gib < model;
    struct finding *f = find(
        p, "service-memory", never ? SEVERITY_PROBLEM : SEVERITY_WARNING,
        never ? CERTAINTY_CERTAIN : CERTAINTY_LIKELY,
        say(p, "An instance may take %.1f GiB, and the weights alone are %.1f GiB.", s->memory_gib, model));
    f->why = never ? _("It is ended while it loads, at each start, and each start is charged.")
                   : _("KV cache, audio and the program come on top: it may be ended while it answers.");
    f->next = verbatim(p, "ferry plan gs://%s/%s", subject(p, "bucket"), subject(p, "prefix"));
}

static void judge_probe(const struct patient *p, const struct service_shape *s, const json_t *container)
{
    const char *path = text_at(container, "startupProbe.httpGet.path");
    double rate = model_bytes(p) / s->probe_seconds / 1e6;
    if (strcmp(path, "/readyz") != 0 || rate < FAST_MB_PER_SECOND)
        return;
    struct finding *f =
        find(p, "service-probe", SEVERITY_WARNING, CERTAINTY_LIKELY,
             say(p, "The startup probe waits %.0f s for the whole model, which takes %.0f MB/s.",
                 s->probe_seconds, rate));
    f->why = _("A start that is slower is given up and charged, and begins again. A probe of /healthz passes "
               "as soon as the "
               "port is open, and requests then wait for what they need.");
    f->next = verbatim(p, "gcloud run services update %s --region=%s --startup-probe=httpGet.path=/healthz",
                       name(p), subject(p, "region"));
}

static void judge_cost(const struct patient *p, const struct service_shape *s)
{
    struct finding *f;
    if (s->min_instances > 0) {
        f = find(p, "service-min-instances", SEVERITY_WARNING, CERTAINTY_CERTAIN,
                 say(p, "Service %s keeps %d running although nobody calls it.", name(p), s->min_instances));
        f->why = _("Instances that are kept are charged for each second.");
        f->next = verbatim(p, "gcloud run services update %s --region=%s --min-instances=0", name(p),
                           subject(p, "region"));
        f->usd_per_month = cost_kept(p->prices, subject(p, "region"), s->vcpu, s->memory_gib, s->always_on,
                                     s->min_instances);
    } else if (s->always_on) {
        f = find(p, "service-always-on", SEVERITY_NOTE, CERTAINTY_CERTAIN,
                 say(p, "Service %s is billed by instance, not by request.", name(p)));
        f->why = _("An instance is charged for as long as it is there, up to 15 minutes after its last "
                   "request; cpuIdle was "
                   "not set, and then that is what the API takes.");
        f->next = verbatim(p, "gcloud run services update %s --region=%s --cpu-throttling", name(p),
                           subject(p, "region"));
    }
}

/* --- who may call it --- */

static bool is_public(const struct patient *p, const json_t *service)
{
    const json_t *bindings = at(answer_of(p, "service_policy").body, "bindings");
    if (true_at(service, "invokerIamDisabled"))
        return true;
    for (size_t i = 0; i < json_array_size(bindings); i++) {
        const json_t *b = item_at(bindings, i), *members = at(b, "members");
        for (size_t k = 0; k < json_array_size(members); k++)
            if (strcmp(text_at(b, "role"), "roles/run.invoker") == 0 &&
                strcmp(text_at(item_at(members, k), ""), "allUsers") == 0)
                return true;
    }
    return false;
}

static bool has_variable(const json_t *container, const char *variable)
{
    const json_t *env = at(container, "env");
    for (size_t i = 0; i < json_array_size(env); i++)
        if (strcmp(text_at(item_at(env, i), "name"), variable) == 0)
            return true;
    return false;
}

static void judge_callers(const struct patient *p, const json_t *service, const json_t *container)
{
    struct answer a;
    struct finding *f;
    if (!answer_good(p, "service_policy", &a))
        return;
    if (strcmp(text_at(service, "ingress"), "INGRESS_TRAFFIC_INTERNAL_ONLY") == 0) {
        f = find(p, "service-internal", SEVERITY_NOTE, CERTAINTY_CERTAIN,
                 say(p, "Service %s can be called from inside the project's network alone.", name(p)));
        f->why = _("From elsewhere it answers 404, as if it were not there.");
        f->next = verbatim(p, "gcloud run services update %s --region=%s --ingress=all", name(p),
                           subject(p, "region"));
    }
    if (!is_public(p, service) || has_variable(container, "FERRY_API_KEY") ||
        has_variable(container, "FERRY_API_KEY_FILE"))
        return;
    f = find(p, "service-open", SEVERITY_WARNING, CERTAINTY_CERTAIN,
             say(p, "Anybody can call %s, and it asks for no key.", name(p)));
    f->why = _("Who finds the address can keep it running at your cost.");
    f->next = verbatim(p,
                       "gcloud run services remove-iam-policy-binding %s --region=%s --member=allUsers "
                       "--role=roles/run.invoker",
                       name(p), subject(p, "region"));
}

static void judge_model_variable(const struct patient *p, const json_t *container)
{
    if (has_variable(container, "FERRY_MODEL"))
        return;
    struct finding *f = find(p, "service-no-model", SEVERITY_WARNING, CERTAINTY_LIKELY,
                             say(p, "Service %s is not told which model to serve (FERRY_MODEL).", name(p)));
    f->why = _("`ferry serve` ends at once without one, unless its arguments name it; another server may not "
               "need it.");
    f->next = verbatim(
        p, "gcloud run services update %s --region=%s --update-env-vars=FERRY_MODEL=gs://BUCKET/PREFIX",
        name(p), subject(p, "region"));
}

static void judge_missing(const struct patient *p, const struct answer *a)
{
    bool place = *subject(p, "region");
    struct finding *f = find(p, "service-missing", SEVERITY_PROBLEM, CERTAINTY_CERTAIN,
                             place ? say(p, "There is no service %s in %s.", name(p), subject(p, "region"))
                                   : say(p, "There is no service %s in any region.", name(p)));
    f->why = _("It was never deployed here, or was taken down.");
    f->next = "gcloud run services list";
    f->reason = a->verdict == VERDICT_MISSING ? a->reason : NULL;
}

static void judge_present(const struct patient *p, const json_t *service)
{
    const json_t *container = item_at(at(service, "template.containers"), 0);
    struct service_shape s = service_shape_of(p);
    int before = p->out->count;
    bool up = judge_condition(p, service);
    judge_memory(p, &s);
    judge_probe(p, &s, container);
    judge_model_variable(p, container);
    judge_callers(p, service, container);
    judge_cost(p, &s);
    judge_log(p, service);
    if (up && p->out->count == before)
        fine(p, "service-fine", say(p, "Service %s runs: %s", name(p), text_at(service, "uri")));
}

void check_service(struct patient *p)
{
    struct answer a = answer_of(p, "service");
    if (!*name(p))
        return;
    bool unfound = a.verdict == VERDICT_ABSENT && answer_of(p, "services").verdict == VERDICT_GOOD;
    if (a.verdict == VERDICT_MISSING || unfound)
        judge_missing(p, &a);
    else if (answer_good(p, "service", &a))
        judge_present(p, a.body);
}
