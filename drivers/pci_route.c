/*
 * Interrupt lines: from a device's pin to the number that the interrupt controllers know (global system
 * interrupt).
 *
 * Each bridge on the way turns the pins by the slot (PCI-to-PCI Bridge 1.2, clause 9.1); what the wires of
 * the root bus end at is the board's matter. A real kernel asks ACPI's code for it; the boards of QEMU are
 * few and known:
 *   - q35 (ICH9): slots 25-31 reach PIRQ A-D pin by pin, slot 30 and all others E-H, others turned by the
 * slot; PIRQ A-H are lines 16-23;
 *   - pc (PIIX3): PIRQ A-D, turned by the slot, go to ISA interrupts as the registers 0x60-0x63 of the ISA
 * bridge say;
 *   - microvm: turned by the slot, lines 16-19, or 12-15 if there is one IOAPIC only.
 */
#include "drivers/pci_internal.h"

#define NR_PINS 4u

#define PIIX3_SLOT     1u
#define PIIX3_ID       0x70008086u
#define PIIX3_ROUTES   0x60
#define PIIX3_DISABLED 0x80u

static int32_t q35_gsi(struct pci_root *root UNUSED, uint8_t bus, uint8_t slot, unsigned int pin)
{
	/* Root buses of expander bridges are wired like the lower slots of bus 0. */
	if (bus != 0 || slot < 25)
		return (int32_t)(20 + (slot + pin) % NR_PINS);
	return (int32_t)((slot == 30 ? 20 : 16) + pin);
}

/* An ISA interrupt may arrive elsewhere. */
static int32_t isa_gsi(const struct machine *machine, uint32_t irq)
{
	for (size_t i = 0; i < machine->nr_overrides; i++)
		if (machine->overrides[i].isa_irq == irq)
			return (int32_t)machine->overrides[i].gsi;
	return (int32_t)irq;
}

static int32_t piix3_gsi(struct pci_root *root, uint8_t bus, uint8_t slot, unsigned int pin)
{
	static const uint8_t usual[NR_PINS] = {10, 10, 11, 11};
	const struct pci_config *config = &root->config;
	unsigned int pirq = (slot + pin + (bus == 0 ? 3 : 0)) % NR_PINS; /* slot 1 is the first */
	uint16_t bridge = PIIX3_SLOT << 3, offset = (uint16_t)(PIIX3_ROUTES + pirq);
	uint32_t route;

	if (config->read(config->context, bridge, PCI_ID, 4) != PIIX3_ID)
		return -1;
	route = config->read(config->context, bridge, offset, 1);
	if (route & PIIX3_DISABLED) { /* the firmware left it open */
		route = usual[pirq];
		config->write(config->context, bridge, offset, 1, route);
	}
	return isa_gsi(root->machine, route & 0xf);
}

static int32_t microvm_gsi(struct pci_root *root, uint8_t bus UNUSED, uint8_t slot, unsigned int pin)
{
	return (int32_t)((root->machine->nr_ioapics > 1 ? 16 : 12) + (slot + pin) % NR_PINS);
}

static int32_t unknown_gsi(struct pci_root *root UNUSED, uint8_t bus UNUSED, uint8_t slot UNUSED,
			   unsigned int pin UNUSED)
{
	return -1;
}

static const struct pci_board boards[] = {
	{.vendor = 0x8086, .device = 0x29c0, .name = "q35", .gsi = q35_gsi, .has_io = true},
	{.vendor = 0x8086, .device = 0x1237, .name = "pc", .gsi = piix3_gsi, .has_io = true},
	{.vendor = 0x1b36,
	 .device = 0x0008,
	 .name = "microvm",
	 .gsi = microvm_gsi,
	 .memory32 = {0xc0000000, 0xe0000000}},
	{.name = "unknown", .gsi = unknown_gsi, .has_io = true}, /* last: fits all */
};

void pci_board_find(struct pci_root *root)
{
	uint32_t id = root->config.read(root->config.context, 0, PCI_ID, 4);

	root->board = boards;
	while (root->board->vendor && (root->board->vendor | (uint32_t)root->board->device << 16) != id)
		root->board++;
}

void pci_route(struct pci_function *function)
{
	struct pci_device *dev = &function->device;
	struct pci_root *root = function->root;
	const struct pci_function *bridge;
	uint8_t bus = dev->bus, slot = dev->slot;
	unsigned int pin;

	dev->pin = (uint8_t)pci_read(dev, PCI_INTERRUPT_PIN, 1);
	if (dev->pin == 0 || dev->pin > NR_PINS) {
		dev->pin = 0;
		return;
	}
	pin = dev->pin - 1u;
	while ((bridge = pci_bridge_to(root, bus))) {
		pin = (pin + slot) % NR_PINS;
		slot = bridge->device.slot;
		bus = bridge->device.bus;
	}
	dev->gsi = root->board->gsi(root, bus, slot, pin);
}
