both += $(addprefix workloads/,run.c churn.c faults.c frag.c noisy.c page_array.c latency.c scatter.c thpfioscale.c touch.c patterns.c hints.c)
both += workloads/gpu.c
both += workloads/balloon_floor.c
both += $(addprefix workloads/,alloc_cost.c alloc_record.c alloc_replay.c alloc_trace.c)
