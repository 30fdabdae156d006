both += $(addprefix drivers/,acpi.c acpi_tables.c acpi_dsdt.c fw_cfg.c dma_buf.c dma_buf_commands.c dma_heap.c ivshmem.c ivshmem_memory.c)
both += $(addprefix drivers/,pci.c pci_bar.c pci_files.c pci_msix.c pci_route.c pci_scan.c)
guest += $(addprefix drivers/,fw_cfg_port.c pci_config.c pci_machine.c serial.c)
