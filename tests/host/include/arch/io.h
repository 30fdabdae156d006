/*
 * Hosted device memory: what a test has put there with host_device_add() (tests/host/device.c). There are no ports.
 */
#pragma once

#include "lib/compiler.h"

#define mmio_read8(p)	   (*(const volatile uint8_t *)(p))
#define mmio_read16(p)	   (*(const volatile uint16_t *)(p))
#define mmio_read32(p)	   (*(const volatile uint32_t *)(p))
#define mmio_write8(p, v)  (*(volatile uint8_t *)(p) = (v))
#define mmio_write16(p, v) (*(volatile uint16_t *)(p) = (v))
#define mmio_write32(p, v) (*(volatile uint32_t *)(p) = (v))

enum device_caching { DEVICE_UNCACHED, DEVICE_WRITE_BACK };

/* NULL unless the whole range was added. */
void *device_map(uint64_t phys, uint64_t bytes, enum device_caching caching) MUST_CHECK;

/* [@phys, @phys + @bytes) is @memory from now on, until the same @phys is added with NULL. A few at a time. */
void host_device_add(uint64_t phys, void *memory, uint64_t bytes);
