# Most are only hosted until each is seen to pass in the guest.
guest_tests := $(addprefix tests/unit/,kernel_symbols_test.c x86_64_paging_test.c x86_64_stack_test.c kernel_scheduler_test.c)
# CPUs, time, interrupts
guest_tests += tests/unit/boot_boot_test.c
guest_tests += $(patsubst %,tests/unit/x86_64_%_test.c,call clock irq trap)
guest_tests += tests/unit/kernel_sanitizer_test.c
both_tests := $(addprefix tests/unit/,kernel_cpu_claim_test.c kernel_mutex_test.c kernel_spinlock_test.c kernel_thread_test.c \
	kernel_timer_test.c kernel_wait_test.c kernel_work_test.c)
tests_guest += tests/unit/kernel_scheduler_test.c
# cgroup: those of the gpu controller's inside, or of its absence
gpu_tests_on := tests/unit/cgroup_gpu_test.c tests/unit/cgroup_stress_test.c
gpu_tests_off := tests/unit/cgroup_gpu_off_test.c
both_tests += $(gpu_tests_$(GPU)) $(addprefix tests/unit/,cgroup_cgroup_test.c cgroup_memory_test.c \
	cgroup_memory_move_test.c cgroup_page_counter_test.c drivers_dma_buf_test.c drivers_gpu_test.c drivers_ivshmem_test.c)
tests_both += tests/unit/cgroup_fixture.c tests/unit/memcg_fixture.c tests/unit/scripted_gpu.c
# drivers/virtio: what a device must do
both_tests += tests/unit/drivers_device_test.c
not_here := $(guest_tests) $(both_tests) $(gpu_tests_on) $(gpu_tests_off)
tests_hosted += $(filter-out $(not_here),$(wildcard tests/unit/*_test.c))
tests_both += $(both_tests)
# drivers/virtio
tests_both += $(addprefix tests/unit/,ring_device.c virtqueue_fixture.c)
tests_both += $(addprefix tests/unit/drivers_,virtqueue_test.c virtqueue_hostile_test.c virtio_parse_test.c driver_ring_test.c)
tests_both += $(addprefix tests/unit/,scripted_balloon.c drivers_virtio_test.c drivers_driver_test.c)
tests_both += $(addprefix tests/unit/drivers_balloon_,test.c sg_test.c oom_test.c move_test.c)
tests_both += tests/unit/drivers_balloon_hinting_test.c tests/unit/drivers_balloon_free_page_hint_test.c
# These touch free memory on purpose: as a host, and to look at what it holds.
sanitizer_exempt += tests/unit/scripted_balloon.c tests/unit/drivers_balloon_oom_test.c \
	tests/unit/drivers_balloon_free_page_hint_test.c
# mm
tests_both += $(wildcard tests/unit/mm_*.c) $(addprefix tests/unit/,movable_owner.c hinting_fixture.c)
# boot, page tables
tests_guest += $(guest_tests)
tests_both += $(addprefix tests/unit/boot_,pvh_test.c multiboot2_test.c efi_map_test.c efi_handover_test.c)
tests_both += $(addprefix tests/unit/,kernel_boot_info_test.c x86_64_page_table_test.c)
# lib, the firmware's tables, PCI, sanitizers
tests_both += $(addprefix tests/unit/lib_,bitmap_test.c errno_test.c format_test.c parse_test.c rand_test.c sort_test.c \
	sparse_bitmap_test.c string_test.c)
tests_both += $(addprefix tests/unit/,pci_script.c drivers_acpi_test.c drivers_acpi_tables_test.c drivers_pci_test.c)
tests_both += $(addprefix tests/unit/drivers_pci_,bar_test.c files_test.c route_test.c scan_test.c)
# printk, panic, files, shell, tracing
tests_both += $(addprefix tests/unit/kernel_,printk_test.c vfile_test.c shell_test.c trace_test.c)
# address spaces
tests_both += $(wildcard tests/unit/vm_*.c)
