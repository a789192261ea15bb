/* rows.h: what a bench program prints: CSV, one row per setting.
 *
 *   date,machine,program,setting,value,unit,ratio,to
 *   2026-11-23T21:04:10Z,"AMD EPYC (2 CPUs)",engine,prefill 512 fast,310.2,tokens/s,0.84,bf16 peak
 *
 * `ratio` compares the value with a limit or a peer measured in the same run; both are empty when there is
 * nothing to compare with. */
#ifndef FERRY_BENCH_ROWS_H
#define FERRY_BENCH_ROWS_H

struct rows {
    const char *program;
    char machine[128]; /* the CPU's name and how many of it this process may use */
};

/* Names the machine and prints the header line. */
void rows_begin(struct rows *r, const char *program);

void rows_value(const struct rows *r, const char *setting, double value, const char *unit);
void rows_ratio(const struct rows *r, const char *setting, double value, const char *unit, double ratio,
                const char *to);

/* CPUs this process may run on: the default for --threads. */
int rows_cpus(void);

#endif
