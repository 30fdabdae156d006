/*
 * Finding devices over scripted trees: functions, bridges with and without numbers, expanders, hostile
 * numbers.
 */
#include "kernel/ktest.h"
#include "tests/unit/pci_script.h"

#define ROOT_PORT 0x000c1b36u
#define DEVICE	  0x10451af4u

static struct pci_script script;

static void begin(struct ktest *t)
{
	pci_script_init(&script);
	ktest_defer(t, pci_script_release, &script);
}

static int add_port(int bridge, uint8_t slot)
{
	int port = pci_script_add_bridge(&script, bridge, slot, ROOT_PORT);

	pci_script_capability(&script, port, PCI_CAPABILITY_EXPRESS, 0x54);
	pci_script_poke(&script, port, 0x56, 2, 0x0042); /* version 2, root port */
	return port;
}

KTEST(drivers_pci_scan, reads_what_a_device_is)
{
	const struct pci_device *dev;
	int index;

	begin(t);
	index = pci_script_add(&script, -1, 4, 0, DEVICE);
	pci_script_poke(&script, index, PCI_CLASS_REVISION, 4, 0x01020304);
	pci_script_poke(&script, index, PCI_SUBSYSTEM, 4, 0x11001af5);
	REQUIRE_OK(t, pci_root_scan(&script.root));
	dev = pci_script_found(&script, index);
	REQUIRE(t, dev);
	EXPECT_EQ(t, script.root.nr_devices, 1u);
	EXPECT_EQ(t, dev->bus, 0u);
	EXPECT_EQ(t, dev->slot, 4u);
	EXPECT_EQ(t, dev->vendor, 0x1af4u);
	EXPECT_EQ(t, dev->device, 0x1045u);
	EXPECT_EQ(t, dev->class_code, 1u);
	EXPECT_EQ(t, dev->subclass, 2u);
	EXPECT_EQ(t, dev->interface, 3u);
	EXPECT_EQ(t, dev->revision, 4u);
	EXPECT_EQ(t, dev->subsystem_vendor, 0x1af5u);
	EXPECT_EQ(t, dev->subsystem, 0x1100u);
}

KTEST(drivers_pci_scan, functions_are_probed_if_the_first_says_so)
{
	int single, multi, second;

	begin(t);
	single = pci_script_add(&script, -1, 1, 0, DEVICE);
	pci_script_add(&script, -1, 1, 5, DEVICE); /* cannot be: nobody announces it */
	multi = pci_script_add(&script, -1, 2, 0, DEVICE);
	second = pci_script_add(&script, -1, 2, 7, DEVICE);
	pci_script_add(&script, -1, 3, 1, DEVICE); /* no function 0 */
	pci_script_poke(&script, multi, PCI_HEADER_TYPE, 1, PCI_HEADER_MULTI);
	REQUIRE_OK(t, pci_root_scan(&script.root));
	EXPECT_EQ(t, script.root.nr_devices, 3u);
	EXPECT(t, pci_script_found(&script, single));
	EXPECT(t, pci_script_found(&script, multi));
	EXPECT(t, pci_script_found(&script, second));
}

KTEST(drivers_pci_scan, an_ordinary_bus_costs_few_reads)
{
	begin(t);
	pci_script_add(&script, -1, 0, 0, 0x29c08086);
	pci_script_poke(&script, 0, PCI_CLASS_REVISION, 4, 0x06000000);
	pci_script_add(&script, -1, 2, 0, DEVICE);
	REQUIRE_OK(t, pci_root_scan(&script.root));
	EXPECT(t, script.nr_reads < 64);
}

KTEST(drivers_pci_scan, follows_the_firmwares_numbers)
{
	int port, bridge, near, far;

	begin(t);
	port = add_port(-1, 1);
	bridge = pci_script_add_bridge(&script, port, 0, 0x000e1b36);
	near = pci_script_add(&script, -1, 9, 0, DEVICE);
	far = pci_script_add(&script, bridge, 31, 0, DEVICE);
	pci_script_number(&script, port, 3, 4);
	pci_script_number(&script, bridge, 4, 4);
	REQUIRE_OK(t, pci_root_scan(&script.root));
	EXPECT_EQ(t, script.root.nr_devices, 4u);
	EXPECT(t, pci_script_found(&script, near));
	REQUIRE(t, pci_script_found(&script, far));
	EXPECT_EQ(t, pci_script_found(&script, far)->bus, 4u);
	EXPECT_EQ(t, script.root.highest_bus, 4u);
}

