both += kernel/boot_info.c
hosted += $(addprefix kernel/,ktest.c lock_order.c mutex.c printk.c wait.c work.c)
