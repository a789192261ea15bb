/* machine.c: what this machine can do itself: copy, and serve with `--target local`. */
#include "doctor/check/patient.h"

#define GIB 1073741824.0

void check_machine(struct patient *p)
{
    const json_t *m = local(p, "machine");
    if (!m)
        return;
    double gib = number_at(m, "memory_bytes") / GIB;
    if (!true_at(m, "avx2")) {
        struct finding *f = find(p, "machine-old", SEVERITY_NOTE, CERTAINTY_CERTAIN,
                                 _("This machine's processor has no AVX2."));
        f->why = _("It can plan, copy and deploy; models do not run on it.");
        f->next = _("Serve on Cloud Run, whose processors have it.");
        return;
    }
    fine(p, "machine-fine",
         say(p, "This machine can serve models itself: %.0f cores, %.1f GiB of memory.",
             number_at(m, "cores"), gib));
}
