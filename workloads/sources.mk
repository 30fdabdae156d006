both += $(addprefix workloads/,run.c faults.c latency.c thpfioscale.c touch.c)
