/* limits.h: the most this machine can do, measured now: what every other number is held against.
 *
 *   read    bytes read from memory, by every thread of the pool, each its own stretch of a buffer far larger
 *           than the caches, in huge pages; the best of several ways of walking it
 *   peaks   multiply-adds on values that never leave the registers; an a*b+c counts as two operations
 *
 * On a machine with neighbours they change from second to second (memory by half): take a sample before and
 * one after what is compared with them, and compare with the mean. */
#ifndef FERRY_BENCH_LIMITS_H
#define FERRY_BENCH_LIMITS_H

#include "base/err.h"
#include "base/pages.h"
#include "base/pool.h"

#include <stdbool.h>

/* 0 where the CPU has no such instruction. */
struct limits {
    double read_gb_s;
    double bf16_gflop_s; /* vdpbf16ps */
    double f32_gflop_s;  /* vfmadd231ps */
    double int8_gop_s;   /* vpdpbusd */
};

/* The buffer that is read: 2 GiB, written once so that it is really there. False with *e set. */
bool limits_buffer(struct pages *buffer, struct pool *pool, struct err *e);

/* Takes a sample: about a second. */
void limits_sample(struct limits *out, const struct pages *buffer, struct pool *pool);

struct limits limits_mean(const struct limits *a, const struct limits *b);

#endif
