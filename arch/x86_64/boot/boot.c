/*
 * From the boot stub into C: recognises who booted us, fills boot_info, and calls kernel_main().
 */
#include "kernel/init.h"

#include <arch/io.h>

void boot_start_64(int kind, uint64_t pointer);
extern uint64_t boot_entry_cycles;

static struct boot_info boot_info;

void boot_start_64(int kind, uint64_t pointer)
{
	boot_info.source = kind == 1 ? "pvh" : "multiboot2";
	boot_info.entry_cycles = boot_entry_cycles;
	kernel_main(&boot_info);
}
