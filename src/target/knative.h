/* knative.h: a service as a manifest, for Cloud Run and for any cluster with Knative Serving:
 *
 *   ferry deploy demo gs://… --target knative --image … | kubectl apply -f -
 *   ferry deploy demo gs://… --target knative --image … > demo.yaml; gcloud run services replace demo.yaml
 *
 * Kind Service of serving.knative.dev/v1. Annotations of run.googleapis.com are for Cloud Run; a cluster
 * keeps them and does nothing with them. Numbers of instances are annotations as gcloud 528 writes them
 * (autoscaling.knative.dev/minScale), which Knative takes beside its newer spelling. */
#ifndef FERRY_TARGET_KNATIVE_H
#define FERRY_TARGET_KNATIVE_H

#include "target/target.h"

struct knative_options {
    const char *image;           /* REGISTRY/REPOSITORY, with :TAG or @sha256:… */
    const char *service_account; /* NULL: the platform's default */
    /* What holds the API key: a Secret's name and the key in it; of Secret Manager, where the key is the
     * version. NULL: no key is asked for */
    const char *secret, *secret_key;
    int vcpu;
    uint64_t memory_bytes;            /* written in whole MiB, rounded up */
    int concurrency;                  /* requests at a time, of one instance */
    int timeout_seconds;              /* of a request */
    int min_instances, max_instances; /* max 0: the platform's */
    bool cpu_idle;                    /* Cloud Run: no CPU between requests */
    bool gate;                        /* the startup probe waits until the model is loaded */
    struct {
        int delay_seconds, period_seconds, timeout_seconds, failures;
    } probe;
};

extern const struct target target_knative;

/* False with *e (ERR_USAGE) set: not an image that a platform can be told to pull. */
bool knative_check_image(const char *image, struct arena *a, struct err *e);

#endif
