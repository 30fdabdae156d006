/*
 * The local APIC: interrupts between CPUs, their end, and the raw local timer (timer.c makes deadlines of it).
 */
#pragma once

#include "lib/compiler.h"

/* Finds the registers and chooses x2APIC or memory access; on the boot CPU, before paging_init(): for the clock only.
 */
void apic_early_init(uint64_t registers_phys);
/* On each CPU, from irq_init() on: accepts interrupts, and nothing comes on its local lines. */
void apic_map(uint64_t registers_phys);
void apic_init_cpu(void);

uint32_t apic_id(void);
void apic_end_of_interrupt(void);
/* Why the APIC complained (and clears it). */
uint32_t apic_error_status(void);

void apic_send(uint32_t apic_id, uint8_t vector);
void apic_send_nmi(uint32_t apic_id);
/* Starting processors: INIT, then STARTUP at a page below 1 MiB. To one, or to all but this one. */
#define APIC_ALL_OTHERS UINT32_MAX
void apic_send_init(uint32_t apic_id);
void apic_send_startup(uint32_t apic_id, uint64_t page_phys);

/* The one-shot counter counts down from @count and interrupts (if unmasked) at 0; 0 stops it. */
void apic_timer_start(uint32_t count);
uint32_t apic_timer_count(void);
enum apic_timer_mode { APIC_TIMER_OFF, APIC_TIMER_ONE_SHOT, APIC_TIMER_TSC_DEADLINE };
void apic_timer_mode(enum apic_timer_mode mode);
