/*
 * The receiving end of cpu_call() (kernel/cpu.h).
 */
#pragma once

/* From the call interrupt: runs what other CPUs want of this one. */
void call_interrupt(void);
