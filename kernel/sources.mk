both += kernel/boot_info.c
hosted += $(addprefix kernel/,ktest.c mutex.c printk.c wait.c)
