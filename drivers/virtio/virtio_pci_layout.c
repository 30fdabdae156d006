/*
 * See virtio_pci_layout.h. Everything here comes from the device and is held against the BARs before it is believed.
 */
#include "drivers/virtio/virtio_pci_layout.h"

/* Byte offsets within the capability, 4.1.4. */
enum { CAP_LENGTH = 2, CAP_TYPE = 3, CAP_BAR = 4, CAP_OFFSET = 8, CAP_BYTES = 12, CAP_MULTIPLIER = 16 };

/* The least a region must hold to be of use: the fields up to queue_device; one notification; one byte. */
static const uint32_t least_bytes[VIRTIO_PCI_NR_TYPES] = {
	[VIRTIO_PCI_COMMON] = 56,
	[VIRTIO_PCI_NOTIFY] = 2,
	[VIRTIO_PCI_ISR] = 1,
	[VIRTIO_PCI_DEVICE] = 1,
};

static uint32_t read32(const uint8_t *at)
{
	return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static const char *fault(const struct virtio_pci_region *region, unsigned int type, const uint64_t *bar_bytes)
{
	if (region->bar >= VIRTIO_PCI_NR_BARS)
		return "reserved BAR";
	if (region->bytes < least_bytes[type])
		return "region too small";
	if ((uint64_t)region->offset + region->bytes > bar_bytes[region->bar])
		return "region beyond the end of its BAR";
	/* 4.1.4.3: common configuration is aligned to 4, notifications to 2. */
	if (type == VIRTIO_PCI_COMMON && region->offset % 4)
		return "common configuration not aligned to 4";
	if (type == VIRTIO_PCI_NOTIFY && region->offset % 2)
		return "notifications not aligned to 2";
	return NULL;
}

bool virtio_pci_layout_add(struct virtio_pci_layout *layout, const uint8_t *capability, size_t length,
			   const uint64_t bar_bytes[VIRTIO_PCI_NR_BARS], const char **why)
{
	struct virtio_pci_region region = {.found = true};
	unsigned int type;

	*why = "too short";
	if (length < VIRTIO_PCI_CAPABILITY_BYTES || capability[CAP_LENGTH] < VIRTIO_PCI_CAPABILITY_BYTES)
		return false;
	type = capability[CAP_TYPE];
	*why = "of a type that is not used";
	if (type < VIRTIO_PCI_COMMON || type > VIRTIO_PCI_DEVICE)
		return false;
	*why = "of a type that came before";
	if (layout->regions[type].found)
		return false;
	region.bar = capability[CAP_BAR];
	region.offset = read32(capability + CAP_OFFSET);
	region.bytes = read32(capability + CAP_BYTES);
	*why = fault(&region, type, bar_bytes);
	if (*why)
		return false;
	if (type == VIRTIO_PCI_NOTIFY) {
		*why = "notify capability without its multiplier";
		if (length < 20 || capability[CAP_LENGTH] < 20)
			return false;
		layout->notify_multiplier = read32(capability + CAP_MULTIPLIER);
		*why = NULL;
	}
	layout->regions[type] = region;
	return true;
}

const char *virtio_pci_layout_missing(const struct virtio_pci_layout *layout)
{
	if (!layout->regions[VIRTIO_PCI_COMMON].found)
		return "common configuration";
	if (!layout->regions[VIRTIO_PCI_NOTIFY].found)
		return "notifications";
	if (!layout->regions[VIRTIO_PCI_ISR].found)
		return "interrupt status";
	return NULL;
}

bool virtio_pci_notify_offset(const struct virtio_pci_layout *layout, uint16_t queue_notify_off, uint64_t *offset)
{
	*offset = (uint64_t)queue_notify_off * layout->notify_multiplier;
	return *offset % 2 == 0 && *offset + 2 <= layout->regions[VIRTIO_PCI_NOTIFY].bytes;
}
