/*
 * The machine's own PCI tree: the one pci_root that is not a test's.
 */
#include "drivers/pci_internal.h"
#include "kernel/printk.h"
#include "kernel/time.h"
#include "kernel/vfile.h"

static struct pci_root pci_root = {.devices = LIST_INIT(pci_root.devices)};

struct list_node *pci_devices(void)
{
	return &pci_root.devices;
}

int pci_init(const struct machine *machine, const struct boot_info *info)
{
	uint64_t begin = time_ns();
	int error = pci_config_open(&pci_root.config, machine);

	if (error)
		return error;
	pci_root.machine = machine;
	pci_root.info = info;
	error = pci_root_scan(&pci_root);
	pr_info("pci: %zu devices by %s, %llu us", pci_root.nr_devices, pci_root.config.name,
		(time_ns() - begin) / NS_PER_US);
	return error;
}

static int devices_show(struct sink *out, void *context UNUSED)
{
	pci_devices_show(&pci_root, out);
	return 0;
}

int pci_files_init(void)
{
	static const struct vfile_ops ops = {.show = devices_show};

	return vfile_add("/proc/bus/pci/devices", &ops, NULL);
}
