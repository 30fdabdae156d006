both += kernel/boot_info.c
