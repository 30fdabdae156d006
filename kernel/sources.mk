both += kernel/boot_info.c
both += $(addprefix kernel/,cmdline.c commands.c cpu_claim.c ktest.c line_editor.c lock_order.c mutex.c printk.c shell.c spinlock.c task.c timer.c)
both += $(addprefix kernel/,trace.c trace_files.c vfile.c vfile_settings.c wait.c work.c)
guest += $(addprefix kernel/,boottime.c ktest_guest.c panic.c scheduler.c scheduler_trace.c symbols.c thread.c)
