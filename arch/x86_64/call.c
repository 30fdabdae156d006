/*
 * Calling another CPU.
 *
 * Each CPU has a list of requests that others push without a lock; an interrupt makes it take the whole list and
 * run it in order. The caller waits with interrupts on, so that it serves what others ask of it meanwhile: two CPUs
 * may call each other. Requests live in the caller's block, one per target, and preemption is off while they are in
 * use.
 */
#include "arch/x86_64/call.h"

#include "arch/x86_64/apic.h"
#include "arch/x86_64/percpu_internal.h"
#include "arch/x86_64/trap.h"
#include "kernel/cpu.h"
#include "kernel/panic.h"
#include "kernel/scheduler.h"
#include "kernel/thread.h"
#include "lib/atomic.h"

/* Pushes the request on @cpu's list and knocks, if nobody else has a knock under way. */
static void post(unsigned int cpu, struct cpu_call_request *request)
{
	struct cpu_block *target = cpu_blocks[cpu];
	struct cpu_call_request *head = load_relaxed(&target->calls);

	do
		request->next = head;
	while (!atomic_cas(&target->calls, &head, request));
	if (!head)
		apic_send(target->public.apic_id, VECTOR_CALL);
}

static struct cpu_call_request *reverse(struct cpu_call_request *list)
{
	struct cpu_call_request *result = NULL;

	while (list) {
		struct cpu_call_request *next = list->next;

		list->next = result;
		result = list;
		list = next;
	}
	return result;
}

void call_interrupt(void)
{
	struct cpu_call_request *request = reverse(atomic_exchange(&this_cpu_block()->calls, NULL));

	while (request) {
		/* Once it is done, it is its caller's again. */
		struct cpu_call_request *next = request->next;

		request->function(request->argument);
		store_release(&request->done, 1);
		request = next;
	}
}

static void run_here(void (*function)(void *argument), void *argument)
{
	unsigned long flags = cpu_irq_save();

	interrupt_enter();
	function(argument);
	interrupt_leave();
	cpu_irq_restore(flags);
}

static void ask(unsigned int cpu, void (*function)(void *argument), void *argument)
{
	struct cpu_call_request *request = &this_cpu_block()->requests[cpu];

	*request = (struct cpu_call_request){.function = function, .argument = argument};
	post(cpu, request);
}

static void wait_for(unsigned int cpu)
{
	while (!load_acquire(&this_cpu_block()->requests[cpu].done))
		cpu_relax();
}

void cpu_call(unsigned int cpu, void (*function)(void *argument), void *argument)
{
	ASSERT(cpu < cpu_count(), "CPU %u of %u", cpu, cpu_count());
	ASSERT(cpu_irqs_enabled() && !in_interrupt(), "two CPUs that call each other like this wait for ever");
	preempt_disable();
	if (cpu == cpu_id()) {
		run_here(function, argument);
	} else {
		ask(cpu, function, argument);
		wait_for(cpu);
	}
	preempt_enable();
}

void cpu_call_mask(uint64_t cpus, void (*function)(void *argument), void *argument)
{
	ASSERT(cpu_count() == 1 || (cpu_irqs_enabled() && !in_interrupt()),
	       "two CPUs that call each other like this wait for ever");
	preempt_disable();
	for (uint64_t left = cpus & ~BIT(cpu_id()); left; left &= left - 1)
		ask((unsigned int)__builtin_ctzll(left), function, argument);
	if (cpus & BIT(cpu_id()))
		run_here(function, argument);
	for (uint64_t left = cpus & ~BIT(cpu_id()); left; left &= left - 1)
		wait_for((unsigned int)__builtin_ctzll(left));
	preempt_enable();
}

void cpu_call_all(void (*function)(void *argument), void *argument)
{
	cpu_call_mask(UINT64_MAX >> (64 - cpu_count()), function, argument);
}

static void do_nothing(void *argument UNUSED)
{
}

/* Taking an interrupt is a barrier. */
void cpu_barrier(unsigned int cpu)
{
	cpu_call(cpu, do_nothing, NULL);
}

void arch_reschedule(unsigned int cpu)
{
	apic_send(cpu_blocks[cpu]->public.apic_id, VECTOR_RESCHEDULE);
}
