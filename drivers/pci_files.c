/*
 * /proc/bus/pci/devices in Linux's format: bus and device-function, vendor and device, interrupt; seven
 * addresses with their flag bits (six BARs and the expansion ROM, which we leave alone), seven sizes, the
 * driver.
 */
#include "drivers/pci_internal.h"

#define BAR_IO	     1u
#define BAR_64	     4u
#define BAR_PREFETCH 8u

static unsigned int flags(const struct pci_bar *bar)
{
	return (bar->is_io ? BAR_IO : 0) | (bar->is_64 ? BAR_64 : 0) | (bar->prefetchable ? BAR_PREFETCH : 0);
}

static void show_device(struct pci_device *dev, struct sink *out)
{
	sink_printf(out, "%02x%02x\t%04x%04x\t%x", dev->bus, dev->slot << 3 | dev->function, dev->vendor, dev->device,
		    dev->gsi < 0 ? 0 : dev->gsi);
	for (unsigned int i = 0; i < PCI_NR_BARS; i++)
		sink_printf(out, "\t%16lx",
			    pci_bar(dev, i)->bytes ? pci_bar(dev, i)->address | flags(pci_bar(dev, i)) : 0);
	sink_printf(out, "\t%16x", 0);
	for (unsigned int i = 0; i < PCI_NR_BARS; i++)
		sink_printf(out, "\t%16lx", pci_bar(dev, i)->bytes);
	sink_printf(out, "\t%16x\t%s\n", 0, dev->driver ? dev->driver : "");
}

void pci_devices_show(struct pci_root *root, struct sink *out)
{
	struct pci_function *at;

	pci_for_each_function(at, root)
		show_device(&at->device, out);
}
