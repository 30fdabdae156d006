both += $(addprefix cgroup/,cgroup.c cgroup_files.c gpu.c gpu_files.c members.c page_counter.c)
