/*
 * Latencies: a histogram with 16 steps to each doubling, so percentiles are right to 6 %. Add from one thread each.
 */
#pragma once

#include "lib/format.h"

#define LATENCY_STEPS	16u
#define LATENCY_BUCKETS (48u * LATENCY_STEPS)

struct latency {
	uint64_t count, sum_ns, max_ns;
	uint32_t buckets[LATENCY_BUCKETS];
};

void latency_add(struct latency *latency, uint64_t ns);
void latency_merge(struct latency *into, const struct latency *from);
uint64_t latency_mean(const struct latency *latency);
/* The latency that @permille of all are not above. */
uint64_t latency_percentile(const struct latency *latency, unsigned int permille);
/* "name  count  mean  p50  p99  max", times in microseconds. */
void latency_show(struct sink *out, const char *name, const struct latency *latency);
/* "name": {"count": ..., "mean_ns": ..., "p50_ns": ..., "p99_ns": ..., "max_ns": ...} */
void latency_json(struct sink *out, const char *name, const struct latency *latency);
