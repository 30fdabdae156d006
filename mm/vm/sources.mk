both += $(addprefix mm/vm/,access.c area.c charge.c check.c commands.c command_pages.c device.c device_migrate.c device_ram.c)
both += $(addprefix mm/vm/,fault.c file_area.c files.c fork.c gate.c gup.c hmm.c huge.c ksm.c madvise.c matrix.c migrate.c mlock.c mm.c)
both += $(addprefix mm/vm/,numa.c page.c proc.c protect.c reclaim.c rmap.c show.c smaps.c tables.c zap.c)
