guest += $(addprefix arch/x86_64/,boot/start.S boot/boot.c)
both += $(addprefix arch/x86_64/boot/,pvh.c multiboot2.c efi_map.c)
