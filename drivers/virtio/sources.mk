both += $(addprefix drivers/virtio/,virtqueue.c virtqueue_check.c virtqueue_split.c)
