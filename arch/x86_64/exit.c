/*
 * Leaving: through QEMU's isa-debug-exit device, or by a reset.
 */
#include "arch/x86_64/platform.h"

#include <arch/io.h>

#define DEBUG_EXIT_PORT	     0xf4
#define RESET_CONTROL_PORT   0xcf9 /* chipset: 2 arms, then 6 resets everything */
#define KEYBOARD_PORT	     0x64
#define KEYBOARD_PULSE_RESET 0xfe

static NORETURN void halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

void machine_exit(unsigned int value)
{
	outl(DEBUG_EXIT_PORT, value);
	halt();
}

void machine_reset(void)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} PACKED no_idt = {0, 0};

	outb(RESET_CONTROL_PORT, 2);
	outb(RESET_CONTROL_PORT, 6);
	outb(KEYBOARD_PORT, KEYBOARD_PULSE_RESET);
	/* Neither is there (microvm): an exception that cannot be delivered resets any PC. */
	__asm__ volatile("lidt %0; int3" ::"m"(no_idt));
	halt();
}
