both += $(addprefix mm/vm/,access.c area.c charge.c check.c device.c device_migrate.c device_ram.c fault.c files.c fork.c gate.c gup.c)
both += $(addprefix mm/vm/,hmm.c huge.c ksm.c madvise.c matrix.c migrate.c mlock.c mm.c numa.c page.c proc.c protect.c)
both += $(addprefix mm/vm/,reclaim.c rmap.c smaps.c tables.c zap.c)
