/* plan.h: everything that can be said of a model on Cloud Run before a byte of it is copied: does it fit, how
 * fast does it start and answer, what does it cost.
 *
 * Arithmetic alone: no file, no socket. Who has read config and headers fills in a struct plan_model; the
 * parts (memory.h, cold_start.h, cost.h, …) say how each number comes about. */
#ifndef FERRY_PLAN_PLAN_H
#define FERRY_PLAN_PLAN_H

#include "model/census.h"
#include "model/outline.h"
#include "plan/aws.h"
#include "plan/cloud_run.h"
#include "plan/cold_start.h"
#include "plan/cost.h"
#include "plan/memory.h"
#include "plan/regions.h"
#include "plan/speed.h"

/* What a model's files say. */
struct plan_model {
    struct census census;
    struct model_outline outline;
    bool from_config; /* no tensor was read: they are as config.json describes them */

    /* When Ferry's engine runs it. */
    bool runs;
    struct model_config config;
    const struct weights *weights; /* shapes */
    const enum dtype *dtypes;      /* [weights->slot_count] as stored */
};

enum plan_encoding { PLAN_STORED, PLAN_BF16, PLAN_Q8_0, PLAN_Q4_0, PLAN_ENCODINGS };

enum {
    PLAN_TEXT_TOKENS = 64, /* of a question of some forty words in its chat template: assumed */
    /* Where fewer vCPUs do, a service gets as many as answer this fast (people read 4 words a second). */
    PLAN_READING_TOKENS = 8,
};

struct plan_question {
    const struct region *region;
    enum plan_encoding encoding;
    double requests_per_day;
    double audio_seconds; /* of each request's recording; 0: none */
    int answer_tokens;
    int min_instances;
    int context, parallel; /* context 0: the model's own */
    enum plan_kv kv;
    int vcpu; /* 0: chosen */
};

/* What was measured; NAN where nothing was. */
struct plan_measured {
    double fetch;           /* bytes a second from the bucket, by a service in that region */
    double memory_per_vcpu; /* bytes a second that it reads */
};

/* The model in one encoding, on one shape. */
struct plan_option {
    bool possible; /* false: a pack is not encoded again, another server's model not at all */
    struct encoded encoded;
    struct plan_memory memory;
    uint64_t memory_bytes;  /* together */
    struct run_shape least; /* fewest vCPUs */
    struct run_shape shape; /* taken; vcpu 0: nothing fits */
    struct plan_speed speed;
    struct plan_answer answer;
    struct cold_start cold;
    struct cost_load load;
    struct span month; /* USD, kept as asked: scale to zero, or with min instances */
};

struct plan_storage {
    const char *location; /* "asia-northeast1", "asia" */
    bool multi_region;
    enum storage_class class;
    double held;  /* USD a month for what lies there */
    double month; /* and for reading it as often as there are cold starts; from a multi-region: not known */
};

struct plan {
    struct plan_model model;
    struct plan_question question; /* context filled in */
    struct plan_request request;
    enum price_tier tier;
    struct plan_option options[PLAN_ENCODINGS];
    const struct plan_option *chosen; /* one of options */
    bool fetch_measured, memory_measured;

    struct run_service service;             /* for `ferry deploy` */
    uint64_t tmp_then_load, shard_by_shard; /* what others need, as stored */

    /* of the chosen one */
    double cold_starts_per_day;
    struct span ways[COST_WAYS], cold_start_usd, request_usd, capacity;
    struct span even_min, even_on, even_machine; /* requests a day from which the other is cheaper */
    struct cost_machine machine, machine_l4;
    struct cost_gpu l4, rtx, l4_near; /* priced; the nearest region's */
    const struct region *near_l4;
    bool fits_l4, fits_rtx; /* as stored, with its KV cache in bf16 */
    uint64_t gpu_bytes;
    double stage_here, stage_job, stage_vm; /* USD, once */
    struct plan_storage storage[5];         /* standard, nearline, coldline, archive, multi-region */
    struct aws_place aws[AWS_PLACES];
};

/* False with *e set: a context the model was not made for, no memory. a: of the packs' plans. */
bool plan_make(struct plan *p, const struct plan_model *m, const struct plan_question *q,
               const struct plan_measured *measured, const struct prices *prices, struct arena *a,
               struct err *e);

/* What is to be expected of the model as its files are, where it is served: q's region and price count for
 * nothing, its vcpu are that machine's cores. */
struct plan_serving {
    const char *encoding; /* of most of its weights: "BF16", "q8_0" */
    struct cold_start cold;
    struct plan_answer answer;
    struct span memory; /* bytes that the process holds: from its weights to all that it may take */
};
/* Of a model that Ferry's engine runs. */
struct plan_serving plan_serving(const struct plan_model *m, const struct plan_question *q,
                                 const struct plan_measured *measured);

/* The same option kept at another number of requests: for charts. */
struct span plan_month_at(const struct plan *p, const struct prices *prices, enum cost_way way,
                          double requests_per_day);

/* USD a month in the bucket, of the chosen encoding, Standard in the region. */
double plan_storage_month(const struct plan *p);

#endif
