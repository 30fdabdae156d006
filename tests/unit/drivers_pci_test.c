/*
 * What drivers ask of a device: registers, enabling, capabilities (with loops), mapping.
 */
#include "kernel/ktest.h"
#include "lib/string.h"
#include "tests/unit/pci_script.h"

static struct pci_script script;

/* One device in slot 3 with a BAR of 16 KiB at 0xc0000000. */
static struct pci_device *one_device(struct ktest *t, int *index)
{
	pci_script_init(&script);
	ktest_defer(t, pci_script_release, &script);
	*index = pci_script_add(&script, -1, 3, 0, 0x10451af4);
	pci_script_bar(&script, *index, 0, KIB(16), 0, 0xc0000000);
	pci_script_bar(&script, *index, 1, 32, 1, 0xc040);
	return pci_root_scan(&script.root) == 0 ? pci_script_found(&script, *index) : NULL;
}

KTEST(drivers_pci, registers_beyond_the_end_read_as_ones)
{
	int index;
	struct pci_device *dev = one_device(t, &index);

	REQUIRE(t, dev);
	EXPECT_EQ(t, pci_read(dev, 0, 2), 0x1af4u);
	EXPECT_EQ(t, pci_read(dev, 3, 1), 0x10u);
	EXPECT_EQ(t, pci_read(dev, 256, 1), 0xffu);
	EXPECT_EQ(t, pci_read(dev, 256, 2), 0xffffu);
	EXPECT_EQ(t, pci_read(dev, 254, 4), 0xffffffffu);
	pci_write(dev, 256, 4, 1); /* goes nowhere */
}

KTEST(drivers_pci, enabling_opens_the_bridges_on_the_way)
{
	struct pci_device *dev;
	int upper, lower, device;

	pci_script_init(&script);
	ktest_defer(t, pci_script_release, &script);
	upper = pci_script_add_bridge(&script, -1, 2, 0x000c1b36);
	lower = pci_script_add_bridge(&script, upper, 0, 0x000c1b36);
	device = pci_script_add(&script, lower, 0, 0, 0x10451af4);
	REQUIRE_OK(t, pci_root_scan(&script.root));
	dev = pci_script_found(&script, device);
	REQUIRE(t, dev);
	EXPECT_EQ(t, pci_script_peek(&script, upper, PCI_COMMAND, 2), 0u);
	pci_enable(dev);
	EXPECT_EQ(t, pci_script_peek(&script, device, PCI_COMMAND, 2), 7u);
	EXPECT_EQ(t, pci_script_peek(&script, lower, PCI_COMMAND, 2), 7u);
	EXPECT_EQ(t, pci_script_peek(&script, upper, PCI_COMMAND, 2), 7u);
}

KTEST(drivers_pci, capabilities_are_found_in_order)
{
	int index;
	struct pci_device *dev = one_device(t, &index);

	REQUIRE(t, dev);
	EXPECT_EQ(t, pci_find_capability(dev, 9, 0), 0u);
	pci_script_capability(&script, index, 9, 0x84);
	pci_script_capability(&script, index, 5, 0x40);
	pci_script_capability(&script, index, 9, 0x70);
	EXPECT_EQ(t, pci_find_capability(dev, 9, 0), 0x84u);
	EXPECT_EQ(t, pci_find_capability(dev, 9, 0x84), 0x70u);
	EXPECT_EQ(t, pci_find_capability(dev, 9, 0x70), 0u);
	EXPECT_EQ(t, pci_find_capability(dev, 5, 0), 0x40u);
	EXPECT_EQ(t, pci_find_capability(dev, 5, 0x40), 0u);
	EXPECT_EQ(t, pci_find_capability(dev, 6, 0), 0u);
	/* Without the status bit there is no list, whatever the register says. */
	pci_script_poke(&script, index, PCI_STATUS, 2, 0);
	EXPECT_EQ(t, pci_find_capability(dev, 9, 0), 0u);
}

KTEST(drivers_pci, a_loop_of_capabilities_ends)
{
	int index;
	struct pci_device *dev = one_device(t, &index);
	unsigned int found = 0;

	REQUIRE(t, dev);
	pci_script_capability(&script, index, 9, 0x50);
	pci_script_capability(&script, index, 9, 0x60);
	pci_script_poke(&script, index, 0x61, 1, 0x50);
	EXPECT_EQ(t, pci_find_capability(dev, 7, 0), 0u);
	for (uint8_t at = 0; (at = pci_find_capability(dev, 9, at)) != 0 && found < 100;)
		found++;
	EXPECT_EQ(t, found, 2u);
	pci_script_poke(&script, index, 0x61, 1, 0x62); /* low bits do not count; to itself */
	EXPECT_EQ(t, pci_find_capability(dev, 7, 0), 0u);
	pci_script_poke(&script, index, 0x61, 1, 0x10); /* into the header */
	EXPECT_EQ(t, pci_find_capability(dev, 7, 0), 0u);
}

KTEST(drivers_pci, mappings_stay_within_the_bar)
{
	int index;
	struct pci_device *dev = one_device(t, &index);

	REQUIRE(t, dev);
	EXPECT(t, !pci_map_bar(dev, 0, 0, KIB(16) + 1));
	EXPECT(t, !pci_map_bar(dev, 0, KIB(16), 1));
	EXPECT(t, !pci_map_bar(dev, 0, 8, UINT64_MAX));
	EXPECT(t, !pci_map_bar(dev, 0, UINT64_MAX, 8));
	EXPECT(t, !pci_map_bar(dev, 0, 0, 0));
	EXPECT(t, !pci_map_bar(dev, 1, 0, 4)); /* I/O */
	EXPECT(t, !pci_map_bar(dev, 2, 0, 4)); /* not there */
	EXPECT(t, !pci_map_bar(dev, 6, 0, 4));
}
