/*
 * What irq.c keeps, for irq_show.c and the tests.
 */
#pragma once

#include "arch/x86_64/trap.h"
#include "kernel/irq.h"

#include <arch/cpu.h>

#define IRQ_NR_VECTORS (VECTOR_DEVICE_END - VECTOR_DEVICE)
#define IRQ_MESSAGE    UINT32_MAX /* instead of a line's number */
/* So many interrupts in a row that nobody wanted: the line is stuck. */
#define IRQ_STORM 1000u

struct irq_action {
	struct irq_action *next;
	irq_handler handler;
	void *context;
};

/* A line or a message: what arrives at one vector. */
struct irq_source {
	struct irq_action *actions; /* read by interrupts without the lock; all there unless @masked */
	uint32_t gsi;		    /* or IRQ_MESSAGE */
	uint8_t vector;
	enum irq_trigger trigger;
	bool masked;
	uint32_t unhandled;	   /* in a row */
	uint64_t counts[MAX_CPUS]; /* each written by its CPU */
};

/* The source at VECTOR_DEVICE + @index or NULL; stable only under the lock. */
struct irq_source *irq_source_at(unsigned int index);
unsigned long irq_lock(void);
void irq_unlock(unsigned long flags);
/* As if an interrupt had arrived; interrupts off. */
void irq_handle(uint8_t vector);
