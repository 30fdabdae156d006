/*
 * The words that describe virtio-mmio devices on the command line: size@address:gsi[:id].
 */
#pragma once

#include "kernel/machine.h"

/* "512@0xfeb00e00:12". 0, or -EINVAL: not of this form, a size below 0x100, or one that wraps. */
int virtio_mmio_parse(const char *text, struct machine_virtio_mmio *place) MUST_CHECK;
