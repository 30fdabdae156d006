/*
 * Ports and device memory. For drivers/ and arch/ only: mm/, cgroup/ and the virtqueue never touch a device.
 */
#pragma once

#include "lib/compiler.h"

static ALWAYS_INLINE void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port));
}
static ALWAYS_INLINE void outw(uint16_t port, uint16_t v)
{
	__asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(port));
}
static ALWAYS_INLINE void outl(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port));
}
static ALWAYS_INLINE uint8_t inb(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}
static ALWAYS_INLINE uint16_t inw(uint16_t port)
{
	uint16_t v;

	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}
static ALWAYS_INLINE uint32_t inl(uint16_t port)
{
	uint32_t v;

	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

/* One access of exactly this width, in program order with other device accesses. */
#define mmio_read8(p)	   (*(const volatile uint8_t *)(p))
#define mmio_read16(p)	   (*(const volatile uint16_t *)(p))
#define mmio_read32(p)	   (*(const volatile uint32_t *)(p))
#define mmio_write8(p, v)  (*(volatile uint8_t *)(p) = (v))
#define mmio_write16(p, v) (*(volatile uint16_t *)(p) = (v))
#define mmio_write32(p, v) (*(volatile uint32_t *)(p) = (v))

enum device_caching { DEVICE_UNCACHED, DEVICE_WRITE_BACK };

/*
 * Maps device memory (a BAR, a register block) into the kernel, read-write, no execute. The same range again gives the
 * same address. NULL if page tables cannot be had. Never unmapped. May sleep.
 */
void *device_map(uint64_t phys, uint64_t bytes, enum device_caching caching) MUST_CHECK;
