/*
 * Interrupts as drivers see them. Implemented by arch/x86_64 (IOAPIC, local APIC, MSI).
 *
 * A handler runs with interrupts off, on any CPU; it may wake, queue work and arm timers, nothing that sleeps or
 * allocates. Lines may be shared: the handler says whether the interrupt was its device's. An unhandled line that
 * keeps firing is masked with one error line.
 */
#pragma once

#include "lib/format.h"

typedef bool (*irq_handler)(void *context);

enum irq_trigger { IRQ_EDGE_HIGH, IRQ_LEVEL_LOW, IRQ_LEVEL_HIGH };

/* A line by its global system interrupt. 0, -EINVAL (no such line), -EBUSY (not sharable), -ENOMEM. May sleep. */
int irq_request(uint32_t gsi, enum irq_trigger trigger, irq_handler handler, void *context) MUST_CHECK;
/* On return the handler does not run any more. */
void irq_release(uint32_t gsi, irq_handler handler, void *context);

/* Where one of the 16 legacy lines arrives, after the firmware's overrides. */
uint32_t irq_isa_line(unsigned int isa_irq, enum irq_trigger *trigger);

/* A message-signalled interrupt: what to write where. 0, -ENOSPC (no vector left). */
struct irq_message {
	uint64_t address;
	uint32_t data;
	uint32_t vector; /* for irq_release_message */
};
int irq_request_message(irq_handler handler, void *context, struct irq_message *message) MUST_CHECK;
void irq_release_message(const struct irq_message *message);

/* /proc/interrupts */
void irq_show(struct sink *out);
