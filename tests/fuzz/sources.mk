# boot
boot_parts := kernel/boot_info.c lib/format.c
fuzzers += fuzz_boot_info fuzz_pvh fuzz_multiboot2 fuzz_efi_handover
fuzz_boot_info_sources := tests/fuzz/fuzz_boot_info.c $(boot_parts)
fuzz_pvh_sources := tests/fuzz/fuzz_pvh.c arch/x86_64/boot/pvh.c $(boot_parts)
fuzz_multiboot2_sources := tests/fuzz/fuzz_multiboot2.c $(addprefix arch/x86_64/boot/,multiboot2.c efi_map.c) $(boot_parts)
fuzz_efi_handover_sources := tests/fuzz/fuzz_efi_handover.c $(addprefix arch/x86_64/boot/,efi_handover.c efi_map.c) $(boot_parts)
# drivers/virtio
fuzzers += fuzz_virtqueue
fuzz_virtqueue_sources := tests/fuzz/fuzz_virtqueue.c lib/format.c \
	$(addprefix drivers/virtio/,virtqueue.c virtqueue_add.c virtqueue_check.c virtqueue_checked.c virtqueue_split.c virtqueue_packed.c)
fuzzers += fuzz_balloon
fuzz_balloon_flags := -len_control=0 -max_len=300
fuzz_balloon_sources := $(addprefix tests/fuzz/,fuzz_balloon.c world.c) tests/unit/ring_device.c \
	$(addprefix lib/,format.c errno.c bitmap.c sparse_bitmap.c) \
	$(addprefix drivers/virtio/,virtio.c virtio_queues.c virtqueue.c virtqueue_add.c virtqueue_check.c virtqueue_checked.c \
	virtqueue_split.c virtqueue_packed.c $(addprefix balloon,.c _probe.c _blocks.c _files.c _pfn.c _report.c _sg.c _oom.c \
	_move.c _stats.c _hinting.c _free_page_hint.c))
# ACPI tables
fuzzers += fuzz_acpi
fuzz_acpi_sources := tests/fuzz/fuzz_acpi.c $(addprefix drivers/,acpi.c acpi_tables.c acpi_dsdt.c) $(addprefix lib/,sort.c format.c)
