/*
 * BARs: how large they are, and addresses for those that the firmware left without one.
 *
 * A size is found by writing all ones and reading which bits stick; the device must not decode meanwhile. An
 * address is found by first fit: from the start of a window upwards, past everything in the way. What can be
 * in the way of a range on a bus are the BARs on that bus and the windows of the bridges on it; on a root bus
 * also all that the memory map knows and configuration space itself. Nothing is kept besides the devices, so
 * nothing can get out of step.
 *
 * A bridge without a window gets one large enough for all unassigned BARs behind it before these are
 * assigned.
 */
#include "drivers/pci_internal.h"
#include "kernel/printk.h"
#include "lib/bitmap.h"

#define BRIDGE_WINDOW_ALIGN MIB(1)
#define HOLE_END	    0xfec00000ull /* the IOAPIC, then firmware, up to 4 GiB */
#define HIGH_END	    (1ull << 40)  /* what every x86_64 CPU of QEMU's can address */

/* ---- windows of the machine ---- */

static void find_memory_windows(struct pci_root *root)
{
	uint64_t low = MIB(16), high = GIB(4);

	for (size_t i = 0; i < root->info->nr_ranges; i++) {
		const struct boot_range *range = &root->info->ranges[i];

		/* Reserved ranges lie within the hole, too; they are dodged one by one. */
		if (range->end <= GIB(4) && range->type <= BOOT_MEMORY_NVS)
			low = MAX(low, range->end);
		if (range->type <= BOOT_MEMORY_NVS)
			high = MAX(high, range->end);
	}
	/* Memory that may still be plugged in stands in the SRAT only. */
	for (size_t i = 0; i < root->machine->nr_memory; i++)
		high = MAX(high, root->machine->memory[i].end);
	root->memory32 = (struct pci_window){low, HOLE_END};
	root->memory64 = (struct pci_window){ALIGN_UP(high, GIB(1)), HIGH_END};
}

static void find_windows(struct pci_root *root)
{
	find_memory_windows(root);
	if (root->board->memory32.end) {
		root->memory32 = root->board->memory32;
		root->memory64 = (struct pci_window){0, 0};
	}
	root->io = root->board->has_io ? (struct pci_window){0xc000, 0x10000} : (struct pci_window){0, 0};
}

/* ---- sizes ---- */

static unsigned int nr_bars(const struct pci_function *function)
{
	return function->is_bridge ? 2 : PCI_NR_BARS;
}

static uint16_t bar_offset(unsigned int bar)
{
	return (uint16_t)(PCI_BAR_0 + 4 * bar);
}

/* What sticks of all ones; the old value is put back. */
static uint32_t probe_bar(const struct pci_device *dev, unsigned int bar, uint32_t value)
{
	uint32_t mask;

	pci_write(dev, bar_offset(bar), 4, 0xffffffff);
	mask = pci_read(dev, bar_offset(bar), 4);
	pci_write(dev, bar_offset(bar), 4, value);
	return mask;
}

/* Reads BAR @bar from its values as found; how many registers it takes. */
static unsigned int size_bar(struct pci_function *function, unsigned int bar, unsigned int last, const uint32_t *values)
{
	const struct pci_device *dev = &function->device;
	struct pci_bar *at = &function->bars[bar];
	uint64_t mask = probe_bar(dev, bar, values[bar]);

	at->is_io = mask & 1;
	if (at->is_io) {
		at->address = values[bar] & 0xfffc;
		at->bytes = -(mask & 0xfffc) & 0xffff;
		return 1;
	}
	at->is_64 = (mask & 6) == 4 && bar < last;
	at->prefetchable = mask & 8;
	at->address = values[bar] & ~0xfu;
	mask &= ~0xfull;
	if (at->is_64) {
		at->address |= (uint64_t)values[bar + 1] << 32;
		mask |= (uint64_t)probe_bar(dev, bar + 1, values[bar + 1]) << 32;
		at->bytes = -mask;
	} else {
		at->bytes = -mask & 0xffffffff;
	}
	return at->is_64 ? 2 : 1;
}

static void check_bar(struct pci_function *function, unsigned int bar)
{
	const struct pci_device *dev = &function->device;
	struct pci_bar *at = &function->bars[bar];

	if (at->bytes & (at->bytes - 1)) {
		pr_err("pci: %02x:%02x.%u: BAR %u of 0x%lx bytes is no power of two: not used", dev->bus, dev->slot,
		       dev->function, bar, at->bytes);
		at->bytes = 0;
	}
	if (at->bytes == 0)
		*at = (struct pci_bar){.address = 0};
}

