/*
 * The way from a boot path to the shell.
 */
#pragma once

#include "kernel/boot_info.h"

/*
 * Called once by arch/x86_64/boot/ on the boot CPU: paging of the boot stub, its stack, interrupts off. @info is
 * in the image's .bss and filled, not yet sanitised. Implemented by init/main.c.
 */
void kernel_main(struct boot_info *info) NORETURN;

/* A stamp for /proc/boottime: "<µs since the first instruction> <what>". @what is a literal. */
void boot_stamp(const char *what);
void boot_stamps_show(struct sink *out);
