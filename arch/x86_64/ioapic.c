/*
 * IOAPICs: each serves a run of global system interrupts from its gsi_base on. [82093AA data sheet]
 *
 * A line is a 64-bit redirection entry, reached as two halves through an index and a data register; so all callers are
 * behind irq.c's lock, and an entry is masked before its parts change.
 */
#include "arch/x86_64/ioapic.h"

#include "kernel/printk.h"

#include <arch/io.h>
#include <arch/page.h>

#define IOAPIC_SELECT	   0x00
#define IOAPIC_DATA	   0x10
#define IOAPIC_VERSION	   0x01
#define IOAPIC_REDIRECTION 0x10 /* + 2 * line, the upper half behind it */

#define ENTRY_LOW_ACTIVE 0x2000u
#define ENTRY_LEVEL	 0x8000u
#define ENTRY_MASKED	 0x10000u

struct ioapic {
	volatile char *registers;
	uint32_t gsi_base, nr_lines;
};

static struct ioapic ioapics[MACHINE_MAX_IOAPICS];
static size_t nr_ioapics;

static uint32_t read_register(const struct ioapic *ioapic, uint32_t index)
{
	mmio_write32(ioapic->registers + IOAPIC_SELECT, index);
	return mmio_read32(ioapic->registers + IOAPIC_DATA);
}

static void write_register(const struct ioapic *ioapic, uint32_t index, uint32_t value)
{
	mmio_write32(ioapic->registers + IOAPIC_SELECT, index);
	mmio_write32(ioapic->registers + IOAPIC_DATA, value);
}

static void write_entry(const struct ioapic *ioapic, uint32_t line, uint32_t high, uint32_t low)
{
	write_register(ioapic, IOAPIC_REDIRECTION + 2 * line, ENTRY_MASKED);
	write_register(ioapic, IOAPIC_REDIRECTION + 2 * line + 1, high);
	write_register(ioapic, IOAPIC_REDIRECTION + 2 * line, low);
}

static void add(const struct machine_ioapic *description)
{
	struct ioapic *ioapic = &ioapics[nr_ioapics];
	uint32_t version;

	ioapic->registers = device_map(description->address, PAGE_SIZE, DEVICE_UNCACHED);
	if (!ioapic->registers) {
		pr_err("IOAPIC %u at %#x: no memory to map it, its lines are left out", description->id,
		       description->address);
		return;
	}
	version = read_register(ioapic, IOAPIC_VERSION);
	if (version == UINT32_MAX) {
		pr_err("IOAPIC %u at %#x: nothing answers, its lines are left out", description->id,
		       description->address);
		return;
	}
	ioapic->gsi_base = description->gsi_base;
	ioapic->nr_lines = (version >> 16 & 0xff) + 1;
	for (uint32_t line = 0; line < ioapic->nr_lines; line++)
		if (!(read_register(ioapic, IOAPIC_REDIRECTION + 2 * line) & ENTRY_MASKED))
			write_register(ioapic, IOAPIC_REDIRECTION + 2 * line, ENTRY_MASKED);
	nr_ioapics++;
}

void ioapic_init(const struct machine *machine)
{
	for (size_t i = 0; i < machine->nr_ioapics; i++)
		add(&machine->ioapics[i]);
}

static const struct ioapic *find(uint32_t gsi)
{
	for (size_t i = 0; i < nr_ioapics; i++)
		if (gsi >= ioapics[i].gsi_base && gsi - ioapics[i].gsi_base < ioapics[i].nr_lines)
			return &ioapics[i];
	return NULL;
}

bool ioapic_has(uint32_t gsi)
{
	return find(gsi) != NULL;
}

void ioapic_route(uint32_t gsi, enum irq_trigger trigger, uint8_t vector, uint32_t apic_id)
{
	static const uint32_t flags[] = {
		[IRQ_EDGE_HIGH] = 0,
		[IRQ_LEVEL_LOW] = ENTRY_LEVEL | ENTRY_LOW_ACTIVE,
		[IRQ_LEVEL_HIGH] = ENTRY_LEVEL,
	};
	const struct ioapic *ioapic = find(gsi);

	write_entry(ioapic, gsi - ioapic->gsi_base, apic_id << 24, flags[trigger] | vector);
}

void ioapic_mask(uint32_t gsi)
{
	const struct ioapic *ioapic = find(gsi);

	write_entry(ioapic, gsi - ioapic->gsi_base, 0, ENTRY_MASKED);
}
