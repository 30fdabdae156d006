both += kernel/boot_info.c
# In the guest too once the CPU is there.
hosted += $(addprefix kernel/,cmdline.c ktest.c line_editor.c lock_order.c mutex.c printk.c shell.c trace.c trace_files.c vfile.c vfile_settings.c wait.c work.c)
