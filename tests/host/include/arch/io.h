/*
 * Hosted device memory and ports: what a test has put there (tests/host/device.c).
 */
#pragma once

#include "lib/compiler.h"

/* Memory as it is, unless a test's device sees each access of it (host_device_script()). */
uint32_t host_mmio_read(const volatile void *at, unsigned int bytes);
void host_mmio_write(volatile void *at, unsigned int bytes, uint32_t value);

#define mmio_read8(p)	   ((uint8_t)host_mmio_read((p), 1))
#define mmio_read16(p)	   ((uint16_t)host_mmio_read((p), 2))
#define mmio_read32(p)	   host_mmio_read((p), 4)
#define mmio_write8(p, v)  host_mmio_write((p), 1, (v))
#define mmio_write16(p, v) host_mmio_write((p), 2, (v))
#define mmio_write32(p, v) host_mmio_write((p), 4, (v))

/* Only those of host_ports_add(); others read as ones. */
uint32_t host_port_read(uint16_t port, unsigned int bytes);
void host_port_write(uint16_t port, unsigned int bytes, uint32_t value);

#define inb(port)     ((uint8_t)host_port_read((port), 1))
#define inw(port)     ((uint16_t)host_port_read((port), 2))
#define inl(port)     host_port_read((port), 4)
#define outb(port, v) host_port_write((port), 1, (v))
#define outw(port, v) host_port_write((port), 2, (v))
#define outl(port, v) host_port_write((port), 4, (v))

enum device_caching { DEVICE_UNCACHED, DEVICE_WRITE_BACK };

/* NULL unless the whole range was added. */
void *device_map(uint64_t phys, uint64_t bytes, enum device_caching caching) MUST_CHECK;

/* [@phys, @phys + @bytes) is @memory from now on, until the same @phys is added with NULL. A few at a time. */
void host_device_add(uint64_t phys, void *memory, uint64_t bytes);

/* A device of a test: every access, by its offset, from any thread. */
struct host_registers {
	uint32_t (*read)(void *context, uint64_t offset, unsigned int bytes);
	void (*write)(void *context, uint64_t offset, unsigned int bytes, uint32_t value);
	void *context;
};
/* Before anybody maps it: the memory added at @phys is only an address, what is done there goes to @registers. */
void host_device_script(uint64_t phys, const struct host_registers *registers);
/* One range of ports at a time; NULL: none. */
void host_ports_add(uint16_t first, uint16_t count, const struct host_registers *registers);
