/*
 * A histogram whose buckets grow with what they hold: the leading bit says which doubling, the next four which step.
 */
#include "workloads/latency.h"

static unsigned int bucket_of(uint64_t ns)
{
	unsigned int doubling;

	if (ns < LATENCY_STEPS)
		return (unsigned int)ns;
	doubling = 63 - (unsigned int)__builtin_clzll(ns) - 3; /* 1: 16..31 */
	doubling = MIN(doubling, LATENCY_BUCKETS / LATENCY_STEPS - 1);
	return doubling * LATENCY_STEPS + (ns >> (doubling - 1) & (LATENCY_STEPS - 1));
}

/* The largest latency in it. */
static uint64_t bucket_end(unsigned int bucket)
{
	unsigned int doubling = bucket / LATENCY_STEPS, step = bucket % LATENCY_STEPS;

	return doubling ? ((uint64_t)(LATENCY_STEPS + step + 1) << (doubling - 1)) - 1 : step;
}

void latency_add(struct latency *latency, uint64_t ns)
{
	latency->count++;
	latency->sum_ns += ns;
	latency->max_ns = MAX(latency->max_ns, ns);
	latency->buckets[bucket_of(ns)]++;
}

void latency_merge(struct latency *into, const struct latency *from)
{
	into->count += from->count;
	into->sum_ns += from->sum_ns;
	into->max_ns = MAX(into->max_ns, from->max_ns);
	for (unsigned int at = 0; at < LATENCY_BUCKETS; at++)
		into->buckets[at] += from->buckets[at];
}

uint64_t latency_mean(const struct latency *latency)
{
	return latency->count ? latency->sum_ns / latency->count : 0;
}

uint64_t latency_percentile(const struct latency *latency, unsigned int permille)
{
	uint64_t wanted = (latency->count * permille + 999) / 1000, seen = 0;

	for (unsigned int at = 0; at < LATENCY_BUCKETS && wanted; at++) {
		seen += latency->buckets[at];
		if (seen >= wanted)
			return MIN(bucket_end(at), latency->max_ns);
	}
	return 0;
}

static void show_us(struct sink *out, uint64_t ns)
{
	sink_printf(out, " %9lu.%lu", ns / 1000, ns % 1000 / 100);
}

void latency_show(struct sink *out, const char *name, const struct latency *latency)
{
	sink_printf(out, "%-16s %9lu", name, latency->count);
	show_us(out, latency_mean(latency));
	show_us(out, latency_percentile(latency, 500));
	show_us(out, latency_percentile(latency, 990));
	show_us(out, latency->max_ns);
	sink_printf(out, "\n");
}

void latency_json(struct sink *out, const char *name, const struct latency *latency)
{
	sink_printf(out,
		    "\"%s\": {\"count\": %lu, \"mean_ns\": %lu, \"p50_ns\": %lu, \"p99_ns\": %lu, \"max_ns\": %lu}",
		    name, latency->count, latency_mean(latency), latency_percentile(latency, 500),
		    latency_percentile(latency, 990), latency->max_ns);
}
