/*
 * Device interrupts: vectors, who handles them, lines that are stuck.
 *
 * Each line (by an IOAPIC) or message (MSI, MSI-X) has a vector of its own, all sent to the boot CPU. An interrupt
 * finds its source in a table and asks the handlers in turn; it takes no lock. Whoever unlinks a handler or a source
 * waits until nobody is on that vector any more, so memory can be freed and the handler's owner can go.
 *
 * A level-triggered line that nobody handles comes again at once, for ever: after IRQ_STORM times in a row it is
 * masked.
 */
#include "arch/x86_64/irq_internal.h"

#include "arch/x86_64/apic.h"
#include "arch/x86_64/call.h"
#include "arch/x86_64/ioapic.h"
#include "arch/x86_64/percpu_internal.h"
#include "arch/x86_64/platform.h"
#include "arch/x86_64/timer.h"
#include "kernel/memory.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/scheduler.h"
#include "kernel/spinlock.h"
#include "lib/atomic.h"
#include "lib/errno.h"

#include <arch/io.h>

#define ISA_LINES 16

struct vector {
	struct irq_source *source;
	uint32_t running; /* CPUs that may be looking at it */
};

static struct vector vectors[IRQ_NR_VECTORS];
static struct spinlock lock = SPINLOCK_INIT("irq");
static const struct machine *known_machine;

unsigned long irq_lock(void)
{
	return spin_lock_irqsave(&lock);
}

void irq_unlock(unsigned long flags)
{
	spin_unlock_irqrestore(&lock, flags);
}

struct irq_source *irq_source_at(unsigned int index)
{
	return vectors[index].source;
}

static struct vector *vector_of(const struct irq_source *source)
{
	return &vectors[source->vector - VECTOR_DEVICE];
}

static void silence(struct irq_source *source)
{
	unsigned long flags = irq_lock();

	if (source->gsi != IRQ_MESSAGE) {
		source->masked = true;
		ioapic_mask(source->gsi);
		pr_err("interrupt line %u: nobody handled it %u times in a row, masked", source->gsi, IRQ_STORM);
	}
	irq_unlock(flags);
}

static void ask_handlers(struct irq_source *source)
{
	bool handled = false;

	source->counts[cpu_id()]++;
	for (struct irq_action *action = load_acquire(&source->actions); action; action = load_acquire(&action->next))
		handled |= action->handler(action->context);
	if (handled)
		source->unhandled = 0;
	else if (++source->unhandled == IRQ_STORM)
		silence(source);
}

void irq_handle(uint8_t number)
{
	struct vector *vector = &vectors[number - VECTOR_DEVICE];
	struct irq_source *source;

	atomic_inc(&vector->running);
	source = load_acquire(&vector->source);
	if (source)
		ask_handlers(source);
	else
		this_cpu_block()->counts.unexpected++;
	atomic_dec(&vector->running);
}

static void handle_vector(uint8_t vector)
{
	struct interrupt_counts *counts = &this_cpu_block()->counts;

	switch (vector) {
	case VECTOR_TIMER:
		counts->timer++;
		apic_end_of_interrupt();
		timer_expired();
		timer_interrupt();
		return;
	case VECTOR_RESCHEDULE:
		counts->reschedule++;
		break;
	case VECTOR_CALL:
		counts->call++;
		apic_end_of_interrupt();
		call_interrupt();
		return;
	case VECTOR_APIC_ERROR:
		counts->error++;
		pr_err_ratelimited("local APIC error, status %#x", apic_error_status());
		break;
	default:
		if (vector >= VECTOR_DEVICE && vector < VECTOR_DEVICE_END)
			irq_handle(vector);
		else
			counts->unexpected++;
	}
	apic_end_of_interrupt();
}

void interrupt_dispatch(uint8_t vector)
{
	/* Neither was taken into service by the local APIC: an end-of-interrupt would end another's. */
	if (vector == VECTOR_SPURIOUS || (vector >= VECTOR_PIC && vector < VECTOR_PIC_END)) {
		this_cpu_block()->counts.spurious++;
		return;
	}
	/* To a CPU on its way to the scheduler: not yet one of those that the scheduler knows. */
	if (vector == VECTOR_WAKE) {
		apic_end_of_interrupt();
		return;
	}
	interrupt_enter();
	handle_vector(vector);
	interrupt_leave();
}

/* Nobody is on the vector any more, and whoever comes sees what was stored before. */
static void wait_for_handlers(struct vector *vector)
{
	smp_mb();
	while (load_acquire(&vector->running))
		cpu_relax();
}

static struct irq_source *find_line(uint32_t gsi)
{
	for (unsigned int i = 0; i < IRQ_NR_VECTORS; i++)
		if (vectors[i].source && vectors[i].source->gsi == gsi)
			return vectors[i].source;
	return NULL;
}

/* Puts @source at a free vector. */
static int place(struct irq_source *source)
{
	for (unsigned int i = 0; i < IRQ_NR_VECTORS; i++) {
		if (vectors[i].source)
			continue;
		source->vector = (uint8_t)(VECTOR_DEVICE + i);
		store_release(&vectors[i].source, source);
		return 0;
	}
	return -ENOSPC;
}

static uint32_t target_apic_id(void)
{
	return percpu_of(0)->apic_id;
}