KTEST(drivers_pci_scan, numbers_what_the_firmware_did_not)
{
	int first, second, inner, far, beside, last;

	begin(t);
	first = add_port(-1, 1);
	inner = pci_script_add_bridge(&script, first, 0, 0x000e1b36);
	far = pci_script_add(&script, inner, 6, 0, DEVICE);
	second = add_port(-1, 2);
	beside = pci_script_add(&script, second, 0, 0, DEVICE);
	last = add_port(-1, 3); /* numbered, its number is not to be used again */
	pci_script_number(&script, last, 1, 2);
	REQUIRE_OK(t, pci_root_scan(&script.root));
	EXPECT_EQ(t, script.root.nr_devices, 6u);
	REQUIRE(t, pci_script_found(&script, far));
	REQUIRE(t, pci_script_found(&script, beside));
	EXPECT_EQ(t, pci_script_peek(&script, first, PCI_BUS_NUMBERS, 4), 0x040300u);
	EXPECT_EQ(t, pci_script_peek(&script, inner, PCI_BUS_NUMBERS, 4), 0x040403u);
	EXPECT_EQ(t, pci_script_peek(&script, second, PCI_BUS_NUMBERS, 4), 0x050500u);
	EXPECT_EQ(t, pci_script_found(&script, far)->bus, 4u);
}

KTEST(drivers_pci_scan, a_port_has_one_slot)
{
	int port, ghost;

	begin(t);
	port = add_port(-1, 1);
	pci_script_add(&script, port, 0, 0, DEVICE);
	ghost = pci_script_add(&script, port, 1, 0, DEVICE);
	REQUIRE_OK(t, pci_root_scan(&script.root));
	EXPECT_EQ(t, script.root.nr_devices, 2u);
	EXPECT(t, !pci_script_found(&script, ghost));
}

KTEST(drivers_pci_scan, expanders_have_root_buses)
{
	int device, port, behind;

	begin(t);
	pci_script_add(&script, -1, 3, 0, 0x000b1b36);
	port = add_port(-1, 0);
	script.functions[port].root_bus = 0x80;
	behind = pci_script_add(&script, port, 0, 0, DEVICE);
	device = pci_script_add(&script, -1, 5, 0, DEVICE);
	script.functions[device].root_bus = 0x40;
	REQUIRE_OK(t, pci_root_scan(&script.root));
	EXPECT_EQ(t, script.root.nr_devices, 4u);
	EXPECT(t, pci_script_found(&script, device));
	EXPECT(t, pci_script_found(&script, port));
	REQUIRE(t, pci_script_found(&script, behind));
	EXPECT_EQ(t, pci_script_found(&script, behind)->bus, 0x81u);
}

KTEST(drivers_pci_scan, bridges_that_point_in_a_circle_end)
{
	int a, b;

	begin(t);
	a = pci_script_add_bridge(&script, -1, 1, ROOT_PORT);
	b = pci_script_add_bridge(&script, -1, 2, ROOT_PORT);
	pci_script_number(&script, a, 1, 1);
	pci_script_number(&script, b, 1, 1); /* the same again */
	pci_script_add(&script, a, 0, 0, DEVICE);
	REQUIRE_OK(t, pci_root_scan(&script.root));
	EXPECT_EQ(t, script.root.nr_devices, 3u);
	pci_root_release(&script.root);

	pci_script_number(&script, a, 9, 2); /* ends before it begins */
	REQUIRE_OK(t, pci_root_scan(&script.root));
	EXPECT_EQ(t, script.root.nr_devices, 2u);
}

KTEST(drivers_pci_scan, very_deep_trees_are_cut)
{
	int bridge = -1;

	begin(t);
	for (unsigned int i = 0; i < PCI_SCRIPT_FUNCTIONS; i++)
		bridge = pci_script_add_bridge(&script, bridge, 0, ROOT_PORT);
	REQUIRE_OK(t, pci_root_scan(&script.root));
	EXPECT_EQ(t, script.root.nr_devices, 13u);
}

KTEST(drivers_pci_scan, an_unnumbered_bridge_below_a_numbered_one_is_left)
{
	int port, inner;

	begin(t);
	port = add_port(-1, 1);
	inner = pci_script_add_bridge(&script, port, 0, 0x000e1b36);
	pci_script_add(&script, inner, 0, 0, DEVICE);
	pci_script_number(&script, port, 1, 1);
	REQUIRE_OK(t, pci_root_scan(&script.root));
	EXPECT_EQ(t, script.root.nr_devices, 2u);
	EXPECT_EQ(t, pci_script_peek(&script, inner, PCI_BUS_NUMBERS, 4), 0u);
}

KTEST(drivers_pci_scan, running_out_of_bus_numbers)
{
	int last;

	begin(t);
	script.root.config.last_bus = 2;
	add_port(-1, 1);
	add_port(-1, 2);
	last = add_port(-1, 3);
	REQUIRE_OK(t, pci_root_scan(&script.root));
	EXPECT_EQ(t, script.root.nr_devices, 3u);
	EXPECT_EQ(t, pci_script_peek(&script, last, PCI_BUS_NUMBERS, 4), 0u);
}
