/*
 * Device configuration that is mapped: fields by accesses of their own width (4.1.3.1, 4.2.2.2). For the transports.
 */
#pragma once

#include <arch/io.h>

#include "lib/errno.h"
#include "lib/string.h"

/* @at: the field of 1, 2 or 4 @bytes, or NULL if the device has none there: then zeros and -EINVAL. */
static inline int virtio_config_get(const char *at, void *to, unsigned int bytes)
{
	uint32_t value;

	memset(to, 0, bytes);
	if (!at)
		return -EINVAL;
	value = bytes == 4 ? mmio_read32(at) : bytes == 2 ? mmio_read16(at) : mmio_read8(at);
	memcpy(to, &value, bytes);
	return 0;
}

static inline int virtio_config_set(char *at, const void *from, unsigned int bytes)
{
	uint32_t value = 0;

	if (!at)
		return -EINVAL;
	memcpy(&value, from, bytes);
	if (bytes == 4)
		mmio_write32(at, value);
	else if (bytes == 2)
		mmio_write16(at, (uint16_t)value);
	else
		mmio_write8(at, (uint8_t)value);
	return 0;
}
