/*
 * Finding devices: slot by slot on bus 0, and on every bus behind a bridge.
 *
 * Firmware numbers the buses; where it did not (a bridge whose secondary bus is 0), we do, above all numbers
 * in use. Only as much is probed as can be there: functions 1..7 only if function 0 says so, one slot behind
 * a port of PCI Express, other buses only if a bridge leads there. Expander bridges (PXB) make root buses
 * whose numbers only ACPI code tells; if one is seen, all buses not yet seen are probed. A bus is scanned
 * once, so bridges that point at each other end the search rather than never.
 */
#include "drivers/pci_internal.h"
#include "kernel/memory.h"
#include "kernel/printk.h"
#include "lib/bitmap.h"
#include "lib/errno.h"
#include "lib/string.h"

#define DEEPEST_BUS 12u /* bridges within bridges; recursion needs an end */

#define NO_DEVICE 0xffffu /* vendor */

static uint32_t config_read(struct pci_root *root, uint16_t bdf, uint16_t offset, unsigned int bytes)
{
	return root->config.read(root->config.context, bdf, offset, bytes);
}

struct pci_function *pci_bridge_to(const struct pci_root *root, uint8_t bus)
{
	struct pci_function *at;

	if (bitmap_test(root->root_buses, bus))
		return NULL;
	pci_for_each_function(at, root)
		if (at->is_bridge && !at->is_closed && at->secondary == bus)
			return at;
	return NULL;
}

/* Of the types of port, root ports (4) and downstream ports of switches (6) lead to one device. */
static bool is_express_port(const struct pci_device *dev)
{
	uint8_t at = pci_find_capability(dev, PCI_CAPABILITY_EXPRESS, 0);
	uint32_t type = at ? pci_read(dev, at + 2u, 2) >> 4 & 0xf : 0;

	return type == 4 || type == 6;
}

/* The window a bridge was given; one that ends before it begins, or begins at 0, is closed. */
static struct pci_window read_window(const struct pci_device *dev)
{
	uint32_t value = pci_read(dev, PCI_MEMORY_WINDOW, 4);
	struct pci_window window = {
		.start = (uint64_t)(value & 0xfff0) << 16,
		.end = (uint64_t)(value >> 16 & 0xfff0) << 16,
	};

	window.end += MIB(1);
	if (window.start == 0 || window.end <= window.start)
		window = (struct pci_window){0, 0};
	return window;
}

static void read_bridge(struct pci_function *function)
{
	uint32_t numbers = pci_read(&function->device, PCI_BUS_NUMBERS, 4);

	function->is_bridge = true;
	function->is_port = is_express_port(&function->device);
	function->secondary = (uint8_t)(numbers >> 8);
	function->subordinate = (uint8_t)(numbers >> 16);
	function->behind = read_window(&function->device);
}

/* Makes the device at @bdf, whose vendor and device are @id. NULL: no memory. */
static struct pci_function *add_function(struct pci_root *root, uint16_t bdf, uint32_t id, uint32_t header)
{
	struct pci_function *function = kzalloc(sizeof(*function));
	struct pci_device *dev = &function->device;
	uint32_t class_revision = config_read(root, bdf, PCI_CLASS_REVISION, 4);

	if (!function)
		return NULL;
	function->root = root;
	dev->bus = (uint8_t)(bdf >> 8);
	dev->slot = bdf >> 3 & 0x1f;
	dev->function = bdf & 7;
	dev->vendor = (uint16_t)id;
	dev->device = (uint16_t)(id >> 16);
	dev->revision = (uint8_t)class_revision;
	dev->interface = (uint8_t)(class_revision >> 8);
	dev->subclass = (uint8_t)(class_revision >> 16);
	dev->class_code = (uint8_t)(class_revision >> 24);
	dev->gsi = -1;
	if ((header & 0x7f) == PCI_HEADER_BRIDGE) {
		read_bridge(function);
	} else {
		uint32_t subsystem = config_read(root, bdf, PCI_SUBSYSTEM, 4);

		dev->subsystem_vendor = (uint16_t)subsystem;
		dev->subsystem = (uint16_t)(subsystem >> 16);
	}
	list_add_tail(&root->devices, &dev->node);
	root->nr_devices++;
	return function;
}

static int scan_bus(struct pci_root *root, uint8_t bus, unsigned int nr_slots, unsigned int depth);

/* Follows a bridge that the firmware numbered. */
static int scan_behind(struct pci_root *root, struct pci_function *bridge, unsigned int depth)
{
	const struct pci_device *dev = &bridge->device;
	uint8_t bus = bridge->secondary;

	if (bus > root->config.last_bus || bridge->subordinate < bus || bitmap_test(root->seen_buses, bus) ||
	    depth == DEEPEST_BUS) {
		pr_err("pci: the bridge at %02x:%02x.%u leads to bus %u, which cannot be: not followed", dev->bus,
		       dev->slot, dev->function, bus);
		bridge->is_closed = true;
		return 0;
	}
	root->highest_bus = MAX(root->highest_bus, bridge->subordinate);
	return scan_bus(root, bus, bridge->is_port ? 1 : PCI_NR_SLOTS, depth + 1);
}

