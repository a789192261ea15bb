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

#endif