/* Adds to a line that is in use, or makes it with @fresh; *@used says whether @fresh is now taken. */
static int attach_line(uint32_t gsi, enum irq_trigger trigger, struct irq_action *action, struct irq_source *fresh,
		       bool *used)
{
	struct irq_source *source = find_line(gsi);
	int error;

	if (!source) {
		fresh->gsi = gsi;
		error = place(fresh);
		if (error)
			return error;
		source = fresh;
		*used = true;
	}
	if (source->actions && (source->trigger != trigger || trigger == IRQ_EDGE_HIGH))
		return -EBUSY;
	action->next = source->actions;
	store_release(&source->actions, action);
	if (!action->next) {
		source->trigger = trigger;
		source->masked = false;
		source->unhandled = 0;
		ioapic_route(gsi, trigger, source->vector, target_apic_id());
	}
	return 0;
}

int irq_request(uint32_t gsi, enum irq_trigger trigger, irq_handler handler, void *context)
{
	struct irq_action *action;
	struct irq_source *fresh;
	bool used = false;
	unsigned long flags;
	int error;

	if (!ioapic_has(gsi))
		return -EINVAL;
	action = kzalloc(sizeof(*action));
	fresh = kzalloc(sizeof(*fresh));
	error = -ENOMEM;
	if (action && fresh) {
		*action = (struct irq_action){.handler = handler, .context = context};
		flags = irq_lock();
		error = attach_line(gsi, trigger, action, fresh, &used);
		irq_unlock(flags);
	}
	if (!used)
		kfree(fresh);
	if (error)
		kfree(action);
	return error;
}

static struct irq_action *unlink_action(struct irq_source *source, irq_handler handler, void *context)
{
	for (struct irq_action **at = &source->actions; *at; at = &(*at)->next) {
		struct irq_action *action = *at;

		if (action->handler == handler && action->context == context) {
			store_release(at, action->next);
			return action;
		}
	}
	return NULL;
}

void irq_release(uint32_t gsi, irq_handler handler, void *context)
{
	struct irq_action *action = NULL;
	unsigned long flags = irq_lock();
	struct irq_source *source = find_line(gsi);

	if (source)
		action = unlink_action(source, handler, context);
	/* The line keeps its vector for the next one who asks. */
	if (action && !source->actions) {
		source->masked = true;
		ioapic_mask(gsi);
	}
	irq_unlock(flags);
	ASSERT(action, "interrupt line %u is released by one who does not have it", gsi);
	wait_for_handlers(vector_of(source));
	kfree(action);
}

int irq_request_message(irq_handler handler, void *context, struct irq_message *message)
{
	struct irq_source *source = kzalloc(sizeof(*source));
	struct irq_action *action = kzalloc(sizeof(*action));
	int error = -ENOMEM;
	unsigned long flags;

	if (source && action) {
		*action = (struct irq_action){.handler = handler, .context = context};
		source->gsi = IRQ_MESSAGE;
		source->actions = action;
		flags = irq_lock();
		error = place(source);
		irq_unlock(flags);
	}
	if (error) {
		kfree(source);
		kfree(action);
		return error;
	}
	/* [Intel SDM vol. 3, 11.11] physical destination, fixed delivery, edge */
	*message = (struct irq_message){
		.address = 0xfee00000ull | target_apic_id() << 12,
		.data = source->vector,
		.vector = source->vector,
	};
	return 0;
}

void irq_release_message(const struct irq_message *message)
{
	struct vector *vector = &vectors[message->vector - VECTOR_DEVICE];
	unsigned long flags = irq_lock();
	struct irq_source *source = vector->source;

	store_release(&vector->source, NULL);
	irq_unlock(flags);
	ASSERT(source && source->gsi == IRQ_MESSAGE, "vector %u holds no message", message->vector);
	wait_for_handlers(vector);
	kfree(source->actions);
	kfree(source);
}

uint32_t irq_isa_line(unsigned int isa_irq, enum irq_trigger *trigger)
{
	ASSERT(isa_irq < ISA_LINES && known_machine);
	*trigger = IRQ_EDGE_HIGH;
	for (size_t i = 0; i < known_machine->nr_overrides; i++) {
		const struct machine_override *override = &known_machine->overrides[i];

		if (override->isa_irq != isa_irq)
			continue;
		if (override->level)
			*trigger = override->active_low ? IRQ_LEVEL_LOW : IRQ_LEVEL_HIGH;
		return override->gsi;
	}
	return isa_irq;
}

#define PIC_MASTER 0x20
#define PIC_SLAVE  0xa0

/* Away from the exceptions' vectors, for the spurious interrupts that even masked PICs may raise, and masked. */
static void disable_pics(void)
{
	outb(PIC_MASTER, 0x11);
	outb(PIC_SLAVE, 0x11);
	outb(PIC_MASTER + 1, VECTOR_PIC);
	outb(PIC_SLAVE + 1, VECTOR_PIC + 8);
	outb(PIC_MASTER + 1, 4); /* the slave is at line 2 */
	outb(PIC_SLAVE + 1, 2);
	outb(PIC_MASTER + 1, 1);
	outb(PIC_SLAVE + 1, 1);
	outb(PIC_MASTER + 1, 0xff);
	outb(PIC_SLAVE + 1, 0xff);
}

void irq_init(const struct machine *machine)
{
	known_machine = machine;
	disable_pics();
	apic_map(machine->local_apic);
	apic_init_cpu();
	timer_init_cpu();
	ioapic_init(machine);
	__asm__ volatile("sti" ::: "memory");
}
