/*
 * The format of /proc/bus/pci/devices, as lspci reads it.
 */
#include "kernel/ktest.h"
#include "lib/string.h"
#include "tests/unit/pci_script.h"

static struct pci_script script;

KTEST(drivers_pci_files, devices)
{
	static const char want[] = "0018\t1af41045\t17"
				   "\t            c041\t        febf1000\t               0"
				   "\t               0\t      e00000000c\t               0\t               0"
				   "\t              20\t            1000\t               0"
				   "\t               0\t            4000\t               0\t               0"
				   "\tvirtio-pci\n";
	char buffer[512];
	struct text text;
	int at;

	pci_script_init(&script);
	ktest_defer(t, pci_script_release, &script);
	at = pci_script_add(&script, -1, 3, 0, 0x10451af4);
	pci_script_bar(&script, at, 0, 32, 1, 0xc040);
	pci_script_bar(&script, at, 1, KIB(4), 0, 0xfebf1000);
	pci_script_bar(&script, at, 4, KIB(16), 4 | 8, GIB(896));
	REQUIRE_OK(t, pci_root_scan(&script.root));
	pci_script_found(&script, at)->gsi = 23;
	pci_script_found(&script, at)->driver = "virtio-pci";
	text_init(&text, buffer, sizeof(buffer));
	pci_devices_show(&script.root, &text.sink);
	EXPECT_STR(t, buffer, want);
}
