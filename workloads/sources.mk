both += $(addprefix workloads/,run.c faults.c touch.c)
