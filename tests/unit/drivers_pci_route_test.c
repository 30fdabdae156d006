/*
 * Which line a pin ends at, on each board, also behind bridges.
 */
#include "kernel/ktest.h"
#include "lib/string.h"
#include "tests/unit/pci_script.h"

#define Q35	  0x29c08086u
#define PC	  0x12378086u
#define PIIX3	  0x70008086u
#define MICROVM	  0x00081b36u
#define ROOT_PORT 0x000c1b36u
#define DEVICE	  0x10451af4u

static struct pci_script script;

static void begin(struct ktest *t, uint32_t host_bridge)
{
	int at;

	pci_root_release(&script.root);
	pci_script_init(&script);
	at = pci_script_add(&script, -1, 0, 0, host_bridge);
	pci_script_poke(&script, at, PCI_CLASS_REVISION, 4, 0x06000000);
}

/* Adds a device whose pin (1: INTA) it is. */
static int add_device(int bridge, uint8_t slot, uint8_t pin)
{
	int at = pci_script_add(&script, bridge, slot, 0, DEVICE);

	pci_script_poke(&script, at, PCI_INTERRUPT_PIN, 1, pin);
	return at;
}

static int line(int at)
{
	struct pci_device *dev = pci_script_found(&script, at);

	return dev ? dev->gsi : -99;
}

KTEST(drivers_pci_route, q35)
{
	int low, next, pin_d, sata, bridge_slot, none, wrong;

	list_init(&script.root.devices);
	ktest_defer(t, pci_script_release, &script);
	begin(t, Q35);
	low = add_device(-1, 4, 1);
	next = add_device(-1, 5, 1);
	pin_d = add_device(-1, 5, 4);
	script.functions[pin_d].slot = 6;
	sata = add_device(-1, 31, 2);
	bridge_slot = add_device(-1, 30, 1);
	none = add_device(-1, 7, 0);
	wrong = add_device(-1, 8, 9);
	REQUIRE_OK(t, pci_root_scan(&script.root));
	EXPECT_EQ(t, line(low), 20);
	EXPECT_EQ(t, line(next), 21);
	EXPECT_EQ(t, line(pin_d), 21);
	EXPECT_EQ(t, line(sata), 17);
	EXPECT_EQ(t, line(bridge_slot), 20);
	EXPECT_EQ(t, line(none), -1);
	EXPECT_EQ(t, line(wrong), -1);
}

KTEST(drivers_pci_route, bridges_turn_the_pins)
{
	int outer, inner, device;

	list_init(&script.root.devices);
	ktest_defer(t, pci_script_release, &script);
	begin(t, Q35);
	outer = pci_script_add_bridge(&script, -1, 2, ROOT_PORT);
	inner = pci_script_add_bridge(&script, outer, 7, ROOT_PORT);
	device = add_device(inner, 3, 2); /* INTB: 1 + 3 + 7 on bus 0 in slot 2 */
	REQUIRE_OK(t, pci_root_scan(&script.root));
	EXPECT_EQ(t, line(device), 20 + (1 + 3 + 7 + 2) % 4);
}

KTEST(drivers_pci_route, pc_follows_the_isa_bridge)
{
	int isa, a, b;

	list_init(&script.root.devices);
	ktest_defer(t, pci_script_release, &script);
	begin(t, PC);
	isa = pci_script_add(&script, -1, 1, 0, PIIX3);
	pci_script_poke(&script, isa, 0x60, 4, 0x0b050a09);
	script.machine.nr_overrides = 1;
	script.machine.overrides[0] = (struct machine_override){.isa_irq = 5, .gsi = 21};
	a = add_device(-1, 2, 1); /* PIRQ B */
	b = add_device(-1, 3, 1); /* PIRQ C */
	REQUIRE_OK(t, pci_root_scan(&script.root));
	EXPECT_EQ(t, line(a), 10);
	EXPECT_EQ(t, line(b), 21);
}

KTEST(drivers_pci_route, pc_with_open_routes_gets_the_usual_ones)
{
	int isa, device;

	list_init(&script.root.devices);
	ktest_defer(t, pci_script_release, &script);
	begin(t, PC);
	isa = pci_script_add(&script, -1, 1, 0, PIIX3);
	pci_script_poke(&script, isa, 0x60, 4, 0x80808080);
	memset(script.functions[isa].writable + 0x60, 0x8f, 4);
	device = add_device(-1, 3, 1);
	REQUIRE_OK(t, pci_root_scan(&script.root));
	EXPECT_EQ(t, line(device), 11);
	EXPECT_EQ(t, pci_script_peek(&script, isa, 0x60, 4), 0x800b8080u);
}

KTEST(drivers_pci_route, microvm)
{
	int device;

	list_init(&script.root.devices);
	ktest_defer(t, pci_script_release, &script);
	for (unsigned int nr_ioapics = 1; nr_ioapics <= 2; nr_ioapics++) {
		begin(t, MICROVM);
		script.machine.nr_ioapics = nr_ioapics;
		device = add_device(-1, 3, 2);
		pci_script_bar(&script, device, 0, KIB(4), 4, 0);
		REQUIRE_OK(t, pci_root_scan(&script.root));
		EXPECT_EQ(t, line(device), nr_ioapics == 2 ? 16 : 12);
		EXPECT_EQ(t, pci_bar(pci_script_found(&script, device), 0)->address, 0xc0000000u);
	}
}

KTEST(drivers_pci_route, an_unknown_board_has_no_lines)
{
	int device;

	list_init(&script.root.devices);
	ktest_defer(t, pci_script_release, &script);
	begin(t, 0x00011234);
	device = add_device(-1, 3, 2);
	REQUIRE_OK(t, pci_root_scan(&script.root));
	EXPECT_EQ(t, line(device), -1);
}
