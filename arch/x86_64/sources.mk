both += $(addprefix arch/x86_64/boot/,pvh.c multiboot2.c efi_map.c efi_handover.c)
guest += $(addprefix arch/x86_64/boot/,start.S boot.c report.c)
# Page tables
both += arch/x86_64/page_table.c
guest += $(addprefix arch/x86_64/,paging.c device_map.c mmu.c stack.c)
# Entering and leaving the kernel; CPUs; time; interrupts
guest += $(addprefix arch/x86_64/,entry.S trap.c cpu.c switch.S context.c backtrace.c stop.c exit.c crash.c)
guest += $(addprefix arch/x86_64/,trampoline.S smp.c call.c)
guest += $(addprefix arch/x86_64/,apic.c calibrate.c clock.c timer.c ioapic.c irq.c irq_show.c)
