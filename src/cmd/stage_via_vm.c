/* stage_via_vm.c: `ferry stage --via vm`: the copy is made by a machine of Compute Engine beside the bucket,
 * and followed here. */
#include "cmd/confirm.h"
#include "cmd/human.h"
#include "cmd/interrupt.h"
#include "cmd/stage_via.h"
#include "target/stage_job.h"
#include "target/stage_vm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LEAST_SECONDS = 3600, /* that it is given: more than it is expected to take, since its end is an end */
    MOST_SECONDS = 5 * 86400,   /* Compute Engine allows 120 days */
    STARTING_SECONDS = 30 * 60, /* of which a start that goes badly may take */
};

/* --- what it will take --- */

struct estimate {
    struct span seconds, usd;
    uint64_t bytes;
};

static bool estimate(const struct stage *s, const char *region, struct estimate *out, struct err *e)
{
    struct prices *p = prices_builtin(e);
    *out = (struct estimate){.bytes = via_bytes(s)};
    if (!p)
        return false;
    out->seconds = cost_stage_vm_seconds(out->bytes);
    out->usd = cost_stage_machine(p, region, out->seconds);
    prices_free(p);
    return true;
}

/* After which it is deleted even if it hangs: twice the longest that is expected. */
static int seconds_given(const struct estimate *t)
{
    double seconds = 2 * t->seconds.most + STARTING_SECONDS;
    return seconds < LEAST_SECONDS ? LEAST_SECONDS : seconds > MOST_SECONDS ? MOST_SECONDS : (int)seconds;
}

static bool ask(const struct stage *s, const struct stage_vm *v, const struct estimate *t, struct err *e)
{
    char question[400], size[HUMAN_TEXT], from[HUMAN_TEXT], to[HUMAN_TEXT], usd[VIA_USD], most[HUMAN_TEXT];
    snprintf(question, sizeof question,
             "%s by a VM of Compute Engine in %.60s (" STAGE_VM_MACHINE
             "): %s to %s, %s; it deletes itself, at the latest after %s. Begin?",
             human_bytes(t->bytes, size), v->region, human_seconds(t->seconds.least, from),
             human_seconds(t->seconds.most, to), via_usd(t->usd, usd), human_seconds(v->seconds, most));
    return confirm(question, s->settings.yes, e);
}

/* --- telling --- */

struct telling {
    const struct stage *stage;
    bool said, found;
    double said_seconds;
    struct stage_vm_progress last;
};

static void tell(void *arg, const struct stage_vm_progress *p)
{
    struct telling *t = arg;
    char time[HUMAN_TEXT], done[HUMAN_TEXT], total[HUMAN_TEXT], rate[HUMAN_TEXT];
    bool news = !t->said || p->bytes_done != t->last.bytes_done || p->bytes_total != t->last.bytes_total;
    t->last = *p;
    if (t->stage->settings.copy.quiet || (!news && p->seconds - t->said_seconds < VIA_SAY_SECONDS))
        return;
    t->said = true;
    t->said_seconds = p->seconds;
    if (p->bytes_total == 0)
        fprintf(stderr, "%s: the VM starts\n", human_seconds(p->seconds, time));
    else
        fprintf(stderr, "%s: %s of %s, %s/s\n", human_seconds(p->seconds, time),
                human_bytes(p->bytes_done, done), human_bytes(p->bytes_total, total),
                human_bytes(p->bytes_per_second, rate));
}

static void tell_found(void *arg, const char *zone)
{
    struct telling *t = arg;
    t->found = true;
    if (!t->stage->settings.copy.quiet)
        fprintf(stderr, "a VM in %s is at this work already: it is followed\n", zone);
}

/* The requests that make it and take it away, as --dry-run shows them. */
static bool print_requests(const struct stage *s, const struct stage_vm *v, struct err *e)
{
    struct cloud *c = stores_cloud(s->stores);
    const char *zone = stage_vm_zone(c, v, s->arena, e), *endpoint = cloud_endpoint(c, "compute");
    json_t *body = zone ? stage_vm_body(v, zone) : NULL;
    char *text = body ? json_dumps(body, JSON_INDENT(2)) : NULL;
    char *vms = zone ? arena_printf(s->arena, "%s/compute/v1/projects/%s/zones/%s/instances", endpoint,
                                    v->project, zone)
                     : NULL;
    json_decref(body);
    if (text && vms)
        printf("POST %s\n%s\nDELETE %s/%s\n", vms, text, vms, v->name);
    bool ok = text && vms;
    free(text);
    return ok || (zone ? err_set(e, ERR_MEMORY, "no memory for the request") : false);
}

/* --- doing --- */

/* Words go there a line each. */
static bool check_words(const struct stage_vm *v, struct err *e)
{
    for (const char *const *word = v->args; *word; word++)
        if (strchr(*word, '\n'))
            return err_set(e, ERR_USAGE,
                           "a name with a line break cannot be told to a VM; --via job takes it");
    return true;
}

static bool describe(const struct stage *s, struct stage_vm *v, struct err *e)
{
    static char name[STAGE_JOB_NAME];
    *v = (struct stage_vm){.name = name,
                           .image = s->settings.image,
                           .service_account = s->settings.service_account,
                           .token_secret = s->settings.token_secret,
                           .args = via_words(s)};
    if (!v->args)
        return err_set(e, ERR_MEMORY, "no memory");
    return check_words(v, e) && via_name(s, name, e) && via_project(s, &v->project, e) &&
           via_region(s, &v->region, e);
}

/* What it cost, by the clock here; of one that was found nobody here knows since when it ran. */
static const char *by_whom(const struct stage *s, const struct stage_vm *v, bool found)
{
    struct err ignored = {0};
    struct prices *p = found ? NULL : prices_builtin(&ignored);
    struct span usd = p ? cost_stage_machine(p, v->region, span_of(s->seconds)) : span_of(NAN);
    prices_free(p);
    return span_known(usd) ? arena_printf(s->arena, "a VM, for about %.2f USD; it", usd.most) : "a VM; it";
}

static bool run(struct stage *s, struct stage_vm *v, struct err *e)
{
    struct telling t = {.stage = s};
    enum stage_vm_end end;
    bool complete;
    v->stop = interrupt_watch();
    v->on_progress = tell;
    v->on_found = tell_found;
    v->arg = &t;
    if (!stage_vm_run(stores_cloud(s->stores), v, &end, e) || !via_look_again(s, &complete, e))
        return false;
    s->seconds = t.last.seconds;
    s->by = by_whom(s, v, t.found);
    return complete || err_set(e, ERR_IO,
                               end == STAGE_VM_GONE
                                   ? "VM %s is gone before it was done: somebody deleted it, or its time was "
                                     "over; what was copied stays, the same command goes on"
                                   : "VM %s has ended, but not all is there; the same command goes on",
                               v->name);
}

bool stage_via_vm(struct stage *s, bool *done, struct err *e)
{
    struct stage_vm v;
    struct estimate t;
    *done = false;
    if (!via_check(s, "vm", e) || !describe(s, &v, e) || !estimate(s, v.region, &t, e))
        return false;
    v.seconds = seconds_given(&t);
    if (s->settings.copy.dry_run)
        return print_requests(s, &v, e);
    *done = true;
    return ask(s, &v, &t, e) && run(s, &v, e);
}
