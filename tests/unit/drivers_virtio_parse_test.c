/*
 * What firmware, command line and device say about where registers are: checked before it is believed.
 */
#include "drivers/virtio/virtio_mmio_parse.h"
#include "drivers/virtio/virtio_pci_layout.h"
#include "kernel/ktest.h"
#include "lib/string.h"

static const uint64_t bars[VIRTIO_PCI_NR_BARS] = {[0] = 0x1000, [4] = 0x4000};

static void put32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static bool add(struct virtio_pci_layout *layout, uint8_t type, uint8_t bar, uint32_t offset, uint32_t bytes)
{
	uint8_t capability[20] = {0x09, 0, 20, type, bar};
	const char *why;

	put32(capability + 8, offset);
	put32(capability + 12, bytes);
	put32(capability + 16, 4);
	return virtio_pci_layout_add(layout, capability, sizeof(capability), bars, &why);
}

KTEST(virtio_pci_layout, the_layout_of_qemu_is_taken)
{
	struct virtio_pci_layout layout = {0};
	uint64_t offset;

	EXPECT(t, add(&layout, VIRTIO_PCI_COMMON, 4, 0, 0x1000));
	EXPECT(t, add(&layout, VIRTIO_PCI_ISR, 4, 0x1000, 0x1000));
	EXPECT(t, add(&layout, VIRTIO_PCI_DEVICE, 4, 0x2000, 0x1000));
	EXPECT(t, virtio_pci_layout_missing(&layout) != NULL);
	EXPECT(t, add(&layout, VIRTIO_PCI_NOTIFY, 4, 0x3000, 0x1000));
	EXPECT(t, virtio_pci_layout_missing(&layout) == NULL);
	EXPECT(t, virtio_pci_notify_offset(&layout, 3, &offset));
	EXPECT_EQ(t, offset, 12u);
	/* 4.1.4.4: within the region, whatever the device says. */
	EXPECT(t, virtio_pci_notify_offset(&layout, 0x3ff, &offset));
	EXPECT(t, !virtio_pci_notify_offset(&layout, 0x400, &offset));
	EXPECT(t, !virtio_pci_notify_offset(&layout, 0xffff, &offset));
}

KTEST(virtio_pci_layout, regions_outside_their_bar_are_refused)
{
	struct virtio_pci_layout layout = {0};

	EXPECT(t, !add(&layout, VIRTIO_PCI_COMMON, 4, 0x3fd0, 56));
	EXPECT(t, !add(&layout, VIRTIO_PCI_COMMON, 4, UINT32_MAX - 3, 56));
	EXPECT(t, !add(&layout, VIRTIO_PCI_COMMON, 1, 0, 56)); /* a BAR that is not there */
	EXPECT(t, !add(&layout, VIRTIO_PCI_COMMON, 6, 0, 56)); /* reserved */
	EXPECT(t, !add(&layout, VIRTIO_PCI_COMMON, 4, 0, 55)); /* too small */
	EXPECT(t, !add(&layout, VIRTIO_PCI_COMMON, 4, 2, 56)); /* not aligned */
	EXPECT(t, !add(&layout, VIRTIO_PCI_NOTIFY, 4, 1, 2));
	EXPECT(t, !layout.regions[VIRTIO_PCI_COMMON].found);
	EXPECT(t, add(&layout, VIRTIO_PCI_COMMON, 4, 0x4000 - 56, 56));
}

/* 4.1.4.1: what we do not know is ignored; of two the first counts. */
KTEST(virtio_pci_layout, unknown_and_second_capabilities_are_ignored)
{
	struct virtio_pci_layout layout = {0};
	uint8_t stub[16] = {0x09, 0, 15, VIRTIO_PCI_ISR};
	const char *why;

	EXPECT(t, !add(&layout, 0, 4, 0, 56));
	EXPECT(t, !add(&layout, VIRTIO_PCI_ACCESS, 4, 0, 56));
	EXPECT(t, !add(&layout, 9, 4, 0, 56));
	EXPECT(t, !add(&layout, 255, 4, 0, 56));
	EXPECT(t, add(&layout, VIRTIO_PCI_ISR, 4, 0x100, 4));
	EXPECT(t, !add(&layout, VIRTIO_PCI_ISR, 4, 0x200, 4));
	EXPECT_EQ(t, layout.regions[VIRTIO_PCI_ISR].offset, 0x100u);
	layout.regions[VIRTIO_PCI_ISR].found = false;
	EXPECT(t, !virtio_pci_layout_add(&layout, stub, sizeof(stub), bars, &why)); /* says it is 15 long */
	EXPECT(t, !virtio_pci_layout_add(&layout, stub, 8, bars, &why));
}

KTEST(virtio_pci_layout, a_notify_capability_needs_its_multiplier)
{
	struct virtio_pci_layout layout = {0};
	uint8_t capability[20] = {0x09, 0, 16, VIRTIO_PCI_NOTIFY, 4};
	const char *why;

	put32(capability + 12, 0x1000);
	EXPECT(t, !virtio_pci_layout_add(&layout, capability, sizeof(capability), bars, &why));
	capability[2] = 20;
	EXPECT(t, !virtio_pci_layout_add(&layout, capability, 16, bars, &why));
	EXPECT(t, virtio_pci_layout_add(&layout, capability, sizeof(capability), bars, &why));
}

KTEST(virtio_mmio_parse, the_form_of_qemu_is_read)
{
	struct machine_virtio_mmio place;

	EXPECT_OK(t, virtio_mmio_parse("512@0xfeb00e00:12", &place));
	EXPECT_EQ(t, place.bytes, 512u);
	EXPECT_EQ(t, place.address, 0xfeb00e00u);
	EXPECT_EQ(t, place.gsi, 12u);
	EXPECT_OK(t, virtio_mmio_parse("4K@0x1000:5:7", &place));
	EXPECT_EQ(t, place.bytes, 4096u);
	EXPECT_EQ(t, place.gsi, 5u);
}

KTEST(virtio_mmio_parse, rubbish_is_refused)
{
	static const char *const bad[] = {
		"",
		"512",
		"512@",
		"512@0x1000",
		"512@0x1000:",
		"@0x1000:5",
		"x@0x1000:5",
		"512@y:5",
		"512@0x1000:z",
		"255@0x1000:5",
		"512@0xffffffffffffff00:5",
		"512@0x1000:4294967296",
		"512@0x1000:5x",
		"5120000000000000000000000000000000000000000000000000000000000000000000000@0x1000:5"};
	struct machine_virtio_mmio place;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int error = virtio_mmio_parse(bad[i], &place);

		EXPECT(t, error == -EINVAL);
		if (!error)
			ktest_note(t, "taken: %s", bad[i]);
	}
}