static int scan_slot(struct pci_root *root, uint16_t bdf, unsigned int depth)
{
	unsigned int nr_functions = 1;

	for (unsigned int i = 0; i < nr_functions; i++, bdf++) {
		uint32_t id = config_read(root, bdf, PCI_ID, 4), header;
		struct pci_function *function;
		int error;

		if ((id & 0xffff) == NO_DEVICE || (id & 0xffff) == 0)
			continue; /* if that was function 0, nr_functions is still 1 */
		header = config_read(root, bdf, PCI_HEADER_TYPE, 1);
		if (i == 0 && header & PCI_HEADER_MULTI)
			nr_functions = PCI_NR_FUNCTIONS;
		function = add_function(root, bdf, id, header);
		if (!function)
			return -ENOMEM;
		if (function->is_bridge && function->secondary != 0) {
			error = scan_behind(root, function, depth);
			if (error)
				return error;
		}
	}
	return 0;
}

static int scan_bus(struct pci_root *root, uint8_t bus, unsigned int nr_slots, unsigned int depth)
{
	bitmap_set(root->seen_buses, bus);
	for (unsigned int slot = 0; slot < nr_slots; slot++) {
		int error = scan_slot(root, (uint16_t)(bus << 8 | slot << 3), depth);

		if (error)
			return error;
	}
	return 0;
}

/* Numbers the bridges on @bus that have no number, and what is behind them. */
static int number_bridges(struct pci_root *root, uint8_t bus, unsigned int depth)
{
	struct pci_function *bridge;
	int error;

	pci_for_each_function(bridge, root) {
		struct pci_device *dev = &bridge->device;

		if (dev->bus != bus || !bridge->is_bridge || bridge->is_closed || bridge->secondary != 0)
			continue;
		if (root->highest_bus >= root->config.last_bus || depth == DEEPEST_BUS) {
			pr_err("pci: no bus number is left for the bridge at %02x:%02x.%u: not followed", bus,
			       dev->slot, dev->function);
			bridge->is_closed = true;
			continue;
		}
		bridge->secondary = ++root->highest_bus;
		/* While we look, everything higher is sent this way. */
		pci_write(dev, PCI_BUS_NUMBERS, 4, bus | bridge->secondary << 8 | root->config.last_bus << 16);
		error = scan_bus(root, bridge->secondary, bridge->is_port ? 1 : PCI_NR_SLOTS, depth + 1);
		if (!error)
			error = number_bridges(root, bridge->secondary, depth + 1);
		if (error)
			return error;
		bridge->subordinate = root->highest_bus;
		pci_write(dev, PCI_BUS_NUMBERS, 4, bus | bridge->secondary << 8 | bridge->subordinate << 16);
	}
	return 0;
}

/* QEMU's expander bridges, conventional and express. */
static bool has_expander(const struct pci_root *root)
{
	const struct pci_function *at;

	pci_for_each_function(at, root)
		if (at->device.vendor == 0x1b36 && (at->device.device == 0x0009 || at->device.device == 0x000b))
			return true;
	return false;
}

static int scan_root_buses(struct pci_root *root)
{
	int error = 0;

	for (unsigned int bus = 0; bus <= root->config.last_bus && !error; bus++) {
		size_t before = root->nr_devices;

		if (bitmap_test(root->seen_buses, bus))
			continue;
		/* It must count as a root while it is scanned: its devices ask. */
		bitmap_set(root->root_buses, bus);
		error = scan_bus(root, (uint8_t)bus, PCI_NR_SLOTS, 0);
		if (root->nr_devices == before)
			bitmap_clear(root->root_buses, bus);
		else
			root->highest_bus = MAX(root->highest_bus, (uint8_t)bus);
		if (!has_expander(root))
			break;
	}
	for (unsigned int bus = 0; bus <= root->config.last_bus && !error; bus++)
		if (bitmap_test(root->root_buses, bus))
			error = number_bridges(root, (uint8_t)bus, 0);
	return error;
}

/* A bridge without a number below one that has its number from the firmware: there is no telling what is
 * free. */
static void drop_unnumbered(struct pci_root *root)
{
	struct pci_function *at;

	pci_for_each_function(at, root) {
		if (!at->is_bridge || at->is_closed || at->secondary != 0)
			continue;
		pr_err("pci: the bridge at %02x:%02x.%u was left without a bus number: not followed", at->device.bus,
		       at->device.slot, at->device.function);
		at->is_closed = true;
	}
}

int pci_root_scan(struct pci_root *root)
{
	struct pci_function *at;
	bool lacks_addresses = false;
	int error;

	list_init(&root->devices);
	root->nr_devices = 0;
	root->highest_bus = 0;
	memset(root->seen_buses, 0, sizeof(root->seen_buses));
	memset(root->root_buses, 0, sizeof(root->root_buses));
	error = scan_root_buses(root);
	drop_unnumbered(root);
	pci_board_find(root);
	pci_for_each_function(at, root) {
		pci_route(at);
		lacks_addresses |= pci_lacks_addresses(at);
	}
	if (lacks_addresses)
		pci_assign_bars(root);
	return error;
}

void pci_root_release(struct pci_root *root)
{
	while (!list_empty(&root->devices)) {
		struct pci_function *first = list_first_entry(&root->devices, struct pci_function, device.node);

		list_del(&first->device.node);
		kfree(first);
	}
	root->nr_devices = 0;
}
