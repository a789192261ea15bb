/* clock.c: whether this machine knows what time it is, and whether Google can be reached at all. */
#include "doctor/check/patient.h"

#include <math.h>
#include <stdlib.h>

/* Beyond some minutes the token endpoint refuses what is signed here; two is what token/exchange.c blames
 * too. */
enum { SKEW_SECONDS = 120 };

static void judge_network(const struct patient *p, const char *reason)
{
    struct finding *f = find(p, "network-none", SEVERITY_PROBLEM, CERTAINTY_CERTAIN,
                             _("Google's servers cannot be reached from this machine."));
    f->why = _("Everything else that is asked of Google fails for the same reason, so it is not looked at.");
    f->reason = reason;
    f->next = "curl -v https://storage.googleapis.com/";
    maybe(f, _("A proxy is needed, or the one that is set does not work"),
          json_array_size(local(p, "proxies")) > 0
              ? say(p, "%s is set: look whether its address is right",
                    text_at(item_at(local(p, "proxies"), 0), ""))
              : _("A browser works here and curl does not: set https_proxy as the browser has it"));
    maybe(f, _("Names are not resolved, or a firewall holds the connection"),
          _("The words above speak of resolving, or nothing is heard for seconds"));
    maybe(f, _("A certificate of the proxy's own is not trusted"),
          _("The words above speak of a certificate: set SSL_CERT_FILE to one that contains it"));
}

void check_clock(struct patient *p)
{
    struct answer a = answer_of(p, "clock");
    if (a.verdict == VERDICT_ABSENT)
        return;
    if (a.verdict == VERDICT_SILENT) {
        judge_network(p, a.reason);
        return;
    }
    if (!at(a.whole, "skew_seconds")) {
        skip(p, "clock", _("the answer does not say what time it is"));
        return;
    }
    double skew = number_at(a.whole, "skew_seconds");
    if (fabs(skew) < SKEW_SECONDS) {
        fine(p, "clock-fine", _("The clock is right, and Google can be reached."));
        return;
    }
    const char *what = skew > 0 ? say(p, "This machine's clock is %.0f s ahead of Google's.", skew)
                                : say(p, "This machine's clock is %.0f s behind Google's.", -skew);
    struct finding *f = find(p, "clock-off", SEVERITY_PROBLEM, CERTAINTY_CERTAIN, what);
    f->why =
        _("What is signed with a wrong time is refused, which looks as if the key were bad; certificates may "
          "seem expired.");
    f->next = "sudo timedatectl set-ntp true";
}
