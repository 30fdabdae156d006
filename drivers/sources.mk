hosted += $(addprefix drivers/,acpi.c acpi_tables.c)
hosted += $(addprefix drivers/,pci.c pci_bar.c pci_files.c pci_msix.c pci_route.c pci_scan.c)
tests_hosted += tests/unit/pci_script.c
