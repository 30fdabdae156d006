/*
 * The scripted configuration space: an access finds its function by following bus numbers as the bridges have
 * them at that moment, so a wrong numbering makes devices vanish as it would in a machine.
 */
#include "tests/unit/pci_script.h"
#include "lib/string.h"

/* True if a request for @bus, coming to the buses where @bridge stands, is meant for the bus behind it. */
static bool is_on_bus(const struct pci_script *script, const struct pci_script_function *function, uint8_t bus)
{
	const struct pci_script_function *bridge;

	if (function->bridge < 0)
		return function->root_bus == bus;
	bridge = &script->functions[function->bridge];
	if (bridge->registers[PCI_BUS_NUMBERS + 1] == 0 || bridge->registers[PCI_BUS_NUMBERS + 1] != bus)
		return false;
	/* All bridges above have to pass it on. */
	while (bridge->bridge >= 0) {
		bridge = &script->functions[bridge->bridge];
		if (bus <= bridge->registers[PCI_BUS_NUMBERS + 1] || bus > bridge->registers[PCI_BUS_NUMBERS + 2])
			return false;
	}
	return true;
}

static struct pci_script_function *find(struct pci_script *script, uint16_t bdf)
{
	for (unsigned int i = 0; i < script->nr_functions; i++) {
		struct pci_script_function *at = &script->functions[i];

		if (at->slot == (bdf >> 3 & 31) && at->function == (bdf & 7) && is_on_bus(script, at, bdf >> 8))
			return at;
	}
	return NULL;
}

static uint32_t script_read(void *context, uint16_t bdf, uint16_t offset, unsigned int bytes)
{
	struct pci_script *script = context;
	const struct pci_script_function *at = find(script, bdf);
	uint32_t value = 0;

	script->nr_reads++;
	if (!at || offset + bytes > PCI_SCRIPT_BYTES)
		return ~0u >> (32 - 8 * bytes);
	memcpy(&value, at->registers + offset, bytes);
	return value;
}

static void script_write(void *context, uint16_t bdf, uint16_t offset, unsigned int bytes, uint32_t value)
{
	struct pci_script_function *at = find(context, bdf);

	for (unsigned int i = 0; at && i < bytes && offset + i < PCI_SCRIPT_BYTES; i++) {
		uint8_t mask = at->writable[offset + i], byte = (uint8_t)(value >> (8 * i));

		at->registers[offset + i] = (uint8_t)((at->registers[offset + i] & ~mask) | (byte & mask));
	}
}

void pci_script_init(struct pci_script *script)
{
	memset(script, 0, sizeof(*script));
	script->root.config = (struct pci_config){
		.name = "script",
		.last_bus = 255,
		.bytes = PCI_SCRIPT_BYTES,
		.read = script_read,
		.write = script_write,
		.context = script,
	};
	script->machine.nr_ioapics = 1;
	script->info.nr_ranges = 2;
	script->info.ranges[0] = (struct boot_range){0, GIB(1), BOOT_MEMORY_USABLE};
	script->info.ranges[1] = (struct boot_range){0xb0000000, 0xc0000000, BOOT_MEMORY_RESERVED};
	script->root.machine = &script->machine;
	script->root.info = &script->info;
	list_init(&script->root.devices);
}

void pci_script_release(void *script)
{
	pci_root_release(&((struct pci_script *)script)->root);
}

void pci_script_poke(struct pci_script *script, int at, uint16_t offset, unsigned int bytes, uint32_t value)
{
	memcpy(script->functions[at].registers + offset, &value, bytes);
}

uint32_t pci_script_peek(const struct pci_script *script, int at, uint16_t offset, unsigned int bytes)
{
	uint32_t value = 0;

	memcpy(&value, script->functions[at].registers + offset, bytes);
	return value;
}

int pci_script_add(struct pci_script *script, int bridge, uint8_t slot, uint8_t function, uint32_t id)
{
	int index = (int)script->nr_functions++;
	struct pci_script_function *at = &script->functions[index];

	*at = (struct pci_script_function){.bridge = bridge, .slot = slot, .function = function};
	pci_script_poke(script, index, PCI_ID, 4, id);
	pci_script_poke(script, index, PCI_CLASS_REVISION, 4, 0x00ff0001);
	at->writable[PCI_COMMAND] = 7;
	at->writable[PCI_COMMAND + 1] = 4;
	at->writable[PCI_INTERRUPT_LINE] = 0xff;
	return index;
}

int pci_script_add_bridge(struct pci_script *script, int bridge, uint8_t slot, uint32_t id)
{
	int index = pci_script_add(script, bridge, slot, 0, id);
	struct pci_script_function *at = &script->functions[index];

	pci_script_poke(script, index, PCI_CLASS_REVISION, 4, 0x06040001);
	pci_script_poke(script, index, PCI_HEADER_TYPE, 1, PCI_HEADER_BRIDGE);
	memset(at->writable + PCI_BUS_NUMBERS, 0xff, 3);
	memset(at->writable + PCI_MEMORY_WINDOW, 0xff, 8);
	return index;
}

void pci_script_number(struct pci_script *script, int bridge, uint8_t secondary, uint8_t subordinate)
{
	pci_script_poke(script, bridge, PCI_BUS_NUMBERS + 1, 1, secondary);
	pci_script_poke(script, bridge, PCI_BUS_NUMBERS + 2, 1, subordinate);
}

void pci_script_bar(struct pci_script *script, int at, unsigned int bar, uint64_t bytes, uint32_t kind,
		    uint64_t address)
{
	uint64_t mask = ~(bytes - 1) & ~(uint64_t)(kind & 1 ? 3 : 15);
	uint64_t value = address | kind;
	unsigned int registers = kind & 4 ? 8 : 4;

	memcpy(script->functions[at].writable + PCI_BAR_0 + 4 * bar, &mask, registers);
	memcpy(script->functions[at].registers + PCI_BAR_0 + 4 * bar, &value, registers);
}

void pci_script_capability(struct pci_script *script, int at, uint8_t id, uint8_t offset)
{
	uint8_t *registers = script->functions[at].registers;
	uint8_t *link = registers + PCI_CAPABILITIES;

	while (*link)
		link = registers + *link + 1;
	*link = offset;
	registers[offset] = id;
	registers[offset + 1] = 0;
	registers[PCI_STATUS] |= PCI_STATUS_CAPABILITIES;
}

struct pci_device *pci_script_found(struct pci_script *script, int at)
{
	struct pci_function *function;

	pci_for_each_function(function, &script->root)
		if (find(script, pci_bdf(&function->device)) == &script->functions[at])
			return &function->device;
	return NULL;
}
