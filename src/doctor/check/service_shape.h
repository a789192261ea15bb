/* service_shape.h: what instances of the service are, out of its answer. */
#ifndef FERRY_DOCTOR_CHECK_SERVICE_SHAPE_H
#define FERRY_DOCTOR_CHECK_SERVICE_SHAPE_H

#include "doctor/check/patient.h"

/* 0: not said, or there is no service. */
struct service_shape {
    double vcpu, memory_gib;
    int min_instances, max_instances;
    bool always_on;       /* instance-based billing */
    double probe_seconds; /* as long may a start take */
};
struct service_shape service_shape_of(const struct patient *p);

/* "32Gi", "512Mi", "2G"; "8", "1000m". 0: not of that form. */
double quantity_gib(const char *text);
double quantity_vcpu(const char *text);

/* What an instance of that shape costs a month (730 h) while it idles, or runs all the time; NAN: not known.
 */
double service_idle_usd(const struct patient *p, const struct service_shape *s, int instances);

#endif
