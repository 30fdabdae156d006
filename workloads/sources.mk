both += $(addprefix workloads/,run.c touch.c)
