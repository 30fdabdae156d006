/*
 * Reaching configuration space: through memory (ECAM: 4 KiB for each function, one access each) where the
 * MCFG says where, else through the ports 0xcf8 and 0xcfc (an address, then the data: 256 bytes for each
 * function).
 *
 * ECAM is mapped in pieces, when a bus is first asked for: few of the 256 are ever there.
 */
#include "drivers/pci_internal.h"
#include "kernel/spinlock.h"
#include "lib/errno.h"

#include <arch/io.h>

#define ECAM_BUS_BYTES MIB(1)

#define PORT_ADDRESS   0xcf8
#define PORT_DATA      0xcfc
#define ADDRESS_ENABLE 0x80000000u

/* QEMU's microvm tells where its configuration space is in ACPI code only; it has no ports, so there we look. */
#define MICROVM_ECAM	    0xe0000000ull
#define MICROVM_HOST_BRIDGE 0x00081b36u

static struct ecam {
	uint64_t address;
	uint8_t first_bus, last_bus;
} ecam;

/* Mapped some buses at a time, in large pages. */
#define PIECE_BUSES 32u

static uint8_t *ecam_pieces[PCI_NR_BUSES / PIECE_BUSES];

static uint8_t *map_piece(unsigned int first_bus)
{
	unsigned int end = MIN(first_bus + PIECE_BUSES, ecam.last_bus + 1u);

	return device_map(ecam.address + first_bus * ECAM_BUS_BYTES, (end - first_bus) * ECAM_BUS_BYTES,
			  DEVICE_UNCACHED);
}

/* The register's address, or NULL if it cannot be reached. */
static uint8_t *ecam_register(uint16_t bdf, uint16_t offset)
{
	unsigned int bus = bdf >> 8;
	uint8_t **piece;

	if (bus < ecam.first_bus || bus > ecam.last_bus)
		return NULL;
	piece = &ecam_pieces[bus / PIECE_BUSES];
	if (unlikely(!*piece))
		*piece = map_piece(ALIGN_DOWN(bus, PIECE_BUSES));
	return *piece ? *piece + ((uint64_t)(bus % PIECE_BUSES) << 20) + ((bdf & 0xffu) << 12) + offset : NULL;
}

static uint32_t ecam_read(void *context UNUSED, uint16_t bdf, uint16_t offset, unsigned int bytes)
{
	const uint8_t *at = ecam_register(bdf, offset);

	if (!at)
		return ~0u >> (32 - 8 * bytes);
	switch (bytes) {
	case 1:
		return mmio_read8(at);
	case 2:
		return mmio_read16(at);
	default:
		return mmio_read32(at);
	}
}

static void ecam_write(void *context UNUSED, uint16_t bdf, uint16_t offset, unsigned int bytes, uint32_t value)
{
	uint8_t *at = ecam_register(bdf, offset);

	if (!at)
		return;
	switch (bytes) {
	case 1:
		mmio_write8(at, (uint8_t)value);
		break;
	case 2:
		mmio_write16(at, (uint16_t)value);
		break;
	default:
		mmio_write32(at, value);
	}
}

/* Address and data belong together. */
static struct spinlock port_lock = SPINLOCK_INIT("pci_port");

static uint16_t port_select(uint16_t bdf, uint16_t offset)
{
	outl(PORT_ADDRESS, ADDRESS_ENABLE | (uint32_t)bdf << 8 | (offset & 0xfcu));
	return (uint16_t)(PORT_DATA + (offset & 3u));
}

static uint32_t port_read(void *context UNUSED, uint16_t bdf, uint16_t offset, unsigned int bytes)
{
	unsigned long state = spin_lock_irqsave(&port_lock);
	uint16_t port = port_select(bdf, offset);
	uint32_t value = bytes == 1 ? inb(port) : bytes == 2 ? inw(port) : inl(port);

	spin_unlock_irqrestore(&port_lock, state);
	return value;
}

static void port_write(void *context UNUSED, uint16_t bdf, uint16_t offset, unsigned int bytes, uint32_t value)
{
	unsigned long state = spin_lock_irqsave(&port_lock);
	uint16_t port = port_select(bdf, offset);

	if (bytes == 1)
		outb(port, (uint8_t)value);
	else if (bytes == 2)
		outw(port, (uint16_t)value);
	else
		outl(port, value);
	spin_unlock_irqrestore(&port_lock, state);
}

/* The address register keeps what was written, and a host bridge answers. */
static bool ports_answer(void)
{
	outl(PORT_ADDRESS, ADDRESS_ENABLE);
	return inl(PORT_ADDRESS) == ADDRESS_ENABLE && (inl(PORT_DATA) & 0xffff) != 0xffff;
}

static bool has_ecam(const struct machine *machine)
{
	ecam = (struct ecam){machine->ecam, machine->ecam_first_bus, machine->ecam_last_bus};
	if (ecam.address)
		return true;
	if (!machine->has_acpi || ports_answer())
		return false;
	ecam = (struct ecam){MICROVM_ECAM, 0, 255};
	return ecam_read(NULL, 0, PCI_ID, 4) == MICROVM_HOST_BRIDGE;
}

int pci_config_open(struct pci_config *config, const struct machine *machine)
{
	if (has_ecam(machine)) {
		*config = (struct pci_config){.name = "ECAM",
					      .bytes = 4096,
					      .last_bus = ecam.last_bus,
					      .read = ecam_read,
					      .write = ecam_write};
		return 0;
	}
	*config = (struct pci_config){
		.name = "ports", .bytes = 256, .last_bus = 255, .read = port_read, .write = port_write};
	return ports_answer() ? 0 : -ENODEV;
}
