both += $(addprefix drivers/virtio/,virtqueue.c virtqueue_add.c virtqueue_check.c virtqueue_checked.c virtqueue_split.c virtqueue_packed.c)
both += $(addprefix drivers/virtio/,virtio_pci_layout.c virtio_mmio_parse.c)
both += $(addprefix drivers/virtio/,virtio.c virtio_queues.c virtio_drivers.c virtio_files.c)
both += $(addprefix drivers/virtio/balloon,.c _probe.c _blocks.c _files.c _pfn.c _report.c _sg.c _oom.c _move.c _stats.c)
both += drivers/virtio/balloon_hinting.c drivers/virtio/balloon_free_page_hint.c
both += $(addprefix drivers/virtio/,virtio_pci.c virtio_pci_legacy.c virtio_mmio.c)
tests_guest += tests/unit/drivers_balloon_real_test.c
both += $(addprefix drivers/virtio/,gpu.c gpu_queue.c gpu_display.c)
