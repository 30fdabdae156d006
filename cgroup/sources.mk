# make GPU=off: a build without the gpu controller.
gpu_on := cgroup/gpu.c cgroup/gpu_files.c
gpu_off := cgroup/gpu_off.c
both += $(addprefix cgroup/,cgroup.c cgroup_files.c members.c memory.c memory_files.c page_counter.c) $(gpu_$(GPU))
