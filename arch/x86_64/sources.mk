both += $(addprefix arch/x86_64/boot/,pvh.c multiboot2.c efi_map.c efi_handover.c)
guest += $(addprefix arch/x86_64/,boot/start.S boot/boot.c)
hosted += arch/x86_64/page_table.c
# To join the guest with the log, panic, locks and SMP: boot/report.c paging.c page_table.c device_map.c stack.c
