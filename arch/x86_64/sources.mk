both += $(addprefix arch/x86_64/boot/,pvh.c multiboot2.c efi_map.c efi_handover.c)
guest += $(addprefix arch/x86_64/,boot/start.S boot/boot.c)
hosted += arch/x86_64/page_table.c
