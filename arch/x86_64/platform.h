/*
 * What init/main.c calls to bring the machine up, in this order.
 */
#pragma once

#include "kernel/boot_info.h"
#include "kernel/machine.h"

/*
 * Any physical address (RAM or ACPI) before paging_init(): a pointer to [phys, phys + bytes), or NULL if it cannot be
 * mapped. Fits as acpi_map.
 */
const void *boot_map_physical(uint64_t phys, size_t bytes, void *context);
/* What was found, in one line, and a warning for each of boot_info's complaints. */
void boot_report(const struct boot_info *info);

/* GDT, TSS with interrupt stacks, IDT, the boot CPU's per-CPU block. Exceptions end in a panic from here on. */
void cpu_early_init(void);
/* Calibrates the cycle counter: time_ns() counts from @entry_cycles. */
void clock_init(uint64_t entry_cycles, const struct machine *machine);
/*
 * The final page tables (see <arch/page.h>): direct map of every usable and ACPI range, the image with W^X, a guard
 * page under the boot stack. @alloc gives physical memory (not cleared) below 4 GiB, or 0, until
 * paging_use_allocator() is called.
 */
void paging_init(const struct boot_info *info, uint64_t (*alloc)(uint64_t bytes, uint64_t align));
/*
 * From now on page tables and kernel stacks come from @alloc: one page's physical address (not cleared), or 0. It is
 * called with the paging lock held, so it must not sleep. @release takes such a page back (stacks only).
 */
enum paging_purpose { PAGING_FOR_TABLE, PAGING_FOR_STACK };
void paging_use_allocator(uint64_t (*alloc)(enum paging_purpose purpose), void (*release)(uint64_t phys));
/* Local APIC, IOAPICs, interrupt vectors; interrupts on at return. */
void irq_init(const struct machine *machine);
/*
 * Chooses a page below 640 KiB to start other CPUs from, before memory is given to the allocator: its physical address,
 * to be reserved, or 0 if no usable one is there (then only the boot CPU runs).
 */
uint64_t smp_reserve_low_page(const struct boot_info *info) MUST_CHECK;
/* Starts all other CPUs and waits until they run; those that do not come are left out with one line. Scheduler runs. */
void smp_init(const struct machine *machine);

/* Leaves QEMU with (value << 1) | 1 through isa-debug-exit; halts if there is no such device. */
void machine_exit(unsigned int value) NORETURN;
#define EXIT_PASSED 16 /* status 33 */
#define EXIT_FAILED 17 /* status 35 */
#define EXIT_PANIC  18 /* status 37 */
/* Resets the machine. */
void machine_reset(void) NORETURN;
