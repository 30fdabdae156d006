# boot
tests_both += $(addprefix tests/unit/,boot_pvh_test.c boot_multiboot2_test.c boot_efi_map_test.c kernel_boot_info_test.c)
