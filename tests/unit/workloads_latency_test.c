/*
 * The histogram of latencies: percentiles are right to a sixteenth, whatever the size.
 */
#include "workloads/latency.h"

#include "kernel/ktest.h"
#include "lib/rand.h"

KTEST(latency, percentiles_are_right_to_a_sixteenth)
{
	static struct latency latency;

	latency = (struct latency){0};
	for (uint64_t ns = 1; ns <= 100000; ns++)
		latency_add(&latency, ns);
	EXPECT_EQ(t, latency.count, 100000u);
	EXPECT_EQ(t, latency_mean(&latency), 50000u);
	for (unsigned int permille = 1; permille <= 1000; permille += 37) {
		uint64_t right = permille * 100, got = latency_percentile(&latency, permille);

		EXPECT(t, got >= right && got <= right + right / 16 + 1);
	}
	EXPECT_EQ(t, latency_percentile(&latency, 1000), 100000u);
}

KTEST(latency, large_and_small_ones_find_a_bucket)
{
	static struct latency latency, other;

	latency = other = (struct latency){0};
	latency_add(&latency, 0);
	latency_add(&other, UINT64_MAX / 4);
	latency_merge(&latency, &other);
	EXPECT_EQ(t, latency.count, 2u);
	EXPECT_EQ(t, latency_percentile(&latency, 500), 0u);
	EXPECT(t, latency_percentile(&latency, 1000) > 0);
}