void pci_read_bars(struct pci_function *function)
{
	struct pci_device *dev = &function->device;
	uint32_t values[PCI_NR_BARS], any = 0, command;
	unsigned int count = nr_bars(function);

	if (function->is_sized)
		return;
	function->is_sized = true;
	for (unsigned int bar = 0; bar < count; bar++)
		any |= values[bar] = pci_read(dev, bar_offset(bar), 4);
	command = pci_read(dev, PCI_COMMAND, 2);
	/* Nothing can be decoded if there is no address. */
	if (!any)
		command &= ~(PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	if (command & (PCI_COMMAND_IO | PCI_COMMAND_MEMORY))
		pci_write(dev, PCI_COMMAND, 2, command & ~(PCI_COMMAND_IO | PCI_COMMAND_MEMORY));
	for (unsigned int bar = 0, took; bar < count; bar += took) {
		took = size_bar(function, bar, count - 1, values);
		check_bar(function, bar);
	}
	if (command & (PCI_COMMAND_IO | PCI_COMMAND_MEMORY))
		pci_write(dev, PCI_COMMAND, 2, command);
}

bool pci_lacks_addresses(struct pci_function *function)
{
	struct pci_device *dev = &function->device;
	bool lacks = false, has = false;

	/* Their registers are not meant for us. */
	function->is_sized = dev->class_code == PCI_CLASS_BRIDGE && dev->subclass <= PCI_SUBCLASS_ISA;
	if (function->is_sized)
		return false;
	for (unsigned int bar = 0, took; bar < nr_bars(function); bar += took) {
		uint32_t low = pci_read(dev, bar_offset(bar), 4);
		uint64_t address = low & 1 ? low & ~3u : low & ~15u;

		took = (low & 7) == 4 && bar + 1 < nr_bars(function) ? 2 : 1;
		if (took == 2)
			address |= (uint64_t)pci_read(dev, bar_offset(bar + 1), 4) << 32;
		has |= address != 0;
		lacks |= low != 0 && address == 0;
	}
	/* A 32-bit one at 0 reads as 0, as does none at all: firmware that skips one of them skips all. */
	for (unsigned int bar = 0; bar < nr_bars(function) && !has && !lacks; bar++)
		lacks = probe_bar(dev, bar, 0) != 0;
	if (lacks)
		pci_read_bars(function);
	else
		function->is_sized = !has; /* then there are none */
	return lacks;
}

/* ---- gaps ---- */

/* If [start, end) meets [other_start, other_end): true, and @behind is moved past it. */
static bool meets(uint64_t start, uint64_t end, uint64_t other_start, uint64_t other_end, uint64_t *behind)
{
	if (start >= other_end || other_start >= end)
		return false;
	*behind = MAX(*behind, other_end);
	return true;
}

static bool meets_devices(const struct pci_root *root, uint8_t bus, bool is_io, struct pci_window range,
			  uint64_t *behind)
{
	bool is_root = bitmap_test(root->root_buses, bus);
	const struct pci_function *at;
	bool met = false;

	pci_for_each_function(at, root) {
		/* Root buses share one space. */
		if (at->device.bus != bus && !(is_root && bitmap_test(root->root_buses, at->device.bus)))
			continue;
		for (unsigned int i = 0; i < PCI_NR_BARS; i++) {
			const struct pci_bar *bar = &at->bars[i];

			if (bar->address && bar->is_io == is_io)
				met |= meets(range.start, range.end, bar->address, bar->address + bar->bytes, behind);
		}
		if (!is_io && at->is_bridge)
			met |= meets(range.start, range.end, at->behind.start, at->behind.end, behind);
	}
	return met;
}

static bool meets_machine(const struct pci_root *root, struct pci_window range, uint64_t *behind)
{
	const struct machine *machine = root->machine;
	bool met = false;

	for (size_t i = 0; i < root->info->nr_ranges; i++)
		met |= meets(range.start, range.end, root->info->ranges[i].start, root->info->ranges[i].end, behind);
	if (machine->ecam)
		met |= meets(range.start, range.end, machine->ecam,
			     machine->ecam + ((machine->ecam_last_bus + 1ull) << 20), behind);
	return met;
}

/* The lowest free range of @bytes in @window as seen from @bus, at a multiple of @align; 0 if there is none.
 */
static uint64_t find_gap(const struct pci_root *root, uint8_t bus, bool is_io, struct pci_window window, uint64_t bytes,
			 uint64_t align)
{
	uint64_t at = ALIGN_UP(window.start, align);

	while (at >= window.start && at < window.end && bytes <= window.end - at) {
		struct pci_window range = {at, at + bytes};
		uint64_t behind = 0;
		bool met = meets_devices(root, bus, is_io, range, &behind);

		if (!is_io && bitmap_test(root->root_buses, bus))
			met |= meets_machine(root, range, &behind);
		if (!met)
			return at;
		at = ALIGN_UP(behind, align);
	}
	return 0;
}

/* ---- giving out ---- */

static bool is_unassigned(const struct pci_function *function, unsigned int bar)
{
	const struct pci_bar *at = &function->bars[bar];

	return at->bytes && !at->address && !(function->unassignable & 1u << bar);
}

static uint64_t place(const struct pci_root *root, uint8_t bus, const struct pci_bar *bar)
{
	const struct pci_function *bridge = pci_bridge_to(root, bus);
	uint64_t address = 0;

	/* I/O behind bridges is for devices that we do not drive. */
	if (bar->is_io)
		return bridge ? 0 : find_gap(root, bus, true, root->io, bar->bytes, bar->bytes);
	if (bridge)
		return find_gap(root, bus, false, bridge->behind, bar->bytes, bar->bytes);
	address = find_gap(root, bus, false, root->memory32, bar->bytes, bar->bytes);
	if (!address && bar->is_64)
		address = find_gap(root, bus, false, root->memory64, bar->bytes, bar->bytes);
	return address;
}

static void assign_bar(struct pci_function *function, unsigned int bar)
{
	struct pci_device *dev = &function->device;
	struct pci_bar *at = &function->bars[bar];
	uint64_t address = place(function->root, dev->bus, at);

	if (!address) {
		function->unassignable |= (uint8_t)(1u << bar);
		if (!at->is_io)
			pr_err("pci: %02x:%02x.%u: no room for the 0x%lx bytes of BAR %u: it stays "
			       "unassigned",
			       dev->bus, dev->slot, dev->function, at->bytes, bar);
		return;
	}
	at->address = address;
	pci_write(dev, bar_offset(bar), 4, (uint32_t)address);
	if (at->is_64)
		pci_write(dev, bar_offset(bar + 1), 4, (uint32_t)(address >> 32));
}

/* The largest BAR on @bus without an address; large ones first, so that none leaves a hole before the next.
 */
static struct pci_function *largest_unassigned(const struct pci_root *root, uint8_t bus, unsigned int *bar)
{
	struct pci_function *at, *largest = NULL;
	uint64_t bytes = 0;

	pci_for_each_function(at, root) {
		for (unsigned int i = 0; at->device.bus == bus && i < PCI_NR_BARS; i++) {
			if (!is_unassigned(at, i) || at->bars[i].bytes <= bytes)
				continue;
			bytes = at->bars[i].bytes;
			largest = at;
			*bar = i;
		}
	}
	return largest;
}

/* How much memory, and how aligned, all unassigned BARs behind @bus want. */
static uint64_t wanted_behind(const struct pci_root *root, uint8_t bus, uint64_t *align)
{
	const struct pci_function *at;
	uint64_t sum = 0;

	pci_for_each_function(at, root) {
		if (at->device.bus != bus)
			continue;
		for (unsigned int i = 0; i < PCI_NR_BARS; i++) {
			if (!is_unassigned(at, i) || at->bars[i].is_io)
				continue;
			sum += at->bars[i].bytes;
			*align = MAX(*align, at->bars[i].bytes);
		}
		if (at->is_bridge && !at->is_closed && !at->behind.end)
			sum += ALIGN_UP(wanted_behind(root, at->secondary, align), BRIDGE_WINDOW_ALIGN);
	}
	return sum;
}

static void open_window(struct pci_function *bridge)
{
	const struct pci_root *root = bridge->root;
	const struct pci_function *above = pci_bridge_to(root, bridge->device.bus);
	uint64_t align = BRIDGE_WINDOW_ALIGN, start;
	uint64_t bytes = ALIGN_UP(wanted_behind(root, bridge->secondary, &align), BRIDGE_WINDOW_ALIGN);

	if (!bytes)
		return;
	start = find_gap(root, bridge->device.bus, false, above ? above->behind : root->memory32, bytes, align);
	if (!start)
		return; /* each BAR behind it will say so */
	bridge->behind = (struct pci_window){start, start + bytes};
	pci_write(&bridge->device, PCI_MEMORY_WINDOW, 4,
		  (uint32_t)(start >> 16 | (bridge->behind.end - 1) >> 16 << 16));
	/* The window for prefetchable memory stays closed: it ends before it begins. */
	pci_write(&bridge->device, PCI_PREFETCH_WINDOW, 4, 0x0000fff0);
	pci_write(&bridge->device, PCI_IO_WINDOW, 2, 0x00f0);
}

static void assign_bus(struct pci_root *root, uint8_t bus)
{
	struct pci_function *at;
	unsigned int bar = 0;

	pci_for_each_function(at, root)
		if (at->device.bus == bus && at->is_bridge && !at->is_closed && !at->behind.end)
			open_window(at);
	while ((at = largest_unassigned(root, bus, &bar)))
		assign_bar(at, bar);
}

void pci_assign_bars(struct pci_root *root)
{
	struct pci_function *at;

	find_windows(root);
	pci_for_each_function(at, root)
		pci_read_bars(at);
	/* A bridge comes before what is behind it: its secondary bus has the higher number. */
	for (unsigned int bus = 0; bus <= root->highest_bus; bus++)
		if (bitmap_test(root->seen_buses, bus))
			assign_bus(root, (uint8_t)bus);
}
