both += $(addprefix mm/vm/,access.c area.c device.c device_migrate.c fault.c files.c fork.c gate.c gup.c huge.c ksm.c madvise.c migrate.c mlock.c \
	mm.c numa.c page.c protect.c reclaim.c rmap.c tables.c zap.c)
