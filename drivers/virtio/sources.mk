# Guest too once kernel/ is there.
hosted += $(addprefix drivers/virtio/,virtqueue.c virtqueue_add.c virtqueue_check.c virtqueue_split.c virtqueue_packed.c)
