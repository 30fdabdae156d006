/*
 * Pretended devices: pieces of memory at physical addresses, registers and ports that a test answers for, and
 * interrupts that a test fires.
 */
#include "drivers/pci.h"
#include "kernel/panic.h"
#include "lib/errno.h"
#include "tests/host/host.h"

#include <arch/io.h>

#define MAX_DEVICES 8
#define MAX_VECTORS 16
#define MAX_LINES   4

static struct device {
	uint64_t phys, bytes;
	char *memory;
	const struct host_registers *registers; /* NULL: it is memory */
} devices[MAX_DEVICES];

void host_device_add(uint64_t phys, void *memory, uint64_t bytes)
{
	struct device *at = devices;

	/* Its own place, or a free one. */
	while (at < devices + MAX_DEVICES && at->memory && at->phys != phys)
		at++;
	ASSERT(at < devices + MAX_DEVICES);
	*at = (struct device){.phys = phys, .bytes = bytes, .memory = memory};
}

void *device_map(uint64_t phys, uint64_t bytes, enum device_caching caching UNUSED)
{
	for (size_t i = 0; i < MAX_DEVICES; i++) {
		const struct device *at = &devices[i];

		if (at->memory && phys >= at->phys && bytes <= at->bytes && phys - at->phys <= at->bytes - bytes)
			return at->memory + (phys - at->phys);
	}
	return NULL;
}

void host_device_script(uint64_t phys, const struct host_registers *registers)
{
	for (size_t i = 0; i < MAX_DEVICES; i++)
		if (devices[i].memory && devices[i].phys == phys)
			devices[i].registers = registers;
}

static const struct device *scripted_at(const volatile void *at)
{
	for (const struct device *device = devices; device < devices + MAX_DEVICES; device++)
		if (device->registers && (const char *)at >= device->memory &&
		    (const char *)at < device->memory + device->bytes)
			return device;
	return NULL;
}

uint32_t host_mmio_read(const volatile void *at, unsigned int bytes)
{
	const struct device *device = scripted_at(at);

	if (device)
		return device->registers->read(device->registers->context, (const char *)at - device->memory, bytes);
	return bytes == 4   ? *(const volatile uint32_t *)at
	       : bytes == 2 ? *(const volatile uint16_t *)at
			    : *(const volatile uint8_t *)at;
}

void host_mmio_write(volatile void *at, unsigned int bytes, uint32_t value)
{
	const struct device *device = scripted_at(at);

	if (device)
		device->registers->write(device->registers->context, (char *)at - device->memory, bytes, value);
	else if (bytes == 4)
		*(volatile uint32_t *)at = value;
	else if (bytes == 2)
		*(volatile uint16_t *)at = (uint16_t)value;
	else
		*(volatile uint8_t *)at = (uint8_t)value;
}

static struct {
	uint16_t first, count;
	const struct host_registers *registers;
} ports;

void host_ports_add(uint16_t first, uint16_t count, const struct host_registers *registers)
{
	ports.first = first;
	ports.count = count;
	ports.registers = registers;
}

uint32_t host_port_read(uint16_t port, unsigned int bytes)
{
	if (!ports.registers || port < ports.first || port - ports.first + bytes > ports.count)
		return UINT32_MAX;
	return ports.registers->read(ports.registers->context, port - ports.first, bytes);
}

void host_port_write(uint16_t port, unsigned int bytes, uint32_t value)
{
	if (ports.registers && port >= ports.first && port - ports.first + bytes <= ports.count)
		ports.registers->write(ports.registers->context, port - ports.first, bytes, value);
}

static struct vector {
	irq_handler handler;
	void *context;
	uint32_t gsi; /* of a line */
} vectors[MAX_VECTORS], lines[MAX_LINES];

int irq_request(uint32_t gsi, enum irq_trigger trigger UNUSED, irq_handler handler, void *context)
{
	for (struct vector *line = lines; line < lines + MAX_LINES; line++)
		if (!line->handler) {
			*line = (struct vector){handler, context, gsi};
			return 0;
		}
	return -EBUSY;
}

void irq_release(uint32_t gsi, irq_handler handler, void *context)
{
	for (struct vector *line = lines; line < lines + MAX_LINES; line++)
		if (line->handler == handler && line->context == context && line->gsi == gsi)
			line->handler = NULL;
}

bool host_line(uint32_t gsi)
{
	bool handled = false;

	for (const struct vector *line = lines; line < lines + MAX_LINES; line++)
		if (line->handler && line->gsi == gsi)
			handled |= line->handler(line->context);
	return handled;
}

int irq_request_message(irq_handler handler, void *context, struct irq_message *message)
{
	for (uint32_t i = 0; i < MAX_VECTORS; i++) {
		if (vectors[i].handler)
			continue;
		vectors[i] = (struct vector){.handler = handler, .context = context};
		*message = (struct irq_message){.address = 0xfee00000, .data = i + 32, .vector = i};
		return 0;
	}
	return -ENOSPC;
}

void irq_release_message(const struct irq_message *message)
{
	vectors[message->vector].handler = NULL;
}

bool host_interrupt(uint64_t address, uint32_t data)
{
	const struct vector *vector = &vectors[(data - 32) % MAX_VECTORS];

	return address == 0xfee00000 && vector->handler && vector->handler(vector->context);
}

unsigned int host_vectors_in_use(void)
{
	unsigned int count = 0;

	for (size_t i = 0; i < MAX_VECTORS; i++)
		count += vectors[i].handler != NULL;
	return count;
}

static struct list_node no_pci_devices = LIST_INIT(no_pci_devices), *the_pci_devices = &no_pci_devices;

void host_pci_devices(struct list_node *list)
{
	the_pci_devices = list ? list : &no_pci_devices;
}

struct list_node *pci_devices(void)
{
	return the_pci_devices;
}
