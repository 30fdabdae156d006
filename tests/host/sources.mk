hosted += $(addprefix tests/host/,console.c device.c lock_order_test.c main.c memory.c thread.c timer.c)
hosted += tests/host/mm.c tests/host/mmu.c
tests_hosted += tests/host/mm_panic_test.c tests/host/compaction_fault_test.c
tests_hosted += tests/host/balloon_memory_test.c
tests_hosted += tests/host/virtqueue_checked_test.c
tests_hosted += tests/host/hinting_memory_test.c
tests_hosted += $(if $(filter on,$(GPU)),tests/host/cgroup_fault_test.c)
tests_hosted += tests/host/dma_buf_fault_test.c
