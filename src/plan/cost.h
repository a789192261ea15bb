/* cost.h: what a service costs in a month of 730 hours, by how it is kept and how much it is asked.
 *
 * Requests come at random times around the clock (Poisson), R a day, and are answered one at a time: what
 * overlaps costs less than what is said here. An instance is kept for 15 minutes behind its last request,
 * which is the most that Cloud Run promises; one that goes sooner starts cold more often. So with l requests
 * a second and W = 900 s
 *
 *   cold starts      R * exp(-l W)                       the chance that nobody came for W
 *   on               1 - exp(-l (W + answer))            the part of the time that an instance is there
 *
 *   scale to zero    (answers + cold starts) * active rate + requests; starting is paid, waiting is not
 *   min instances    answers * active rate + the rest of n * 730 h * idle rate + requests
 *   instance-based   on * 730 h * instance rate; the 15 minutes are paid
 *   always on        n * 730 h * instance rate
 *
 * A rate is vCPU * price + GiB * price, with the free amounts of the account taken off (worth their tier 1
 * price, as if nothing else used them). Every start reads the model once: class B operations. Traffic between
 * Cloud Run and a bucket in the same region is free; answers on their way to the internet are some kilobytes
 * each and are left out. */
#ifndef FERRY_PLAN_COST_H
#define FERRY_PLAN_COST_H

#include "plan/cloud_run.h"
#include "plan/prices.h"
#include "plan/span.h"

#include <stdint.h>

#define PLAN_MONTH_HOURS 730.0 /* as the price pages count; the catalogue's month has 720 */

/* One way of keeping a service, and what it is asked. */
struct cost_load {
    struct run_shape shape;
    enum price_tier tier;
    double requests_per_day;
    struct span answer_s; /* a request's time, with the weights there */
    struct span cold_s;   /* from the start to the end of the request that waited for it */
    double start_reads;   /* class B operations of one start */
};

enum cost_way {
    COST_SCALE_TO_ZERO,  /* request-based, no min instances */
    COST_MIN_INSTANCES,  /* request-based, n kept warm */
    COST_INSTANCE_BASED, /* instance-based, no min instances */
    COST_ALWAYS_ON,      /* instance-based, n kept */
    COST_WAYS,
};

double cost_cold_starts_per_day(double requests_per_day);
/* Part of the time, 0..1, that an instance is there (instance-based, no min instances). */
double cost_on(double requests_per_day, double answer_s);

/* USD a month. min_instances counts for the two ways that have them, and is at least 1 there. */
struct span cost_month(const struct prices *p, const struct cost_load *l, enum cost_way way,
                       int min_instances);

/* USD of one: a cold start (request-based), a request that needs none; without free amounts. */
struct span cost_cold_start(const struct prices *p, const struct cost_load *l);
struct span cost_request(const struct prices *p, const struct cost_load *l);
double cost_hour(const struct prices *p, const struct cost_load *l, enum cost_way way); /* of one instance */

/* Requests a day from which scaling to zero costs more than `usd` a month (by a thousandth, so that two that
 * meet do not cross); INFINITY: never, up to what one
 * instance can answer one at a time. NAN: unknown. least and most belong to the least and most time. */
struct span cost_break_even(const struct prices *p, const struct cost_load *l, struct span usd);
/* The same against another way of Cloud Run, whose price also grows with the requests. */
struct span cost_break_even_way(const struct prices *p, const struct cost_load *l, enum cost_way way,
                                int min_instances);
/* Requests a day that one instance answers one after the other. */
struct span cost_capacity(const struct cost_load *l);

/* --- machines that run all the time --- */

struct cost_machine {
    const struct price *price; /* of Compute Engine, per hour */
    double month, disk_month;  /* of the machine; of a boot disk of 10 GB (pd-balanced) */
};
/* The cheapest machine without a GPU with so much memory and so many vCPUs in that region; price->value NAN:
 * the snapshot has none. */
struct cost_machine cost_machine_for(const struct prices *p, const char *region, int vcpu, int gib);
/* With one L4 (24 GB): g2-standard-4 or -8. */
struct cost_machine cost_machine_l4(const struct prices *p, const char *region, int gib);

/* One as it stands there, a month: its disks at the price of pd-balanced, which is what Ferry takes, and
 * while it runs the machine and its address. NAN: not known; what a spot machine costs is not. */
struct cost_vm {
    const char *machine, *region;
    double disk_gb;
    bool runs, external, spot;
};
double cost_vm(const struct prices *p, const struct cost_vm *vm);

/* --- instances that are kept while nobody asks, a month --- */

/* always: billed for as long as they are there (instance-based). */
double cost_kept(const struct prices *p, const char *region, double vcpu, double gib, bool always,
                 int instances);

/* --- the bucket --- */

enum storage_class { STORAGE_STANDARD, STORAGE_NEARLINE, STORAGE_COLDLINE, STORAGE_ARCHIVE, STORAGE_CLASSES };
extern const char *const storage_class_names[]; /* "standard", … */

/* USD a month for so many bytes: what lies there, the free 5 GiB taken off where they hold, and what reading
 * all of it so many times costs. location: a region, or "asia" for the multi-region. */
double cost_storage(const struct prices *p, const char *location, enum storage_class c, uint64_t bytes,
                    double reads_per_month);
double cost_image(const struct prices *p, uint64_t bytes); /* Artifact Registry, a month */

/* --- once --- */

/* Storing a model in parts of 8 MiB: class A operations. */
double cost_stage_here(const struct prices *p, uint64_t bytes);
/* A Cloud Run job: 8 tasks of 2 vCPU and 2 GiB, 5 minutes each. */
double cost_stage_job(const struct prices *p, enum price_tier tier);
/* The same of so many tasks that take so long each, a minute at least (run/pricing). */
struct span cost_stage_tasks(const struct prices *p, enum price_tier tier, int tasks, struct span seconds);
/* How long a process takes that copies so many bytes from the hub to a bucket, at 25 to 200 MB/s: assumed,
 * and what it took is told afterwards. */
struct span cost_stage_seconds(uint64_t bytes);
/* A VM that copies so many bytes, from its order to its end: it starts in 40 to 150 s, assumed, and is then
 * such a process. */
struct span cost_stage_vm_seconds(uint64_t bytes);
/* Such a VM (cost_stage_vm) for so long, a minute at least (compute/all-pricing). */
struct span cost_stage_machine(const struct prices *p, const char *region, struct span seconds);
/* A VM for an hour: e2-standard-4, external address, boot disk of 10 GB. */
double cost_stage_vm(const struct prices *p, const char *region);

/* --- GPU on Cloud Run --- */

struct cost_gpu {
    const char *name;        /* "L4" */
    const char *region;      /* whose price this is */
    double gpu_second, hour; /* USD; hour: with its vCPUs and memory, while it is there */
    int vcpu, gib, vram_gb;
};
/* Bytes of a GPU's memory that a server gets: 22 GiB of an L4's 24 (seen; at most 23), the same part of
 * others. */
uint64_t cost_gpu_usable(int vram_gb);
/* Without zonal redundancy. region: NULL takes one whose price is known. */
struct cost_gpu cost_gpu_l4(const struct prices *p, const char *region);
struct cost_gpu cost_gpu_rtx_pro_6000(const struct prices *p, const char *region);

#endif
