/*
 * The IOAPICs: lines by global system interrupt.
 */
#pragma once

#include "kernel/irq.h"
#include "kernel/machine.h"

/* Maps all, masks every line. An IOAPIC that cannot be mapped or read gives an error line and is left out. */
void ioapic_init(const struct machine *machine);
/* Some IOAPIC has this line. */
bool ioapic_has(uint32_t gsi);
/* Sends the line to @vector of the CPU with @apic_id, unmasked. The line exists. Callers serialise. */
void ioapic_route(uint32_t gsi, enum irq_trigger trigger, uint8_t vector, uint32_t apic_id);
void ioapic_mask(uint32_t gsi);
