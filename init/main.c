/*
 * The composition root: the only file that knows everybody.
 */
#include "kernel/init.h"

#include <arch/io.h>

void kernel_main(struct boot_info *info)
{
	for (const char *s = "hello from "; *s; s++)
		outb(0x3f8, (uint8_t)*s);
	for (const char *s = info->source; *s; s++)
		outb(0x3f8, (uint8_t)*s);
	outb(0x3f8, '\n');
	outb(0xf4, 16);
	for (;;)
		__asm__ volatile("hlt");
}
