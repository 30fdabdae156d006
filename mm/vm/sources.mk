both += $(addprefix mm/vm/,access.c area.c charge.c check.c commands.c command_pages.c daemons.c device.c device_migrate.c)
both += $(addprefix mm/vm/,device_ram.c fault.c file_area.c files.c fork.c gate.c gup.c hmm.c huge.c ksm.c ksm_scan.c)
both += $(addprefix mm/vm/,madvise.c matrix.c migrate.c mlock.c mm.c numa.c page.c proc.c protect.c reclaim.c rmap.c show.c)
both += $(addprefix mm/vm/,smaps.c tables.c zap.c)
