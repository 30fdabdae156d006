/*
 * MSI-X over a pretended BAR: what is written to the table, masks, and all that can be wrong with a device's
 * claim.
 */
#include "kernel/ktest.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "tests/host/host.h"
#include "tests/unit/pci_script.h"

#include <arch/io.h>

#define BAR_ADDRESS 0xfebf0000u
#define CAPABILITY  0x98u
#define NR_VECTORS  3u

static struct pci_script script;
static uint32_t table[1024]; /* the BAR's 4 KiB; the MSI-X table begins at 0x800 */
static int device, hits;

static bool handler(void *context)
{
	hits += *(int *)context;
	return true;
}

static void remove_device(void *argument UNUSED)
{
	host_device_add(BAR_ADDRESS, NULL, 0);
	pci_script_release(&script);
}

static struct pci_device *new_device(struct ktest *t)
{
	pci_script_init(&script);
	memset(table, 0, sizeof(table));
	hits = 0;
	device = pci_script_add(&script, -1, 3, 0, 0x10451af4);
	pci_script_bar(&script, device, 1, KIB(4), 0, BAR_ADDRESS);
	pci_script_capability(&script, device, PCI_CAPABILITY_MSIX, CAPABILITY);
	pci_script_poke(&script, device, CAPABILITY + 2, 2, NR_VECTORS - 1);
	pci_script_poke(&script, device, CAPABILITY + 4, 4, 0x800 | 1);
	script.functions[device].writable[CAPABILITY + 3] = 0xc0;
	host_device_add(BAR_ADDRESS, table, sizeof(table));
	ktest_defer(t, remove_device, NULL);
	return pci_root_scan(&script.root) == 0 ? pci_script_found(&script, device) : NULL;
}

KTEST(drivers_pci_msix, vectors_reach_their_handlers)
{
	struct pci_device *dev = new_device(t);
	const uint32_t *entries = table + 0x800 / 4;
	int one = 1, ten = 10;

	REQUIRE(t, dev);
	EXPECT_EQ(t, pci_msix_count(dev), NR_VECTORS);
	REQUIRE_OK(t, pci_msix_enable(dev));
	EXPECT_EQ(t, pci_msix_enable(dev), -EBUSY);
	for (unsigned int i = 0; i < NR_VECTORS; i++)
		EXPECT_EQ(t, entries[4 * i + 3], 1u);
	EXPECT_EQ(t, entries[4 * NR_VECTORS + 3], 0u);
	EXPECT_EQ(t, pci_script_peek(&script, device, CAPABILITY + 2, 2), 0x8000u | (NR_VECTORS - 1));
	EXPECT_EQ(t, pci_script_peek(&script, device, PCI_COMMAND, 2) & PCI_COMMAND_NO_INTX, PCI_COMMAND_NO_INTX);

	EXPECT_OK(t, pci_msix_request(dev, 0, handler, &one));
	EXPECT_OK(t, pci_msix_request(dev, 2, handler, &ten));
	EXPECT_EQ(t, pci_msix_request(dev, 2, handler, &ten), -EBUSY);
	EXPECT_EQ(t, pci_msix_request(dev, 3, handler, &ten), -EINVAL);
	EXPECT_EQ(t, entries[3], 0u);
	EXPECT_EQ(t, entries[7], 1u);
	EXPECT(t, host_interrupt((uint64_t)entries[9] << 32 | entries[8], entries[10]));
	EXPECT_EQ(t, hits, 10);
	EXPECT(t, host_interrupt((uint64_t)entries[1] << 32 | entries[0], entries[2]));
	EXPECT_EQ(t, hits, 11);

	pci_msix_disable(dev);
	EXPECT_EQ(t, host_vectors_in_use(), 0u);
	EXPECT_EQ(t, entries[3], 1u);
	EXPECT_EQ(t, pci_script_peek(&script, device, CAPABILITY + 2, 2), NR_VECTORS - 1);
	EXPECT_EQ(t, pci_script_peek(&script, device, PCI_COMMAND, 2) & PCI_COMMAND_NO_INTX, 0u);
	EXPECT_OK(t, pci_msix_enable(dev)); /* and again */
	pci_msix_disable(dev);
	pci_msix_disable(dev); /* harmless */
}

KTEST(drivers_pci_msix, a_table_outside_its_bar_is_refused)
{
	static const uint32_t tables[] = {0xfd8 | 1, 0x1000 | 1, 0xfffffff8 | 1, 0x800 | 2, 0x800 | 7};
	struct pci_device *dev = new_device(t);

	REQUIRE(t, dev);
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		pci_script_poke(&script, device, CAPABILITY + 4, 4, tables[i]);
		EXPECT_EQ(t, pci_msix_enable(dev), -EIO);
	}
	pci_script_poke(&script, device, CAPABILITY + 4, 4, 0xfd0 | 1);
	EXPECT_OK(t, pci_msix_enable(dev));
	pci_msix_disable(dev);
}

KTEST(drivers_pci_msix, memory_and_vectors_may_run_out)
{
	struct pci_device *dev = new_device(t);
	struct irq_message taken[16];
	unsigned int nr_taken = 0;

	REQUIRE(t, dev);
	host_fail_allocation(1);
	EXPECT_EQ(t, pci_msix_enable(dev), -ENOMEM);
	REQUIRE_OK(t, pci_msix_enable(dev));
	while (nr_taken < 16 && irq_request_message(handler, NULL, &taken[nr_taken]) == 0)
		nr_taken++;
	EXPECT_EQ(t, pci_msix_request(dev, 0, handler, NULL), -ENOSPC);
	EXPECT_EQ(t, table[0x800 / 4 + 3], 1u); /* still masked */
	while (nr_taken)
		irq_release_message(&taken[--nr_taken]);
	EXPECT_OK(t, pci_msix_request(dev, 0, handler, NULL));
	pci_msix_disable(dev);
	EXPECT_EQ(t, host_vectors_in_use(), 0u);
}

KTEST(drivers_pci_msix, a_device_without_it)
{
	struct pci_device *dev = new_device(t);

	REQUIRE(t, dev);
	pci_script_poke(&script, device, CAPABILITY, 1, 5);
	EXPECT_EQ(t, pci_msix_count(dev), 0u);
	EXPECT_EQ(t, pci_msix_enable(dev), -ENODEV);
	EXPECT_EQ(t, pci_msix_request(dev, 0, handler, NULL), -EINVAL);
}
