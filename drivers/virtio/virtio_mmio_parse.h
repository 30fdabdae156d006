/*
 * The words that describe virtio-mmio devices on the command line: size@address:gsi[:id].
 */
#pragma once

#include "lib/compiler.h"

struct virtio_mmio_place {
	uint64_t address, bytes;
	uint32_t gsi;
};

/* "512@0xfeb00e00:12". 0, or -EINVAL: not of this form, a size below 0x100, or one that wraps. */
int virtio_mmio_parse(const char *text, struct virtio_mmio_place *place) MUST_CHECK;
